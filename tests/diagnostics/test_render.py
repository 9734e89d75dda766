"""What a user sees of a diagnostic: golden pictures, widths, windows, JSON and fixes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebdsl.diagnostics import Diagnostic, Fix, Label, Source, Span, render
from ebdsl.diagnostics.catalogue import CATALOGUE

Golden = Callable[[str, str], None]

SPARSE = """model sparse

observed y : R[M]
latent   z : R[N]

param    W : R[P, N]
const    λ = 0.5

E(y, z) = ||y - W z||^2 + λ|z|
"""


def at(text: str, part: str, occurrence: int = 0) -> Span:
    start = -1
    for _ in range(occurrence + 1):
        start = text.index(part, start + 1)
    return Span(start, start + len(part))


def mismatch() -> Diagnostic:
    return Diagnostic(
        "EB0101",
        "dimensions differ: y is R[M], W z is R[P]",
        (
            Label(at(SPARSE, "y", SPARSE[: SPARSE.index("||")].count("y")), "R[M]"),
            Label(at(SPARSE, "W z"), "R[P], because W : R[P, N] (line 6)"),
        ),
        ("did you mean  W : R[M, N] ?",),
    )


def test_two_labels_on_one_line(golden: Golden) -> None:
    golden("two_labels.txt", render.text([mismatch()], Source("sparse.ebm", SPARSE)))


def test_labels_on_several_lines(golden: Golden) -> None:
    diagnostic = Diagnostic(
        "EB0102",
        "W is declared in one place and used in another",
        (
            Label(at(SPARSE, "W z"), "used here"),
            Label(at(SPARSE, "R[P, N]"), "declared here"),
            Label(at(SPARSE, "λ = 0.5"), "and this"),
            Label(at(SPARSE, "sparse"), ""),
        ),
        ("one sentence", "another, over\ntwo lines"),
    )
    golden("several_lines.txt", render.text([diagnostic], Source("sparse.ebm", SPARSE)))


def test_three_labels_and_colour(golden: Golden) -> None:
    text = "a + b + c\n"
    labels = (Label(Span(4, 5), "second"), Label(Span(0, 1), "first"), Label(Span(8, 9), "third"))
    diagnostic = Diagnostic("EB0101", "three", labels, ("none",))
    plain = render.text([diagnostic], Source("t", text))
    coloured = render.text([diagnostic], Source("t", text), color=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain
    assert coloured != plain
    golden("three_labels.txt", plain)


def test_tabs_wide_and_combining_characters(golden: Golden) -> None:
    text = "\tY̌ = 漢字 + ẑ̃ + x\n"
    shown = "".join(
        render.text([Diagnostic("EB0101", f"under {part}", (Label(at(text, part), part),))], Source("wide.ebm", text))
        for part in ("漢字", "x", "Y̌")
    )
    golden("widths.txt", shown)
    for block in shown.split("error")[1:]:
        lines = block.split("\n")
        part = lines[0].split("under ")[1]
        source_line, marks = lines[2], lines[3]
        assert render.width(source_line[: source_line.index(part)]) == render.width(marks[: marks.index("^")])
        assert marks.count("^") == render.width(part)


def test_long_lines_are_cut_around_the_label(golden: Golden) -> None:
    text = "E = " + " + ".join(f"x_{i}" for i in range(400)) + "\n"
    labels = (Label(at(text, "x_200"), "here"), Label(at(text, "x_203"), "near"), Label(at(text, "x_399"), "far"))
    shown = render.text([Diagnostic("EB0101", "long", labels)], Source("long.ebm", text))
    assert max(map(render.width, shown.splitlines())) < render.WIDTH + 20
    golden("long_line.txt", shown)


def test_end_of_text_and_no_source(golden: Golden) -> None:
    here = Diagnostic("EB0101", "the line ends", (Label(Span(3, 4), "here"),))
    nowhere = Diagnostic("EB0121", "there is no file x.ebm", (), ("look elsewhere",))
    golden(
        "ends.txt",
        render.text([here, nowhere], Source("end.ebm", "E =")) + "\n" + render.text([nowhere, here], None),
    )


def test_control_characters_do_not_reach_the_terminal() -> None:
    text = "E = \x1b[31m\x07x\u202ey\n"
    shown = render.text([Diagnostic("EB0102", "bad \x1b[2J", (Label(Span(4, 6), "\x08"),))], Source("a\x1bb", text))
    assert not any(character in shown for character in "\x1b\x07\x08\u202e")


def test_line_ends_of_every_kind() -> None:
    text = "a\r\nb\rc\nd"
    for letter, line in zip("abcd", (1, 2, 3, 4), strict=True):
        shown = render.text([Diagnostic("EB0101", "m", (Label(at(text, letter)),))], Source("x", text))
        assert f"x:{line}:1" in shown and f"{line} │ {letter}\n" in shown


def test_json(golden: Golden) -> None:
    diagnostic = Diagnostic("EB0102", "no λ", (Label(Span(8, 9), "here"),), ("h",), Fix(Span(8, 9), "b"))
    text = render.to_json([diagnostic, mismatch()], Source("x.ebm", SPARSE))
    golden("diagnostics.json", text)
    first = json.loads(text)[0]
    assert first["labels"] == [{"line": 1, "column": 9, "end_line": 1, "end_column": 10, "text": "here"}]
    assert first["fix"] == {"line": 1, "column": 9, "end_line": 1, "end_column": 10, "replacement": "b"}
    assert json.loads(render.to_json([], None)) == []


def test_fixes() -> None:
    def fix(start: int, end: int, text: str) -> Diagnostic:
        return Diagnostic("EB0102", "m", (), (), Fix(Span(start, end), text))

    assert render.apply_fixes("abcdef", [fix(4, 5, "E"), fix(0, 1, "A")]) == "AbcdEf"
    assert render.apply_fixes("abc", [fix(0, 2, "X"), fix(1, 3, "Y")]) == "Xc"
    assert render.apply_fixes("abc", [fix(1, 1, "+"), fix(1, 1, "+")]) == "a+bc"
    assert render.apply_fixes("abc", [Diagnostic("EB0101", "m")]) == "abc"


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=60), st.lists(st.tuples(st.integers(0, 70), st.integers(0, 70), st.text(max_size=5)), max_size=4)
)
def test_anything_can_be_rendered(text: str, spans: list[tuple[int, int, str]]) -> None:
    labels = tuple(Label(Span(min(a, b), max(a, b)), said) for a, b, said in spans)
    diagnostic = Diagnostic("EB0101", text, labels, (text,), Fix(labels[0].span, text) if labels else None)
    assert render.text([diagnostic], Source("x", text)).startswith("error[EB0101]")
    assert json.loads(render.to_json([diagnostic], Source("x", text)))[0]["message"] == text


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_every_code_has_a_story(code: str) -> None:
    entry = CATALOGUE[code]
    assert entry.severity in ("error", "warning")
    assert entry.title and entry.title[-1] not in ".!" and len(entry.title) < 80
    assert len(entry.story) > 40 and "Traceback" not in entry.story
