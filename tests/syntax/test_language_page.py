"""The reference of the language says what the parser does: its fragments parse, its tables are equations."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ebdsl.diagnostics import Source
from ebdsl.syntax import ast, parse
from ebdsl.syntax.formatter import lay_out
from tests.syntax.expressions import AT

PAGE = (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8")
DECLARED = "param W, x, y, z, W_k, f_0, β : R[K]\nF(y) = y\n"


def fences(language: str) -> list[str]:
    found = re.findall(r"(<!--[^\n]*-->\n)?```(\w*)\n(.*?)```", PAGE, re.S)
    return [body for note, kind, body in found if kind == language and not note]


def tables(*header: str) -> list[tuple[list[str], list[str]]]:
    """Rows of the tables of this header, as the code in each of two cells."""
    head = "| " + " | ".join(header) + " |\n| --- | --- |\n"
    rows: list[tuple[list[str], list[str]]] = []
    for block in PAGE.split(head)[1:]:
        for line in block.split("\n\n")[0].split("\n"):
            left, right = re.fullmatch(r"\| (.*`) \| (.*`) \|", line).groups()  # type: ignore[union-attr]
            rows.append((re.findall(r"`([^`]+)`", left), re.findall(r"`([^`]+)`", right)))
    assert rows
    return rows


def tree(text: str) -> ast.Expr:
    lines = f"{DECLARED}{text}" if text.startswith("latent") else f"{DECLARED}Q = {text}"
    found = parse(Source("page", lines))
    assert not found.diagnostics and found.value is not None, (text, found.diagnostics)
    return ast.bare(found.value.statements[-1])


def plain(node: object) -> object:
    """Without the difference between ``|x|`` and ``abs(x)``."""
    match node:
        case ast.Bars(kind=kind, body=body):
            return ast.Call(AT, kind, AT, (plain(body),))  # type: ignore[arg-type]
        case ast.Expr() | ast.Statement():
            return type(node)(**{key: plain(value) for key, value in vars(node).items()})
        case tuple():
            return tuple(plain(part) for part in node)
    return node


@pytest.mark.parametrize("text", [*fences("ebm"), *fences("")])
def test_examples_parse(text: str) -> None:
    found = parse(Source("page", text))
    assert not found.diagnostics, found.diagnostics
    assert lay_out(lay_out(text, None), None) == lay_out(text, None)


@pytest.mark.parametrize(("written", "meant"), tables("written", "reads as"), ids=str)
def test_written_reads_as(written: list[str], meant: list[str]) -> None:
    assert plain(tree(written[0])) == plain(tree(meant[0]))


@pytest.mark.parametrize(("unicode", "ascii_"), tables("Unicode", "ASCII"), ids=str)
def test_two_spellings(unicode: list[str], ascii_: list[str]) -> None:
    assert len(unicode) == len(ascii_)
    for left, right in zip(unicode, ascii_, strict=True):
        wrap = "latent {}\n" if " ∈ " in left else f"{DECLARED}Q = {{}}\n"
        assert lay_out(wrap.format(left), "ascii").endswith(f" {right}\n")
        assert lay_out(wrap.format(right), "unicode").endswith(f" {left}\n")


def big_operators() -> list[str]:
    section = PAGE.split("## Big operators")[1].split("\n\n")[1]
    return [code for row in section.split("\n")[2:] for code in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


@pytest.mark.parametrize("code", big_operators())
def test_big_operators(code: str) -> None:
    whole = code.replace("...", "x")
    define = tree(whole if whole != code else f"{code} x")
    assert isinstance(define, ast.Define) and isinstance(define.body, ast.BigOp)
