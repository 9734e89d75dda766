"""Proximal operators against brute force and optimality conditions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ebdsl.runtime import proximal

VECTORS = st.lists(st.floats(-20, 20), min_size=1, max_size=8)
STEPS = st.floats(1e-3, 20)


def matrix(x):  # type: ignore[no-untyped-def]
    """A vector as a matrix of two rows where its length is even, else of one."""
    return x.reshape(*x.shape[:-1], 2 - x.shape[-1] % 2, -1)


def matrices(operator: Callable[..., torch.Tensor]) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    return lambda v, t: operator(matrix(v), t[..., None] if t.ndim else t).flatten(-2)


def entropy(x: np.ndarray) -> float:
    return float(np.sum(x * np.log(np.maximum(x, 1e-300))))


def norm(x: np.ndarray) -> float:
    return float(np.sqrt(np.sum(x**2)))


PENALTIES: dict[str, tuple[Callable[[torch.Tensor, torch.Tensor], torch.Tensor], Callable[[np.ndarray], float]]] = {
    "l1": (proximal.soft_threshold, lambda x: np.abs(x).sum()),
    "nonnegative l1": (proximal.nonnegative_soft_threshold, lambda x: x.sum() if (x >= 0).all() else np.inf),
    "group": (proximal.group_soft_threshold, norm),
    "nonnegative group": (
        proximal.nonnegative_group_soft_threshold,
        lambda x: norm(x) if (x >= 0).all() else np.inf,
    ),
    "sparse group": (
        lambda v, t: proximal.sparse_group_soft_threshold(v, 0.7 * t, 0.3 * t),
        lambda x: 0.7 * np.abs(x).sum() + 0.3 * norm(x),
    ),
    "relu": (proximal.prox_relu, lambda x: np.maximum(x, 0).sum()),
    "square": (proximal.prox_square, lambda x: (x**2).sum()),
    "huber": (proximal.prox_huber, lambda x: np.where(np.abs(x) <= 1, x**2 / 2, np.abs(x) - 0.5).sum()),
    "negative log": (proximal.prox_negative_log, lambda x: -np.log(x).sum() if (x > 0).all() else np.inf),
    "norm inf": (proximal.prox_norm_inf, lambda x: np.abs(x).max()),
    "entropy": (proximal.prox_entropy, lambda x: entropy(x) if (x >= 0).all() else np.inf),
    "maximum": (proximal.prox_maximum, np.max),
    "nuclear": (matrices(proximal.prox_nuclear), lambda x: np.linalg.norm(matrix(x), "nuc")),
    "spectral": (matrices(proximal.prox_spectral), lambda x: np.linalg.norm(matrix(x), 2)),
}


@pytest.mark.parametrize("name", PENALTIES)
@settings(deadline=None, derandomize=True, max_examples=40)
@given(values=VECTORS, t=STEPS, seed=st.integers(0, 1000))
def test_no_point_is_better(name: str, values: list[float], t: float, seed: int) -> None:
    """By strong convexity every other point is worse by half its squared distance, at the least."""
    operator, f = PENALTIES[name]
    v = np.array(values)
    x = operator(torch.tensor(v), torch.tensor(t, dtype=torch.float64)).numpy()
    assert np.isfinite(x).all()

    def whole(p: np.ndarray) -> float:
        return t * f(p) + float(np.sum((p - v) ** 2)) / 2

    rng = np.random.default_rng(seed)
    here = whole(x)
    scale = 1.0 + abs(here)
    for size in (1e-3, 0.1, 1.0, 10.0):
        for _ in range(6):
            step = size * rng.standard_normal(len(v))
            assert whole(x + step) >= here + np.sum(step**2) / 2 - 1e-9 * scale
    for p in (np.zeros_like(v), v, np.maximum(v, 0), np.sign(v)):
        with np.errstate(all="ignore"):
            assert whole(p) >= here + np.sum((p - x) ** 2) / 2 - 1e-9 * scale


@pytest.mark.parametrize("name", PENALTIES)
def test_leading_axes_and_steps_broadcast(name: str) -> None:
    operator, _ = PENALTIES[name]
    v = torch.tensor(np.random.default_rng(0).standard_normal((4, 3, 5)))
    t = torch.rand(4, 1, 1, dtype=torch.float64) + 0.1
    whole = operator(v, t)
    for k in range(4):
        for j in range(3):
            torch.testing.assert_close(whole[k, j], operator(v[k, j], t[k, 0, 0]))


def test_zero_groups_stay_zero_and_have_no_nan() -> None:
    v = torch.zeros(3, 4)
    assert bool((proximal.group_soft_threshold(v, torch.tensor(0.5)) == 0).all())
    assert bool((proximal.group_soft_threshold(v, 0.0) == 0).all())


def test_groups_over_several_axes() -> None:
    v = torch.tensor(np.random.default_rng(1).standard_normal((2, 3, 4)))
    found = proximal.group_soft_threshold(v, 0.5, (-3, -1))
    for j in range(3):
        group = v[:, j, :]
        torch.testing.assert_close(found[:, j, :], group * (1 - 0.5 / group.norm()).clamp_min(0))


def test_thresholds_give_exact_zeros() -> None:
    v = torch.tensor([-0.5, 0.5, 0.4999999, 0.0, -0.0, 3.0])
    found = proximal.soft_threshold(v, torch.tensor(0.5))
    assert found.count_nonzero() == 1 and found[-1] == 2.5


@pytest.mark.parametrize("t", [1e-9, 1e-3, 0.1, 1.0, 100.0])
@pytest.mark.parametrize("scale", [0.1, 3.0, 100.0])
def test_entropy_on_the_simplex(t: float, scale: float) -> None:
    """Entries add up to 1, and ``x + t log x - v`` is one number; what is 0 as a number was to be less."""
    rng = np.random.default_rng(0)
    for dtype, close in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        v = torch.tensor(scale * rng.standard_normal((50, 6)), dtype=dtype)
        weights = torch.tensor(t * rng.uniform(0.5, 2, 6), dtype=dtype)
        x = proximal.prox_entropy_simplex(v, weights)
        torch.testing.assert_close(x.sum(1), torch.ones(50, dtype=dtype))
        slopes = x + weights * (1 + x.clamp_min(torch.finfo(dtype).tiny).log()) - v
        level = (x * slopes).sum(1, keepdim=True)
        error = torch.where(x > 1e-30, (slopes - level).abs(), (level - slopes).clamp_min(0))
        assert float(error.max()) <= close * (1 + t + scale) * 10


@pytest.mark.parametrize("name", ["prox_maximum", "prox_norm_inf"])
def test_a_cut_over_several_axes(name: str) -> None:
    operator = getattr(proximal, name)
    v = torch.tensor(np.random.default_rng(1).standard_normal((2, 3, 4)))
    t = torch.tensor([1.5, 2.0, 3.0], dtype=torch.float64)[:, None]
    found = operator(v, t, (-3, -1))
    for j in range(3):
        torch.testing.assert_close(found[:, j].flatten(), operator(v[:, j].flatten(), float(t[j, 0])))
        size = found[:, j].abs() if name == "prox_norm_inf" else found[:, j]
        assert int((size == size.max()).sum()) > 1  # what is cut is exactly equal


@pytest.mark.parametrize("name", ["prox_nuclear", "prox_spectral"])
def test_matrices_over_any_axes(name: str) -> None:
    operator = getattr(proximal, name)
    v = torch.tensor(np.random.default_rng(1).standard_normal((2, 3, 4)))
    found = operator(v, torch.full((3, 1), 0.5, dtype=torch.float64), (-3, -1))
    for j in range(3):
        torch.testing.assert_close(found[:, j], operator(v[:, j], 0.5))
