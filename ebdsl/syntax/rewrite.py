"""Equal spellings brought to one, token by token, before the grammar sees them."""

from __future__ import annotations

from collections.abc import Container

from lark import Token

from ebdsl.syntax.spellings import FRACTIONS, canonical
from ebdsl.syntax.tokens import CLOSERS, OPENERS, closing, end, kind_at, make, start

_OPERAND_ENDS = frozenset({"NAME", "NUMBER", "STRING", "PRIME", "SUPER", "SUB", "BAR", "DOUBLEBAR"}) | CLOSERS
_BINDS_LEFT = frozenset({"STAR", "ELEMENTWISE", "DOT", "SLASH", "CROSS", "CARET"})
_BINDS_RIGHT = frozenset({"PRIME", "CARET", "SUPER", "LSQ", "SUBBRACE"})


def fraction(token: Token, before: str, after: str) -> list[Token]:
    """``½`` is ``1/2`` where that means the same, else ``(1/2)``; types of the neighbours decide."""
    above, below = FRACTIONS[token]
    begin, finish = start(token), end(token)
    parts = [
        make("NUMBER", str(above), begin, finish),
        make("SLASH", "/", begin, finish),
        make("NUMBER", str(below), begin, finish),
    ]
    if fraction_is_bare(before, after):
        return parts
    return [make("LPAR", "", begin, finish), *parts, make("RPAR", "", begin, finish)]  # no text: never a call


def fraction_is_bare(before: str, after: str) -> bool:
    """Whether ``½`` between tokens of these types is ``1/2`` without parentheses."""
    return before not in _OPERAND_ENDS and before not in _BINDS_LEFT and after not in _BINDS_RIGHT


def without_list_dots(tokens: list[Token]) -> list[Token]:
    """``1, …, K`` is ``1 .. K``."""
    if all(token.type != "DOTS" for token in tokens):
        return tokens
    return [
        token
        for at, token in enumerate(tokens)
        if not (token.type == "COMMA" and "DOTS" in (kind_at(tokens, at - 1) if at else "", kind_at(tokens, at + 1)))
    ]


def index_tokens(tokens: list[Token]) -> list[Token]:
    """``k = 1..K`` and ``k ∈ {1, …, K}`` are ``k in 1..K``."""
    out: list[Token] = []
    seen = False
    for token in without_list_dots(tokens):
        if not seen and (token.type in ("COLON", "EQUAL", "ELEMENT") or token == "in"):
            token.type = "MEMBER"
            seen = True
            out.append(token)
        elif token.type not in ("LBRACE", "RBRACE"):
            out.append(token)
    return out


def declaration_tokens(tokens: list[Token]) -> list[Token]:
    """What follows the role: ``z ∈ ℝ^{M×N}`` is ``z : R[M, N]``, ``R₊`` is ``R+``, words of a domain are one.

    ``G ...`` at the end of modules leaves their layers open.
    """
    if tokens and tokens[-1].type == "DOTS":
        tokens = tokens[:-1]
    out: list[Token] = []
    inside = False
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if not inside and (token.type in ("COLON", "ELEMENT") or token == "in"):
            token.type = "MEMBER"
            inside = True
        elif token.type in ("EQUAL", "TILDE", "NEXT"):
            inside = False
        elif token.type in OPENERS:
            shut = closing(tokens, at)
            out.extend(tokens[at : shut + 1])
            at = shut + 1
            continue
        elif inside and token.type == "NAME":
            at = _domain_words(tokens, at, out)
            continue
        elif inside and token.type == "CARET" and out:
            at = _shape(tokens, at, out)
            continue
        out.append(token)
        at += 1
    return out


class Words(Token):
    """One or several words of a domain, which are never functions or operators."""


def _domain_words(tokens: list[Token], at: int, out: list[Token]) -> int:
    """``unit columns``, ``low-rank``: one token."""
    first = at
    text = str(tokens[at])
    at += 1
    while at < len(tokens):
        if tokens[at].type == "NAME":
            text += " " + tokens[at]
            at += 1
        elif tokens[at].type == "MINUS" and kind_at(tokens, at + 1) == "NAME":
            text += "-" + tokens[at + 1]
            at += 2
        else:
            break
    out.append(Words("NAME", text, start_pos=start(tokens[first]), end_pos=end(tokens[at - 1])))
    return at


def _shape(tokens: list[Token], at: int, out: list[Token]) -> int:
    """``^N`` and ``^{M×N}`` are ``[N]`` and ``[M, N]``."""
    caret = tokens[at]
    if kind_at(tokens, at + 1) not in ("LBRACE", "LPAR"):
        inside = tokens[at + 1 : at + 2]
        after = at + 2
    else:
        after = closing(tokens, at + 1) + 1
        inside = tokens[at + 2 : after - 1]
    for token in inside:
        if token.type == "CROSS" or (token.type == "NAME" and token == "x"):
            token.type = "COMMA"
    last = inside[-1] if inside else caret
    out.append(make("LSQ", "[", start(caret), end(caret)))
    out.extend(inside)
    out.append(make("RSQ", "]", end(last), end(last)))
    return after


# ------------------------------------------------------------------ integrals


def integrals(tokens: list[Token], names: Container[str]) -> list[Token]:
    """``∫ f dz`` is ``∫ [f]`` with a closing bracket that says ``dz``; innermost first."""
    signs = [at for at, token in enumerate(tokens) if token.type == "SUMOP" and token in ("∫", "int")]
    ahead = sum(_is_differential(token, names) for token in tokens) if signs else 0
    for at in reversed(signs):
        if not ahead:
            break
        body = at + 1
        if kind_at(tokens, body) == "SUB":
            body += 1
        elif kind_at(tokens, body) == "SUBBRACE":
            body = closing(tokens, body) + 1
        first = _differential(tokens, body, names)
        if first is None:
            continue
        last = first + 1
        nested = at > 0 and tokens[at - 1] in ("∫", "int")
        while not nested and last < len(tokens) and _is_differential(tokens[last], names):
            last += 1
        ahead -= last - first
        text = " ".join(tokens[first:last])
        tokens[at].type = "ENCLOSING"
        shut = make("RSQ", text, start(tokens[first]), end(tokens[last - 1]))
        opener = make("LSQ", "", start(tokens[body]), start(tokens[body]))
        tokens[body:last] = [opener, *tokens[body:first], shut]
    return tokens


def _is_differential(token: Token, names: Container[str]) -> bool:
    return token.type == "NAME" and len(token) > 1 and token[0] == "d" and canonical(token) not in names


def _differential(tokens: list[Token], at: int, names: Container[str]) -> int | None:
    """The ``dz`` that ends an integral whose body starts at ``at``: in the same brackets, best one whose z is known."""
    depth = 0
    best: int | None = None
    for index in range(at, len(tokens)):
        token = tokens[index]
        if token.type in OPENERS:
            depth += 1
        elif token.type in CLOSERS:
            depth -= 1
            if depth < 0:
                break
        elif depth == 0 and index > at and _is_differential(token, names):
            if canonical(token[1:]) in names:
                return index
            best = best if best is not None else index
    return best
