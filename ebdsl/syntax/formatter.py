"""``format``: a spec in its one layout, and in Unicode or ASCII on request."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from lark import Token

from ebdsl.diagnostics import Checked, Source
from ebdsl.diagnostics.render import width
from ebdsl.syntax import ast, bars, words
from ebdsl.syntax.declared import declared
from ebdsl.syntax.layout import Layout, Line, layout
from ebdsl.syntax.parser import blocks, parse
from ebdsl.syntax.printing import Piece, Style, joined, pieces
from ebdsl.syntax.tokens import end, lex, start

INDENT = 4
COMMENT_COLUMN = 40
_ROLES = frozenset({"ROLE", "CONST", "MODULE"})


def format(spec_text: str | Source, style: Style = None) -> Checked[str]:
    """The text laid out anew, with the same tree and the same comments; formatting again changes nothing.

    ``style`` spells everything in ``"unicode"`` (``λ``, ``Σ_k``, ``Wᵀ``, ``‖x‖²``) or ``"ascii"``
    (``lambda``, ``sum_k``, ``W'``, ``||x||^2``); None leaves spellings alone. A text that does not
    parse comes back as its errors.
    """
    source = spec_text if isinstance(spec_text, Source) else Source("text", spec_text)
    before = parse(source)
    if before.value is None or before.errors:
        return Checked(None, before.diagnostics)
    text = lay_out(source.text, style)
    after = parse(Source(source.name, text)).value
    if after is None or ast.bare(after) != ast.bare(before.value) or _said(after) != _said(before.value):
        return Checked(source.text, before.diagnostics)  # never at the price of another meaning
    return Checked(text, before.diagnostics)


def _said(spec: ast.Spec) -> list[str]:
    return [text.rstrip() for _, text in spec.comments]


def lay_out(text: str, style: Style) -> str:
    """The formatted text of a spec that parses."""
    found = layout(text, lex(text))
    lines = _Lines(text)
    names = declared(found.lines)
    rows: list[Row] = []
    for line, depth, setting in _statements(found):
        tokens = words.retype(line, names, setting=setting)
        tokens, _ = bars.resolve(text, tokens)
        rows += _statement(pieces(text, tokens, style), line, depth, lines)
    rows = _with_comments(rows, found, lines)
    return "".join(line + "\n" for line in _aligned(rows))


@dataclass(frozen=True)
class Row:
    """One line to be: ``lead`` is padded to line up with its ``group``, ``rest`` follows it.

    ``first`` and ``last`` are the lines of the source that it stands for; ``blank``: after an empty one.
    """

    depth: int
    lead: str
    rest: str
    first: int
    last: int
    group: str = ""
    comment: str = ""
    blank: bool = False


class _Lines:
    """Line numbers of offsets, and columns."""

    def __init__(self, text: str) -> None:
        self.text = text
        ends = (at + 1 for at, c in enumerate(text) if c == "\n" or (c == "\r" and text[at + 1 : at + 2] != "\n"))
        self.starts = [0, *ends]

    def of(self, offset: int) -> int:
        return bisect_right(self.starts, offset) - 1

    def column(self, offset: int) -> int:
        return width(self.text[self.starts[self.of(offset)] : offset].expandtabs(8))


# ------------------------------------------------------------------ rows


def _statements(found: Layout) -> Iterator[tuple[Line, int, bool]]:
    """Each statement with its depth, and whether it is a setting."""
    for line, settings in blocks(found.lines):
        if settings is None:
            yield line, 0, False
            continue
        yield replace(line, tokens=line.tokens[:1]), 0, False
        indents: list[int] = []
        for setting in settings:
            while indents and indents[-1] >= setting.indent:
                indents.pop()
            indents.append(setting.indent)
            yield setting, len(indents), True


def _statement(found: list[Piece], line: Line, depth: int, lines: _Lines) -> list[Row]:
    """A row for each line that the statement was written on."""
    parts: list[list[Piece]] = []
    for piece in found:
        same = parts and (
            lines.of(piece.start) <= lines.of(parts[-1][-1].start) or (len(parts) == 1 and parts[0][-1].kind == "KEY")
        )
        if same:
            parts[-1].append(piece)
        else:
            parts.append([piece])
    rows = []
    for at, part in enumerate(parts):
        first, last = lines.of(part[0].start), lines.of(part[-1].start)
        rows.append(Row(depth + min(at, 1), joined(part).lstrip(), "", first, last))
    rows[0] = _led(rows[0], parts[0])
    rows[-1] = replace(rows[-1], last=lines.of(end(line.tokens[-1]) - 1))
    return rows


def _led(row: Row, part: list[Piece]) -> Row:
    """The first row of a statement, parted where it lines up with its neighbours."""
    kind = part[0].kind
    if kind in _ROLES or kind == "KEY":
        group = "role" if kind in _ROLES else "key"
        return replace(row, lead=part[0].text, rest=joined(part[1:]).lstrip(), group=group)
    equal = next((at for at, piece in enumerate(part) if piece.kind == "EQUAL"), 0)
    if (kind == "NAME" and equal == 1) or (kind == "FNAME" and equal):
        return replace(row, lead=joined(part[:equal]), rest=joined(part[equal:]).lstrip(), group="define")
    return row


def _with_comments(rows: list[Row], found: Layout, lines: _Lines) -> list[Row]:
    """Comments beside the statements they stood beside, others on rows of their own; and empty lines."""
    written = {number for row in rows for number in (row.first, row.last)}
    beside: dict[int, str] = {}
    own: list[Token] = []
    for token in found.comments:
        number = lines.of(start(token))
        if number in written:
            beside[number] = token.rstrip()
        else:
            own.append(token)
    out: list[Row] = []
    at = 0
    for index, row in enumerate(rows):
        while at < len(own) and lines.of(start(own[at])) < row.first:
            out.append(_comment(own[at], out[-1].depth if out else 0, row.depth, lines))
            at += 1
        last_there = index + 1 == len(rows) or rows[index + 1].first != row.last
        said = [beside.pop(number, "") for number in range(row.first, row.last + 1)] if last_there else []
        out.append(replace(row, comment="  ".join(filter(None, said))))
    for token in own[at:]:
        out.append(_comment(token, out[-1].depth if out else 0, 0, lines))
    gaps = [False, *(below.first > above.last + 1 for above, below in pairwise(out))]
    return [replace(row, blank=gap) for row, gap in zip(out, gaps, strict=True)]


def _comment(token: Token, before: int, after: int, lines: _Lines) -> Row:
    """A comment on its own line goes with what follows, or where it is indented with what it follows."""
    number = lines.of(start(token))
    inner = before > after and lines.column(start(token)) >= INDENT * before
    return Row(before if inner else after, "", "", number, number, "comment", token.rstrip())


# ------------------------------------------------------------------ alignment


def _aligned(rows: list[Row]) -> Iterator[str]:
    """Roles line up over a paragraph; definitions, settings and comments over lines that follow each other."""
    wide = _widths(rows)
    texts = []
    for row, lead in zip(rows, wide, strict=True):
        padded = row.lead + " " * (lead - width(row.lead)) if row.rest else row.lead
        texts.append(" " * INDENT * row.depth + (f"{padded} {row.rest}" if row.rest else padded))
    at = 0
    for beside, run in groupby(range(len(rows)), key=lambda i: bool(rows[i].comment and rows[i].lead)):
        members = list(run)
        column = max(COMMENT_COLUMN, max(width(texts[i]) for i in members) + 2) if beside else 0
        for at in members:
            if rows[at].blank:
                yield ""
            room = " " * max(0, column - width(texts[at]))
            yield (texts[at] + room + rows[at].comment).rstrip()


def _widths(rows: list[Row]) -> list[int]:
    """How wide each row's lead is set."""
    out = [0] * len(rows)

    def together(members: Iterable[int]) -> None:
        chosen = list(members)
        for at in chosen:
            out[at] = max(width(rows[i].lead) for i in chosen)

    paragraph: list[int] = []
    for at, row in enumerate([*rows, None]):
        if row is None or row.blank:
            together(i for i in paragraph if rows[i].group == "role")
            for key, run in groupby(paragraph, key=lambda i: (rows[i].group, rows[i].depth)):
                if key[0] in ("define", "key"):
                    together(i for i in run if rows[i].rest)
            paragraph = []
        paragraph.append(at)
    return out
