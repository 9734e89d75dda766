"""Splitting finished on the active set, against scikit-learn and scipy, and on what is degenerate."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import lsq_linear, nnls
from sklearn.linear_model import ElasticNet, Lasso
from torch import Tensor

from ebdsl.runtime.active_set import newton_on_pieces, quadratic_splitting, solve_active
from ebdsl.runtime.proximal import soft_threshold

Array = np.ndarray


def data(m: int, n: int, count: int = 5, seed: int = 0) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(m, n))), torch.from_numpy(rng.normal(size=(count, m)))


def lasso(
    W: Tensor, y: Tensor, weight: Tensor | float, ridge: float = 0.0, tolerance: float = 1e-9, steps: int = 5000
) -> tuple[Tensor, Tensor, Tensor]:
    """``||y - W z||² + ridge ||z||² + weight |z|``; codes, residuals, steps."""
    matrix = 2 * W.T @ W
    matrix.diagonal().add_(2 * ridge)
    return quadratic_splitting(
        lambda v, t: soft_threshold(v, t * weight), lambda x: x != 0, matrix, -2 * y @ W,
        torch.zeros(len(y), W.shape[1], dtype=W.dtype), torch.full_like(y[:, 0], tolerance), steps,
    )  # fmt: skip


@pytest.mark.parametrize(("m", "n"), [(30, 12), (12, 30), (5, 1)])
@pytest.mark.parametrize("weight", [0.5, 5.0, 200.0])
@pytest.mark.parametrize("ridge", [0.0, 0.7])
def test_elastic_net_is_that_of_scikit_learn(m: int, n: int, weight: float, ridge: float) -> None:
    W, y = data(m, n)
    z, residual, _ = lasso(W, y, weight, ridge)
    assert float(residual.max()) <= 1e-9
    for row, code in zip(y.numpy(), z, strict=True):
        alpha, share = (weight + 2 * ridge) / (2 * m), weight / (weight + 2 * ridge)
        kind = ElasticNet(alpha=alpha, l1_ratio=share, fit_intercept=False, tol=1e-12, max_iter=100_000)
        if ridge == 0:
            kind = Lasso(alpha=alpha, fit_intercept=False, tol=1e-12, max_iter=100_000)
        np.testing.assert_allclose(code, kind.fit(W.numpy(), row).coef_, atol=1e-6)


@pytest.mark.parametrize(("m", "n"), [(30, 12), (12, 10)])
def test_nonnegative_least_squares_is_that_of_scipy(m: int, n: int) -> None:
    W, y = data(m, n)
    z, residual, _ = quadratic_splitting(
        lambda v, t: v.clamp_min(0), lambda x: x != 0, 2 * W.T @ W, -2 * y @ W, torch.zeros(5, n, dtype=W.dtype),
        torch.full_like(y[:, 0], 1e-10), 5000,
    )  # fmt: skip
    assert float(residual.max()) <= 1e-10
    np.testing.assert_allclose(z, [nnls(W.numpy(), row)[0] for row in y.numpy()], atol=1e-8)


def test_box_is_that_of_scipy_and_weights_may_differ_by_entry() -> None:
    W, y = data(30, 12)
    z, _, _ = quadratic_splitting(
        lambda v, t: v.clamp(-0.1, 0.2), lambda x: (x > -0.1) & (x < 0.2), 2 * W.T @ W, -2 * y @ W,
        torch.zeros(5, 12, dtype=W.dtype), torch.full_like(y[:, 0], 1e-10), 5000,
    )  # fmt: skip
    wanted = [lsq_linear(W.numpy(), row, (-0.1, 0.2), tol=1e-14).x for row in y.numpy()]
    np.testing.assert_allclose(z, wanted, atol=1e-7)
    weights = torch.linspace(0, 20, 12, dtype=W.dtype)
    z, _, _ = lasso(W, y, weights)
    slope = -2 * (y - z @ W.T) @ W
    assert float((slope + weights * z.sign())[z != 0].abs().max()) < 1e-8
    assert bool((slope.abs() <= weights + 1e-8).all())
    assert 0 < int((z == 0).sum()) < z.numel()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_correlated_columns_take_few_steps_to_rounding_level(scale: float) -> None:
    """For which plain accelerated gradient takes hundreds of steps; in any unit of measurement."""
    W, y = data(40, 60, 200)
    W = scale * (W + 3 * W[:, :1] + torch.linspace(-2, 2, 60) * W[:, 1:2])
    W = scale * W / W.norm(dim=0)
    z, residual, steps = lasso(W, y, 0.2 * scale, tolerance=1e-12 * scale, steps=2000)
    assert float(residual.max()) <= 1e-12 * scale
    assert float(steps.double().mean()) < 80
    assert 0.02 < float((z != 0).double().mean()) < 0.7


def test_the_finish_is_exact_in_few_steps() -> None:
    """Thirty steps of splitting alone end far from the accuracy that the solve on the support gives at once."""
    W, y = data(60, 20, 50)
    _, residual, steps = lasso(W, y, 20.0, tolerance=1e-11, steps=40)
    assert float((residual <= 1e-11).double().mean()) > 0.9
    assert int(steps.max()) <= 40


def test_degenerate_problems() -> None:
    W, y = data(12, 8)
    twice = torch.cat([W, W, torch.zeros(12, 2, dtype=W.dtype)], 1)  # singular blocks
    y[1] = 0
    z, residual, _ = lasso(twice, y, 1.0)
    assert float(residual.max()) <= 1e-9
    once, _, _ = lasso(W, y, 1.0)
    torch.testing.assert_close(z @ twice.T, once @ W.T, atol=1e-7, rtol=0)
    assert not bool(z[1].any())
    free, residual, _ = lasso(W, y, 0.0)
    torch.testing.assert_close(free, torch.linalg.lstsq(W, y.T).solution.T, atol=1e-8, rtol=0)
    none, residual, steps = lasso(W, y[:0], 1.0)
    assert none.shape == (0, 8) and residual.shape == steps.shape == (0,)
    flat, residual, _ = lasso(0 * W, y, 1.0)
    assert not bool(flat.any()) and float(residual.max()) <= 1


def test_rows_with_nan_do_not_touch_the_others() -> None:
    W, y = data(12, 8)
    wanted, _, _ = lasso(W, y, 1.0)
    spoilt = y.clone()
    spoilt[2, 3] = torch.nan
    spoilt[3, 0] = torch.inf
    z, residual, _ = lasso(W, spoilt, 1.0)
    torch.testing.assert_close(z[[0, 1, 4]], wanted[[0, 1, 4]], atol=1e-8, rtol=0)
    assert not bool((residual[[2, 3]] <= 1e-9).any())


def test_steps_are_counted_and_kept_to() -> None:
    W, y = data(12, 30)
    for most in (1, 7, 33):
        _, residual, steps = lasso(W, y, 0.01, tolerance=0.0, steps=most)
        assert steps.tolist() == [most] * 5
        assert bool(residual.isfinite().all())


def test_blocks_are_solved_on_their_own_entries() -> None:
    W, y = data(40, 24, 300)
    matrix = W.T @ W
    right = y[:, :24] + 1
    free = torch.rand(300, 24, generator=torch.Generator().manual_seed(0)) < torch.linspace(0, 1, 300)[:, None]
    x = solve_active(matrix, right, free)
    assert not bool(x[~free].any())
    torch.testing.assert_close((x @ matrix)[free], right[free], atol=1e-8, rtol=0)


@pytest.mark.parametrize("far", [0.0, 0.1, 10.0])
def test_a_try_tells_of_a_subgradient_and_is_exact_on_the_right_pieces(far: float) -> None:
    W, y = data(12, 20, 50)
    z, residual, _ = lasso(W, y, 2.0)
    assert float(residual.max()) <= 1e-9
    matrix, linear, rho = 2 * W.T @ W, -2 * y @ W, 3.0
    state = z - (z @ matrix + linear) / rho + far * torch.linspace(-1, 1, 20, dtype=W.dtype).roll(7)
    x = soft_threshold(state, 2.0 / rho)
    state, x, slope = newton_on_pieces(
        lambda v, t: soft_threshold(v, 2 * t), lambda x: x != 0, matrix, linear, x,
        linear + x @ matrix + rho * (state - x), rho,
    )  # fmt: skip
    torch.testing.assert_close(x, soft_threshold(state, 2.0 / rho))
    penalty = slope - (linear + x @ matrix)
    torch.testing.assert_close(penalty[x != 0], 2 * x.sign()[x != 0])
    assert bool((penalty.abs() <= 2 + 1e-9).all())
    assert float(slope.abs().max()) > 1 if far == 10 else far > 0 or float(slope.abs().max()) < 1e-8
