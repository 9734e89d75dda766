"""Interior points along time: against bounded least squares of the dual and linear programs, and the gap as a bound."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, lsq_linear

from ebdsl.run.certify import Certifier
from ebdsl.runtime.banded_interior import factor_band, solve_factored
from tests.emit.compiled import Compiled, compile_spec, planned

Array = np.ndarray
T = 40
HEAD = f"observed y : R[{T}]\nlatent z : R[{T}]\nF(y) = min_z "
FIRST, SECOND, EYE = np.diff(np.eye(T), axis=0), np.diff(np.eye(T), 2, axis=0), np.eye(T)
APART = EYE[2:] - EYE[:-2]


def ends(*parts: tuple[int, float, float]) -> tuple[Array, Array]:
    low, high = zip(*((np.full(n, a), np.full(n, b)) for n, a, b in parts), strict=True)
    return np.concatenate(low), np.concatenate(high)


# energy, second derivative of the smooth part, its slope per y, maps, least and greatest slopes of their prices
CASES: dict[str, tuple[str, Array, float, Array, tuple[Array, Array]]] = {
    "trend filtering": (
        "½||y - z||^2 + 0.5 Σ_i |z[i+1] - 2 z[i] + z[i-1]|", EYE, -1, SECOND, ends((T - 2, -0.5, 0.5))
    ),
    "convex regression, nearly": (
        "||y - z||^2 + 5 Σ_i max(0, 2 z[i] - z[i+1] - z[i-1]) + 0.2 Σ_i |z[i+1] - z[i]|", 2 * EYE, -2,
        np.vstack([SECOND, FIRST]), ends((T - 2, -5, 0), (T - 1, -0.2, 0.2)),
    ),
    "elastic differences": (
        "½||y - z||^2 + 0.5 Σ_i (z[i+1] - z[i])^2 + 0.3 Σ_i |z[i+2] - z[i]|", EYE + FIRST.T @ FIRST, -1,
        APART, ends((T - 2, -0.3, 0.3)),
    ),
    "sparse and smooth": (
        "½||y - z||^2 + 0.3 Σ_i |z[i+1] - 2 z[i] + z[i-1]| + 0.2|z|", EYE, -1, np.vstack([SECOND, EYE]),
        ends((T - 2, -0.3, 0.3), (T, -0.2, 0.2)),
    ),
    "nonnegative": (
        "½||y - z||^2 + 0.3 Σ_i |z[i+1] - 2 z[i] + z[i-1]|", EYE, -1, np.vstack([SECOND, EYE]),
        ends((T - 2, -0.3, 0.3), (T, -np.inf, 0)),
    ),
}  # fmt: skip


def case(name: str) -> tuple[Compiled, Array]:
    head = HEAD.replace("latent z : R[40]", "latent z : R[40], >= 0") if name == "nonnegative" else HEAD
    c = compile_spec(head + CASES[name][0])
    assert (c.rule, c.guarantee) == ("banded interior point", "global")
    return c, np.cumsum(np.random.default_rng(1).normal(size=(8, T)), 1) * 0.7


@pytest.mark.parametrize("name", CASES)
def test_against_the_dual(name: str) -> None:
    c, Y = case(name)
    _, Q, s, K, (low, high) = CASES[name]
    found = c.build().infer(torch.tensor(Y), tolerance=1e-13)
    assert bool((found.residual < 1e-10 * found.energy).all()) and int(found.iterations.max()) < 60
    single = c.build().float().infer(torch.tensor(Y, dtype=torch.float32), tolerance=1e-6)
    assert bool(single.converged.all())
    root = np.linalg.cholesky(Q)  # Q = root root'
    for k, y in enumerate(Y):
        u = lsq_linear(np.linalg.solve(root, K.T), -np.linalg.solve(root, s * y), (low, high), "bvls", tol=1e-15).x
        z = -np.linalg.solve(Q, s * y + K.T @ u)
        np.testing.assert_allclose(found.latents["z"][k], z, atol=1e-5)
        np.testing.assert_allclose(single.latents["z"][k], z, atol=2e-2)


@pytest.mark.parametrize("name", ["sparse and smooth", "nonnegative"])
def test_answers_stand_on_kinks_and_ends(name: str) -> None:
    c, Y = case(name)
    for dtype in (torch.float32, torch.float64):
        z = c.build().to(dtype).infer(torch.tensor(Y, dtype=dtype), tolerance=1e-7).latents["z"]
        assert bool((z == 0).float().mean() > 0.02) and not bool(((z != 0) & (z.abs() < 1e-5)).any())
        assert name != "nonnegative" or bool((z >= 0).all())


@pytest.mark.parametrize(("up", "down"), [(1.0, 1.0), (0.8, 0.2)])
def test_absolute_errors_against_a_linear_program(up: float, down: float) -> None:
    """``Σ up max(y - z, 0) + down max(z - y, 0) + 0.8 |second differences|``."""
    c = compile_spec(
        HEAD + f"{up} Σ_i max(0, y[i] - z[i]) + {down} Σ_i max(0, z[i] - y[i]) + 0.8 Σ_i |z[i+1] - 2 z[i] + z[i-1]|"
    )
    assert c.rule == "banded interior point"
    Y = np.cumsum(np.random.default_rng(2).normal(size=(4, T)), 1)
    found = c.build().infer(torch.tensor(Y))
    assert bool(found.converged.all())
    cost = np.r_[np.zeros(T), np.full(T, up), np.full(T, down), np.full(2 * (T - 2), 0.8)]
    equal = np.block([
        [EYE, EYE, -EYE, np.zeros((T, 2 * (T - 2)))],
        [SECOND, np.zeros((T - 2, 2 * T)), np.eye(T - 2), -np.eye(T - 2)],
    ])  # fmt: skip
    bounds = [(None, None)] * T + [(0, None)] * (len(cost) - T)
    for k, y in enumerate(Y):
        best = linprog(cost, A_eq=equal, b_eq=np.r_[y, np.zeros(T - 2)], bounds=bounds).fun
        assert abs(float(found.energy[k]) - best) < 1e-6 * best + 1e-12


def test_sequences_within_a_sample_masks_and_weights() -> None:
    """Steps that are not seen and prices that are 0; the oracle takes 1e-7 for what is not seen."""
    c = compile_spec(
        "observed y : R[3, 40]\nobserved m : R[40], >= 0\nlatent z : R[3, 40], >= 0\n"
        "F(y, m) = min_z ½ Σ_{i,t} m[t] (y[i, t] - z[i, t])^2 + 0.05 Σ_{i,t} t |z[i, t+2] - z[i, t]|"
    )
    assert c.rule == "banded interior point"
    rng = np.random.default_rng(0)
    Y, M = np.cumsum(rng.normal(size=(3, 3, T)), 2) * 0.4, (rng.random((3, T)) < 0.6) * rng.random((3, T))
    found = c.build().infer(torch.tensor(Y), torch.tensor(M))
    assert bool(found.converged.all())
    weight, K = 0.05 * np.arange(T - 2), np.vstack([APART, EYE])
    low, high = np.r_[-weight - 1e-12, np.full(T, -np.inf)], np.r_[weight + 1e-12, np.zeros(T)]
    for b in range(3):
        q = np.maximum(M[b], 1e-7)
        total = 0.0
        for y in Y[b]:
            u = lsq_linear((K / np.sqrt(q)).T, np.sqrt(q) * y, (low, high), "bvls", tol=1e-15).x
            z = (y - K.T @ u / q).clip(0)
            total += 0.5 * (M[b] * (y - z) ** 2).sum() + (weight * np.abs(APART @ z)).sum()
        assert -1e-4 < float(found.energy[b]) - total < 1e-6


def test_units_do_not_matter() -> None:
    y = torch.randn(5, T, generator=torch.Generator().manual_seed(0)).cumsum(1)
    text = "½ Σ_i |z[i+1] - 2 z[i] + z[i-1]|"
    one = compile_spec(HEAD + f"½||y - z||^2 + {text}").build().float().infer(y, tolerance=1e-6)
    small = compile_spec(HEAD + f"0.00005||y - z||^2 + {text}").build().float().infer(1e4 * y, tolerance=1e-6)
    assert bool(one.converged.all()) and bool(small.converged.all())
    torch.testing.assert_close(small.latents["z"], 1e4 * one.latents["z"], rtol=0, atol=100.0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (HEAD + "½||y - z||^2 + 0.3 (Σ_i z[i])^2 + 0.5 Σ_i |z[i+1] - 2 z[i] + z[i-1]|", "only near entries"),
        (HEAD + "½||y - z||^2 + 0.5 Σ_i |z[i+12] - z[i]|", "more than 8"),
        (HEAD.replace("40", "20") + "½||y - z||^2 + 0.5 Σ_i |z[i+1] - 2 z[i] + z[i-1]|", "are few"),
        (HEAD + "½||y - z||^2 + 0.5 Σ_i sqrt(z[i]^2 + z[i+1]^2)", "not straight"),
        (
            "observed y : R[40, 40]\nlatent z : R[40, 40]\nF(y) = min_z ½||y - z||^2 + Σ_{i,j} |z[i+1, j] - z[i, j]| "
            "+ Σ_{i,j} |z[i, j+1] - z[i, j]|",
            "z",
        ),
    ],
)
def test_what_is_refused_says_why(text: str, reason: str) -> None:
    (decision,) = planned(text).inference
    assert decision.rule == "splitting"
    assert reason in next(r.reason for r in decision.refused if r.rule == "banded interior point")


@pytest.mark.parametrize("differences", ["z[i+1] - z[i]", "z[i+1] - 2 z[i] + z[i-1]"])
def test_answers_along_time_are_certified(differences: str) -> None:
    c = compile_spec(HEAD + f"½||y - z||^2 + 0.5 Σ_i |{differences}|")
    net, Y = c.build().float(), np.cumsum(np.random.default_rng(3).normal(size=(20, T)), 1)
    z = net.infer(torch.tensor(Y, dtype=torch.float32)).latents["z"].numpy()
    for moved, good in ((0.0, True), (0.3, False)):
        certifier = Certifier(c.plan, net)
        certifier.add({"y": Y}, {"z": z + moved})
        assert (certifier.found.good == good).all()


def test_factors_of_bands() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(5, 12, 10, generator=generator, dtype=torch.float64).tril(0).triu(-3)
    whole = maps.mT @ maps + torch.eye(10, dtype=torch.float64)
    bands = torch.zeros(10, 4, 5, dtype=torch.float64)
    for o in range(4):
        bands[: 10 - o, o] = whole.diagonal(o, 1, 2).T
    right = torch.randn(10, 5, generator=generator, dtype=torch.float64)
    found = solve_factored(factor_band(bands), right)
    torch.testing.assert_close(torch.einsum("bij,jb->ib", whole, found), right)
