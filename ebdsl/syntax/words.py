"""What a word is by its position: keyword, name, function, big operator, Greek letter times name.

Nothing is looked up but whether a name is declared in this file, since ``λz`` is one name where a
line declares it and a product where none does, and ``W (y - z)`` is a product where W is a matrix.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lark import Token

from ebdsl.syntax.layout import DECLARATIONS, Line, opens_statement
from ebdsl.syntax.spellings import FRACTIONS, canonical
from ebdsl.syntax.tokens import CLOSERS, OPENERS, end, make, start

BIG_WORDS = {
    "sum": "SUMOP",
    "prod": "SUMOP",
    "mean": "SUMOP",
    "min": "MINOP",
    "max": "MINOP",
    "argmin": "MINOP",
    "argmax": "MINOP",
    "softmin": "SOFTOP",
    "int": "INT",
}
"""Words that are big operators when a subscript follows, and the terminal of each."""

BIG_SIGNS = {"BIGSUM": ("sum", "SUMOP"), "BIGPROD": ("prod", "SUMOP"), "INTEGRAL": ("int", "INT")}

PREFIX_FUNCTIONS = frozenset(
    "log ln exp det logdet tr trace sqrt sin cos tan sinh cosh tanh sign sgn abs norm rank diag".split()
)
"""Functions that mathematicians write without parentheses: ``log det W``, ``log|x|``, ``√x``."""

_OPERAND_STARTS = frozenset(
    {"NAME", "NUMBER", "FRACTION", "STRING", "LPAR", "BAR", "DOUBLEBAR", "ROOT", "PARTIAL", "FUNC", "FNAME"}
    | {"SUMOP", "MINOP", "SOFTOP", "INT", "INTD", "EXPECT"}
    | set(BIG_SIGNS)
)
_OPERAND_ENDS = frozenset({"NAME", "NUMBER", "STRING", "PRIME", "SUPER", "SUB", "DIFF", "BAR", "DOUBLEBAR"}) | CLOSERS
_BINDS_LEFT = frozenset({"STAR", "ELEMENTWISE", "DOT", "SLASH", "CROSS", "CARET"})
_BINDS_RIGHT = frozenset({"PRIME", "CARET", "SUPER", "LSQ", "SUBBRACE"})


@dataclass(frozen=True)
class Declared:
    """Names of a file, in canonical spelling: ``values`` of declarations, ``functions`` and modules."""

    values: frozenset[str]
    functions: frozenset[str]

    def __contains__(self, name: str) -> bool:
        return name in self.values or name in self.functions


def declared(lines: Iterable[Line]) -> Declared:
    """What the heads of all statements declare."""
    values: set[str] = set()
    functions: set[str] = set()
    for line in lines:
        tokens = line.tokens
        kind = opens_statement(tokens, 0)
        if kind is None:
            if tokens[0].type == "NAME" and len(tokens) > 1:
                if tokens[1].type == "EQUAL":
                    values.add(canonical(tokens[0]))
                elif tokens[1].type == "LPAR" and _is_head(tokens):
                    functions.add(canonical(tokens[0]))
        elif tokens[0] in DECLARATIONS:
            into = functions if kind == "MODULE" else values
            into.update(canonical(tokens[at]) for at in _heads(tokens))
    return Declared(frozenset(values), frozenset(functions))


def _is_head(tokens: list[Token]) -> bool:
    """``E(y, z) =``"""
    for at in range(2, len(tokens) - 1):
        if tokens[at].type == "RPAR":
            return tokens[at + 1].type == "EQUAL"
        if tokens[at].type not in ("NAME", "COMMA"):
            return False
    return False


def _heads(tokens: list[Token]) -> list[int]:
    """Where the names stand that a declaration's line declares; commas between declarations become NEXT."""
    found: list[int] = []
    depth = 0
    typed = False
    for at in range(1, len(tokens)):
        token, before = tokens[at], tokens[at - 1]
        if token.type in OPENERS:
            depth += 1
        elif token.type in CLOSERS:
            depth -= 1
        elif depth:
            continue
        elif token.type == "NAME" and token not in ("in",) and (at == 1 or before.type in ("COMMA", "NEXT")):
            after = _past_brackets(tokens, at + 1)
            follower = tokens[after].type if after < len(tokens) else ""
            member = follower in ("COLON", "ELEMENT") or (follower == "NAME" and tokens[after] == "in")
            if not typed or member or follower == "EQUAL":
                if typed:
                    before.type = "NEXT"
                found.append(at)
                typed = False
        elif token.type in ("COLON", "EQUAL", "TILDE", "ELEMENT") or token == "in":
            typed = True
    return found


