"""The grammar, loaded once, and the tokens of a text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from lark import Lark, Token

from ebdsl.diagnostics import Span
from ebdsl.resources import folder
from ebdsl.syntax.spellings import canonical

OPENERS = {"LPAR": "RPAR", "LSQ": "RSQ", "LBRACE": "RBRACE", "SUBBRACE": "RBRACE"}
CLOSERS = frozenset(OPENERS.values())
SPELLED = {"LPAR": "(", "RPAR": ")", "LSQ": "[", "RSQ": "]", "LBRACE": "{", "RBRACE": "}", "SUBBRACE": "_{"}

INFIX = frozenset({"PLUS", "MINUS", "STAR", "ELEMENTWISE", "DOT", "SLASH", "CROSS", "CARET"})
"""Operators that stand between two operands."""


class _AsFound:
    """Lark's post-lexer: it keeps the terminals that no rule names, and passes everything on."""

    always_accept = (
        *("COMMENT", "NEWLINE", "COMMAND", "JUNK", "BAR", "DOUBLEBAR", "SEMICOLON", "ELEMENT", "FRACTION"),
        *("BIGSUM", "BIGPROD", "INTEGRAL", "ROOT", "INFINITY", "SUBPLUS", "STAR", "ELEMENTWISE", "DOT", "CROSS"),
    )

    def process(self, stream):  # type: ignore[no-untyped-def]
        return stream


@lru_cache(maxsize=1)
def grammar() -> Lark:
    """The parser of one statement, whose tree is built by :mod:`ebdsl.syntax.builder`."""
    from ebdsl.syntax.builder import Builder

    text = (folder("grammars") / "ebm.lark").read_text(encoding="utf-8")
    return Lark(
        text,
        parser="lalr",
        lexer="basic",
        postlex=_AsFound(),  # type: ignore[arg-type]
        transformer=Builder(),
        keep_all_tokens=True,
        maybe_placeholders=False,
    )


def lex(text: str) -> list[Token]:
    """Every token of the text in order, comments, line ends and characters of no use included."""
    from ebdsl.syntax.latex import plain

    machine = grammar().parse_interactive(text)
    tokens = list(machine.lexer_thread.lex(machine.parser_state))
    for token in tokens:
        if token.type == "NAME" and not token.isascii() and not canonical(token)[0].isalpha():
            token.type = "JUNK"  # ① counts as a letter for regular expressions, and is a number
    return plain(tokens)


def start(token: Token) -> int:
    assert token.start_pos is not None
    return token.start_pos


def end(token: Token) -> int:
    assert token.end_pos is not None
    return token.end_pos


def span(token: Token) -> Span:
    return Span(start(token), end(token))


def make(kind: str, text: str, begin: int, finish: int) -> Token:
    """A token that the text does not spell out on its own."""
    return Token(kind, text, start_pos=begin, end_pos=finish)


def kind_at(tokens: Sequence[Token], at: int) -> str:
    """The type of the token at ``at``, or nothing past the end."""
    return tokens[at].type if at < len(tokens) else ""


def closing(tokens: Sequence[Token], opener: int) -> int:
    """The index of the bracket that closes the one at ``opener``; the last index if none does."""
    depth = 0
    for at in range(opener, len(tokens)):
        if tokens[at].type in OPENERS:
            depth += 1
        elif tokens[at].type in CLOSERS:
            depth -= 1
            if depth <= 0:
                return at
    return len(tokens) - 1


def partners(tokens: Sequence[Token]) -> dict[int, int]:
    """For every opening bracket the index of the one that closes it; the last index where none does."""
    found: dict[int, int] = {}
    stack: list[int] = []
    for at, token in enumerate(tokens):
        if token.type in OPENERS:
            stack.append(at)
        elif token.type in CLOSERS and stack:
            found[stack.pop()] = at
    return {**dict.fromkeys(stack, len(tokens) - 1), **found}
