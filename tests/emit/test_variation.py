"""Total variation along a sequence: against bounded least squares of the dual, and the gap as a bound."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import lsq_linear

from ebdsl.runtime.variation import chain_gap, chain_minimum
from tests.emit.compiled import compile_spec, planned

Array = np.ndarray
T = 30
HEAD = f"observed y : R[{T}]\nlatent z : R[{T}]\nF(y) = min_z "
D = np.diff(np.eye(T), axis=0)
ONE = np.ones(T - 1)


def oracle(q: Array, s: Array, K: Array, low: Array, high: Array) -> Array:
    """``argmin ½ z'diag(q)z + s'z + Σ_i sup{u_i (Kz)_i : low <= u <= high}``: its dual is least squares in a box."""
    root = np.sqrt(q)
    u = lsq_linear((K / root).T, -s / root, bounds=(low, high), method="bvls", tol=1e-15).x
    return -(s + K.T @ u) / q


# energy, curvature, slope of y, maps, least and greatest slopes of their prices
CASES: dict[str, tuple[str, float | Array, float | Array, Array, Array, Array]] = {
    "plain": ("½||y - z||^2 + 0.5 Σ_i |z[i+1] - z[i]|", 1, -1, D, -0.5 * ONE, 0.5 * ONE),
    "weighted": (
        "Σ_i (i + 1) (y[i] - z[i])^2 + Σ_i (i + 1) |z[i] - z[i+1]|",
        2 * np.arange(1, T + 1), -2 * np.arange(1, T + 1), D, -np.arange(1.0, T), np.arange(1.0, T),
    ),
    "up and down": (
        "||y - z||^2 + Σ_i max(0, 3 z[i] - 3 z[i-1]) + 0.1 Σ_i |2 z[i+1] - 2 z[i]|", 2, -2, D, -0.2 * ONE, 3.2 * ONE
    ),
    "nearly isotonic": ("½||y - z||^2 + 2 Σ_i max(0, z[i] - z[i+1])", 1, -1, D, -2 * ONE, 0 * ONE),
    "fused lasso": (
        "½||y - z||^2 + 0.5 Σ_i |z[i+1] - z[i]| + 0.3|z|", 1, -1, np.vstack([D, np.eye(T)]),
        -np.repeat([0.5, 0.3], [T - 1, T]), np.repeat([0.5, 0.3], [T - 1, T]),
    ),
    "uneven fused lasso": (
        "½||y - z||^2 + 0.5 Σ_i |z[i+1] - z[i]| + Σ_i 0.05 (i + 1) |z[i]| + 0.2 Σ_i max(0, -z[i])", 1, -1,
        np.vstack([D, np.eye(T)]),
        np.r_[-0.5 * ONE, -0.05 * np.arange(1, T + 1) - 0.2], np.r_[0.5 * ONE, 0.05 * np.arange(1, T + 1)],
    ),
    "nonnegative": (
        "½||y - z||^2 + 0.5 Σ_i |z[i+1] - z[i]| + 0.1|z|", 1, -1, np.vstack([D, np.eye(T)]),
        np.r_[-0.5 * ONE, np.full(T, -np.inf)], np.repeat([0.5, 0.1], [T - 1, T]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_against_the_dual(name: str) -> None:
    energy, q, s, K, low, high = CASES[name]
    head = HEAD.replace("latent z : R[30]", "latent z : R[30], >= 0") if name == "nonnegative" else HEAD
    c = compile_spec(head + energy)
    assert (c.rule, c.guarantee) == ("total variation", "global")
    Y = np.cumsum(np.random.default_rng(1).normal(size=(12, T)), 1) * 0.7
    found = c.build().infer(torch.tensor(Y))
    assert bool(found.converged.all()) and bool((found.residual < 1e-20).all())
    single = c.build().float().infer(torch.tensor(Y, dtype=torch.float32))
    assert bool((single.residual < 1e-9).all())
    for k, y in enumerate(Y):
        z = oracle(np.broadcast_to(np.asarray(q, float), T), s * y, K, low, high)
        np.testing.assert_allclose(found.latents["z"][k], z, atol=1e-9)
        np.testing.assert_allclose(single.latents["z"][k], z, atol=1e-5)


def test_sequences_within_a_sample_and_bounds() -> None:
    c = compile_spec(
        "observed y : R[3, 20, 2]\nobserved m : R[20], >= 0\nlatent z : R[3, 20, 2], box(-0.3, 0.7)\n"
        "F(y, m) = min_z Σ_{i,t,k} m[t] (y[i, t, k] - z[i, t, k])^2 + 0.4 Σ_{i,t,k} |z[i, t+1, k] - z[i, t, k]|"
    )
    assert c.rule == "total variation"
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(4, 3, 20, 2, generator=generator, dtype=torch.float64)
    m = torch.rand(4, 20, generator=generator, dtype=torch.float64) + 0.1
    found = c.build().infer(y, m)
    assert bool((found.residual < 1e-20).all())
    K = np.diff(np.eye(20), axis=0)
    for b, i, k in ((0, 0, 0), (1, 2, 1), (3, 1, 0)):
        q, own = 2 * m[b].numpy(), y[b, i, :, k].numpy()
        z = oracle(q, -q * own, K, np.full(19, -0.4), np.full(19, 0.4)).clip(-0.3, 0.7)
        np.testing.assert_allclose(found.latents["z"][b, i, :, k], z, atol=1e-9)


def test_steps_that_are_not_seen_follow_their_neighbours() -> None:
    c = compile_spec(
        f"observed y : R[{T}]\nobserved m : R[{T}], >= 0\nlatent z : R[{T}]\n"
        "F(y, m) = min_z ½ Σ_i m[i] (y[i] - z[i])^2 + 0.5 Σ_i |z[i+1] - z[i]|"
    )
    rng = np.random.default_rng(0)
    Y, M = np.cumsum(rng.normal(size=(6, T)), 1), (rng.random((6, T)) < 0.4).astype(float)
    M[5] = 0
    found = c.build().infer(torch.tensor(Y), torch.tensor(M))
    assert bool(found.converged.all()) and bool((found.residual < 1e-12).all())
    for y, m, z in zip(Y[:5], M[:5], found.latents["z"].numpy(), strict=False):
        seen = m > 0
        n = int(seen.sum())
        alone = oracle(np.ones(n), -y[seen], np.diff(np.eye(n), axis=0), np.full(n - 1, -0.5), np.full(n - 1, 0.5))
        np.testing.assert_allclose(z[seen], alone, atol=1e-9)
    assert not found.energy[5]


def test_units_do_not_matter() -> None:
    y = torch.randn(5, T, generator=torch.Generator().manual_seed(0)).cumsum(1)
    one = compile_spec(HEAD + "½||y - z||^2 + 0.5 Σ_i |z[i+1] - z[i]|").build().float().infer(y)
    small = compile_spec(HEAD + "0.00005||y - z||^2 + 0.5 Σ_i |z[i+1] - z[i]|").build().float().infer(1e4 * y)
    torch.testing.assert_close(small.latents["z"], 1e4 * one.latents["z"], rtol=1e-5, atol=1e-2)
    assert bool((small.residual < 1e-8 * small.energy).all())


@pytest.mark.parametrize(
    "energy",
    [
        "Σ_t 0.5 |x[t] - x[t-1]| + ½ Σ_t (s[t] - x[t])^2",
        "½(s - x)'(s - x) + 0.25 Σ_j |2 x[j+1] - 2 x[j]|",
        "½||x||^2 - Σ_i s[i] x[i] + 0.5 Σ_i max(x[i+1] - x[i], x[i] - x[i+1])",
    ],
)
def test_spelling_does_not_matter(energy: str) -> None:
    y = torch.randn(5, T, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    one = compile_spec(HEAD + CASES["plain"][0]).build().infer(y).latents["z"]
    c = compile_spec(f"observed s : R[{T}]\nlatent x : R[{T}]\nF(s) = min_x {energy}")
    assert c.rule == "total variation"
    torch.testing.assert_close(c.build().infer(y).latents["x"], one, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("energy", "reason"),
    [
        ("½||y - z||^2 + 0.5 Σ_i |z[i+1] - 2 z[i] + z[i-1]|", "no difference of two neighbours"),
        ("½||y - z||^2 + 0.5 Σ_i |z[i+2] - z[i]|", "not of next neighbours"),
        ("½||y - z||^2 + 0.5 Σ_i |z[i+1] - 0.9 z[i]|", "other factors"),
        ("½||y - z||^2 + 0.5 Σ_i |z[i+1] - z[i] - 1|", "does not vanish"),
        ("Σ_i |y[i] - z[i]| + 0.5 Σ_i |z[i+1] - z[i]|", "not quadratic"),
        ("½||y - z||^2 + 0.3 (Σ_i z[i])^2 + 0.5 Σ_i |z[i+1] - z[i]|", "couples entries"),
    ],
)
def test_what_is_refused_says_why(energy: str, reason: str) -> None:
    (decision,) = planned(HEAD + energy).inference
    assert decision.rule != "total variation"
    assert reason in next(r.reason for r in decision.refused if r.rule == "total variation")


def test_a_picture_has_no_one_axis() -> None:
    text = "½||y - z||^2 + Σ_{i,j} |z[i+1, j] - z[i, j]| + Σ_{i,j} |z[i, j+1] - z[i, j]|"
    (decision,) = planned(f"observed y : R[4, 5]\nlatent z : R[4, 5]\nF(y) = min_z {text}").inference
    assert "along several axes" in next(r.reason for r in decision.refused if r.rule == "total variation")


def test_the_gap_bounds_what_is_left_at_any_point() -> None:
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.rand(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    q, s, down, up = draw(9, 40) + 0.1, 4 * draw(9, 40) - 2, draw(8, 40), draw(8, 40)
    kink, ends = (-0.3 * draw(9, 40), 0.3 * draw(9, 40)), (-1.0, 1.5)

    def energy(x: torch.Tensor) -> torch.Tensor:
        steps = x.diff(dim=0)
        own = q * x.square() / 2 + s * x + kink[1] * x.clamp_min(0) + kink[0] * x.clamp_max(0)
        return own.sum(0) + (up * steps.clamp_min(0) - down * steps.clamp_max(0)).sum(0)

    exact = chain_minimum(q, s + kink[1], down, up).clamp_min(0) + chain_minimum(q, s + kink[0], down, up).clamp_max(0)
    least = energy(exact.clamp(*ends))
    for size in (0.0, 1e-3, 0.3):
        x = (exact + size * (draw(9, 40) - 0.5)).clamp(*ends)
        gap = chain_gap(x, q, s, (down, up), kink, ends)
        assert bool((energy(x) - least <= gap + 1e-13).all()) and bool((energy(x) >= least - 1e-13).all())
        assert size or bool((gap < 1e-20).all())


def test_long_sequences() -> None:
    c = compile_spec("observed y : R[N]\nlatent z : R[N]\nF(y) = min_z ½||y - z||^2 + 3 Σ_i |z[i+1] - z[i]|")
    y = torch.randn(2, 2000, generator=torch.Generator().manual_seed(0)).cumsum(1)
    found = c.module.build(N=2000).infer(y)
    assert bool((found.residual < 1e-7 * found.energy).all())
    assert bool((found.latents["z"].diff(dim=1) == 0).float().mean() > 0.5)
