"""Generators of negative samples: the energy's turn, the generator's turn, and what each may move."""

from __future__ import annotations

import pytest
import torch

from tests.strategies.learned import compiled, goes_on, refusal

GAN = """observed y : R[2]
noise    u ~ normal(0, 1) : R[3]
module   f : R[2] -> R = mlp(16, silu)
module   G : R[3] -> R[2] = mlp(16, silu)
F(y) = f(y)
train
    strategy contrastive(loss = {})
        negatives G(u)
"""
EBGAN = """observed y : R[2]
noise    u ~ uniform(-1, 1) : R[3]
module   Enc : R[2] -> R[6] = mlp(16, tanh)
module   Dec : R[6] -> R[2] = mlp(16, tanh)
param    A : R[2, 3], unit columns
F(y) = ||y - Dec(Enc(y))||^2
train
    strategy contrastive(margin = 2, pulling_away = 0.3, generator_rate = 0.5)
        negatives A u
    optimizer sgd(lr = 0.1)
"""


def data(n: int = 40) -> torch.Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("loss", ["logistic", "pair_hinge", "log"])
def test_the_two_losses(loss: str) -> None:
    """The report of a step against the formulas, at the weights before the step of each."""
    file = compiled(GAN.format(loss))
    model = file.build(dtype=torch.float64)
    learner = file.Learner(model, lr=0.0)
    y = data()
    report = learner.step({"y": y})
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        made = model.generate(y, generator=generator)
        low, high = model.free_energy(y), model.free_energy(made)
        softplus = torch.nn.functional.softplus
        wanted, theirs = {
            "logistic": (softplus(low) + softplus(-high), softplus(high)),
            "pair_hinge": ((1 + low - high).clamp_min(0), high),
            "log": (softplus(low - high), high),
        }[loss]
    assert float(report["loss"]) == pytest.approx(float(wanted.mean()), rel=1e-9)
    assert float(report["generator loss"]) == pytest.approx(float(theirs.mean()), rel=1e-9)


def test_each_moves_its_own_weights_alone() -> None:
    """Plain steps: the energy's gradient knows nothing of the generator, and the other way round."""
    file = compiled(EBGAN)
    model, twin = file.build(dtype=torch.float64), file.build(dtype=torch.float64)
    y = data()
    learner = file.Learner(model)
    learner.step({"y": y})
    made = twin.generate(y, generator=torch.Generator().manual_seed(1)).detach()
    energies = [*twin.Enc.parameters(), *twin.Dec.parameters()]
    loss = twin.free_energy(y).mean() + (2 - twin.free_energy(made)).clamp_min(0).mean()
    for p, g in zip(energies, torch.autograd.grad(loss, energies), strict=True):
        p.data -= 0.1 * g
    for ours, theirs in zip([*model.Enc.parameters(), *model.Dec.parameters()], energies, strict=True):
        torch.testing.assert_close(ours, theirs)
    made = twin.generate(y, generator=torch.Generator().manual_seed(1))
    codes = twin.Enc(made)
    cosines = torch.nn.functional.cosine_similarity(codes[:, None], codes[None], dim=2)
    n = len(codes)
    apart = (cosines.square().sum() - cosines.diagonal().square().sum()) / (n * (n - 1))
    (slope,) = torch.autograd.grad(twin.free_energy(made).mean() + 0.3 * apart, [twin.A])
    step = twin.A.detach() - 0.05 * slope  # half the rate of the energy
    torch.testing.assert_close(model.A.detach(), step / step.norm(dim=0))


def test_going_on_is_the_same_to_the_bit() -> None:
    goes_on(compiled(GAN.format("logistic")), data().float())


def test_a_generator_without_weights_is_a_law_of_negatives() -> None:
    text = GAN.format("pair_hinge").replace("G(u)", "3 u").replace("R[3]", "R[2]")
    file = compiled(text.replace("module   G : R[2] -> R[2] = mlp(16, silu)\n", ""))
    model = file.build()
    learner = file.Learner(model, lr=3e-3)
    y = data(256).float() * 0.2
    for _ in range(150):
        report = learner.step({"y": y})
    assert "generator loss" not in report
    assert float(report["energy"]) < float(report["energy of negatives"]) - 0.3


def test_what_has_no_codes_cannot_pull_them_away() -> None:
    text = EBGAN.replace("Dec(Enc(y))||^2", "Dec(Enc(2 y))||^2")
    assert "no learned function sees y alone" in refusal(text)
    assert "there is none" in refusal(
        GAN.format("pair_hinge, pulling_away = 0.1").replace("        negatives G(u)\n", "").replace("noise", "# noise")
    )
