"""Lints speak where they should (``tests/bad``) and are silent on what is sound."""

from __future__ import annotations

import pytest

from ebdsl import check, syntax
from ebdsl.diagnostics import Source
from tests.check.checking import checked, codes, said

HEAD = """
observed y : R[M]
latent   z : R[N]
param    W : R[M, N], unit columns
"""

SOUND = {
    "a double well": "F(y) = min_z ||y - W z||^2 + Σ_n z_n^4 - ||z||^2\n",
    "a bilinear energy": "F(y) = min_z ||z||^2 - y'W z + ||y||^2\n",
    "a difference of norms": "F(y) = min_z 2||y - W z||^2 - ||y||^2 + ||z||^2\n",
    "a subtracted penalty on parameters": "F(y) = min_z ||y - W z||^2 + |z| - ||W||^2\n",
    "a code that is penalised": "F(y) = min_z ||y - W z||^2 + 0.1 ||z||^2\n",
    "an elastic net": "F(y) = min_z ||y - W z||^2 + |z| + 0.1 ||z||^2\n",
    "a code that is predicted": "module Enc : R[M] -> R[N] = linear\nF(y) = min_z ||y - W z||^2 + ||z - Enc(y)||^2\n",
    "a sum over prototypes": "latent k : onehot[N]\nF(y) = min_k Σ_i k_i ||y - W_i||^2 + 0 ||z||\n",
}


@pytest.mark.parametrize("name", SOUND.keys())
def test_silent(name: str) -> None:
    text = HEAD + SOUND[name]
    found = checked(text)
    assert found.value is not None
    lints = [d for d in found.diagnostics if d.code not in ("EB0402",)]
    assert not lints, said(text, tuple(lints))


def test_prediction_from_another_variable_is_not_flat() -> None:
    assert codes("observed x : R[P], y : R[M]\nparam A : R[M, K], B : R[K, P]\nF(x, y) = ||y - A B x||^2\n") == []


def test_flat_by_any_spelling() -> None:
    for energy in ("||W' W y - y||^2", "(y - W' W y)'(y - W'W y)", "½ Σ_m (y[m] - Σ_k W[k, m] (W y)[k])^2"):
        assert codes(f"observed y : R[M]\nparam W : R[K, M]\nF(y) = {energy}\n") == ["EB0405"]
    for energy in ("||y - A z||^2", "3||A z + c - y||^2"):
        text = f"observed y : R[M]\nlatent z : R[K]\nparam A : R[M, K], c : R[M]\nF(y) = min_z {energy} + ||c||^2\n"
        assert codes(text) == ["EB0405"]


@pytest.mark.parametrize(
    "energy",
    [
        "Σ_i ||y - W_i z_i||^2",
        "Σ_i ||y - z_i W[:, i]||^2",
        "½ Σ_j ||W_j z_j - y||²",
        "Σ_i (y - W_i z_i)'(y - W_i z_i)",
        "Σ_i Σ_m (y[m] - W[m, i] z[i])^2",
    ],
)
def test_literal_kmeans_by_any_spelling(energy: str) -> None:
    text = f"observed y : R[M]\nlatent z : onehot[K]\nparam W : R[M, K]\nF(y) = min_z {energy}\n"
    assert codes(text) == ["EB0404"]


def test_fix_of_literal_kmeans_is_sound() -> None:
    text = "observed y : R[M]\nlatent z : onehot[K]\nparam W : R[K, M]\nF(y) = min_z Σ_i ||y - W_i z_i||^2\n"
    (d,) = checked(text).diagnostics
    assert d.fix is not None
    mended = text[: d.fix.span.start] + d.fix.replacement + text[d.fix.span.end :]
    assert "||y - W' z||^2" in mended
    assert codes(mended) == []


def test_every_fix_can_be_applied() -> None:
    """A fix of a golden spec leaves a text that parses, without the finding that it mends."""
    from pathlib import Path

    applied = 0
    for path in sorted((Path(__file__).parents[1] / "bad").glob("*.ebm")):
        text = path.read_text(encoding="utf-8")
        for d in checked(text).diagnostics:
            if d.fix is None:
                continue
            applied += 1
            mended = text[: d.fix.span.start] + d.fix.replacement + text[d.fix.span.end :]
            source = Source("mended.ebm", mended)
            parsed = syntax.parse(source)
            assert parsed.value is not None and not parsed.errors, mended
            again = check.check(parsed.value, source)
            assert (d.code, d.message) not in {(e.code, e.message) for e in again.diagnostics}, mended
    assert applied >= 20


def test_weight_by_any_spelling() -> None:
    for penalty in ("- λ|z|", "+ (-λ)|z|", "- Σ_n λ |z_n|", "- λ ||z||_1", "+ μ|z|", "+ Σ_n μ |z[n]|", "+ μ^3 |z|"):
        text = HEAD + f"const λ = 0.5, μ = -0.5\nF(y) = min_z ||y - W z||^2 {penalty} + 0 λ μ\n"
        assert codes(text) == ["EB0403"], penalty
    assert codes(HEAD + "const μ = -0.5\nF(y) = min_z ||y - W z||^2 + μ^2 |z|\n") == []
    assert codes(HEAD + "param s : R\nF(y) = min_z ||y - W z||^2 + s^2 |z|\n") == []
    assert codes(HEAD + "param s : R, > 0\nF(y) = min_z ||y - W z||^2 + s |z|\n") == []


def test_a_function_whose_name_is_that_of_two_others() -> None:
    """``CE(`` where C and E are declared: in E it is the cross entropy, elsewhere a product, which a note says."""
    head = "observed x : R[4], y : onehot[3]\nparam A : R[3, 4], C : R\n"
    inside = checked(head + "E(x, y) = CE(y, softmax(A x)) + C^2\nF(x, y) = E(x, y)\n").value
    assert inside is not None and [t.text for t in inside.terms] == ["CE(y, softmax(A x))", "C^2"] and not inside.notes
    outside = checked(head + "E(x, y) = -y' A x\nF(x, y) = CE(x, y)\n").value
    assert outside is not None and [t.text for t in outside.terms] == ["-C y' A x"]
    assert any("CE(…) is the product C E(…)" in n and "cross_entropy(…)" in n for n in outside.notes)
    own = checked(head + "CE(a, b) = -a' log b\nF(x, y) = CE(y, softmax(A x)) + C^2\n").value
    assert own is not None and [t.text for t in own.terms] == ["CE(y, softmax(A x))", "C^2"]
