"""Which methods apply to which energy, what refuses the others, and what a wrong word is told."""

from __future__ import annotations

import pytest
import torch

from ebdsl import driver, explain
from ebdsl.diagnostics import Source
from tests.strategies.learned import auc, compiled, goes_on, refusal, train

MLP = """observed y : R[2]
module f : R[2] -> R = mlp(64, 64, {activation})
F(y) = f(y)
train
    strategy {strategy}
"""
AUTO = """observed y : R[2]
module Enc : R[2] -> R[64] = mlp(64, tanh)
module Dec : R[64] -> R[2] = mlp(64, tanh)
F(y) = ||y - Dec(Enc(y))||^2
train
    strategy {}
"""
SPARSE = """dim N = 8
observed y : R[4]
latent z : R[N]
param W : R[4, N], unit columns
E(y, z) = ||y - W z||^2 + |z|
F(y) = min_z E(y, z)
train
    strategy {}
"""
BITS = "observed y : {{0,1}}[{n}]\nparam J : R[{n},{n}]\nF(y) = y' J y\ntrain\n    strategy {strategy}\n"
CHAIN = "observed y : box(0, 1)[3]\nparam w : R[3]\nF(y) = w' y\ntrain\n    strategy {}\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (MLP.format(activation="relu", strategy="score_matching"), "straight pieces"),
        (MLP.format(activation="silu", strategy="ratio_matching"), "not made of entries 0 and 1"),
        (MLP.format(activation="silu", strategy="contrastive(loss = hinge)"), "can be negative"),
        (MLP.format(activation="silu", strategy="denoising"), "not a distance"),
        (MLP.format(activation="silu", strategy="score_matching(over = z)"), "z is not an observed variable"),
        (SPARSE.format("score_matching"), "leave by a search"),
        (SPARSE.format("masking"), "not a distance"),
        (BITS.format(n=4, strategy="score_matching"), "finitely many values"),
        (BITS.format(n=40, strategy="maximum_likelihood"), "more than 4,096"),
        (CHAIN.format("score_matching"), "edge"),
        (CHAIN.format("contrastive_divergence"), "no chain"),
    ],
)
def test_refusals_name_the_fact(text: str, reason: str) -> None:
    assert reason in refusal(text)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("score_matchin", "score_matching"),
        ("contrastive(margn = 1)", "no setting margn"),
        ("contrastive(margin = 0)", "above 0"),
        ("contrastive_divergence(steps = 1.5)", "whole number"),
        ("contrastive(loss = hing)", "one of hinge"),
        ("masking(share = 2)", "at most"),
    ],
)
def test_wrong_words_are_told(line: str, message: str) -> None:
    found = driver.check_source(Source("s.ebm", MLP.format(activation="silu", strategy=line)))
    assert found.value is None or found.errors
    (d,) = found.errors
    assert d.code == "EB0227" and message in f"{d.message} {d.help}"


def test_explain_lists_what_applies_and_what_refuses_the_rest() -> None:
    plan = driver.plan_source(Source("s.ebm", MLP.format(activation="silu", strategy="score_matching"))).value
    assert plan is not None and plan.volume.strategy == 4
    said = explain.text(plan)
    assert "strategy 4: score matching" in said and "the trace of the curvature is taken exactly" in said
    assert (
        "or else" in said
        and "refused    ratio_matching, minimum_probability_flow: y is not made of entries 0 and 1" in said
    )


@pytest.fixture(scope="module")
def parabola() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    t = torch.rand(2000, generator=generator) * 2 - 1
    data = torch.stack([t, t.square()], 1) + 0.03 * torch.randn(2000, 2, generator=generator)
    other = torch.rand(2000, 2, generator=generator) * torch.tensor([3.0, 2.5]) + torch.tensor([-1.5, -0.75])
    return data, other


