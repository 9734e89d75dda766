"""Penalties of stencils, in cosines and waves: against primal-dual steps, bounds against the maps themselves."""

from __future__ import annotations

import pytest

from ebdsl.infer.rules import splitting
from tests.emit.compiled import compile_spec

HEAD = "observed y : R[6, 7]\nlatent z : R[6, 7]\n"
ACROSS, DOWN = "(z[i, j+1] - z[i, j])", "(z[i+1, j] - z[i, j])"
BOTH = f"Σ_{{i,j}} sqrt({DOWN}^2 + {ACROSS}^2)"
EITHER = f"Σ_{{i,j}} |{DOWN}| + 0.2 Σ_{{i,j}} |{ACROSS}|"
KERNEL = "param k : R[3, 3]\n"
CASES = {
    "isotropic": (HEAD, f"½||y - z||^2 + 0.4 {BOTH}", ("cosine", "cosine"), "entries"),
    "flat": (HEAD, f"½||y - z||^2 + 40 {BOTH}", ("cosine", "cosine"), "entries"),
    "anisotropic": (HEAD, f"||y - z||^2 + 0.4 {EITHER}", ("cosine", "cosine"), "entries"),
    "one diagonal": (HEAD, "½||y - z||^2 + 0.3 Σ_{i,j} |z[i+1, j+1] - z[i, j]| + 0.1|z|", ("fourier",) * 2, "entries"),
    "both diagonals": (
        HEAD, "½||y - z||^2 + 0.3 Σ_{i,j} |z[i+1, j+1] - z[i, j]| + 0.2 Σ_{i,j} |z[i+1, j] - z[i, j+1]|",
        ("cosine",) * 2, "entries",
    ),
    "second differences": (
        HEAD, f"½||y - z||^2 + 0.3 Σ_{{i,j}} |z[i+1, j] - 2 z[i, j] + z[i-1, j]| + 0.2 Σ_{{i,j}} |{ACROSS}|",
        ("cosine",) * 2, "entries",
    ),
    "colours": (
        "observed y : R[5, 4, 3]\nlatent z : R[5, 4, 3], >= 0\n",
        "½||y - z||^2 + 0.4 Σ_{i,j} sqrt(Σ_c (z[i+1, j, c] - z[i, j, c])^2 + Σ_c (z[i, j+1, c] - z[i, j, c])^2)",
        ("cosine", "cosine", "alone"), "entries",
    ),
    "weights": (
        HEAD + "param a : R[6, 6], >= 0\n",
        f"½||y - z||^2 + 0.4 Σ_{{i,j}} |a[i, j] {ACROSS}| + 0.3 Σ_{{i,j}} |{DOWN}| + ||a||^2",
        ("cosine",) * 2, "entries",
    ),
    "mask": (
        "observed y : R[6, 7], m : R[6, 7]\nlatent z : R[6, 7]\n", f"½||m ⊙ (y - z)||^2 + 0.4 {BOTH}",
        ("cosine",) * 2, "entries",
    ),
    "absolute errors": (HEAD, f"|y - z| + 0.6 {BOTH}", ("cosine",) * 2, "entries"),
    "ridge of differences": (
        HEAD, f"½||y - z||^2 + Σ_{{i,j}} {DOWN}^2 + 0.4 {BOTH}", ("cosine",) * 2, "modes",
    ),
    "blur": (HEAD + KERNEL, f"½||y - k * z||^2 + 0.1||z||^2 + 0.4 {BOTH} + ||k||^2", ("cosine",) * 2, "bound"),
    "blur that comes round": (
        HEAD + KERNEL, f"½||y - circular_conv(k, z)||^2 + 0.1||z||^2 + 0.4 {BOTH} + ||k||^2", ("fourier",) * 2, "modes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_pictures_against_primal_dual_steps(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    head, energy, bases, smooth = CASES[name]
    text = f"{head}F({'y, m' if 'm :' in head else 'y'}) = min_z {energy}\n"
    c = compile_spec(text)
    found = c.plan.inference[0].payload
    assert isinstance(found, splitting.Splitting) and found.modes is not None, c.plan.inference[0].refused
    assert (found.modes.bases, found.modes.smooth) == (bases, smooth)
    net, given = c.randomise(c.build()), c.observed(4)
    if "m" in given:
        given["m"] = (given["m"] > -0.5).to(given["m"])
    answer = net.infer(**given, tolerance=1e-6)
    assert bool(answer.converged.all()), answer
    monkeypatch.setattr(splitting, "_modes", lambda *_: None)
    other = compile_spec(text)
    assert other.plan.inference[0].payload.kind != "modes"  # type: ignore[attr-defined]
    slow = other.build()
    slow.load_state_dict(net.state_dict())
    check = slow.infer(**given, tolerance=1e-7, max_steps=20_000)
    assert bool((answer.energy <= check.energy + answer.residual).all())
    assert bool((check.energy <= answer.energy + check.residual).all())
