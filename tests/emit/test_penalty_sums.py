"""Sums of penalties on one latent: where one operator serves them all, it is the minimum that scipy finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.optimize import LinearConstraint, minimize

from tests.emit.compiled import Compiled, compile_spec, planned

ROWS, COLUMNS = 3, 2
SIZE = ROWS * COLUMNS


@dataclass(frozen=True)
class Sum:
    """``written`` beside ``½||y - z||²``, with ``z`` in ``domain``; in numbers: ``l1`` weights, groups of places with
    weights, and the domain as bounds, a total, or a greatest norm.
    """

    domain: str
    written: str
    l1: tuple[float, ...] = (0.0,) * SIZE
    groups: tuple[tuple[float, tuple[int, ...]], ...] = ()
    low: float = -np.inf
    high: float = np.inf
    total: float | None = None
    radius: float | None = None

    def value(self, z: np.ndarray) -> float:
        return float(np.abs(z) @ self.l1) + sum(w * float(np.linalg.norm(z[list(at)])) for w, at in self.groups)


FLAT = "R[6]"
GRID = f"R[{ROWS}, {COLUMNS}]"
PAIRS = tuple((0.5, (2 * r, 2 * r + 1)) for r in range(ROWS))
WEIGHTS = tuple(0.2 * (1 + k) for k in range(SIZE))
SAID = "Σ_i 0.2 (1 + i) |z[i]|"

SUMS: dict[str, Sum] = {
    "l1 + square": Sum(FLAT, "0.5|z| + ½||z||^2", (0.5,) * SIZE),
    "weights add up": Sum(FLAT, f"0.5|z| + {SAID}", tuple(0.5 + w for w in WEIGHTS)),
    "l1 + nonnegative": Sum(f"{FLAT}, >= 0", SAID, WEIGHTS, low=0.0),
    "l1 + box": Sum(f"{FLAT}, box(-0.5, 0.3)", SAID, WEIGHTS, low=-0.5, high=0.3),
    "l1 + box off zero": Sum(f"{FLAT}, box(0.2, 0.6)", SAID, WEIGHTS, low=0.2, high=0.6),
    "l1 + simplex": Sum("simplex[6]", SAID, WEIGHTS, low=0.0, total=1.0),
    "equal l1 + simplex": Sum("simplex[6]", "0.5|z|", (0.5,) * SIZE, low=0.0, total=1.0),
    "l1 + ball": Sum("ball(0.8)[6]", SAID, WEIGHTS, radius=0.8),
    "norm + ball": Sum("ball(0.8)[6]", "0.5||z|| + 0.3|z|", (0.3,) * SIZE, ((0.5, tuple(range(SIZE))),), radius=0.8),
    "sparse group": Sum(GRID, "0.3|z| + 0.5 groupnorm(z)", (0.3,) * SIZE, PAIRS),
    "nonnegative + group": Sum(f"{GRID}, >= 0", "0.5 groupnorm(z)", groups=PAIRS, low=0.0),
    "nonnegative sparse group": Sum(f"{GRID}, >= 0", "0.3|z| + 0.5 groupnorm(z)", (0.3,) * SIZE, PAIRS, low=0.0),
    "nested groups": Sum(
        GRID, "0.2|z| + 0.5 groupnorm(z) + 0.4||z||", (0.2,) * SIZE, (*PAIRS, (0.4, tuple(range(SIZE))))
    ),
}  # fmt: skip


def spec(domain: str, written: str) -> str:
    seen = GRID if "3, 2" in domain else FLAT
    return f"observed y : {seen}\nlatent z : {domain}\nE(y, z) = ½||y - z||^2 + {written}\nF(y) = min_z E(y, z)"


def by_scipy(case: Sum, y: np.ndarray, square: float) -> np.ndarray:
    """The minimum as a program with a smooth objective: absolute values and norms become bounds (SLSQP)."""
    extra = len(case.groups)

    def parts(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return x[:SIZE], x[SIZE : 2 * SIZE], x[2 * SIZE :]

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        z, a, g = parts(x)
        weights = np.array([w for w, _ in case.groups])
        value = 0.5 * ((z - y) ** 2).sum() + square * (z**2).sum() + a @ case.l1 + g @ weights
        return float(value), np.concatenate([z - y + 2 * square * z, case.l1, weights])

    eye, none = np.eye(SIZE), np.zeros((SIZE, extra))
    limits: list = [LinearConstraint(np.hstack([s * eye, eye, none]), 0, np.inf) for s in (-1, 1)]
    for k, (_, at) in enumerate(case.groups):
        limits.append({"type": "ineq", "fun": lambda x, k=k, at=at: parts(x)[2][k] ** 2 - (x[list(at)] ** 2).sum()})
    if case.total is not None:
        limits.append({"type": "eq", "fun": lambda x: parts(x)[0].sum() - case.total})
    if case.radius is not None:
        limits.append({"type": "ineq", "fun": lambda x: case.radius**2 - (parts(x)[0] ** 2).sum()})
    bounds = [(case.low, case.high)] * SIZE + [(0, None)] * (SIZE + extra)
    start = np.concatenate([np.full(SIZE, 0.1), np.full(SIZE, 0.5), np.full(extra, 1.0)])
    found = minimize(
        objective, start, jac=True, method="SLSQP", bounds=bounds, constraints=limits,
        options={"maxiter": 500, "ftol": 1e-15},
    )  # fmt: skip
    return found.x[:SIZE]


@pytest.mark.parametrize("name", SUMS)
def test_one_operator_serves_the_sum(name: str) -> None:
    case = SUMS[name]
    found = compile_spec(spec(case.domain, case.written))
    assert found.rule == "proximal gradient" and "exact" in found.plan.inference[0].algorithm
    check(found, case, 0.5 if "square" in name else 0.0)


def check(found: Compiled, case: Sum, square: float) -> None:
    rng = np.random.default_rng(0)
    Y = rng.normal(size=(12, SIZE)) * 1.5
    shape = tuple(found.shape(found.model.role("observed")[0]))
    with torch.no_grad():
        Z = found.build().infer(torch.tensor(Y).reshape(-1, *shape)).latents["z"].reshape(-1, SIZE).numpy()

    def whole(z: np.ndarray, y: np.ndarray) -> float:
        return 0.5 * float(((z - y) ** 2).sum()) + square * float((z**2).sum()) + case.value(z)

    for y, z in zip(Y, Z, strict=True):
        other = by_scipy(case, y, square)
        assert whole(z, y) <= whole(other, y) + 1e-7
        # of a minimum every other point is worse by half its squared distance: of scipy's, and of those near by
        assert ((z - other) ** 2).sum() / 2 <= whole(other, y) - whole(z, y) + 1e-7
        if np.isinf([case.low, case.high]).all() and case.total is None and case.radius is None:
            for size in (1e-4, 1e-2, 1.0):
                move = size * rng.normal(size=SIZE)
                assert whole(z + move, y) >= whole(z, y) + (move**2).sum() / 2 - 1e-10
        assert z.min() >= case.low - 1e-12 and z.max() <= case.high + 1e-12
        assert case.total is None or abs(z.sum() - case.total) < 1e-12
        assert case.radius is None or np.linalg.norm(z) <= case.radius + 1e-12


def test_the_operator_serves_where_entries_are_coupled() -> None:
    found = compile_spec("""
        observed y : R[M]
        latent   z : R[3, 2]
        param    W : R[M, 3, 2], unit filters
        E(y, z) = Σ_m (y[m] - Σ_{i,j} W[m, i, j] z[i, j])^2 + ||z||^2 + 0.3|z| + 0.5 groupnorm(z) + 0.4||z||
        F(y) = min_z E(y, z)
    """)
    model = found.build()
    y = torch.randn(5, found.sizes["M"], dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    answer = model.infer(y)
    assert bool(answer.converged.all())
    z, generator = answer.latents["z"], torch.Generator().manual_seed(0)
    with torch.no_grad():
        for size in (1e-4, 1e-2, 1.0):
            move = size * torch.randn(z.shape, dtype=z.dtype, generator=generator)
            moved = model.energy(y, z + move)
            assert bool((moved >= answer.energy + move.flatten(1).square().sum(1) - 1e-8).all())


REFUSED: dict[str, tuple[str, str, Callable[[str], bool]]] = {
    "group in a box": (f"{GRID}, box(-1, 1)", "groupnorm(z)", lambda why: "box" in why),
    "crossing groups": (GRID, "groupnorm(z) + Σ_j ||z[:, j]||", lambda why: "cross" in why),
    "group on a simplex": ("simplex[6]", "||z||", lambda why: "simplex" in why),
    "rows in a ball of columns": ("ball(1)[3, 2]", "Σ_j ||z[:, j]||", lambda why: "bounds" in why),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_joint_operator_is_refused(name: str) -> None:
    domain, written, says = REFUSED[name]
    (decision,) = planned(spec(domain, written)).inference
    assert decision.rule != "proximal gradient"
    assert any(says(r.reason) for r in decision.refused if r.rule == "proximal gradient"), decision.refused
