"""What a user is told of a text that cannot be read."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from ebdsl.diagnostics import Source, render
from ebdsl.diagnostics.catalogue import CATALOGUE
from ebdsl.syntax import format, parse

Golden = Callable[[str, str], None]

DECLARATIONS = """latent z R[N]
latnet z : R[N]
Latent z : R[N]
input x : R[2]
latent : R[N]
latent z :
latent z :: R[N]
observed y : R[M
observed y : R[M, ]
observed y : R M]
dim M =
dim M 144
const λ
const λ 0.5
param W : R[M,N] unit columns
module Enc : R[4] = linear
module Enc R[4] -> R[2] = linear
module Enc : R -> R = linear >>
model
model sparse-coding
infer z
infer z with Enc
plan a
time t 0..T
index k in 1:K
noise u ~
train 3
foo
foo bar
import os
epochs 10"""

EXPRESSIONS = (
    """E(y, z) =
E(y, z) = ||y - W z||^2 + * |z|
E(y, z) = ||y - W z||^2 + λ|z| +
E(y, z) == y
E(y, z) := y
E(y, z) = y ** 2
E(y, z) = y @ z
E(y z) = y
E(y, z = y
E(y, z) = (y + z]
E(y, z) = y)
E(y, z) = 2 3 y
E(y, z) = 1.2.3
E(y, z) ||y - z||
E(y, z) + 1 = y
z(t+1) = f(z(t))
E = _
E = “y”
E = （y）
E = ∇F(y)
E = min_z
E = Σ_k
E = Σ_{k=1} z_k
E = min E(y)
E = ∂y
E = "abc
E = x <= y
E = P(y|x)
E = |y
E = |a|x|z|
E = x^
E = f(a=)
E = ()
E = {x}
E = \\foo{x}
E = y,z
E = """
    + "(" * 101
    + "x"
    + ")" * 101
)


def shown(lines: str) -> str:
    """Each line as a file of its own."""
    out = []
    for line in lines.split("\n"):
        source = Source("spec.ebm", line)
        found = parse(source)
        assert found.errors, line
        assert all(d.code.startswith("EB01") for d in found.diagnostics)
        out.append(render.text(found.diagnostics, source))
    return "\n".join(out)


@pytest.mark.parametrize(("name", "lines"), [("declarations", DECLARATIONS), ("expressions", EXPRESSIONS)])
def test_messages(name: str, lines: str, golden: Golden) -> None:
    text = shown(lines)
    golden(f"errors_{name}.txt", text)
    said = "".join(line for line in text.split("\n") if line.startswith("error") or " = help" in line)
    terminals = r"\b(?:[A-Z]{4,}|FNAME|LPAR|RSQ|Token|Expr|lark|None|ast\.)\b"
    assert not re.search(terminals, said.replace("EB0", "")), "names of ours in a message"


def test_every_error_of_a_file_at_once(golden: Golden) -> None:
    text = """model two words
observed y : R[M
latent   z R[N]
param    W : R[M, N], unit columns
F(y) = min_z E(y, z))
E(y, z) = ||y - W z||^2 + + * z
 observed x : R
train
    data patches(natural, size = 12
    epochs 10 10
    lr = 1e-3
const λ = 0.5
const mu ＝ 2
"""
    source = Source("many.ebm", text)
    found = parse(source)
    golden("errors_many.txt", render.text(found.diagnostics, source))
    assert [d.labels[0].span for d in found.diagnostics] == sorted(d.labels[0].span for d in found.diagnostics)
    assert found.value is not None
    kinds = [type(statement).__name__ for statement in found.value.statements]
    assert kinds == ["VarDecl", "VarDecl", "Train", "ConstDecl"]  # what can be read is read


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("latnet z : R[N]", "latent z : R[N]"),
        ("latent z R[N]", "latent z : R[N]"),
        ("const λ 0.5", "const λ = 0.5"),
        ("param W : R[M,N] unit columns", "param W : R[M,N], unit columns"),
        ("E = y ** 2", "E = y ^ 2"),
        ("E == y", "E = y"),
        ("E := y", "E = y"),
        ("E = （y） + ‘", "E = (y) + '"),
        ("E = (y]", "E = (y)"),
        ("model sparse-coding", "model sparse_coding"),
        ("time t 0..T", "time t in 0..T"),
    ],
)
def test_fixes_mend(text: str, mended: str) -> None:
    found = parse(Source("spec", text))
    assert render.apply_fixes(text, found.diagnostics).replace("y^2", "y ^ 2") == mended.replace("y^2", "y ^ 2")
    if "‘" not in text:
        assert not parse(Source("spec", mended)).errors


def test_spans_lie_in_the_text_or_right_after_it() -> None:
    for line in (DECLARATIONS + "\n" + EXPRESSIONS).split("\n"):
        for diagnostic in parse(Source("spec", line)).diagnostics:
            for label in diagnostic.labels:
                assert 0 <= label.span.start < label.span.end <= len(line) + 1, (line, diagnostic)


def test_more_errors_than_anybody_reads() -> None:
    found = parse(Source("spec", "E = )\n" * 400))
    assert len(found.diagnostics) < 30
    assert found.diagnostics[-1].code == "EB0119" and "more errors" in found.diagnostics[-1].message


def test_two_model_lines() -> None:
    assert [d.code for d in parse(Source("spec", "model a\nmodel b\nE = 1\n")).diagnostics] == ["EB0112"]


def test_format_refuses_what_parse_refuses() -> None:
    for line in DECLARATIONS.split("\n"):
        assert format(line).value is None


def test_codes_are_registered() -> None:
    assert {f"EB01{n:02}" for n in (*range(1, 14), 19, *range(20, 26))} <= set(CATALOGUE)
