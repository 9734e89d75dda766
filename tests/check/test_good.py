"""Sound specs: each checks into a model, without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from ebdsl.model.model import Model
from tests.check.checking import checked, model, said

ROOT = Path(__file__).parents[2]
GOOD = sorted((ROOT / "tests" / "good").glob("*.ebm"))
SHIPPED = sorted((ROOT / "specs").glob("*.ebm"))
FLAT = {"pca"}  # E12: principal components are flat along K directions, and the checker says so


def read(path: Path) -> Model:
    return model(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", [*GOOD, *SHIPPED], ids=lambda p: p.stem)
def test_no_finding(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = checked(text)
    expected = ["EB0405"] if path.stem in FLAT else []
    assert [d.code for d in found.diagnostics] == expected, said(text, found.diagnostics)
    assert found.value is not None


@pytest.mark.parametrize("path", [*GOOD, *SHIPPED], ids=lambda p: p.stem)
def test_terms_are_numbers_of_one_sample(path: Path) -> None:
    m = read(path)
    assert m.terms
    assert len({t.text for t in m.terms}) == len(m.terms)
    for t in m.terms:
        assert not t.node.free
        assert not t.text.startswith("--")
    held = {s for t in m.terms for s in t.node.symbols}
    eliminated = {s for e in m.eliminations for s in e.latents} | {a.latent for a in m.answers}
    assert {s for s in held if s.role in ("latent", "noise")} == eliminated
    assert held <= set(m.symbols)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_shipped_specs_are_short(path: Path) -> None:
    lines = [x for x in path.read_text(encoding="utf-8").splitlines() if x.strip() and not x.lstrip().startswith("#")]
    assert 5 <= len(lines) <= 15
    assert '"' in lines[0] and "#" in lines[0]  # the slide's words


def test_names_are_the_file_or_the_model_line() -> None:
    assert model("model gmm\nobserved y : R[M]\nF(y) = ||y||^2\n").name == "gmm"
    assert model("observed y : R[M]\nF(y) = ||y||^2\n").name == "spec"


def test_a_term_keeps_its_sign() -> None:
    text = """observed y : R[M]
latent z : R[N], >= 0
param W : R[M, N], b : R[N]
E(y, z) = -(b' z - ||y - W z||^2) - 2 Σ_i (b_i - z_i^2)
F(y) = min_z E(y, z)
"""
    value = checked(text).value
    assert value is not None
    assert [t.text for t in value.terms] == ["-b' z", "||y - W z||^2", "-2 Σ_i b_i", "2 Σ_i z_i^2"]
