"""Where spaces go between the tokens of a statement."""

from __future__ import annotations

from dataclasses import dataclass

from lark import Token

from ebdsl.syntax.rewrite import Words
from ebdsl.syntax.spellings import ENGLISH, FRACTIONS
from ebdsl.syntax.tokens import CLOSERS, OPENERS, closing, kind_at, start

_ENDS = frozenset({"NAME", "NUMBER", "STRING", "BARR", "ORDER", "PRIME", "SUPER", "SUB", "FRACTION", "BY"}) | CLOSERS
_SPACED = frozenset({"OPERATOR", "MEMBER", "COMPARE", "TILDE", "ARROW", "THEN", "BY"})
_TIGHT = frozenset({"CARET", "PRIME", "SUPER", "ORDER", "SUB", "SUBBRACE", "DOTS", "SLASH", "COMMA", "NEXT"}) | CLOSERS
_KEYWORDS = frozenset({"MODEL", "DIM", "INDEX", "ROLE", "CONST", "MODULE", "INFER", "KEY"})


@dataclass(frozen=True)
class Piece:
    """A token's type, its text in the style, where it began, and whether a space stands before it."""

    kind: str
    text: str
    start: int
    gap: bool


def heads_of(tokens: list[Token]) -> dict[int, int]:
    """Where tokens of a big operator's head (``_k``, ``_{k=1}^K``, ``[β]``) stand -> where the operator does."""
    out: dict[int, int] = {}
    for at, token in enumerate(tokens):
        if token.type not in ("SUMOP", "MINOP", "ENCLOSING"):
            continue
        stop = at + 1
        if kind_at(tokens, stop) == "SUB":
            stop += 1
        elif kind_at(tokens, stop) == "SUBBRACE":
            stop = closing(tokens, stop) + 1
            if kind_at(tokens, stop) == "CARET":
                after = stop + 1 + (kind_at(tokens, stop + 1) == "MINUS")
                if kind_at(tokens, after) == "FNAME":
                    after += 1
                stop = (closing(tokens, after) if kind_at(tokens, after) in OPENERS else after) + 1
        if token.type == "MINOP" and kind_at(tokens, stop) == "LSQ":
            stop = closing(tokens, stop) + 1
        out.update(dict.fromkeys(range(at, stop), at))
    return out


def opened(tokens: list[Token], at: int) -> str:
    kind = tokens[at].type
    if kind == "SUBBRACE":
        return "binder"
    if kind == "LSQ":
        head = kind_at(tokens, at - 1) if at else ""
        if head in ("ENCLOSING", "MINOP"):
            return "group"
        if head in ("SUB", "RBRACE") and any(kind_at(tokens, i) == "ENCLOSING" for i in range(max(0, at - 2), at)):
            return "group"
        return "index"
    if kind == "LBRACE":
        return "set"
    return "call" if at and tokens[at - 1].type == "FNAME" else "group"


def gap_before(
    text: str, tokens: list[Token], at: int, shown: str, left: Piece, heads: dict[int, int], open_: list[str]
) -> bool:
    """Whether a space stands between the piece ``left`` and the token at ``at``."""
    token, before = tokens[at], tokens[at - 1]
    kind, previous = token.type, before.type
    inside = open_[-1] if open_ else ""
    if previous in _KEYWORDS:
        return True
    if at in heads and heads[at] == heads.get(at - 1):
        return kind == "MEMBER" or previous == "MEMBER"
    if at - 1 in heads:  # the body starts here
        return not (kind == "LSQ" and previous != "SUMOP") and kind not in CLOSERS
    if previous in OPENERS or kind in CLOSERS:
        return False
    if kind in ("BARL", "BARR") and previous == kind:
        return _bar_gap(text, before, token, left.text, shown)
    if kind == "BARR" or previous == "BARL":
        return False
    if previous in ("COMMA", "NEXT"):
        return inside not in ("binder", "set")
    if kind == "COLON" or previous in ("COLON", "CARET", "DOTS"):
        return False
    if previous == "SLASH":
        return False
    if kind in ("EQUAL", "MEMBER") or previous in ("EQUAL", "MEMBER"):
        return inside != "binder" or "MEMBER" in (kind, previous)
    if kind in _SPACED or previous in _SPACED:
        return True
    if kind in _TIGHT:
        return False
    if kind in ("PLUS", "MINUS"):
        if isinstance(before, Words):
            return False  # R+[N]
        binary = previous in _ENDS
        return inside not in ("index", "binder") if binary else previous not in ("PLUS", "MINUS")
    if previous in ("PLUS", "MINUS"):
        binary = at >= 2 and tokens[at - 2].type in _ENDS and at - 2 not in heads
        return binary and inside not in ("index", "binder") and kind != "LSQ"
    number = left.text in FRACTIONS or (previous == "NUMBER" and not _below_or_above(tokens, at - 1))
    if kind == "LPAR":
        return not (number or previous == "FNAME" or isinstance(before, Words))
    if kind == "LSQ":
        return False
    if kind == "BARL":
        if previous == "FUNC":
            return shown != "|"
        return not (number or (len(left.text) == 1 and left.text in ENGLISH))
    if previous == "FNAME":
        return not shown.startswith("(")
    if previous == "PARTIAL":
        return left.text != "∂"
    return left.text != "√"


def _below_or_above(tokens: list[Token], at: int) -> bool:
    """Whether the number at ``at`` is a denominator or an exponent."""
    sign = at - 1 if at and tokens[at - 1].type == "MINUS" else at
    return sign > 0 and tokens[sign - 1].type in ("SLASH", "CARET")


def _bar_gap(text: str, before: Token, token: Token, left: str, shown: str) -> bool:
    """Between two bars that face the same way: as typed, but for signs that run together when spelled anew."""
    if left[0] != "|" or shown[0] != "|":
        return False
    begin = before.end_pos or 0
    return (before, token) != (left, shown) or begin != start(token)
