"""Learning from batches starts inference at each sample's last answer: fewer steps, the same answers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ebdsl import driver, explain
from ebdsl.learn.sweeps import KEPT
from ebdsl.settings import keeps_answers
from tests.emit.compiled import load, planned

GROUPS = """
    dim G = 4, J = 3, M = 8
    observed y : R[M]
    latent z : R[G, J]
    param W : R[M, G, J]
    E(y, z) = ||y - Σ_{g,j} W[:, g, j] z[g, j]||^2 + 0.3 Σ_g ||z[g]|| + 0.1||W||^2
    F(y) = min_z E(y, z)
"""
LASSO = """
    dim K = 12, M = 8
    observed y : R[M]
    latent z : R[K]
    param W : R[M, K], unit columns
    E(y, z) = ||y - W z||^2 + 0.3|z|
    F(y) = min_z E(y, z)
"""


@pytest.mark.parametrize("text", [GROUPS, LASSO])
def test_a_later_epoch_takes_fewer_steps_to_the_same_answers(text: str) -> None:
    plan = planned(text + "\n    train\n        tolerance 1e-5\n")
    assert keeps_answers(plan) and "last answer" in explain.text(plan)
    file = load(driver.emit(plan))
    y = torch.randn(200, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    steps, energies = [], []
    for samples in (0, 200):
        model = file.build(dtype=torch.float64, seed=0)
        learner = file.Learner(model, samples=samples)
        infer = model.infer
        taken: list[torch.Tensor] = []

        def counted(*given: Any, infer: Any = infer, taken: list[torch.Tensor] = taken, **options: Any) -> Any:
            found = infer(*given, **options)
            assert bool(found.converged.all())
            taken.append(found.iterations.double().mean())
            return found

        model.infer = counted
        for epoch in range(8):
            order = torch.randperm(200, generator=torch.Generator().manual_seed(epoch))
            for rows in order.split(50):
                learner.step({"y": y[rows]}, rows)
        steps.append(float(torch.stack(taken[-4:]).mean()))
        energies.append(float(infer(y).energy.mean()))
    assert steps[1] < 0.9 * steps[0]
    assert energies[1] == pytest.approx(energies[0], rel=1e-3)


def test_what_is_kept_is_bounded() -> None:
    file = load(driver.emit(planned(LASSO)))
    assert not file.Learner(file.build(), samples=KEPT // 12 + 1).kept
    assert file.Learner(file.build(), samples=100).kept["z"].shape == (100, 12)


@pytest.mark.parametrize(
    "text",
    [
        LASSO.replace("0.3|z|", "0.3||z||^2"),  # closed form
        LASSO.replace("z : R[K]", "z : onehot[K]"),  # enumeration
        LASSO.replace("||y - W z||^2", "||y - tanh(W z)||^2"),  # several starts, local
    ],
)
def test_nothing_is_kept_where_a_start_says_nothing(text: str) -> None:
    plan = planned(text)
    assert not keeps_answers(plan) and "self.kept" not in driver.emit(plan)
