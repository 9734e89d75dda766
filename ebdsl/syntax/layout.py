"""From tokens to statements: lines, continuations, brackets, indentation, comments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lark import Token

from ebdsl.diagnostics import Diagnostic, Fix, Label, Span
from ebdsl.syntax.tokens import CLOSERS, INFIX, OPENERS, SPELLED, end, span, start

DECLARATIONS = {
    "dim": "DIM",
    "index": "INDEX",
    "time": "INDEX",
    "observed": "ROLE",
    "latent": "ROLE",
    "param": "ROLE",
    "noise": "ROLE",
    "const": "CONST",
    "module": "MODULE",
}
KEYWORDS = {"model": "MODEL", **DECLARATIONS, "infer": "INFER", "plan": "INFER", "train": "TRAIN"}
"""Words that open a statement -> their terminal. Elsewhere each is a name like any other."""

_GOES_ON = INFIX | {"EQUAL", "COMMA", "ARROW", "THEN", "TILDE", "COMPARE", "ELEMENT"}
"""A line that ends with one of these is continued by the next."""

_CONTINUES = INFIX | {"EQUAL", "COMMA", "ARROW", "THEN", "COMPARE", "TILDE", "ELEMENT"}
"""A line that starts with one of these continues the one before."""

_NO_DECLARATION = frozenset({"EQUAL", "LPAR", "LSQ", "SUBBRACE", "PRIME", "SUPER"}) | (INFIX - {"MINUS"})


@dataclass
class Line:
    """One statement's tokens. ``joined``: it stands after a ``;`` on the line of the one before.

    ``broken``: something in it was reported already, so that it is not parsed again.
    """

    tokens: list[Token]
    indent: int
    joined: bool = False
    broken: bool = False

    @property
    def span(self) -> Span:
        return Span(start(self.tokens[0]), end(self.tokens[-1]))


@dataclass
class Layout:
    """All statements of a text and its comments, with what was wrong with characters and brackets."""

    lines: list[Line] = field(default_factory=list)
    comments: list[Token] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)


def opens_statement(tokens: Sequence[Token], at: int) -> str | None:
    """The terminal of the keyword at ``at``, if the word there opens a statement.

    ``time = 3`` and ``index(y)`` are no declarations.
    """
    token = tokens[at]
    kind = KEYWORDS.get(token) if token.type == "NAME" else None
    if kind is None:
        return None
    follower = tokens[at + 1].type if at + 1 < len(tokens) else "NEWLINE"
    if kind == "TRAIN":
        return kind if follower in ("NEWLINE", "SEMICOLON", "COMMENT", "NAME", "COLON") else None
    if follower == "MINUS" and at + 2 < len(tokens) and start(tokens[at + 1]) == end(token):
        return None
    return None if follower in _NO_DECLARATION else kind


MAX_SECOND_LOOKS = 10


def layout(text: str, tokens: list[Token]) -> Layout:
    """Cut the tokens of ``text`` into statements.

    A statement ends with its line, or at ``;``, unless a bracket is open, the line ends with an
    operator, or the next one starts with one. A line that plainly opens a new statement ends the one
    before in any case. Where a bracket turns out never to be closed, its line alone is the statement,
    and reading starts anew after it: one forgotten bracket is one error.
    """
    result = Layout()
    following = _following(tokens)
    at = looks = 0
    joined = False
    while at < len(tokens):
        found = _collect(tokens, at, len(tokens), following)
        if found.open and found.line_end is not None and looks < MAX_SECOND_LOOKS:
            looks += 1
            found = _collect(tokens, at, found.line_end, following)
        result.comments += found.comments
        result.diagnostics += found.problems
        if found.open:
            result.diagnostics.append(_unclosed(found.open[-1]))
        if found.tokens:
            indent = _indent(text, start(found.tokens[0]))
            broken = bool(found.problems or found.open) or any(t.type in ("JUNK", "COMMAND") for t in found.tokens)
            result.lines.append(Line(found.tokens, indent, joined, broken))
        at = found.after
        joined = tokens[at - 1].type == "SEMICOLON"
    return result


@dataclass
class _Found:
    """A statement's tokens, what was passed on the way, and the brackets still open at its end.

    ``after`` is the index behind it, ``line_end`` that of its first line end, if it has several lines.
    """

    tokens: list[Token] = field(default_factory=list)
    comments: list[Token] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)
    open: list[Token] = field(default_factory=list)
    after: int = 0
    line_end: int | None = None


def _collect(tokens: list[Token], at: int, stop: int, following: list[int]) -> _Found:
    """The statement that starts at ``at``, and ends before ``stop``."""
    found = _Found()
    for index in range(at, stop):
        token = tokens[index]
        found.after = index + 1
        if token.type == "COMMENT":
            found.comments.append(token)
        elif token.type == "NEWLINE":
            if not found.tokens:
                return found
            found.line_end = found.line_end if found.line_end is not None else index
            if not _continues(tokens, following[index], found.tokens[-1].type, bool(found.open)):
                return found
        elif token.type == "SEMICOLON" and not found.open:
            return found
        else:
            if token.type in OPENERS:
                found.open.append(token)
            elif token.type in CLOSERS:
                problem = _close(found.open, token)
                found.problems += [problem] if problem else []
            found.tokens.append(token)
    return found


def _following(tokens: list[Token]) -> list[int]:
    """For every index that of the next token behind it which is neither a line end nor a comment."""
    out = [len(tokens)] * len(tokens)
    for index in range(len(tokens) - 2, -1, -1):
        out[index] = out[index + 1] if tokens[index + 1].type in ("NEWLINE", "COMMENT") else index + 1
    return out


def _continues(tokens: list[Token], following: int, last: str, inside: bool) -> bool:
    """Whether a statement goes on after a line end, with the token at ``following``."""
    if following == len(tokens):
        return True
    if opens_statement(tokens, following) or _opens_definition(tokens, following):
        return False
    return inside or last in _GOES_ON or tokens[following].type in _CONTINUES


def _opens_definition(tokens: list[Token], at: int) -> bool:
    """``E(y, z) =`` at the start of a line."""
    if tokens[at].type != "NAME" or at + 1 >= len(tokens) or tokens[at + 1].type != "LPAR":
        return False
    for index in range(at + 2, min(at + 40, len(tokens) - 1)):
        kind = tokens[index].type
        if kind == "RPAR":
            return tokens[index + 1].type == "EQUAL"
        if kind not in ("NAME", "COMMA"):
            return False
    return False


def _close(brackets: list[Token], token: Token) -> Diagnostic | None:
    if not brackets:
        return Diagnostic(
            "EB0103",
            f"`{token}` closes nothing",
            (Label(span(token), "no bracket is open here"),),
            (f"remove it, or open it with `{_partner(token.type)}`",),
        )
    opener = brackets.pop()
    if OPENERS[opener.type] == token.type:
        return None
    wanted = SPELLED[OPENERS[opener.type]]
    return Diagnostic(
        "EB0103",
        f"`{opener}` is closed by `{token}`",
        (Label(span(token), f"`{wanted}` belongs here"), Label(span(opener), "opened here")),
        (f"write `{wanted}`",),
        Fix(span(token), wanted),
    )


def _unclosed(opener: Token) -> Diagnostic:
    wanted = SPELLED[OPENERS[opener.type]]
    return Diagnostic(
        "EB0103",
        f"`{opener}` is never closed",
        (Label(span(opener), "opened here"),),
        (f"add the missing `{wanted}`",),
    )


def _partner(closer: str) -> str:
    return next(SPELLED[opener] for opener, partner in OPENERS.items() if partner == closer)


def _indent(text: str, position: int) -> int:
    begin = max(text.rfind("\n", 0, position), text.rfind("\r", 0, position)) + 1
    lead = text[begin:position]
    return len(lead.expandtabs(8)) - len(lead.expandtabs(8).lstrip())