def _past_brackets(tokens: list[Token], at: int) -> int:
    """The index after the bracket group that opens at ``at``, or ``at``."""
    if at >= len(tokens) or tokens[at].type not in OPENERS:
        return at
    return closing(tokens, at) + 1


def closing(tokens: list[Token], at: int) -> int:
    """The index of the bracket that closes the one at ``at``; the last index if none does."""
    depth = 0
    for index in range(at, len(tokens)):
        if tokens[index].type in OPENERS:
            depth += 1
        elif tokens[index].type in CLOSERS:
            depth -= 1
            if depth == 0:
                return index
    return len(tokens) - 1


def retype(line: Line, names: Declared, setting: bool) -> list[Token]:
    """The line's tokens with the terminals that the grammar declares. Bars are left as they are."""
    tokens = list(line.tokens)
    kind = "KEY" if setting else opens_statement(tokens, 0)
    first = 0
    if kind and (setting is False or tokens[0].type == "NAME"):
        tokens[0].type = kind
        first = 1
    if kind == "INFER":
        for token in tokens[1:]:
            if token.type == "NAME" and token == "by":
                token.type = "BY"
                break
    local = names
    if kind is None and tokens[0].type == "NAME" and len(tokens) > 1 and tokens[1].type == "LPAR" and _is_head(tokens):
        params = frozenset(canonical(t) for t in tokens[2 : closing(tokens, 1)] if t.type == "NAME")
        local = Declared(names.values | params, names.functions)
        tokens[0].type = "FNAME"
        first = 1
    tokens = tokens[:first] + _split(tokens[first:], local, layers=kind == "MODULE", setting=setting)
    return _place(tokens, first, local, domains=kind in DECLARATIONS.values() and kind != "DIM")


# ------------------------------------------------------------------ one token into several


def _split(tokens: list[Token], names: Declared, *, layers: bool, setting: bool) -> list[Token]:
    out: list[Token] = []
    for at, token in enumerate(tokens):
        if token.type == "FRACTION":
            out.extend(_fraction(token, out[-1] if out else None, tokens[at + 1] if at + 1 < len(tokens) else None))
        elif token.type == "NAME" and canonical(token) not in names:
            after = tokens[at + 1] if at + 1 < len(tokens) else None
            out.extend(_split_name(token, after, layers=layers, setting=setting))
        else:
            out.append(token)
    return out


def _split_name(token: Token, after: Token | None, *, layers: bool, setting: bool) -> list[Token]:
    word, _, rest = token.partition("_")
    if word in BIG_WORDS and rest and not layers:
        operand = after is not None and (after.type in _OPERAND_STARTS or after.type in ("MINUS", "LSQ", "LBRACE"))
        if operand and not (setting and after is not None and after.type == "LPAR"):
            cut = start(token) + len(word)
            return [
                make(BIG_WORDS[word], word, start(token), cut),
                make("SUB", "_" + rest, cut, end(token)),
            ]
    if word == "E" and rest and after is not None and after.type == "LSQ":
        cut = start(token) + 1
        return [make("EXPECT", "E", start(token), cut), make("SUB", "_" + rest, cut, end(token))]
    if len(token) > 1 and "α" <= token[0] <= "ω" and token[1].isascii() and token[1].isalpha():
        cut = start(token) + 1
        tail = make("NAME", token[1:], cut, end(token))
        return [make("NAME", token[0], start(token), cut), *_split_name(tail, after, layers=layers, setting=setting)]
    return [token]


def _fraction(token: Token, before: Token | None, after: Token | None) -> list[Token]:
    """``½`` is ``1/2`` where that means the same, else ``(1/2)``."""
    above, below = FRACTIONS[token]
    begin, finish = start(token), end(token)
    parts = [
        make("NUMBER", str(above), begin, finish),
        make("SLASH", "/", begin, finish),
        make("NUMBER", str(below), begin, finish),
    ]
    if fraction_is_bare(before.type if before else "", after.type if after else ""):
        return parts
    return [make("LPAR", "(", begin, finish), *parts, make("RPAR", ")", begin, finish)]


