"""What a file declares: the names at the head of its statements, before any is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lark import Token

from ebdsl.syntax.layout import DECLARATIONS, Line, opens_statement
from ebdsl.syntax.spellings import canonical
from ebdsl.syntax.tokens import CLOSERS, OPENERS, closing, kind_at

AFTER_NAME = frozenset({"COLON", "EQUAL", "TILDE", "ELEMENT"})
"""What comes after the name of a declaration."""


@dataclass(frozen=True)
class Declared:
    """Names of a file, in canonical spelling: those of declarations, of ``f(x) = …`` and modules, of ``S = …``.

    ``own``: the function whose body is read, which is not called in it.
    """

    values: frozenset[str]
    functions: frozenset[str]
    definitions: frozenset[str]
    own: str = ""

    def __contains__(self, name: object) -> bool:
        return name in self.values or name in self.functions or name in self.definitions


def declared(lines: Iterable[Line]) -> Declared:
    """What the heads of all statements declare."""
    values: set[str] = set()
    functions: set[str] = set()
    definitions: set[str] = set()
    for line in lines:
        tokens = line.tokens
        kind = opens_statement(tokens, 0)
        if kind is None:
            if tokens[0].type == "NAME":
                if kind_at(tokens, 1) == "EQUAL":
                    definitions.add(canonical(tokens[0]))
                elif is_head(tokens):
                    functions.add(canonical(tokens[0]))
        elif tokens[0] in DECLARATIONS:
            into = functions if kind == "MODULE" else values
            into.update(canonical(tokens[at]) for at in heads(tokens))
    return Declared(frozenset(values), frozenset(functions), frozenset(definitions))


def is_head(tokens: list[Token]) -> bool:
    """``E(y, z) =``"""
    if kind_at(tokens, 1) != "LPAR":
        return False
    for at in range(2, len(tokens) - 1):
        if tokens[at].type == "RPAR":
            return tokens[at + 1].type == "EQUAL"
        if tokens[at].type not in ("NAME", "COMMA"):
            return False
    return False


def heads(tokens: list[Token]) -> list[int]:
    """Where the names stand that a declaration's line declares."""
    found: list[int] = []
    depth = 0
    typed = False
    for at in range(1, len(tokens)):
        token = tokens[at]
        if token.type in OPENERS:
            depth += 1
        elif token.type in CLOSERS:
            depth -= 1
        elif depth:
            continue
        elif token.type == "NAME" and token != "in" and (at == 1 or tokens[at - 1].type == "COMMA"):
            after = at + 1
            if kind_at(tokens, after) in OPENERS:
                after = closing(tokens, after) + 1
            follower = kind_at(tokens, after)
            if (
                not typed
                or tokens[0] == "dim"
                or follower in ("COLON", "ELEMENT", "EQUAL")
                or (follower == "NAME" and tokens[after] == "in")
            ):
                found.append(at)
                typed = False
        elif token.type in AFTER_NAME or token == "in":
            typed = True
    return found
