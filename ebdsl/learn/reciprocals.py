"""A positive parameter written as the reciprocal of another: variances as precisions."""

from __future__ import annotations

from ebdsl.model.algebra import replace_symbol, transform
from ebdsl.model.build import mul, power
from ebdsl.model.ir import Get, Lit, Mul, Node, Pow, Symbol


def reciprocal(node: Node, x: Symbol, precision: Symbol) -> Node:
    """``node`` with ``1 / precision`` for ``x``."""
    return _multiplied(replace_symbol(node, x, lambda index: power(Get(precision, index), -1)))


def _multiplied(node: Node) -> Node:
    """Whole powers of products taken factor by factor, so that ``1 / (2 / u)`` is linear in u."""

    def leaf(n: Node) -> Node | None:
        if not (isinstance(n, Pow) and isinstance(n.base, Mul) and isinstance(n.exponent, Lit)):
            return None
        exponent = n.exponent.value
        return _multiplied(mul(*(power(f, exponent) for f in n.base.factors))) if exponent.is_integer() else None

    return transform(node, leaf)
