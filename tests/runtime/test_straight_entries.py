"""Kernels in C++ against the same problems through PyTorch, which are held against scikit-learn and scipy elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from ebdsl.runtime import compiling
from ebdsl.runtime.active_set import quadratic_splitting
from ebdsl.runtime.straight_entries import straight_entries

compiled = pytest.mark.skipif(compiling.cpp_compiler() is None, reason="there is no C++ compiler")
INF = float("inf")
CASES = {
    "lasso": (30, 17, 0.5, -INF, INF),
    "more columns than rows": (12, 40, 0.3, -INF, INF),
    "one entry": (5, 1, 0.5, -INF, INF),
    "many entries": (90, 130, 25.0, -INF, INF),
    "nonnegative": (30, 20, 0.4, 0.0, INF),
    "nonnegative least squares": (30, 20, 0.0, 0.0, INF),
    "box": (30, 20, 0.1, -0.1, 0.2),
    "a box off zero": (30, 20, 0.1, 0.05, 0.2),
    "nothing but a quadratic": (30, 20, 0.0, -INF, INF),
    "all at zero": (30, 20, 1e4, -INF, INF),
}


def problem(m: int, n: int, count: int = 37, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    W = torch.randn(m, n, generator=generator, dtype=torch.float64) + torch.randn(m, 1, generator=generator).double()
    y = torch.randn(count, m, generator=generator, dtype=torch.float64)
    return (2 * W.T @ W).to(dtype), (-2 * y @ W).to(dtype)


def residual(matrix: Tensor, weight: Tensor | float, low: float, high: float, linear: Tensor, x: Tensor) -> Tensor:
    """The largest entry of the least subgradient, in float64."""
    slope = x.double() @ matrix.double() + linear.double()
    up, down = slope + weight * torch.where(x >= 0, 1, -1), slope + weight * torch.where(x > 0, 1, -1)
    rise, fall = torch.where(x < high, -up, 0.0), torch.where(x > low, down, 0.0)
    return torch.maximum(rise, fall).clamp_min(0).amax(1)


@compiled
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_at_the_minimum(name: str, dtype: torch.dtype) -> None:
    m, n, weight, low, high = CASES[name]
    matrix, linear = problem(m, n, dtype=dtype)
    goal = (1e-4 if dtype == torch.float32 else 1e-9) * linear.abs().amax(1)
    x = straight_entries(matrix, weight, low, high, linear, linear.new_zeros(linear.shape), goal)
    assert bool(((x >= low) & (x <= high)).all())
    assert float((residual(matrix, weight, low, high, linear, x) / goal).max()) <= 1


@compiled
@pytest.mark.parametrize("weights", [0.4, torch.linspace(0, 3, 40).double(), 3.0 * (torch.arange(40) % 5 > 0).double()])
def test_the_splitting_takes_it_for_its_answer(weights: Tensor | float) -> None:
    matrix, linear = problem(12, 40)
    goal = 1e-8 * linear.abs().amax(1)

    def prox(v: Tensor, t: float) -> Tensor:
        return v.sign() * (v.abs() - t * weights).clamp_min(0)

    given = prox, lambda x: x != 0, matrix, linear
    start = straight_entries(matrix, weights, -INF, INF, linear, linear.new_zeros(linear.shape), 0.01 * goal)
    x, left, steps = quadratic_splitting(*given, start, goal, 5000)
    y, _, others = quadratic_splitting(*given, torch.zeros_like(start), goal, 5000)
    assert int(steps.max()) == 0 < int(others.min()) and bool((left <= goal).all())

    def energy(z: Tensor) -> Tensor:
        return (0.5 * z * (z @ matrix) + z * linear + weights * z.abs()).sum(1)

    torch.testing.assert_close(energy(x), energy(y), rtol=1e-7, atol=1e-7)


@compiled
def test_each_row_is_by_itself_whatever_the_threads_and_the_start() -> None:
    matrix, linear = problem(30, 20, count=100)
    goal = 1e-9 * linear.abs().amax(1)
    cold = torch.zeros_like(linear)
    found = straight_entries(matrix, 0.5, -INF, INF, linear, cold, goal)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert bool((straight_entries(matrix, 0.5, -INF, INF, linear, cold, goal) == found).all())
    finally:
        torch.set_num_threads(before)
    for k in (0, 50, 99):
        alone = straight_entries(matrix, 0.5, -INF, INF, linear[k : k + 1], cold[:1], goal[k : k + 1])
        assert bool((alone == found[k]).all())
    generator = torch.Generator().manual_seed(1)
    warm = torch.randn(linear.shape, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(straight_entries(matrix, 0.5, -INF, INF, linear, warm, goal), found)


@compiled
def test_equal_and_empty_columns_have_a_minimum_too() -> None:
    matrix, linear = problem(30, 20)
    twice = torch.cat((torch.arange(20), torch.arange(20)))
    matrix, linear = matrix[twice][:, twice], linear[:, twice]
    matrix[3], matrix[:, 3], linear[:, 3] = 0, 0, 0
    goal = 1e-8 * linear.abs().amax(1)
    x = straight_entries(matrix, 20.0, -INF, INF, linear, torch.zeros_like(linear), goal)
    assert float((residual(matrix, 20.0, -INF, INF, linear, x) / goal).max()) <= 1


@compiled
def test_what_is_not_finite_is_left_to_the_caller() -> None:
    matrix, linear = problem(30, 20)
    linear[2, 3] = torch.nan
    start = torch.zeros_like(linear)
    assert straight_entries(matrix, 0.5, -INF, INF, linear, start, linear[:, 0].abs()) is start


def test_without_a_compiler_there_is_one_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(compiling, "cpp_compiler", lambda: None)
    with pytest.warns(UserWarning, match="no C\\+\\+ compiler"):
        assert compiling.shared_library("int one = 1;") is None
    assert compiling.shared_library("int one = 1;") is None


@compiled
def test_what_does_not_compile_is_told_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EBDSL_CACHE_DIR", str(tmp_path))
    with pytest.warns(UserWarning, match=r"C\+\+ failed.*error"):
        assert compiling.shared_library("this is no C++;") is None
    assert not list((tmp_path / "compiled").iterdir())
    library = compiling.shared_library('extern "C" int two() { return 2; }')
    assert library is not None and library.two() == 2
    (kept,) = (tmp_path / "compiled").iterdir()
    kept.unlink()
    kept.write_bytes(b"damaged")
    compiling.shared_library.cache_clear()
    library = compiling.shared_library('extern "C" int two() { return 2; }')
    assert library is not None and library.two() == 2
