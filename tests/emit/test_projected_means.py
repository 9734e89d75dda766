"""Weighted means under a constraint: one step reaches the block's minimum, found here by numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.emit.compiled import compile_spec

HEAD = "observed y : R[M]\nlatent z : onehot[K]\n"
CASES = {
    "unit columns": (lambda s, n: s / np.linalg.norm(s, axis=0)),
    ">= 0": (lambda s, n: np.maximum(s / n, 0)),
    "box(-0.2, 0.2)": (lambda s, n: np.clip(s / n, -0.2, 0.2)),
    "ball columns": (lambda s, n: s / n / np.maximum(np.linalg.norm(s / n, axis=0), 1)),
}


@pytest.mark.parametrize("domain", CASES)
@pytest.mark.parametrize("energy", ["min_z ||y - W z||^2", "softmin_z[2] ||y - W z||^2"])
def test_one_step(domain: str, energy: str) -> None:
    spec = f"{HEAD}param W : R[M, K], {domain}\n"
    if domain.startswith("box"):
        spec = f"{HEAD}param W : box(-0.2, 0.2)[M, K]\n"
    c = compile_spec(f"{spec}F(y) = {energy}\n")
    ((_, decision),) = c.plan.learning
    rule = "projected moment" if domain.startswith("unit") else "exact slices"
    assert (decision.rule, decision.guarantee, c.plan.schedule) == (rule, "global", "full")
    net = c.randomise(c.build(), 1)
    y = torch.randn(60, c.sizes["M"], dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    distance = ((y.numpy()[:, :, None] - net.W.detach().numpy()[None]) ** 2).sum(1)
    if energy.startswith("min"):
        share = np.eye(distance.shape[1])[distance.argmin(1)]
    else:
        share = np.exp(-2 * (distance - distance.min(1, keepdims=True)))
        share /= share.sum(1, keepdims=True)
    count, before = share.sum(0), net.W.detach().numpy().copy()
    assert (count > 0).sum() >= 2
    c.module.Learner(net).step({"y": y})
    with np.errstate(all="ignore"):
        wanted = np.where(count > 0, CASES[domain](y.numpy().T @ share, count), before)
    np.testing.assert_allclose(net.W.detach().numpy(), wanted, atol=1e-10)


def test_a_constraint_that_ties_what_the_weights_tell_apart_is_not_projected() -> None:
    """Unit rows run over k, where the curvature differs: the nearest point is not the best one."""
    c = compile_spec(f"{HEAD}param W : R[M, K], unit rows\nF(y) = min_z ||y - W z||^2\n")
    ((_, decision),) = c.plan.learning
    assert decision.rule != "exact slices"
