"""Smooth minimisation against scipy, and what a step does where the curvature is no bowl."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from ebdsl.runtime.newton import newton_step, quasi_newton_step, smooth_minimum

Array = np.ndarray
INF = math.inf


def problem(m: int, n: int, count: int, correlated: float) -> tuple:
    """Logistic losses with a ridge, of columns that have much in common."""
    generator = torch.Generator().manual_seed(3)
    W = torch.randn(m, n, generator=generator, dtype=torch.float64)
    W = W + correlated * W[:, :1]
    y = torch.randn(count, m, generator=generator, dtype=torch.float64)

    def energy(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.softplus(-y * (z @ W.T)).sum(1) + 0.01 * z.square().sum(1)

    def slope(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return -(y * torch.sigmoid(-y * (z @ W.T))) @ W + 0.02 * z

    def bend(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        s = torch.sigmoid(-y * (z @ W.T))
        return torch.einsum("bi,ij,ik->bjk", y.square() * s * (1 - s), W, W) + 0.02 * torch.eye(n, dtype=z.dtype)

    return energy, slope, bend, y, torch.zeros(count, n, dtype=torch.float64)


@pytest.mark.parametrize("second", [True, False])
@pytest.mark.parametrize("low", [-INF, 0.0, -0.1])
@pytest.mark.parametrize("correlated", [0.0, 3.0])
def test_as_low_as_scipy(second: bool, low: float, correlated: float) -> None:
    energy, slope, bend, y, start = problem(12, 7, 6, correlated)
    high = 0.3 if low == -0.1 else INF
    goal = torch.full_like(start[:, 0], 1e-9)
    x, residual, steps = smooth_minimum(energy, slope, bend if second else None, start, (y,), low, high, goal, 2000)
    assert float(residual.max()) <= 1e-9 and bool(((x >= low) & (x <= high)).all())
    assert int(steps.max()) <= (60 if second else 500)
    bounds = [(None if low == -INF else low, None if high == INF else high)] * 7
    for i in range(6):
        given = y[i : i + 1]

        def f(z: Array, given: torch.Tensor = given) -> tuple[float, Array]:
            at = torch.tensor(z)[None]
            return float(energy(at, given)), slope(at, given)[0].numpy()

        wanted = minimize(f, np.zeros(7), jac=True, bounds=bounds, method="L-BFGS-B", options={"ftol": 1e-15})
        assert float(energy(x[i : i + 1], given)) <= wanted.fun + 1e-10


@pytest.mark.parametrize("second", [True, False])
@pytest.mark.parametrize("low", [-INF, -0.1])
def test_absolute_values_against_their_two_parts(second: bool, low: float) -> None:
    """``|x|`` is ``p + m`` with ``x = p - m``, both nonnegative: scipy sees bounds alone."""
    energy, slope, bend, y, start = problem(12, 7, 6, 1.0)
    weight = torch.linspace(0, 3, 7, dtype=torch.float64)
    goal = torch.full((6,), 1e-9, dtype=torch.float64)
    x, residual, _ = smooth_minimum(energy, slope, bend if second else None, start, (y,), low, INF, goal, 2000, weight)
    assert float(residual.max()) <= 1e-9 and bool((x == 0).any()) and bool((x != 0).any())
    for i in range(6):
        given = y[i : i + 1]

        def f(parts: Array, given: torch.Tensor = given) -> tuple[float, Array]:
            at = torch.tensor(parts[:7] - parts[7:])[None]
            g = slope(at, given)[0].numpy()
            w = weight.numpy()
            return float(energy(at, given)) + w @ (parts[:7] + parts[7:]), np.concatenate([g + w, w - g])

        most = [None] * 7 + [None if low == -INF else -low] * 7
        bounds = [(0, m) for m in most]
        wanted = minimize(f, np.zeros(14), jac=True, bounds=bounds, method="L-BFGS-B", options={"ftol": 1e-15})
        mine = float(energy(x[i : i + 1], given)) + float((weight * x[i].abs()).sum())
        assert mine <= wanted.fun + 1e-9


def test_bounds_may_differ_from_entry_to_entry_and_samples_from_tile_to_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    energy, slope, bend, y, start = problem(12, 7, 6, 0.0)
    low = torch.tensor([-INF, 0, -INF, 0, 0, -1, -INF], dtype=torch.float64)
    high = torch.full_like(low, INF)
    goal = torch.full_like(start[:, 0], 1e-9)
    whole, _, _ = smooth_minimum(energy, slope, bend, start, (y,), low, high, goal, 100)
    each = [
        smooth_minimum(energy, slope, bend, start[i : i + 1], (y[i : i + 1],), low, high, goal[:1], 100)[0]
        for i in range(6)
    ]
    assert torch.allclose(whole, torch.cat(each), atol=1e-7)
    assert bool((whole >= low).all()) and bool((whole[:, low == 0] == 0).any())


@pytest.mark.parametrize("second", [True, False])
def test_a_start_outside_of_what_is_defined_comes_back_unconverged(second: bool) -> None:
    bend = (lambda x: x.pow(-2)) if second else None
    x = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    found, residual, _ = smooth_minimum(
        lambda x: (x - x.log()).sum(1), lambda x: 1 - 1 / x, bend, x, (), -INF, INF, torch.full_like(x[:, 0], 1e-9), 100
    )
    assert float(found[0]) == pytest.approx(1.0) and float(residual[0]) <= 1e-9
    assert not float(residual[1]) <= 1e-9


def test_a_step_goes_downhill_from_saddles_and_flat_places() -> None:
    matrix = torch.tensor([[[2.0, 0.0], [0.0, -1.0]], [[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    slope = torch.tensor([[1.0, 1.0], [1.0, 2.0], [1.0, 0.0]])
    step = newton_step(matrix, slope, torch.ones(3, 2, dtype=torch.bool))
    assert bool(((step * slope).sum(1) < 0).all())
    assert torch.allclose(step[0], torch.tensor([-0.5, -1.0]))


def test_pairs_make_the_inverse_of_a_quadratic() -> None:
    """After n moves along conjugate directions, BFGS has the exact inverse (Nocedal & Wright 2006, theorem 6.4)."""
    matrix = torch.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    first = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    second = torch.tensor([[-1.0, 3.0]], dtype=torch.float64)  # conjugate to the first
    moves = [first, second]
    slope = torch.tensor([[0.3, -2.0]], dtype=torch.float64)
    step = quasi_newton_step(slope, moves, [m @ matrix for m in moves], torch.ones(1, 2, dtype=torch.bool))
    assert torch.allclose(step, -torch.linalg.solve(matrix, slope[0])[None])
