"""Scalar proximal operators against dense grids, and quadratics with penalties of entries against all supports."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from ebdsl.runtime.coordinates import coordinate_minimum, exchange_entries, prox_of_size, supported_least_squares

Piece = tuple


def curved(value: Callable[[Tensor], Tensor], first: Callable, second: Callable) -> list[Piece]:
    return [(value, lambda u: (first(u), second(u)), 0, math.inf, 1)]


def flat(c: float) -> tuple[Callable, Callable]:
    return lambda u: torch.full_like(u, c), lambda u: (torch.zeros_like(u), torch.zeros_like(u))


ROOT = curved(lambda u: u**0.5, lambda u: 0.5 * u**-0.5, lambda u: -0.25 * u**-1.5)
TWO_THIRDS = curved(lambda u: u ** (2 / 3), lambda u: 2 / 3 * u ** (-1 / 3), lambda u: -2 / 9 * u ** (-4 / 3))
LOGARITHM = curved(lambda u: (1 + 5 * u).log(), lambda u: 5 / (1 + 5 * u), lambda u: -25 / (1 + 5 * u) ** 2)
CUBE = curved(lambda u: u**3, lambda u: 3 * u**2, lambda u: 6 * u)
ARCTANGENT = [
    (lambda u: (3 * u).atan(), lambda u: (3 / (1 + 9 * u**2), -54 * u / (1 + 9 * u**2) ** 2), a, b, way)
    for a, b, way in ((0, 3**-1.5, -1), (3**-1.5, math.inf, 1))
]
COUNT = [(*flat(0.0), 0, 0, 0), (*flat(1.0), 0, math.inf, 0)]
CAPPED = [
    (lambda u: u, lambda u: (torch.ones_like(u), torch.zeros_like(u)), 0, 0.7, 0),
    (*flat(0.7), 0.7, math.inf, 0),
]
MCP = [
    (lambda u: u - u**2 / 6, lambda u: (1 - u / 3, torch.full_like(u, -1 / 3)), 0, 3, 0),
    (*flat(1.5), 3, math.inf, 0),
]
PIECES = {"root": ROOT, "two thirds": TWO_THIRDS, "logarithm": LOGARITHM, "cube": CUBE, "count": COUNT,
          "arctangent": ARCTANGENT, "capped": CAPPED, "MCP": MCP}  # fmt: skip


def penalty(pieces: list[Piece], x: Tensor) -> Tensor:
    """The least of the pieces that x is in: a jump up counts from beyond the end."""
    size = x.abs()
    each = [torch.where((size >= a) & (size <= b), value(size), torch.inf) for value, _, a, b, _ in pieces]
    return torch.stack(each).amin(0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bounds", [(-math.inf, math.inf), (0.0, math.inf), (-0.4, 1.5), (0.2, 2.0), (-1.0, 1.0)])
@pytest.mark.parametrize("name", PIECES)
def test_a_prox_is_the_least_of_a_dense_grid(name: str, bounds: tuple[float, float], dtype: torch.dtype) -> None:
    pieces, (low, high) = PIECES[name], bounds
    v = torch.cat((torch.linspace(-6, 6, 61), torch.tensor([0.0, 1e-9, 50.0, -50.0]))).to(dtype)[:, None]
    t = torch.tensor([1e-3, 0.2, 1.0, 2.9, 30.0], dtype=dtype).expand(len(v), 5)
    v = v.expand(len(v), 5)
    found = prox_of_size(v, t, pieces, low, high)
    assert bool(((found >= low) & (found <= high)).all())
    double = {"dtype": torch.float64}
    points = torch.tensor([0.0, 0.7, -0.7, 3.0, -3.0], **double)
    grid = torch.cat((torch.linspace(max(low, -60), min(high, 60), 6_001, **double), points))
    grid = grid[(grid >= low) & (grid <= high)]
    heights = t.double()[..., None] * penalty(pieces, grid) + 0.5 * (grid - v.double()[..., None]) ** 2
    own = t.double() * penalty(pieces, found.double()) + 0.5 * (found - v).double() ** 2
    slack = (1e-6 if dtype == torch.float32 else 1e-12) * (1 + v.double() ** 2 + t.double())
    assert bool((own <= heights.amin(-1) + slack).all())


def test_roots_are_the_closed_forms() -> None:
    """Half: Xu, Chang, Xu & Zhang 2012; the logarithm: the larger root of a quadratic equation."""
    v, t = torch.linspace(0.5, 8, 200, dtype=torch.float64), torch.tensor(0.3, dtype=torch.float64)
    half = prox_of_size(v, t, ROOT, -math.inf, math.inf)
    angle = torch.acos(t / 4 * (v / 3) ** -1.5)
    closed = 2 / 3 * v * (1 + torch.cos(2 * math.pi / 3 - 2 / 3 * angle))
    kept = v > 1.5 * t ** (2 / 3)
    assert torch.allclose(half, torch.where(kept, closed, 0.0), rtol=1e-12)
    logarithm = prox_of_size(v, t, LOGARITHM, -math.inf, math.inf)
    larger = (v - 0.2 + ((v + 0.2) ** 2 - 4 * t).clamp_min(0).sqrt()) / 2
    assert torch.allclose(logarithm[logarithm > 0], larger[logarithm > 0], rtol=1e-12)


def problem(n: int, rows: int, seed: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(n - 2, n, generator=generator, dtype=dtype)
    y = torch.randn(rows, n - 2, generator=generator, dtype=dtype)
    return w.T @ w + 0.01 * torch.eye(n, dtype=dtype), -y @ w


def of_count(weight: float) -> tuple[Callable, Callable, Callable]:
    return (
        lambda v, t: prox_of_size(v, weight * t.expand(v.shape), COUNT, -math.inf, math.inf),
        lambda x: weight * (x != 0).to(x.dtype),
        lambda x: (torch.zeros_like(x), torch.zeros_like(x)),
    )


def minimised(functions: tuple[Callable, Callable, Callable], matrix: Tensor, linear: Tensor) -> tuple[Tensor, Tensor]:
    goal = torch.full_like(linear[:, 0], 1e-9)
    return coordinate_minimum(
        *functions, matrix, linear, -math.inf, math.inf, torch.zeros_like(linear), goal, max_steps=100
    )[:2]


def all_supports(matrix: np.ndarray, linear: np.ndarray, weight: float) -> np.ndarray:
    """The lowest energy of each row, one support after the other."""
    n = len(matrix)
    best = np.zeros(len(linear))
    for bits in range(1, 2**n):
        at = [k for k in range(n) if bits >> k & 1]
        x = np.linalg.solve(matrix[np.ix_(at, at)], -linear[:, at].T)
        best = np.minimum(best, 0.5 * (x * linear[:, at].T).sum(0) + weight * len(at))
    return best


@pytest.mark.parametrize("own", [False, True])
def test_few_entries_are_counted_at_the_global_minimum(own: bool) -> None:
    matrix, linear = problem(8, 20, 0)
    each = matrix * torch.linspace(0.5, 2, 20, dtype=torch.float64)[:, None, None] if own else matrix
    x, residual = minimised(of_count(0.4), each, linear)
    energy = 0.5 * (x[:, None] @ each @ x[..., None])[:, 0, 0] + (linear * x).sum(1) + 0.4 * (x != 0).double().sum(1)
    for k in range(20):
        one = each[k] if own else matrix
        wanted = all_supports(one.numpy(), linear[k : k + 1].numpy(), 0.4)
        assert float(energy[k]) == pytest.approx(float(wanted[0]), abs=1e-9)
    assert float(residual.max()) < 1e-9


def test_more_entries_come_near_it_and_no_entry_alone_lowers() -> None:
    matrix, linear = problem(13, 12, 3)
    x, residual = minimised(of_count(0.4), matrix, linear)
    energy = 0.5 * (x * (x @ matrix)).sum(1) + (linear * x).sum(1) + 0.4 * (x != 0).double().sum(1)
    infinite = torch.full((13,), math.inf, dtype=torch.float64)
    points = supported_least_squares(matrix, linear, -infinite, infinite)
    every = (points * (0.5 * points @ matrix + linear[:, None])).sum(2) + 0.4 * (points != 0).double().sum(2)
    exact = every.amin(1)
    assert float(residual.max()) < 1e-9
    assert bool((energy >= exact - 1e-9).all()) and float((energy - exact).mean()) < 0.05 * float(exact.abs().mean())


def test_an_exchange_is_the_best_of_all_pairs() -> None:
    """From a settled point, against least squares on every support that differs by one entry in and one out."""
    matrix, linear = problem(7, 10, 1)
    weight = 0.2
    x = torch.zeros_like(linear)
    x[:, :3] = -torch.linalg.solve(matrix[:3, :3], linear[:, :3].T).T

    def energy(at: list[int], row: Tensor) -> float:
        solved = torch.linalg.solve(matrix[at][:, at], -row[at]) if at else row[:0]
        return float(0.5 * solved @ row[at]) + weight * len(at)

    new = exchange_entries(*of_count(weight), matrix, linear, x)
    for k, row in enumerate(linear):
        kept = [[i for i in range(3) if i != out] for out in (None, 0, 1, 2)]
        near = [at + to for at in kept for to in ([], [3], [4], [5], [6]) if at + to != [0, 1, 2]]
        least = min(energy(at, row) for at in near)
        got = 0.5 * new[k] @ matrix @ new[k] + row @ new[k] + weight * float((new[k] != 0).sum())
        assert float(got) == pytest.approx(least, abs=1e-9)


def test_no_row_depends_on_another_or_on_its_place() -> None:
    matrix, linear = problem(14, 9, 2)
    together = minimised(of_count(0.3), matrix, linear)[0]
    for k in (0, 4, 8):
        alone = minimised(of_count(0.3), matrix, linear[k : k + 1])[0]
        assert torch.allclose(alone[0], together[k], atol=1e-10)
    assert minimised(of_count(0.3), matrix, linear[:0])[0].shape == (0, 14)
