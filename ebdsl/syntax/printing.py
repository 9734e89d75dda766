"""One statement's tokens as text: how each is spelled in a style, and where spaces go."""

from __future__ import annotations

from typing import Literal

from lark import Token

from ebdsl.syntax.rewrite import Words, fraction_is_bare
from ebdsl.syntax.spaces import Piece, gap_before, heads_of, opened
from ebdsl.syntax.spellings import (
    BIG,
    COMPARE,
    FRACTIONS,
    SUBSCRIPTS,
    SUPERSCRIPTS,
    ascii_name,
    canonical,
)
from ebdsl.syntax.tokens import CLOSERS, OPENERS, kind_at, start

Style = Literal["unicode", "ascii"] | None
"""None keeps every spelling as it was typed."""

_RAISED = {digit: sign for sign, digit in SUPERSCRIPTS.items()}
_LOWERED = {letter: sign for sign, letter in SUBSCRIPTS.items()}
_OF_PARTS = {parts: sign for sign, parts in FRACTIONS.items()}
_BIG_NAMES = {"∑": "sum", "Σ": "sum", "Π": "prod", "∏": "prod", "∫": "int"}
_OPERATOR_NAMES = {"⊙": ".*", "∘": ".*", "·": ".", "⋅": ".", "•": ".", "∗": "*", "⋆": "*", "⊛": "*", "×": "*"}


def pieces(text: str, tokens: list[Token], style: Style) -> list[Piece]:
    """The statement in order; a gap before a piece is one space. ``text`` is the source."""
    tokens = _integrals(_fractions(text, tokens, style))
    heads = heads_of(tokens)
    tokens = _powers(tokens, heads, style)
    heads = heads_of(tokens)
    out: list[Piece] = []
    open_: list[str] = []  # what is open: "index", "binder", "set", "call" or "group"
    for at, token in enumerate(tokens):
        shown = _spell(tokens, at, style, open_)
        if token.type in CLOSERS and open_:
            open_.pop()
        gap = bool(out) and gap_before(text, tokens, at, shown, out[-1], heads, open_)
        out.append(Piece(token.type, shown, start(token), gap))
        if token.type in OPENERS:
            open_.append(opened(tokens, at))
    return out


def joined(found: list[Piece]) -> str:
    return "".join((" " if piece.gap else "") + piece.text for piece in found)


# ------------------------------------------------------------------ what changes its number of tokens


def _fractions(text: str, tokens: list[Token], style: Style) -> list[Token]:
    """``½`` as one token again where it was typed, and ``1/2`` as ``½`` in Unicode where that means the same."""
    out: list[Token] = []
    at = 0
    while at < len(tokens):
        size = _typed_fraction(text, tokens, at)
        if not size and style == "unicode":
            size = _spelled_fraction(tokens, at)
        if not size:
            out.append(tokens[at])
            at += 1
            continue
        parts = tokens[at : at + size]
        numbers = [int(part) for part in parts if part.type == "NUMBER"]
        spelled = "{}/{}" if size == 3 else "({}/{})"
        shown = spelled.format(*numbers) if style == "ascii" else _OF_PARTS[numbers[0], numbers[1]]
        out.append(Token("FRACTION", shown, start_pos=start(tokens[at]), end_pos=parts[-1].end_pos))
        at += size
    return out


def _typed_fraction(text: str, tokens: list[Token], at: int) -> int:
    """How many tokens the ``½`` typed here was made into, or 0."""
    begin = start(tokens[at])
    if begin >= len(text) or text[begin] not in FRACTIONS:
        return 0
    size = 1
    while at + size < len(tokens) and start(tokens[at + size]) == begin:
        size += 1
    return size if size in (3, 5) else 0


def _spelled_fraction(tokens: list[Token], at: int) -> int:
    """How many tokens spell a fraction that has a sign and reads the same with it, or 0."""
    wrapped = tokens[at].type == "LPAR"
    first = at + wrapped
    if [kind_at(tokens, first + i) for i in range(3)] != ["NUMBER", "SLASH", "NUMBER"]:
        return 0
    above, below = tokens[first], tokens[first + 2]
    if not (above.isdecimal() and below.isdecimal() and (int(above), int(below)) in _OF_PARTS):
        return 0
    if wrapped and kind_at(tokens, first + 3) != "RPAR":
        return 0
    after = first + 3 + wrapped
    bare = fraction_is_bare(_raw(kind_at(tokens, at - 1) if at else ""), _raw(kind_at(tokens, after)))
    if bare == wrapped or (wrapped and at and tokens[at - 1].type == "FNAME"):
        return 0
    return after - at


def _raw(kind: str) -> str:
    """The type that the rewriting of ``½`` sees, which comes before operators and bars are told apart."""
    return {"OPERATOR": "STAR", "BARL": "BAR", "BARR": "BAR", "FUNC": "NAME", "MEMBER": "NAME", "ORDER": "SUB"}.get(
        kind, kind
    )


