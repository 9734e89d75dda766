"""Greatest entries, norms of singular values, entropies: answers are the minima that CVXPY finds, alone and in sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.emit.compiled import compile_spec

cp = pytest.importorskip("cvxpy")

CODE = "observed y : R[5]\nlatent z : R[4]\nparam W : R[5, 4], unit columns\nF(y) = min_z "
GRID = "observed y : R[5]\nlatent z : R[2, 3]\nparam W : R[5, 2, 3]\nF(y) = min_z 0.1||W||^2 + "
GRID += "||y - Σ_{g,p} W[:,g,p] z[g,p]||^2 + 0.1||z||^2 + "
MATRIX = "observed y : R[4, 3]\nlatent z : R[4, 3]\nF(y) = min_z ½||y - z||^2 + "
ADMM, PROXIMAL = "splitting", "proximal gradient"

Energy = Callable[[Any, Any, Any], Any]


def code(z: Any, y: Any, W: Any) -> Any:
    return cp.sum_squares(y - W @ z)


def grid(z: Any, y: Any, W: Any) -> Any:
    flat = cp.reshape(z, (z.size,), order="C")
    return cp.sum_squares(y - W.reshape(len(y), -1) @ flat) + 0.1 * cp.sum_squares(z) + 0.1 * float((W**2).sum())


def matrix(z: Any, y: Any, W: Any) -> Any:
    return 0.5 * cp.sum_squares(y - z)


CASES: dict[str, tuple[str, str, Energy]] = {
    "largest size": (
        CODE + "||y - W z||^2 + 0.5||z||_inf", PROXIMAL,
        lambda z, y, W: code(z, y, W) + 0.5 * cp.norm(z, "inf"),
    ),
    "largest size over an index": (
        CODE + "||y - W z||^2 + 0.5 max_k |z[k]| + 0.2|z|", PROXIMAL,
        lambda z, y, W: code(z, y, W) + 0.5 * cp.norm(z, "inf") + 0.2 * cp.norm1(z),
    ),
    "largest entry": (CODE + "||y - W z||^2 + 0.5 max_k 2 z[k]", PROXIMAL, lambda z, y, W: code(z, y, W) + cp.max(z)),
    "least entry": (CODE + "||y - W z||^2 - 0.5 min_k z[k]", ADMM, lambda z, y, W: code(z, y, W) - 0.5 * cp.min(z)),
    "largest entry, nonnegative": (
        CODE.replace("R[4]\n", "R[4], >= 0\n") + "||y - W z||^2 + 0.5 max_k z[k]", PROXIMAL,
        lambda z, y, W: code(z, y, W) + 0.5 * cp.max(z),
    ),
    "largest entry, simplex": (
        CODE.replace("R[4]\n", "simplex[4]\n") + "||y - W z||^2 + 0.5 max_k z[k]", ADMM,
        lambda z, y, W: code(z, y, W) + 0.5 * cp.max(z),
    ),
    "largest size, ball": (
        CODE.replace("R[4]\n", "ball(0.5)[4]\n") + "||y - W z||^2 + 0.3||z||_inf", PROXIMAL,
        lambda z, y, W: code(z, y, W) + 0.3 * cp.norm(z, "inf"),
    ),
    "largest error": (
        CODE + "max_i |(y - W z)[i]| + 0.1||z||^2", ADMM,
        lambda z, y, W: cp.norm(y - W @ z, "inf") + 0.1 * cp.sum_squares(z),
    ),
    "largest in groups and entries": (
        GRID + "0.3||z||_1 + 0.5 Σ_g max_p |z[g, p]|", PROXIMAL,
        lambda z, y, W: grid(z, y, W) + 0.3 * cp.sum(cp.abs(z)) + 0.5 * cp.sum(cp.max(cp.abs(z), axis=1)),
    ),
    "largest in groups, norm of all": (
        GRID + "0.5 Σ_p max_g |z[g, p]| + 0.4||z||", PROXIMAL,
        lambda z, y, W: grid(z, y, W) + 0.5 * cp.sum(cp.max(cp.abs(z), axis=0)) + 0.4 * cp.norm(z, "fro"),
    ),
    "largest in groups, largest of all": (
        GRID + "0.5 Σ_g ||z[g]||_inf + 0.4||z||_inf", PROXIMAL,
        lambda z, y, W: grid(z, y, W) + 0.5 * cp.sum(cp.max(cp.abs(z), axis=1)) + 0.4 * cp.max(cp.abs(z)),
    ),
    "norm of groups, largest of all": (
        GRID + "0.5 Σ_g ||z[g]|| + 0.4||z||_inf", ADMM,
        lambda z, y, W: grid(z, y, W) + 0.5 * cp.sum(cp.norm(z, 2, axis=1)) + 0.4 * cp.max(cp.abs(z)),
    ),
    "entropy on the simplex": (
        CODE.replace("R[4]\n", "simplex[4]\n") + "||y - W z||^2 + 0.1 Σ_k z[k] log z[k]", PROXIMAL,
        lambda z, y, W: code(z, y, W) - 0.1 * cp.sum(cp.entr(z)),
    ),
    "weighted entropy and cost": (
        CODE.replace("R[4]\n", "simplex[4]\n") + "||y - W z||^2 + Σ_k (1 + k) 0.1 z[k] log z[k] + Σ_k k z[k]", PROXIMAL,
        lambda z, y, W: code(z, y, W) - 0.1 * cp.entr(z) @ np.arange(1, 5) + z @ np.arange(4),
    ),
    "entropy": (
        CODE.replace("R[4]\n", "R[4], >= 0\n") + "||y - W z||^2 + 0.3 Σ_k z[k] log z[k] + 0.2|z|", PROXIMAL,
        lambda z, y, W: code(z, y, W) - 0.3 * cp.sum(cp.entr(z)) + 0.2 * cp.sum(z),
    ),
    "nuclear": (MATRIX + "0.7||z||_*", PROXIMAL, lambda z, y, W: matrix(z, y, W) + 0.7 * cp.normNuc(z)),
    "spectral": (MATRIX + "0.7||z||_op", PROXIMAL, lambda z, y, W: matrix(z, y, W) + 0.7 * cp.sigma_max(z)),
    "nuclear and Frobenius": (
        MATRIX + "0.4||z||_* + 0.3||z||", PROXIMAL,
        lambda z, y, W: matrix(z, y, W) + 0.4 * cp.normNuc(z) + 0.3 * cp.norm(z, "fro")
    ),
    "nuclear and entries": (
        MATRIX + "0.4||z||_* + 0.2||z||_1", ADMM,
        lambda z, y, W: matrix(z, y, W) + 0.4 * cp.normNuc(z) + 0.2 * cp.sum(cp.abs(z))
    ),
    "nuclear, nonnegative": (
        MATRIX.replace("z : R[4, 3]", "z : R[4, 3], >= 0") + "0.4||z||_*", ADMM,
        lambda z, y, W: matrix(z, y, W) + 0.4 * cp.normNuc(z)
    ),
    "nuclear of a sum": (
        MATRIX.replace("||y - z||^2", "||z||^2") + "||y - z||_*", ADMM,
        lambda z, y, W: 0.5 * cp.sum_squares(z) + cp.normNuc(y - z),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_minimum_is_cvxpys(name: str) -> None:
    text, rule, energy = CASES[name]
    c = compile_spec(text)
    assert (c.rule, c.guarantee) == (rule, "global")
    net, y = c.randomise(c.build(), seed=1), c.observed(2, seed=2)["y"]
    found = net.infer(y)
    assert bool(found.converged.all())
    (latent,) = c.model.role("latent")
    W = net.W.detach().numpy() if "param W" in text else None
    for i in range(len(y)):
        z = cp.Variable(c.shape(latent), nonneg=latent.domain.kind in ("nonnegative", "simplex"))
        limits = {"simplex": [cp.sum(z) == 1], "ball": [cp.norm(z, 2) <= 0.5]}.get(latent.domain.kind, [])
        problem = cp.Problem(cp.Minimize(energy(z, y[i].numpy(), W)), limits)
        problem.solve(solver=cp.CLARABEL)
        assert float(found.energy[i].detach()) == pytest.approx(problem.value, rel=1e-6, abs=1e-6)