@pytest.mark.parametrize(
    ("text", "least"),
    [
        (MLP.format(activation="silu", strategy="score_matching"), 0.9),
        (MLP.format(activation="relu", strategy="denoising_score_matching(sigma = 0.1)"), 0.9),
        (MLP.format(activation="silu", strategy="maximum_likelihood(points = 40)"), 0.9),
        (MLP.format(activation="silu", strategy="contrastive_divergence(steps = 5)"), 0.9),
        (MLP.format(activation="silu", strategy="persistent_contrastive_divergence"), 0.9),
        (MLP.format(activation="silu", strategy="noise_contrastive"), 0.9),
        (MLP.format(activation="silu", strategy="contrastive(negatives = uniform)"), 0.85),
        (AUTO.format("denoising(sigma = 0.2)"), 0.92),
        (AUTO.format("contractive"), 0.88),
    ],
)
def test_a_valley_along_the_curve(parabola: tuple[torch.Tensor, torch.Tensor], text: str, least: float) -> None:
    data, other = parabola
    model, _, report = train(text, {"y": data}, epochs=30, lr=3e-3)
    assert next(iter(report)) == "energy" and all(bool(v.isfinite()) for v in report.values())
    assert auc(model, data, other) > least


@pytest.mark.parametrize(
    "strategy",
    ["persistent_contrastive_divergence", "noise_contrastive", "contrastive", "denoising_score_matching"],
)
def test_going_on_is_the_same_to_the_bit(parabola: tuple[torch.Tensor, torch.Tensor], strategy: str) -> None:
    goes_on(compiled(MLP.format(activation="silu", strategy=strategy)), parabola[0][:64])


def test_one_variable_given_another() -> None:
    """y = ±x: the energy of y given x has its wells there."""
    text = """observed x : R[1]
observed y : R[1]
module f : R[1], R[1] -> R = mlp(64, 64, silu)
F(x, y) = f(x, y)
train
    strategy maximum_likelihood(points = 48)
"""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(1000, 1, generator=generator) + 0.5
    y = x * (torch.randint(0, 2, (1000, 1), generator=generator) * 2 - 1)
    y += 0.05 * torch.randn(1000, 1, generator=generator)
    model, _, _ = train(text, {"x": x, "y": y}, epochs=15, lr=5e-3, batch=100)
    at = torch.full((3, 1), 1.0)
    with torch.no_grad():
        up, down, middle = model.free_energy(at, torch.tensor([[1.0], [-1.0], [0.0]]))
    assert max(up, down) + 1 < middle


TEMPERATURE = """dim K = 3
observed y : R[2]
latent z : onehot[K]
param W : R[2, K], b : R, > 0
E(y, z) = ||y - W z||^2
F(y) = softmin_z[b] E(y, z)
"""


def test_a_temperature_is_learned_by_strategies_alone() -> None:
    """Lowering the free energy sends it to zero; the likelihood has an optimum."""
    found = driver.plan_source(Source("m.ebm", TEMPERATURE))
    assert [d.code for d in found.errors] == ["EB0504"]
    y = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    model, _, _ = train(TEMPERATURE + "train\n    strategy maximum_likelihood\n", {"y": y}, epochs=20, lr=0.02)
    assert model.b.isfinite() and 0.05 < float(model.b.detach()) != 1


@pytest.mark.parametrize("strategy", ["contrastive(margin = 1)", "denoising(sigma = 0.1)", "masking(share = 0.3)"])
def test_what_is_given_may_be_called_y(strategy: str) -> None:
    """The variable whose energy is shaped and the one that is given change names, and nothing else."""
    text = (
        "observed {given} : R[3], {over} : R[2]\nmodule Enc : R[2], R[3] -> R[4] = mlp(8, tanh)\n"
        "module Dec : R[4], R[3] -> R[2] = mlp(8, tanh)\n"
        "F({given}, {over}) = ||{over} - Dec(Enc({over}, {given}), {given})||^2\ntrain\n    strategy " + strategy + "\n"
    )
    found = []
    for given, over in (("x", "y"), ("y", "x")):
        module = compiled(text.format(given=given, over=over))
        learner = module.Learner(module.build(seed=0), seed=0)
        generator = torch.Generator().manual_seed(0)
        data = {given: torch.randn(20, 3, generator=generator), over: torch.randn(20, 2, generator=generator)}
        learner.start(data)
        found.append(float(learner.step(data)["loss"]))
    assert found[0] == found[1]