def _integrals(tokens: list[Token]) -> list[Token]:
    """``∫ [f]`` with a bracket that says ``dz`` is ``∫ f dz`` again."""
    out: list[Token] = []
    for token in tokens:
        if token.type == "LSQ" and token == "":
            continue
        if token.type == "RSQ" and token != "]" and token[:1] == "d":
            out.append(Token("NAME", token, start_pos=token.start_pos, end_pos=token.end_pos))
        else:
            out.append(token)
    return out


def _powers(tokens: list[Token], heads: dict[int, int], style: Style) -> list[Token]:
    """``^2`` as ``²`` in Unicode, ``²`` as ``^2`` in ASCII."""
    out: list[Token] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        size = 0
        if style == "unicode" and token.type == "CARET" and at not in heads:
            size = 2 + (kind_at(tokens, at + 1) == "MINUS")
            number = tokens[at + size - 1] if at + size <= len(tokens) else None
            simple = number is not None and number.type == "NUMBER" and number.isdecimal()
            if not simple or kind_at(tokens, at + size) in ("CARET", "SUPER"):
                size = 0
        if size:
            digits = "".join(tokens[at + 1 : at + size]).replace("−", "-").replace("–", "-")
            shown = "".join(_RAISED[digit] for digit in digits)
            out.append(Token("SUPER", shown, start_pos=token.start_pos, end_pos=tokens[at + size - 1].end_pos))
            at += size
        else:
            out.append(token)
            at += 1
    return out


# ------------------------------------------------------------------ spelling


def _spell(tokens: list[Token], at: int, style: Style, open_: list[str]) -> str:
    token = tokens[at]
    kind, typed = token.type, str(token)
    if typed == "ℯ":
        return "e"
    if kind in ("COMMA", "NEXT"):
        return ","
    if style is None or kind in ("STRING", "NUMBER", "FRACTION"):
        return typed
    ascii_ = style == "ascii"
    if kind in ("NAME", "FNAME", "FUNC"):
        return _word(tokens, at, style, open_)
    if kind in ("KEY", "MODEL"):
        return ascii_name(typed)
    if kind == "SUB":
        return "_" + _name("".join(SUBSCRIPTS.get(c, c) for c in typed.lstrip("_")), style)
    if kind == "ORDER":
        return _order(typed, style)
    if kind == "SUPER":
        return "^" + "".join(SUPERSCRIPTS[c] for c in typed).replace("+", "") if ascii_ else typed
    if kind == "PRIME":
        return "'" if ascii_ else "ᵀ"
    if kind in ("BARL", "BARR"):
        return "|" if typed in ("|", "∣") else "||" if ascii_ else "‖"
    if kind == "SUMOP" or (kind == "ENCLOSING" and typed in ("∫", "int")):
        word = _BIG_NAMES.get(typed, typed)
        if ascii_ and word in ("sum", "prod") and kind_at(tokens, at + 1) == "LPAR":
            return typed  # `sum (z)` is the function
        return word if ascii_ else BIG.get(word, word)
    if kind == "ENCLOSING":
        return "E"
    if kind == "OPERATOR":
        word = _OPERATOR_NAMES.get(typed, typed)
        return word if ascii_ else {".*": "⊙", ".": "·"}.get(word, word)
    if kind == "MEMBER" and typed in ("in", "∈"):
        return "in" if ascii_ else "∈"
    if kind == "COMPARE":
        word = COMPARE.get(typed, typed)
        return word if ascii_ else {"<=": "≤", ">=": "≥"}.get(word, word)
    if kind == "PARTIAL":
        return "partial" if ascii_ else "∂"
    return {"MINUS": "-", "DOTS": "..", "ARROW": "->", "TILDE": "~", "PLUS": "+"}.get(kind, typed)


def _word(tokens: list[Token], at: int, style: Style, open_: list[str]) -> str:
    token = tokens[at]
    if isinstance(token, Words):
        return " ".join(ascii_name(word) for word in token.split(" "))
    if token == "√" or (token == "sqrt" and token.type != "NAME"):
        return "sqrt" if style == "ascii" else "√"
    if token in ("∞", "inf"):
        return "inf" if style == "ascii" else "∞"
    keyword = kind_at(tokens, at + 1) == "EQUAL" and open_ and open_[-1] == "call"
    return _name(str(token), "ascii" if keyword else style)


def _name(name: str, style: Style) -> str:
    return ascii_name(name) if style == "ascii" else canonical(name)


def _order(typed: str, style: Style) -> str:
    inside = "".join(SUBSCRIPTS.get(c, c) for c in typed.lstrip("_").strip("{}"))
    if style == "ascii":
        inside = inside.replace("∞", "inf")
    elif inside == "inf":
        inside = "∞"
    elif inside.isdecimal():
        return "".join(_LOWERED[digit] for digit in inside)
    return f"_{inside}" if inside.isalnum() or inside in ("∞", "*") else f"_{{{inside}}}"
