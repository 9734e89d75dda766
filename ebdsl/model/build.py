"""Constructors that fold what is trivial. Everybody builds nodes through these."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

from ebdsl.model.ir import ONE, ZERO, Add, Axis, Dim, Fn, Get, Lit, Mul, Node, Pow, Size, Sum, Symbol, Tensor

_counter = itertools.count()


def fresh(dim: Dim, stem: str = "i") -> Axis:
    """An axis that occurs nowhere else. :func:`ebdsl.model.canonical.canonical` renames it in the end."""
    return Axis(f"{stem}~{next(_counter):09d}", dim)  # digits of one width: names sort in order of birth


def lit(value: float) -> Lit:
    return Lit(float(value))


def add(*terms: Node) -> Node:
    """Sum of nodes: flat, literals folded, zeros dropped."""
    flat: list[Node] = []
    constant = 0.0
    for t in terms:
        for u in t.terms if isinstance(t, Add) else (t,):
            if isinstance(u, Lit):
                constant += u.value
            else:
                flat.append(u)
    if constant != 0.0:
        flat.append(Lit(constant))
    if not flat:
        return ZERO
    return flat[0] if len(flat) == 1 else Add(tuple(flat))


def mul(*factors: Node) -> Node:
    """Product of nodes: flat, literals folded to the front, one dropped, zero absorbing."""
    flat: list[Node] = []
    constant = 1.0
    for f in factors:
        for u in f.factors if isinstance(f, Mul) else (f,):
            if isinstance(u, Lit):
                constant *= u.value
            else:
                flat.append(u)
    if constant == 0.0:
        return ZERO
    if constant != 1.0:
        flat.insert(0, Lit(constant))
    if not flat:
        return ONE
    return flat[0] if len(flat) == 1 else Mul(tuple(flat))


def neg(x: Node) -> Node:
    return mul(lit(-1), x)


def sub(x: Node, y: Node) -> Node:
    return add(x, neg(y))


def power(base: Node, exponent: Node | float) -> Node:
    e = exponent if isinstance(exponent, Node) else lit(exponent)
    if isinstance(e, Lit):
        if e.value == 0.0:
            return ONE
        if e.value == 1.0:
            return base
        if isinstance(base, Lit) and (base.value > 0 or (float(e.value).is_integer() and base.value != 0)):
            try:
                return lit(base.value**e.value)
            except OverflowError:  # as 1e999 is
                return lit(math.copysign(math.inf, base.value if e.value % 2 else 1))
        inner = base.exponent if isinstance(base, Pow) else None
        # (x^a)^b = x^(ab) holds for every real x when a is an odd integer or b an integer
        if isinstance(base, Pow) and isinstance(inner, Lit) and float(e.value).is_integer():
            return power(base.base, inner.value * e.value)
    return Pow(base, e)


def div(x: Node, y: Node) -> Node:
    return mul(x, power(y, -1))


def sum_over(body: Node, axes: Iterable[Axis]) -> Node:
    """``Sum`` with nested sums merged, literals in front, and axes that do not occur counted."""
    axes = tuple(axes)
    if body == ZERO or not axes:
        return body
    if isinstance(body, Sum):
        return sum_over(body.body, (*axes, *body.axes))
    missing = tuple(a for a in axes if a not in body.free)
    kept = tuple(a for a in axes if a in body.free)
    count = [Lit(float(a.dim)) if isinstance(a.dim, int) else Size(a.dim) for a in missing]
    if not kept:
        return mul(*count, body)
    if isinstance(body, Mul) and isinstance(body.factors[0], Lit):
        return mul(*count, body.factors[0], sum_over(mul(*body.factors[1:]), kept))
    return mul(*count, Sum(body, kept))


def fn(atom: str, *args: Node) -> Node:
    return Fn(atom, args)


def tensor(symbol: Symbol) -> Tensor:
    """A symbol as a tensor over fresh axes."""
    axes = tuple(fresh(d) for d in symbol.shape)
    return Tensor(Get(symbol, axes), axes)
