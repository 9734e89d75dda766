"""The formatter: one layout, every spelling both ways, no meaning and no comment lost."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ebdsl.diagnostics import Source
from ebdsl.resources import folder
from ebdsl.syntax import ast, format, parse, show
from ebdsl.syntax.formatter import lay_out
from ebdsl.syntax.printing import Style
from ebdsl.syntax.spellings import GREEK, ascii_name, canonical
from tests.syntax.expressions import NAMES, expressions
from tests.syntax.samples import SLIDES, SPECS

Golden = Callable[[str, str], None]
STYLES: tuple[Style, ...] = (None, "unicode", "ascii")


def tree(text: str) -> ast.Spec:
    found = parse(Source("text", text))
    assert found.value is not None and not found.errors, (text, found.diagnostics)
    return ast.bare(found.value)


def comments(text: str) -> list[str]:
    found = parse(Source("text", text)).value
    assert found is not None
    return [comment.rstrip() for _, comment in found.comments]


def check(text: str) -> None:
    """Meaning and comments are kept, a second time changes nothing, and styles lead to each other."""
    meaning = tree(text)
    for style in STYLES:
        once = lay_out(text, style)
        assert tree(once) == meaning, (style, text, once)
        assert comments(once) == comments(text)
        assert lay_out(once, style) == once, (style, text)
        assert format(text, style).value == once  # and not the way out for what would change
    unicode, ascii_ = lay_out(text, "unicode"), lay_out(text, "ascii")
    assert lay_out(ascii_, "unicode") == unicode
    assert lay_out(unicode, "ascii") == ascii_


@pytest.mark.parametrize("text", [*SPECS, *SLIDES])
def test_samples(text: str) -> None:
    check(text)


@pytest.mark.parametrize("path", sorted(folder("specs").glob("*.ebm")), ids=lambda path: path.stem)
def test_shipped_specs(path: Path) -> None:
    check(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("text", SPECS)
def test_ascii_is_ascii(text: str) -> None:
    shown = lay_out(text, "ascii")
    assert re.sub(r'#.*|"[^"]*"', "", shown).isascii(), shown


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(expressions, min_size=1, max_size=3), st.data())
def test_random_specs(trees: list[ast.Expr], data: st.DataObject) -> None:
    lines = [f"param {', '.join(NAMES)} : R"]
    for number, expr in enumerate(trees):
        lines += ["" for _ in range(data.draw(st.integers(0, 2)))]
        if data.draw(st.booleans()):
            lines.append("# " + data.draw(st.text("ab λ|#(", max_size=6)))
        side = data.draw(st.sampled_from(("", "# beside", "   #close")))
        lines.append(f"Q_{number}(y)={show(expr)} {side}")
    check("\n".join(lines))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(expressions, st.sampled_from((" ", "  ", "")), st.randoms())
def test_spaces_do_not_matter(expr: ast.Expr, space: str, random: object) -> None:
    text = re.sub(r" ([+*⊙·]|-(?!\()) ", lambda found: f"{space}{found[1]}{space}", show(expr))
    text = f"param {', '.join(NAMES)} : R\nQ = {text}"
    if not parse(Source("text", text)).errors:  # without its spaces a text of bars may be ambiguous
        check(text)


def test_design_layout() -> None:
    for text in SPECS[:3]:
        assert lay_out(text, None) == text


def test_golden(golden: Golden) -> None:
    messy = """

  # a spec as it is typed
  model  messy   # its name
  dim M=144 ,N
  observed y∈ℝ^M   ;latent z:R[ N ],>=0


  param W:R[M,N],unit   columns # the dictionary
  const lambda=.5,μ : R = 1
  module Enc,Dec:R[M]->R[N]=linear(N)>>2 tanh # two
  E(y,z)=½||y-Wz||²+λ|z|   # the energy
     # between the lines
     +1/2  softmin_z[ β ]|z|^2 # and on
  F(y)=min_{z}E(y,z)
  # before training
  train:
      epochs=10;lr 1e-3 # both
      strategy contrastive( margin=10 )
           negatives G(u)   # under it
           # inner
      data patches(natural,size=12)
  # at the end
"""
    check(messy)
    golden("messy.txt", "".join(f"==== {style}\n{lay_out(messy, style)}" for style in STYLES))


def test_errors_come_back() -> None:
    found = format("E = (")
    assert found.value is None and found.diagnostics[0].code == "EB0103"


def test_nothing_but_comments_is_an_error_like_in_parse() -> None:
    assert format("# nothing\n").diagnostics[0].code == "EB0120"


@pytest.mark.parametrize(
    ("unicode", "ascii_"),
    [
        ("λ_1", "lambda_1"),
        ("λ₁", "lambda_1"),
        ("W_λ", "W_lambda"),
        ("ŷ", "y_hat"),
        ("Y̌", "Y_check"),
        ("ẑ_k", "z_hat_k"),
        ("β2", "beta2"),
        ("Wₖ", "W_k"),
    ],
)
def test_names(unicode: str, ascii_: str) -> None:
    assert ascii_name(unicode) == ascii_
    assert canonical(unicode) == canonical(ascii_)


def test_greek_both_ways() -> None:
    assert all(ascii_name(letter) == name and canonical(name) == letter for name, letter in GREEK.items())
    assert canonical("µ") == "μ"  # the unit and the letter look the same


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_line_ends(newline: str) -> None:
    text = "observed y : R  # a\n\nE(y) = y\n"
    assert lay_out(text.replace("\n", newline), None) == lay_out(text, None)
