"""Diagnostics as a person reads them, as a tool reads them, and as edits.

error[EB0203]: dimensions differ: y is R[M], W z is R[P]
  ┌─ sparse.ebm:9:13
9 │ E(y, z) = ||y - W z||^2 + λ|z|
  │             ^   ~~~ R[P], because W : R[P, N] (line 6)
  │             R[M]
  = help: did you mean  W : R[M, N] ?
"""

from __future__ import annotations

import json
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import groupby

from ebdsl.diagnostics.core import Diagnostic, Label, Source, Span

WIDTH = 110
"""Columns of a source line that are shown; longer ones are cut to a window around the label."""

TAB = 4
_LINE_END = re.compile(r"\r\n|\n|\r")
_COLOURS = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m", "gutter": "\x1b[34m", "help": "\x1b[1;36m"}
_SECONDARY = "\x1b[36m"
_BOLD = "\x1b[1m"
_RESET = "\x1b[0m"


def text(diagnostics: Iterable[Diagnostic], source: Source | None, color: bool = False) -> str:
    """All findings, a blank line between two, each with its lines of the source. Ends with a line end."""
    places = _Places(source) if source is not None else None
    return "\n".join(_one(diagnostic, places, color) for diagnostic in diagnostics)


def to_json(diagnostics: Iterable[Diagnostic], source: Source | None) -> str:
    """A list of objects with ``code severity message file labels help fix``; lines and columns start at 1."""
    places = _Places(source) if source is not None else None
    out = []
    for diagnostic in diagnostics:
        fix = diagnostic.fix
        out.append(
            {
                "code": diagnostic.code,
                "severity": diagnostic.severity,
                "message": diagnostic.message,
                "file": source.name if source is not None else None,
                "labels": [{**places.where(label.span), "text": label.text} for label in diagnostic.labels]
                if places
                else [],
                "help": list(diagnostic.help),
                "fix": {**places.where(fix.span), "replacement": fix.replacement} if fix and places else None,
            }
        )
    return json.dumps(out, ensure_ascii=False, indent=2) + "\n"


def apply_fixes(text: str, diagnostics: Iterable[Diagnostic]) -> str:
    """The text with every fix put in; of two that overlap, the one that starts first."""
    fixes = sorted({d.fix for d in diagnostics if d.fix is not None}, key=lambda fix: (fix.span, fix.replacement))
    out: list[str] = []
    done = 0
    last: Span | None = None
    for fix in fixes:
        if fix.span.start < done or fix.span == last:
            continue
        out += [text[done : fix.span.start], fix.replacement]
        done, last = fix.span.end, fix.span
    return "".join([*out, text[done:]])


# ------------------------------------------------------------------ places


class _Places:
    """Line and column of an offset, and the text of a line."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.starts = [0]
        self.ends: list[int] = []
        for found in _LINE_END.finditer(source.text):
            self.ends.append(found.start())
            self.starts.append(found.end())
        self.ends.append(len(source.text))

    def line(self, offset: int) -> int:
        """Counted from 0."""
        return bisect_right(self.starts, max(0, min(offset, len(self.source.text)))) - 1

    def column(self, offset: int) -> int:
        """Counted from 0, in characters."""
        return max(0, offset - self.starts[self.line(offset)])

    def content(self, line: int) -> str:
        return self.source.text[self.starts[line] : self.ends[line]]

    def where(self, span: Span) -> dict[str, int]:
        end = max(span.start, span.end)
        return {
            "line": self.line(span.start) + 1,
            "column": self.column(span.start) + 1,
            "end_line": self.line(end) + 1,
            "end_column": self.column(end) + 1,
        }


# ------------------------------------------------------------------ widths


def width(text: str) -> int:
    """Columns of a terminal: two for a wide character, none for a mark that combines."""
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me") or character in "\u200b\u200c\u200d\u2060\ufeff":
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _printable(text: str) -> str:
    """Without characters that move the cursor, ring bells or turn text around; nothing else changes its place."""
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs") or c in _TURNING else c for c in text)


_TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")


def _expand(line: str) -> tuple[str, list[int]]:
    """The line as it is shown, and the column where each of its characters starts, and one past the end."""
    shown: list[str] = []
    columns: list[int] = []
    column = 0
    for character in line:
        columns.append(column)
        if character == "\t":
            room = TAB - column % TAB
            shown.append(" " * room)
            column += room
        else:
            plain = _printable(character)
            shown.append(plain)
            column += _columns(plain)
    columns.append(column)
    return "".join(shown), columns


# ------------------------------------------------------------------ one diagnostic


def _one(diagnostic: Diagnostic, places: _Places | None, color: bool) -> str:
    severity = diagnostic.severity
    head = f"{severity}[{diagnostic.code}]"
    message = _printable(diagnostic.message)
    lines = [_paint(head, _COLOURS[severity], color) + _paint(f": {message}", _BOLD, color)]
    numbers = [places.line(label.span.start) + 1 for label in diagnostic.labels] if places else []
    margin = " " * len(str(max(numbers, default=1)))
    if places is not None and diagnostic.labels:
        lines += _excerpts(diagnostic, places, margin, color)
    for help_ in diagnostic.help:
        first, *rest = _printable_lines(help_)
        lines.append(
            f"{margin} {_paint('=', _COLOURS['gutter'], color)} {_paint('help', _COLOURS['help'], color)}: {first}"
        )
        lines += [f"{margin}         {line}" for line in rest]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _printable_lines(text: str) -> list[str]:
    return [_printable(line) for line in text.split("\n")]


def _paint(text: str, code: str, color: bool) -> str:
    return f"{code}{text}{_RESET}" if color and text else text


def _excerpts(diagnostic: Diagnostic, places: _Places, margin: str, color: bool) -> list[str]:
    """The header and every line that has a label, in the order of the text."""
    first = diagnostic.labels[0].span
    gutter = _paint("│", _COLOURS["gutter"], color)
    name = _printable(places.source.name)
    line, column = places.line(first.start), places.column(first.start)
    out = [f"{margin} {_paint('┌─', _COLOURS['gutter'], color)} {name}:{line + 1}:{column + 1}"]
    marked = [(places.line(label.span.start), label, at == 0) for at, label in enumerate(diagnostic.labels)]
    marked.sort(key=lambda entry: (entry[0], entry[1].span))
    previous: int | None = None
    for number, group in groupby(marked, key=lambda entry: entry[0]):
        if previous is not None and number > previous + 1:
            out.append(f"{margin} {_paint('⋮', _COLOURS['gutter'], color)}")
        previous = number
        labels = [(label, primary) for _, label, primary in group]
        for shown, rows in _windows(places, number, labels, diagnostic.severity, color):
            tag = _paint(str(number + 1).rjust(len(margin)), _COLOURS["gutter"], color)
            out.append(f"{tag} {gutter} {shown}")
            out += [f"{margin} {gutter} {row}" for row in rows]
    return out


_Mark = tuple[int, int, Label, bool]
"""Columns from and to, the label, and whether it is the first of its diagnostic."""


def _windows(
    places: _Places, number: int, labels: Sequence[tuple[Label, bool]], severity: str, color: bool
) -> list[tuple[str, list[str]]]:
    """The line with the rows under it; a long line as one piece for each label, or group of near ones."""
    content = places.content(number)
    shown, columns = _expand(content)
    begin = places.starts[number]
    marks: list[_Mark] = []
    for label, primary in labels:
        left = columns[min(label.span.start - begin, len(content))]
        right = columns[max(0, min(label.span.end - begin, len(content)))]
        marks.append((left, max(right, left + 1), label, primary))
    if columns[-1] <= WIDTH:
        return [(shown, _rows(marks, severity, color))]
    pieces: list[list[_Mark]] = []
    for mark in marks:
        if pieces and mark[1] - pieces[-1][0][0] <= WIDTH * 2 // 3:
            pieces[-1].append(mark)
        else:
            pieces.append([mark])
    return [_window(shown, piece, severity, color) for piece in pieces]


def _window(shown: str, marks: list[_Mark], severity: str, color: bool) -> tuple[str, list[str]]:
    """A piece of a long line around some marks, with ``…`` where it was cut."""
    from_ = max(0, marks[0][0] - WIDTH // 4)
    piece: list[str] = []
    column = 0
    first = 0
    for character in shown:
        step = _columns(character)
        if column >= from_ and column + step <= from_ + WIDTH:
            if not piece:
                first = column
            piece.append(character)
        column += step
    cut_left, cut_right = first > 0, column > from_ + WIDTH
    text = ("…" if cut_left else "") + "".join(piece) + ("…" if cut_right else "")
    shift = first - (1 if cut_left else 0)
    edge = width(text) - (1 if cut_right else 0)
    moved = [
        (left - shift, max(left - shift + 1, min(right - shift, edge)), label, p) for left, right, label, p in marks
    ]
    return text, _rows(moved, severity, color)


def _rows(marks: list[_Mark], severity: str, color: bool) -> list[str]:
    """The row of marks with the last label's text behind it, then a row for each other text, right to left."""
    cells: dict[int, tuple[str, str]] = {}
    for left, right, _, primary in sorted(marks, key=lambda mark: mark[3]):
        for column in range(left, right):
            cells[column] = ("^", _COLOURS[severity]) if primary else ("~", _SECONDARY)
    row = ""
    for column in range(max(cells) + 1):
        sign, code = cells.get(column, (" ", ""))
        row += _paint(sign, code, color) if code else sign
    row = row.replace(_RESET + _COLOURS[severity], "").replace(_RESET + _SECONDARY, "")
    told = [mark for mark in marks if mark[2].text]
    told.sort(key=lambda mark: (mark[0], mark[1]))
    rest = told
    if told and told[-1][1] == max(mark[1] for mark in marks):
        row += " " + _said(told[-1], severity, color)
        rest = told[:-1]
    return [row, *(" " * mark[0] + _said(mark, severity, color) for mark in reversed(rest))]


def _said(mark: _Mark, severity: str, color: bool) -> str:
    return _paint(_printable(mark[2].text), _COLOURS[severity] if mark[3] else _SECONDARY, color)
