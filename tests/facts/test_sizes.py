"""Functions of the sizes of entries: which are seen in an energy, and that their pieces are they."""

from __future__ import annotations

import numpy as np
import pytest

from ebdsl import driver
from ebdsl.diagnostics import Source
from ebdsl.facts.sizes import Sizes, sizes
from ebdsl.model.ir import Symbol
from ebdsl.model.reference import table

HEAD = (
    "model m\n{consts}\nobserved y : R[5]\nlatent z : R[4]{domain}\n"
    "param W : R[5, 4], unit columns\nF(y) = min_z ||y - W z||^2 + "
)
KNOWN = {  # pieces, of degree 2
    "λ ||z||_0": (2, True),
    "λ Σ_k sign(z[k])^2": (2, True),
    "λ Σ_k √|z[k]|": (1, False),
    "Σ_k (1 + k) (z[k]^2)^0.3": (1, False),
    "λ Σ_k log(1 + |z[k]|/ε)": (1, False),
    "λ Σ_k |z[k]|/(ε + |z[k]|)": (1, False),
    "λ Σ_k (1 - exp(-|z[k]|/ε))": (1, False),
    "λ Σ_k atan(|z[k]|/ε)": (2, False),
    "λ Σ_k tanh(|z[k]|)": (2, False),
    "λ Σ_k min(|z[k]|, γ)": (2, True),
    "λ Σ_k min(z[k]^2, γ)": (2, True),
    "λ |z| - 1/γ Σ_k huber(z[k], γ*λ)": (2, True),
    "Σ_k (λ*min(|z[k]|, γ*λ) - min(|z[k]|, γ*λ)^2 / (2 γ))": (2, True),
    "λ Σ_k min(|z[k]|, ε) + Σ_k min(|z[k]|, γ)": (4, True),
    "λ ||z||_0 + ε |z|": (2, True),
    "Σ_k |z[k]|^3": (1, False),
    "λ Σ_k |z[k]|^1.5": (1, False),
    "λ Σ_k |z[k]|^1.7 + ε |z|": (1, False),
    "λ Σ_k w[k]*min(|z[k]|, w[k])": (2, True),
}
UNKNOWN = {
    "λ Σ_k erf(|z[k]|)": "convex in the size",
    "λ Σ_k (1 - step(γ - |z[k]|))": "jumps down",
    "λ Σ_k √|z[k] - 1|": "no function of sizes",
    "-λ Σ_k min(|z[k]|, γ) - |z|": "bounded below",
    "λ √|z[0] - z[1]| + λ |z|": "more than one entry",
}


def found(term: str, domain: str = "") -> tuple[Sizes, Symbol] | str:
    lines = {"λ": "const λ = 0.3", "γ": "const γ = 3", "ε": "const ε = 0.1", "w[": "param w : R[4], > 0"}
    head = HEAD.format(domain=domain, consts="\n".join(text for name, text in lines.items() if name in term))
    checked = driver.plan_source(Source("m.ebm", head + term), allow_flat=True)
    assert checked.value is not None, checked.diagnostics
    plan = checked.value
    z = plan.model.symbol("z")
    answer = sizes(plan.energy, (z,))
    return answer if isinstance(answer, str) else (answer[1][0], z)


@pytest.mark.parametrize("domain", ["", ", >= 0"])
@pytest.mark.parametrize("term", KNOWN)
def test_the_pieces_are_the_function(term: str, domain: str) -> None:
    answer = found(term, domain)
    assert not isinstance(answer, str), answer
    s, z = answer
    count, straight = KNOWN[term]
    if not domain:
        assert (len(s.pieces), all(p.straight for p in s.pieces)) == (count, straight)
    weights = {q: np.array([0.5, 1.0, 1.5, 2.0]) for q in s.value.symbols if q.name == "w"}
    for u in np.linspace(0.011, 4.013, 37):
        at = np.full(4, u)
        given = weights | {z: at, s.size: at}
        value, slope = table(s.value, s.at, given), table(s.slopes[0], s.at, given)
        seen = np.zeros(4, dtype=int)
        for p in s.pieces:
            ends = [np.stack([table(e, s.at, given) for e in end]) if end else None for end in (p.low, p.high)]
            inside = (ends[0] is None or at >= ends[0].max(0)) & (ends[1] is None or at <= ends[1].min(0))
            seen += inside
            here = np.broadcast_to(inside, (4,))
            np.testing.assert_allclose(table(p.value, s.at, given)[here], value[here], rtol=1e-12)
            np.testing.assert_allclose(table(p.slope, s.at, given)[here], slope[here], rtol=1e-9, atol=1e-12)
            ahead = {s.size: at + 1e-6}
            change = (table(p.slope, s.at, given | ahead) - table(p.slope, s.at, given)) / 1e-6
            np.testing.assert_allclose(table(p.bend, s.at, given), change, rtol=1e-3, atol=1e-4)
        assert (seen == 1).all()


@pytest.mark.parametrize("term", UNKNOWN)
def test_what_is_refused_is_said(term: str) -> None:
    answer = found(term)
    assert isinstance(answer, str) and UNKNOWN[term] in answer


def test_counts() -> None:
    for term, counts in {"λ ||z||_0": True, "Σ_k w[k] step(|z[k]|)": True, "λ ||z||_0 + |z|": False}.items():
        answer = found(term)
        assert not isinstance(answer, str) and answer[0].counts == counts
