"""Known optima: the precision of a Gaussian, the couplings of an Ising model, log Z, a likelihood's gradient."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.strategies.learned import compiled, train

GAUSS = """observed y : R[2]
param P : R[2,2], positive definite
F(y) = ½ y' P y
train
    strategy {}
"""
ISING = """observed y : {{0,1}}[4]
param J : R[4,4]
param b : R[4]
F(y) = -y' J y - b' y
train
    strategy {}
"""


WIDE = """observed y : R[20]
module f : R[20] -> R = mlp(32, silu)
F(y) = f(y)
train
    strategy {}
"""


@pytest.fixture(scope="module")
def gauss() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(4000, 2, generator=generator) @ torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    return y, torch.linalg.inv(y.T @ y / len(y))


@pytest.mark.parametrize(
    ("strategy", "within"),
    [
        ("score_matching", 0.03),
        ("sliced_score_matching(projections = 2)", 0.05),
        ("maximum_likelihood", 0.05),
        ("noise_contrastive(ratio = 4)", 0.1),
        ("contrastive_divergence(steps = 10, step_size = 0.1)", 0.4),
        ("persistent_contrastive_divergence(steps = 5, step_size = 0.05)", 0.3),
    ],
)
def test_precision_of_a_gaussian(gauss: tuple[Tensor, Tensor], strategy: str, within: float) -> None:
    y, precision = gauss
    model, _, _ = train(GAUSS.format(strategy), {"y": y}, epochs=40, lr=0.02)
    assert (model.P.detach() - precision).abs().max() < within


def test_denoising_learns_the_precision_of_the_noisy_data(gauss: tuple[Tensor, Tensor]) -> None:
    y, precision = gauss
    model, _, _ = train(GAUSS.format("denoising_score_matching(sigma = 0.3)"), {"y": y}, epochs=40, lr=0.02)
    noisy = torch.linalg.inv(torch.linalg.inv(precision) + 0.09 * torch.eye(2))
    assert (model.P.detach() - noisy).abs().max() < 0.12
    assert (model.P.detach() - precision).abs().max() > 0.2


def test_noise_contrastive_learns_log_z() -> None:
    """The steps get smaller, as they have to where every one is drawn; what is left is the error of the sample."""
    precision = torch.tensor([[2.0, 0.6], [0.6, 1.0]])
    factor = torch.linalg.cholesky(torch.linalg.inv(precision))
    y = torch.randn(40_000, 2, generator=torch.Generator().manual_seed(0)) @ factor.T
    file = compiled(GAUSS.format("noise_contrastive(ratio = 10)"))
    learner = file.Learner(file.build(), lr=0.1)
    learner.start({"y": y})
    for step, part in enumerate(part for _ in range(12) for part in y.split(1000)):
        learner.optimizer.param_groups[0]["lr"] = 0.1 / (1 + step / 40)
        learner.step({"y": part})
    log_z = math.log(2 * math.pi) - 0.5 * float(torch.logdet(precision))
    assert abs(float(learner.log_normaliser.detach()) - log_z) < 0.01


def population() -> tuple[Tensor, Tensor, Tensor]:
    """Every state as often as an Ising model has it, to 1e-6; its couplings and fields."""
    generator = torch.Generator().manual_seed(1)
    couplings = torch.randn(4, 4, generator=generator, dtype=torch.float64).triu(1) * 0.5
    field = torch.randn(4, generator=generator, dtype=torch.float64) * 0.5
    return (torch.arange(16)[:, None] >> torch.arange(4) & 1).double(), couplings, field


@pytest.mark.parametrize("strategy", ["ratio_matching", "minimum_probability_flow", "maximum_likelihood"])
def test_couplings_of_an_ising_model_in_the_population(strategy: str) -> None:
    """The loss of a state counts by its probability: the runtime's losses are means, so it is weighted by hand."""
    states, couplings, field = population()
    file = compiled(ISING.format(strategy))
    p = torch.softmax((torch.einsum("si,ij,sj->s", states, couplings, states) + states @ field), 0)
    pairs = torch.zeros(10, dtype=torch.float64, requires_grad=True)
    rows, columns = torch.triu_indices(4, 4)

    def free_energy(y: Tensor) -> Tensor:
        matrix = torch.zeros(4, 4, dtype=torch.float64).index_put((rows, columns), pairs)
        return -torch.einsum("si,ij,sj->s", y, matrix, y)

    optimizer = torch.optim.LBFGS([pairs], max_iter=300, tolerance_grad=1e-12, tolerance_change=0, history_size=30)
    extra = (file.binary_states(states), 0.0, 1.0) if strategy == "maximum_likelihood" else ()

    def loss() -> Tensor:
        optimizer.zero_grad()
        each = [getattr(file, strategy)(free_energy, s[None], (), *extra)[0] for s in states]
        total = (p * torch.stack(each)).sum()
        total.backward()
        return total

    optimizer.step(loss)
    true = (couplings + torch.diag(field))[rows, columns]
    assert (pairs.detach() - true).abs().max() < 1e-6


