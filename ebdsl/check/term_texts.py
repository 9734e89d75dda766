"""How a term is shown: as the spec writes it, with the factors that stand before a bracket or in a call."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ebdsl.check.walk import mapped
from ebdsl.check.words import key
from ebdsl.diagnostics import Span
from ebdsl.model.ir import Node
from ebdsl.model.model import Term
from ebdsl.syntax import ast
from ebdsl.syntax.show import show

Prefix = tuple[tuple[str, ast.Expr], ...]
"""Factors with their operators."""


@dataclass(frozen=True)
class Addend:
    """One term: its number (sign and weight included), how the spec writes it without its sign, and its sign."""

    node: Node
    expr: ast.Expr
    span: Span
    sign: int = 1


def prefixed(prefix: Prefix, expr: ast.Expr) -> ast.Expr:
    """``prefix`` before an expression, its numbers first: ``½ λ ||z||^2``."""
    if not prefix:
        return expr
    inner = expr.factors if isinstance(expr, ast.Product) else (("", expr),)
    factors = [g for f in (*prefix, *inner) for g in _flat(*f)]
    count = 0
    while count < len(inner) and isinstance(inner[count][1], ast.Number):
        count += 1
    if count:
        factors = [*inner[:count], *(g for f in (*prefix, *inner[count:]) for g in _flat(*f))]
    return ast.Product(prefix[0][1].span.to(expr.span), tuple(factors))


def _flat(op: str, e: ast.Expr) -> Prefix:
    """The factors of a product that stands in parentheses, where these can go."""
    inside = isinstance(e, ast.Product) and op == "" and all(o in ("", "/") for o, _ in e.factors)
    return e.factors if inside and isinstance(e, ast.Product) else ((op, e),)


def unsigned(rest: Prefix) -> Prefix:
    """Factors without a sign before them."""
    op, first = rest[0]
    while isinstance(first, ast.Negate):
        first = first.body
    return ((op, first), *rest[1:])


def with_arguments(expr: ast.Expr, named: dict[str, ast.Expr]) -> ast.Expr:
    """A definition's text with what it is called with in the place of its formal parameters."""
    return mapped(expr, lambda e: named.get(key(e.id)) if isinstance(e, ast.Name) else None)


def terms_of(addends: tuple[Addend, ...]) -> tuple[Term, ...]:
    """Terms with texts that differ."""
    seen: dict[str, int] = {}
    terms = []
    for a in addends:
        text = ("-" if a.sign < 0 else "") + show(_unsigned(a.expr))
        seen[text] = seen.get(text, 0) + 1
        terms.append(Term(a.node, text if seen[text] == 1 else f"{text} ({seen[text]})", a.span))
    return tuple(terms)


def _unsigned(e: ast.Expr) -> ast.Expr:
    """Without a sign before it, and without parentheses around the numbers it starts with: ``½`` is ``1/2``."""
    while isinstance(e, ast.Negate):
        e = e.body
    if isinstance(e, ast.Product) and isinstance(e.factors[0][1], ast.Product):
        first = e.factors[0][1]
        if all(op in ("", "/") and isinstance(f, ast.Number) for op, f in first.factors):
            return replace(e, factors=(*first.factors, *e.factors[1:]))
    return e
