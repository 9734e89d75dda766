"""Penalties of linear maps: against bounded least squares of the dual, against moves, and the gap as a bound."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest
import torch
from scipy.optimize import lsq_linear

from ebdsl import driver
from ebdsl.diagnostics import Source
from ebdsl.infer.core import Refusal
from ebdsl.infer.rules import interior, splitting
from tests.emit.compiled import Compiled, compile_spec, planned

SPECS: dict[str, str] = {
    "analysis": """
        observed y : R[M]
        latent   z : R[M]
        param    A : R[K, M], unit rows
        E(y, z) = ||y - z||^2 + 0.3|A z|
    """,
    "everything at once": """
        observed y : R[M]
        latent   z : R[M], >= 0
        param    A : R[K, M], unit rows
        E(y, z) = ½||y - z||^2 + 0.3|A z| + 0.1|z| + 0.2||A z||
    """,
    "overlapping groups": """
        observed y : R[M]
        latent   z : R[N]
        param    W : R[M, N], unit columns
        param    G : R[P, N], box(0, 1)
        E(y, z) = ||y - W z||^2 + 0.3 Σ_p sqrt(Σ_j G[p, j] z[j]^2) + ||G||^2
    """,
    "crossing groups in a box": """
        observed y : R[4, 3]
        latent   z : R[4, 3], box(-1, 1)
        E(y, z) = ||y - z||^2 + 0.3 groupnorm(z) + 0.4 Σ_j ||z[:, j]||
    """,
    "two maps in one norm": """
        observed y : R[4, 3]
        latent   z : R[4, 3]
        param    A : R[4, 4], unit rows
        param    C : R[3, 3], unit rows
        E(y, z) = ½||y - z||^2 + 0.3 Σ_{i,j} sqrt((Σ_k A[i, k] z[k, j])^2 + (Σ_k C[j, k] z[i, k])^2)
    """,
    "absolute errors": """
        observed y : R[M]
        latent   z : R[N]
        param    W : R[M, N], unit columns
        E(y, z) = |y - W z| + 0.1||z||^2
    """,
    "hinges": """
        observed y : R[M]
        latent   z : R[N]
        param    W : R[M, N], unit columns
        E(y, z) = Σ_m max(0, 1 - y[m] Σ_n W[m, n] z[n]) + 0.1||z||^2
    """,
    "no curvature": """
        observed y : R[M]
        latent   z : R[M]
        param    A : R[K, M], unit rows
        E(y, z) = |y - z| + 0.4|A z|
    """,
}


def whole(name: str) -> str:
    return textwrap.dedent(SPECS[name]) + "F(y) = min_z E(y, z)\n"


@pytest.fixture(params=["factored", "matrix-free"])
def found(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(interior, "consider", lambda _: Refusal("interior points", "not asked for"))
    if request.param == "matrix-free":
        monkeypatch.setattr(splitting, "_kind", lambda *_: "gradient")
    return request.param


def inside(c: Compiled, z: torch.Tensor) -> torch.Tensor:
    (latent,) = c.model.role("latent")
    if latent.domain.kind == "real":
        return z
    low, high = latent.domain.row.bounds(latent.domain.args)
    return z.clamp(low, high)


@pytest.mark.parametrize("name", SPECS)
def test_no_point_near_by_is_lower_than_the_gap_allows(name: str, found: str) -> None:
    c = compile_spec(whole(name))
    assert c.rule == "splitting" and c.guarantee == "global"
    net, given = c.randomise(c.build()), c.observed(6)
    answer = net.infer(**given)
    assert bool(answer.converged.all())
    z, generator = answer.latents["z"], torch.Generator().manual_seed(0)
    assert torch.equal(z, inside(c, z))
    with torch.no_grad():
        again = net.infer(**given, tolerance=1e-4)
        assert bool((again.energy - answer.energy <= again.residual + 1e-8).all())  # the gap is a bound
        assert bool((answer.residual <= 1e-9 * net.energy(given["y"], inside(c, 0 * z)).clamp_min(1) + 1e-15).all())
        for size in (1e-5, 1e-3, 1e-1, 1.0):
            for _ in range(20):
                other = inside(c, z + size * torch.randn(z.shape, dtype=z.dtype, generator=generator))
                assert bool((net.energy(given["y"], other) >= answer.energy - answer.residual - 1e-12).all())


@pytest.mark.parametrize("name", SPECS)
def test_float32_answers_are_within_their_gap(name: str) -> None:
    c = compile_spec(whole(name))
    net, given = c.randomise(c.build()), c.observed(6, seed=1)
    exact = net.infer(**given)
    single = net.float().infer(**{k: v.float() for k, v in given.items()})
    assert bool(single.converged.all())
    energy = net.double().energy(given["y"], single.latents["z"].double())
    assert bool((energy - exact.energy <= single.residual.double() + 1e-5 * (1 + exact.energy.abs())).all())


def test_total_variation_against_the_dual(found: str) -> None:
    """``min ||y - z||² + λ|D z|``: its dual is least squares in a box (scipy, by active sets)."""
    n, weight = 20, 0.8
    c = compile_spec(f"""
        observed y : R[{n}]
        latent   z : R[{n}]
        param    D : R[{n - 1}, {n}]
        E(y, z) = ||y - z||^2 + {weight}|D z| + ||D||^2
        F(y) = min_z E(y, z)
    """)
    net = c.build()
    D = np.diff(np.eye(n), axis=0)
    with torch.no_grad():
        net.D.copy_(torch.tensor(D))
    Y = np.cumsum(np.random.default_rng(0).normal(size=(8, n)), 1)
    Z = net.infer(torch.tensor(Y), tolerance=1e-12).latents["z"].numpy()
    for y, z in zip(Y, Z, strict=True):
        u = lsq_linear(D.T, 2 * y, bounds=(-weight, weight), method="bvls", tol=1e-14).x
        np.testing.assert_allclose(z, y - D.T @ u / 2, atol=1e-5)
        assert (np.abs(np.diff(z)) < 1e-5).sum() > 3  # it is flat in places


def test_a_sparse_copy_is_exactly_sparse() -> None:
    c = compile_spec(whole("everything at once"))
    net, given = c.randomise(c.build()), c.observed(20)
    z = net.infer(**given).latents["z"]
    assert bool((z == 0).any()) and bool((z >= 0).all())


def test_spelling_does_not_matter() -> None:
    texts = {
        "|A z|": "0.3|A z| + ||y - z||^2",
        "sums": "(Σ_k |Σ_n A[k, n] z[n]|) 0.3 + Σ_n (y[n] - z[n])^2",
        "scaled": "0.1|3 A z| + (y - z)'(y - z)",
    }
    answers = []
    for text in texts.values():
        c = compile_spec(f"""
            observed y : R[M]
            latent   z : R[M]
            param    A : R[K, M], unit rows
            E(y, z) = {text}
            F(y) = min_z E(y, z)
        """)
        assert c.rule == "splitting" and c.plan.inference[0].payload.kind == "factor"  # type: ignore[attr-defined]
        answers.append(c.randomise(c.build()).infer(**c.observed(4), tolerance=1e-12).latents["z"])
    for other in answers[1:]:
        torch.testing.assert_close(other, answers[0], atol=1e-5, rtol=0)


def test_the_plan_says_what_a_textbook_says() -> None:
    (decision,) = planned(whole("analysis")).inference
    assert "ADMM" in decision.algorithm and "soft threshold" in decision.algorithm
    assert any("duality gap" in f for f in decision.facts)
    assert any(r.rule == "proximal gradient" and "not of entries" in r.reason for r in decision.refused)


def test_what_cannot_be_split_says_why() -> None:
    text = (
        "model m\nobserved y : R[M]\nlatent z : R[M]\nE(y, z) = Σ_m |y[m] - z[m]^2| + ||z||^2\nF(y) = min_z E(y, z)\n"
    )
    plan = driver.plan_source(Source("m.ebm", text)).value
    assert plan is not None and plan.inference[0].rule == "descent with restarts"
    (reason,) = (r.reason for r in plan.inference[0].refused if r.rule == "splitting")
    assert "not linear in z" in reason
