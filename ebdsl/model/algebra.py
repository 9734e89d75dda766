"""Algebra on the IR: substitution, Kronecker deltas, polynomial degree.

Binders (``Sum``, ``Tensor``) are built with axes of their own (:func:`ebdsl.model.build.fresh`), so that
substitution does not capture; where one tree is put into itself, :func:`freshen` renames first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from ebdsl.model import build
from ebdsl.model.deltas import Index, delta, shift_at
from ebdsl.model.ir import (
    BATCH,
    ONE,
    ZERO,
    Add,
    Apply,
    Axis,
    Delta,
    Fn,
    Get,
    Lit,
    Module,
    Mul,
    Node,
    Position,
    Pow,
    Recurrence,
    Shift,
    Sum,
    Symbol,
    Tensor,
)

if TYPE_CHECKING:
    import numpy as np
else:
    from ebdsl.lazy import numpy as np


def rebuild(node: Node, children: tuple[Node, ...]) -> Node:
    """The same kind of node over other children, folded."""
    match node:
        case Add():
            return build.add(*children)
        case Mul():
            return multiply(*children)
        case Pow():
            return build.power(children[0], children[1])
        case Fn(atom, _):
            return Fn(atom, children)
        case Sum(_, axes):
            return contract(children[0], axes)
        case Tensor(_, axes):
            return Tensor(children[0], axes)
        case Apply(function, _, index):
            return Apply(function, tuple(c for c in children if isinstance(c, Tensor)), index)
        case _:
            return node


def transform(node: Node, leaf: Callable[[Node], Node | None]) -> Node:
    """Rebuild from the leaves up; ``leaf(node)`` not None replaces a whole subtree."""
    memo: dict[Node, Node] = {}

    def go(n: Node) -> Node:
        if n in memo:
            return memo[n]
        new = leaf(n)
        if new is None:
            old = n.children
            children = tuple(go(c) for c in old)
            new = n if all(a is b for a, b in zip(old, children, strict=True)) else rebuild(n, children)
        memo[n] = new
        return new

    return go(node)


def rename(node: Node, axes: dict[Axis, Index]) -> Node:
    """Free axes replaced by other axes or by fixed positions."""
    axes = {a: b for a, b in axes.items() if a != b}
    if not axes or not (node.free & axes.keys()):
        return node

    def at(i: Index) -> Index:
        return axes.get(i, i) if isinstance(i, Axis) else i

    def leaf(n: Node) -> Node | None:
        if not (n.free & axes.keys()):
            return n
        match n:
            case Get(symbol, index):
                return Get(symbol, tuple(at(i) for i in index))
            case Delta(left, right):
                return delta(at(left), at(right))
            case Shift(left, right, offset):
                return shift_at(left, right, offset, at(left), at(right))
            case Position(axis):
                new = at(axis)
                return Position(new) if isinstance(new, Axis) else Lit(float(new))
            case Apply(function, args, index):
                inner = tuple(rename(a, axes) for a in args)
                return Apply(function, tuple(a for a in inner if isinstance(a, Tensor)), tuple(at(i) for i in index))
        return None

    return transform(node, leaf)


def freshen(node: Node) -> Node:
    """The same node with every bound axis renamed to one that occurs nowhere else."""

    def leaf(n: Node) -> Node | None:
        if isinstance(n, Sum | Tensor):
            new = {a: build.fresh(a.dim, a.name.split("~")[0]) for a in n.axes}
            body = freshen(rename(n.body, dict(new)))
            return type(n)(body, tuple(new.values()))
        return None

    return transform(node, leaf)


def replace_symbol(node: Node, symbol: Symbol, by: Callable[[tuple[Index, ...]], Node]) -> Node:
    """Every ``symbol[index]`` replaced by ``by(index)``; deltas that come in are resolved."""
    if symbol not in node.symbols:
        return node

    def leaf(n: Node) -> Node | None:
        if symbol not in n.symbols:
            return n
        return by(n.index) if isinstance(n, Get) else None

    return transform(node, leaf)


def zeroed(node: Node, symbols: Iterable[Symbol]) -> Node:
    """The node at ``symbol = 0`` for all of ``symbols``."""
    for s in symbols:
        node = replace_symbol(node, s, lambda _: ZERO)
    return node


def with_batch(node: Node) -> Node:
    """The sample made an axis: per-sample symbols get :data:`BATCH` as their first index."""

    def leaf(n: Node) -> Node | None:
        if isinstance(n, Get) and n.symbol.per_sample and len(n.index) == len(n.symbol.shape):
            return Get(n.symbol, (BATCH, *n.index))
        return None

    return transform(node, leaf)


# --------------------------------------------------------------------------- deltas and sums


def _is_delta(node: Node) -> bool:
    return isinstance(node, Delta | Shift)


def multiply(*factors: Node) -> Node:
    """:func:`build.mul` that also folds ``δ·δ`` and functions of a delta."""
    product = build.mul(*(_of_delta(f) for f in factors))
    if isinstance(product, Mul):
        seen: list[Node] = []
        offsets: dict[tuple[Index, Index], int] = {}
        for f in product.factors:
            if isinstance(f, Shift) and offsets.setdefault((f.left, f.right), f.offset) != f.offset:
                return ZERO
            if not (_is_delta(f) and f in seen):
                seen.append(f)
        if len(seen) != len(product.factors):
            return build.mul(*seen)
    return product


def _of_delta(node: Node) -> Node:
    """``δ^p = δ`` and ``f(δ) = f(0) + (f(1) - f(0)) δ``, for a delta or a product of deltas."""
    inner = (
        node.base if isinstance(node, Pow) else node.args[0] if isinstance(node, Fn) and len(node.args) == 1 else None
    )
    if inner is None or not (_is_delta(inner) or (isinstance(inner, Mul) and all(map(_is_delta, inner.factors)))):
        return node
    if isinstance(node, Pow):
        return inner if isinstance(node.exponent, Lit) and node.exponent.value > 0 else node
    if isinstance(node, Fn):
        from ebdsl.atoms import SCALARS

        with np.errstate(all="ignore"):
            at0, at1 = (float(SCALARS[node.atom].numpy(np.float64(x))) for x in (0.0, 1.0))
        if not (math.isfinite(at0) and math.isfinite(at1)):  # log δ: a finite sum would be nan
            return node
        return build.add(Lit(at0), build.mul(Lit(at1 - at0), inner))
    return node


def contract(body: Node, axes: Iterable[Axis]) -> Node:
    """``Σ_axes body`` with sums over a delta carried out and factors without the axes pulled out."""
    axes = tuple(axes)
    body = _of_delta(body)
    if body == ZERO:
        return ZERO
    if isinstance(body, Sum):
        return contract(body.body, (*axes, *body.axes))
    if isinstance(body, Add) and _has_delta(body, axes):
        return build.add(*(contract(t, axes) for t in body.terms))
    factors = list(body.factors) if isinstance(body, Mul) else [body]
    for d in factors:
        if not isinstance(d, Delta):
            continue
        for a, other in ((d.left, d.right), (d.right, d.left)):
            if a in axes and isinstance(a, Axis):
                rest = multiply(*(rename(f, {a: other}) for f in factors if f is not d))
                return contract(rest, tuple(x for x in axes if x != a))
    for position, f in enumerate(factors):
        if isinstance(f, Add) and _has_delta(f, axes):
            others = factors[:position] + factors[position + 1 :]
            return build.add(*(contract(multiply(t, *others), axes) for t in f.terms))
    bound = frozenset(axes)
    outside = [f for f in factors if not (f.free & bound)]
    inside = [f for f in factors if f.free & bound]
    inner = build.sum_over(build.mul(*inside), axes)
    return multiply(*outside, inner)


def _has_delta(node: Node, axes: tuple[Axis, ...]) -> bool:
    """Whether a delta over one of the axes, or a shift from one, stands in a factor of one of the addends."""
    terms = node.terms if isinstance(node, Add) else (node,)
    for t in terms:
        for f in factors_of(t):
            if isinstance(f, Delta) and (f.left in axes or f.right in axes):
                return True
            if isinstance(f, Shift) and f.left in axes and f.right not in axes:
                return True
            if isinstance(f, Add) and _has_delta(f, axes):
                return True
    return False


# --------------------------------------------------------------------------- polynomials


def degree(node: Node, symbols: frozenset[Symbol]) -> int | None:
    """Polynomial degree in ``symbols`` together; None where it is not a polynomial."""
    if not (node.symbols & symbols):
        return 0
    match node:
        case Get():
            return 1
        case Add(terms):
            degrees = [degree(t, symbols) for t in terms]
            return None if None in degrees else max(d for d in degrees if d is not None)
        case Mul(factors):
            degrees = [degree(f, symbols) for f in factors]
            return None if None in degrees else sum(d for d in degrees if d is not None)
        case Pow(base, Lit(value)) if value == int(value) and value >= 0:
            d = degree(base, symbols)
            return None if d is None else d * int(value)
        case Sum(body, _) | Tensor(body, _):
            return degree(body, symbols)
        case Apply(Recurrence() as function, args, _):
            degrees = [degree(a, symbols) for a in args]
            varies = varying(function, args, symbols)
            inside = all(d in (0, 1) for d in (*degrees, *(degree(b, varies) for b in function.bodies)))
            return 1 if inside else None
        case Apply(str() as function, args, _):
            from ebdsl.atoms import OPAQUES

            linear = OPAQUES[function].linear
            total = 0
            for k, a in enumerate(args):
                d = degree(a, symbols)
                if d is None or (d and not (k < len(linear) and linear[k])):
                    return None
                total += d
            return total
    return None


def varying(function: Recurrence, args: tuple[Tensor, ...], symbols: frozenset[Symbol]) -> frozenset[Symbol]:
    """What changes with ``symbols`` inside of a recurrence: its states, and those that it is given that hold them."""
    held = zip(function.given, args[function.starts :], strict=True)
    return function.states | {g for g, a in held if a.symbols & symbols}


def modules_in(node: Node) -> tuple[Module, ...]:
    """The modules that a node calls, in order of first use."""
    return tuple(dict.fromkeys(f for f in functions_in(node) if isinstance(f, Module)))


def recurrences_in(node: Node) -> tuple[Recurrence, ...]:
    """The recurrences that a node follows, each once whichever of its sequences are asked for."""
    return tuple(dict.fromkeys(replace(f, which=0) for f in functions_in(node) if isinstance(f, Recurrence)))


def functions_in(node: Node) -> tuple[Module | Recurrence, ...]:
    """The modules and recurrences below, in order of first use; those inside of a recurrence too."""
    found: dict[Module | Recurrence, None] = {}
    seen: set[Node] = set()

    def go(n: Node) -> None:
        if n in seen:
            return
        seen.add(n)
        if isinstance(n, Apply) and not isinstance(n.function, str):
            found[n.function] = None
        for c in n.children:
            go(c)
        if isinstance(n, Apply) and isinstance(n.function, Recurrence):
            for body in n.function.bodies:
                go(body)

    go(node)
    return tuple(found)


def is_number(node: Node) -> bool:
    """Whether the node is made of numbers, constants and sizes alone, the same for all entries."""
    return not node.free and all(s.role == "const" for s in node.symbols)


def factors_of(node: Node) -> tuple[Node, ...]:
    """The node as a product, of one factor where it is none."""
    return node.factors if isinstance(node, Mul) else (node,)


def addends(node: Node) -> tuple[Node, ...]:
    """The node as a sum: sums over indices of sums are split, weights distributed.

    A product of two sums stays whole: multiplied out, ``(y - μ)(y - μ)'`` would lose its digits. So does a sum of
    numbers, which is a weight: of ``z² - ρ z²`` one part bends down.
    """
    match node:
        case Add(terms):
            return tuple(u for t in terms for u in addends(t))
        case Sum(body, axes):
            parts = addends(body)
            return tuple(contract(p, axes) for p in parts) if len(parts) > 1 else (node,)
        case Mul(factors):
            split = [(k, addends(f)) for k, f in enumerate(factors) if not is_number(f)]
            split = [(k, parts) for k, parts in split if len(parts) > 1]
            if len(split) == 1:
                k, parts = split[0]
                rest = factors[:k] + factors[k + 1 :]
                return tuple(u for t in parts for u in addends(multiply(t, *rest)))
    return (node,)


def expand(node: Node) -> tuple[Node, ...]:
    """As :func:`addends`, with squares of sums multiplied out as well: a sum of monomials."""
    match node:
        case Add(terms):
            return tuple(u for t in terms for u in expand(t))
        case Pow(base, Lit(value)) if value == int(value) and 2 <= value <= 4:
            parts = expand(base)
            if len(parts) == 1 and not isinstance(parts[0], Sum):
                if isinstance(parts[0], Mul):
                    return (build.mul(*(build.power(f, value) for f in parts[0].factors)),)
                return (build.power(parts[0], value),)
            return _distribute([parts, *(tuple(freshen(p) for p in parts) for _ in range(int(value) - 1))])
        case Sum(body, axes):
            return tuple(contract(p, axes) for p in expand(body))
        case Mul(factors):
            return _distribute([expand(f) for f in factors])
    folded = _of_delta(node)  # f(δ) is a sum
    return (node,) if folded == node else expand(folded)


def _distribute(factors: list[tuple[Node, ...]]) -> tuple[Node, ...]:
    result: list[Node] = [ONE]
    for parts in factors:
        result = [_merge(r, p) for r in result for p in parts]
    return tuple(r for r in result if r != ZERO)


def _merge(left: Node, right: Node) -> Node:
    """A product with the sums of both factors on the outside, so that deltas find them."""
    l_body, l_axes = (left.body, left.axes) if isinstance(left, Sum) else (left, ())
    r_body, r_axes = (right.body, right.axes) if isinstance(right, Sum) else (right, ())
    if l_axes or r_axes:  # opened sums: bound axes of one side must not be caught by the other
        renamed = freshen(right)
        r_body, r_axes = (renamed.body, renamed.axes) if isinstance(renamed, Sum) else (renamed, ())
    return contract(multiply(l_body, r_body), (*l_axes, *r_axes))