def fraction_is_bare(before: str, after: str) -> bool:
    """Whether ``½`` between tokens of these types is ``1/2`` without parentheses."""
    return before not in _OPERAND_ENDS and before not in _BINDS_LEFT and after not in _BINDS_RIGHT


# ------------------------------------------------------------------ types by neighbours


def _place(tokens: list[Token], first: int, names: Declared, *, domains: bool) -> list[Token]:
    integrals: list[int] = []
    out: list[Token] = []
    at = first
    while at < len(tokens):
        token = tokens[at]
        after = tokens[at + 1] if at + 1 < len(tokens) else None
        follower = after.type if after else ""
        kind = token.type
        if kind in BIG_SIGNS:
            token.type = BIG_SIGNS[kind][1]
        elif kind == "ELEMENT":
            token.type = "MEMBER"
        elif kind == "ROOT":
            token.type = "FUNC"
        elif kind == "INFINITY":
            token.type = "NAME"
        elif kind == "NAME":
            name = canonical(token)
            if token == "in":
                token.type = "MEMBER"
            elif name in names.functions:
                if follower == "LPAR":
                    token.type = "FNAME"
            elif name in names.values:
                if follower == "LPAR" and not domains and _looks_called(tokens, at + 1):
                    token.type = "FNAME"
            else:
                _undeclared(tokens, at, name, follower)
        if token.type == "INT":
            integrals.append(at)
        if kind == "CARET" and after is not None and follower in ("NAME", "FNAME") and after in ("T", "⊤"):
            out_token = make("PRIME", "^T", start(token), end(after))
            tokens[at : at + 2] = [out_token]
        at += 1
    for index in integrals:
        _differential(tokens, index, names)
    return tokens if not out else out


def _undeclared(tokens: list[Token], at: int, name: str, follower: str) -> None:
    """Give the right type to a name that no line of the file declares."""
    token = tokens[at]
    if token in BIG_WORDS and follower == "SUBBRACE":
        token.type = BIG_WORDS[token]
    elif token == "int" and follower in _OPERAND_STARTS:
        token.type = "INT"
    elif name == "E" and (follower == "LSQ" or (follower == "SUBBRACE" and _then(tokens, at + 1) == "LSQ")):
        token.type = "EXPECT"
    elif token == "partial" and follower in ("NAME", "FNAME", "LPAR"):
        token.type = "PARTIAL"
    elif token == "e" and follower == "CARET":
        token.type = "EULER"
    elif name in PREFIX_FUNCTIONS and follower == "LSQ":
        shut = closing(tokens, at + 1)
        token.type, tokens[at + 1].type, tokens[shut].type = "FNAME", "LPAR", "RPAR"
    elif follower == "LPAR":
        token.type = "FNAME"
    elif name in PREFIX_FUNCTIONS and follower in _OPERAND_STARTS:
        token.type = "FUNC"


def _then(tokens: list[Token], opener: int) -> str:
    after = closing(tokens, opener) + 1
    return tokens[after].type if after < len(tokens) else ""


def _looks_called(tokens: list[Token], opener: int) -> bool:
    """``W()`` and ``W(a, b)``, which no product looks like: let the checker say that W is no function."""
    depth = 0
    for index in range(opener, closing(tokens, opener) + 1):
        if tokens[index].type in OPENERS:
            depth += 1
        elif tokens[index].type in CLOSERS:
            depth -= 1
        elif depth == 1 and tokens[index].type in ("COMMA", "EQUAL"):
            return True
    return closing(tokens, opener) == opener + 1


def _differential(tokens: list[Token], at: int, names: Declared) -> None:
    """Find the ``dz`` of the integral sign at ``at``, in the same brackets."""
    depth = 0
    best: int | None = None
    for index in range(at + 1, len(tokens)):
        token = tokens[index]
        if token.type in OPENERS:
            depth += 1
        elif token.type in CLOSERS:
            depth -= 1
            if depth < 0:
                break
        elif depth == 0 and token.type == "NAME" and len(token) > 1 and token[0] == "d" and canonical(token) not in names:
            best = index
            if canonical(token[1:]) in names:
                break
    if best is None:
        return
    tokens[at].type = "INTD"
    while best < len(tokens) and tokens[best].type == "NAME" and tokens[best][0] == "d" and len(tokens[best]) > 1:
        tokens[best].type = "DIFF"
        best += 1