def test_gradient_of_the_likelihood_is_the_difference_of_two_expectations() -> None:
    """∂L/∂W = E_data ∂F/∂W - E_P ∂F/∂W, by enumeration."""
    states, couplings, field = population()
    file = compiled(ISING.format("maximum_likelihood"))
    model = file.build(dtype=torch.float64)
    with torch.no_grad():
        model.J.copy_(couplings)
        model.b.copy_(field)
    y = states[[3, 5, 9, 9, 15]]
    loss, _ = file.maximum_likelihood(model.free_energy, y, (), states, 0.0, 1.0)
    (slope,) = torch.autograd.grad(loss, [model.J])
    outer = -states[:, :, None] * states[:, None, :]
    p = torch.softmax(-model.free_energy(states).detach(), 0)
    wanted = (-y[:, :, None] * y[:, None, :]).mean(0) - (p[:, None, None] * outer).sum(0)
    assert torch.allclose(slope, wanted, atol=1e-12)


def test_traces_are_those_of_autograd_in_twenty_dimensions() -> None:
    file, sliced = compiled(WIDE.format("score_matching")), compiled(WIDE.format("sliced_score_matching"))
    model = file.build(dtype=torch.float64)
    y = torch.randn(3, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    loss, _ = file.score_matching(model.free_energy, y, (), 1.0)
    each = []
    for row in y:
        hessian = torch.autograd.functional.hessian(lambda x: model.free_energy(x[None])[0], row)
        slope = torch.autograd.functional.jacobian(lambda x: model.free_energy(x[None])[0], row)
        each.append(0.5 * slope.square().sum() - hessian.trace())
    assert float(loss.detach()) == pytest.approx(float(torch.stack(each).mean()), abs=1e-9)
    generator = torch.Generator().manual_seed(1)
    rough, _ = sliced.sliced_score_matching(model.free_energy, y, (), generator, 4000, 1.0)
    assert float(rough.detach()) == pytest.approx(float(loss.detach()), abs=0.01)


def test_langevin_has_the_variance_of_its_step() -> None:
    """On ½y² the stationary variance is 1/(β(1 - α/2))."""
    file = compiled(GAUSS.format("contrastive_divergence"))
    generator = torch.Generator().manual_seed(0)
    found, moves = file.langevin_chain(
        lambda y: 0.5 * y.square().sum(1), torch.randn(40000, 2, generator=generator), (), generator, 200, 0.05, 2.0
    )
    assert float(found.var()) == pytest.approx(1 / (2 * (1 - 0.025)), rel=0.02)
    # the kick is 2α/β a dimension, the drift α²<∇F²> = α²·var
    kick = 2 * 0.05 / 2
    assert float(moves["chain noise"]) == pytest.approx(kick / (kick + 0.05**2 * float(found.var())), rel=0.02)


@pytest.mark.parametrize("kind", ["mala", "hmc"])
def test_refusing_chains_are_exact_at_large_steps(kind: str) -> None:
    """The covariance of a normal distribution, at steps where unadjusted dynamics would be far off."""
    file = compiled(GAUSS.format(f"contrastive_divergence(chain = {kind})"))
    chain = getattr(file, f"{kind}_chain")
    generator = torch.Generator().manual_seed(0)
    P = torch.tensor([[2.0, 0.9], [0.9, 1.0]])
    start = torch.zeros(20000, 2)
    found, moves = chain(lambda y: 0.5 * ((y @ P) * y).sum(1), start, (), generator, 60, 0.4, 2.0)
    wanted = torch.linalg.inv(2 * P)
    assert torch.allclose(found.T.cov(), wanted, atol=0.03)
    assert 0.3 < float(moves["chain acceptance"]) < 0.99


def test_dropout_leaves_what_it_does_not_drop() -> None:
    from ebdsl.runtime.strategies import dropped

    y = torch.full((2000, 10), 3.0)
    found = dropped(y, torch.Generator().manual_seed(0), 0.3)
    assert set(found.unique().tolist()) == {0.0, 3.0}
    assert float((found == 0).float().mean()) == pytest.approx(0.3, abs=0.02)


def test_dropout_teaches_entries_from_each_other() -> None:
    """Entries that always agree are told from each other: what was dropped is given back."""
    text = """observed y : R[4]
module Enc : R[4] -> R[16] = mlp(32, tanh)
module Dec : R[16] -> R[4] = mlp(32, tanh)
F(y) = ||y - Dec(Enc(y))||^2
train
    strategy denoising(noise = dropout, share = 0.3)
"""
    z = torch.randn(1000, 1, generator=torch.Generator().manual_seed(0))
    model, _, _ = train(text, {"y": z.expand(-1, 4).contiguous()}, epochs=40, lr=3e-3, batch=100)
    hidden = z.expand(-1, 4).clone()
    hidden[:, 2] = 0
    with torch.no_grad():
        back = model.reconstruct(hidden)
    assert float((back[:, 2:3] - z).square().mean()) < 0.1 * float(z.square().mean())
