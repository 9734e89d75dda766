"""What the grammar would let pass, and was hardly meant."""

from __future__ import annotations

from collections.abc import Sequence

from lark import Token

from ebdsl.diagnostics import Diagnostic, Label
from ebdsl.syntax.tokens import end, span, start

_OVER = frozenset({"min", "max", "argmin", "argmax", "softmin"})


def slips(tokens: Sequence[Token]) -> Diagnostic | None:
    """What reads as something, and was hardly meant: numbers side by side, a ``min`` that does not say of what."""
    for at in range(1, len(tokens)):
        left, right = tokens[at - 1], tokens[at]
        if left.type == right.type == "NUMBER":
            return _numbers(left, right)
        if left.type == "NAME" and left in _OVER and right.type in ("NAME", "FNAME", "BARL", "FUNC", "SUMOP", "MINOP"):
            help_ = (f"write `{left}_z` to run over z",)
            return Diagnostic("EB0101", f"`{left}` does not say over what", (Label(span(left)),), help_)
    return None


def _numbers(left: Token, right: Token) -> Diagnostic:
    """``1.2.3`` and ``2 3``."""
    glued = end(left) == start(right)
    message = f"`{left}{right}` is not a number" if glued else f"two numbers side by side: {left} and {right}"
    help_ = ("a number is written as `12`, `0.5` or `1e-3`",) if glued else (f"write `{left} * {right}` for a product",)
    return Diagnostic("EB0108", message, (Label(span(left).to(span(right))),), help_)
