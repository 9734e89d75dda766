"""Algebra on the IR: substitution, Kronecker deltas, polynomial degree, canonical names.

Binders (``Sum``, ``Tensor``) are built with axes of their own (:func:`ebdsl.model.build.fresh`), so that
substitution does not capture; where one tree is put into itself, :func:`freshen` renames first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

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
    Shift,
    Size,
    Sum,
    Symbol,
    Tensor,
)


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

        f = SCALARS[node.atom].numpy
        at0, at1 = float(f(0.0)), float(f(1.0))
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
        for f in t.factors if isinstance(t, Mul) else (t,):
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
        case Apply(function, args, _) if not isinstance(function, Module):
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


def modules_in(node: Node) -> tuple[Module, ...]:
    """The modules that a node calls, in order of first use."""
    found: dict[Module, None] = {}

    def go(n: Node) -> None:
        if isinstance(n, Apply) and isinstance(n.function, Module):
            found[n.function] = None
        for c in n.children:
            go(c)

    go(node)
    return tuple(found)


def addends(node: Node) -> tuple[Node, ...]:
    """The node as a sum: sums over indices of sums are split, weights distributed.

    A product of two sums stays whole: multiplied out, ``(y - μ)(y - μ)'`` would lose its digits.
    """
    match node:
        case Add(terms):
            return tuple(u for t in terms for u in addends(t))
        case Sum(body, axes):
            parts = addends(body)
            return tuple(contract(p, axes) for p in parts) if len(parts) > 1 else (node,)
        case Mul(factors):
            split = [(k, parts) for k, parts in enumerate(map(addends, factors)) if len(parts) > 1]
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
    return (node,)


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


# --------------------------------------------------------------------------- canonical names


def canonical(node: Node) -> Node:
    """Bound axes renamed by their place, operands of sums and products put in order.

    Two nodes that differ in names of bound axes and in order of operands alone come out equal.
    """
    memo: dict[tuple[Node, int], Node] = {}

    def go(n: Node, depth: int) -> Node:
        key = (n, depth)
        if key in memo:
            return memo[key]
        match n:
            case Sum(body, axes) | Tensor(body, axes):
                order = axes if isinstance(n, Tensor) else tuple(sorted(axes, key=lambda a: _first_use(body, a)))
                new = {a: Axis(f"#{depth + k}", a.dim) for k, a in enumerate(order)}
                inner = go(_rename_raw(body, new), depth + len(axes))
                result: Node = type(n)(inner, tuple(new.values()))
            case Add(terms):
                result = Add(tuple(sorted((go(t, depth) for t in terms), key=_sort_key)))
            case Mul(factors):
                result = Mul(tuple(sorted((go(f, depth) for f in factors), key=_sort_key)))
            case Pow(base, exponent):
                result = Pow(go(base, depth), exponent)
            case Fn(atom, args):
                result = Fn(atom, tuple(go(a, depth) for a in args))
            case Apply(function, args, index):
                new_args = tuple(go(a, depth) for a in args)
                result = Apply(function, tuple(a for a in new_args if isinstance(a, Tensor)), index)
            case _:
                result = n
        memo[key] = result
        return result

    return go(node, 0)


def _rename_raw(node: Node, axes: dict[Axis, Axis]) -> Node:
    return rename(node, dict(axes))


def _first_use(body: Node, axis: Axis) -> str:
    """A name-free signature of where an axis occurs, to order the axes of one sum."""
    return repr(sorted(_uses(body, axis)))


def _uses(node: Node, axis: Axis) -> list[str]:
    if axis not in node.free:
        return []
    if isinstance(node, Get):
        return [f"{node.symbol.name}.{[k for k, i in enumerate(node.index) if i == axis]}"]
    if isinstance(node, Shift):
        return [f"shift.{node.offset}.{node.left == axis}"]
    return [u for c in node.children for u in _uses(c, axis)] or [type(node).__name__]


def _sort_key(node: Node) -> tuple[str, str]:
    """Structure first, names of free axes last: equal structure sorts alike whatever the axes are called."""
    return (repr(_shape_of(node, False)), repr(_shape_of(node, True)))


def _shape_of(node: Node, named: bool) -> object:
    def at(i: Index) -> str:
        return str(i) if isinstance(i, int) else i.name if named or i.name.startswith("#") or i == BATCH else "_"

    match node:
        case Lit(value):
            return ("0", value)
        case Get(symbol, index):
            return ("1", symbol.name, [at(i) for i in index])
        case Size(dim):
            return ("0s", str(dim))
        case Delta(left, right):
            return ("2", sorted([at(left), at(right)]))
        case Shift(left, right, offset):
            return ("2s", offset, at(left), at(right))
        case Position(axis):
            return ("2p", at(axis))
        case Fn(atom, args):
            return ("3", atom, [_shape_of(a, named) for a in args])
        case Apply(function, args, index):
            name = function.name if isinstance(function, Module) else function
            return ("4", name, [_shape_of(a, named) for a in args], [at(i) for i in index])
        case _:
            return ("5", type(node).__name__, [_shape_of(c, named) for c in node.children])


def signature(node: Node) -> tuple[Node, tuple[Axis, ...]]:
    """A key equal for nodes that are the same tensor, and the free axes in the key's order.

    The sample's axis keeps its identity; other free axes are numbered in order of occurrence.
    """
    found = canonical(node)
    order: dict[Axis, None] = {}

    def go(n: Node) -> None:
        match n:
            case Get(_, index):
                for i in index:
                    if isinstance(i, Axis) and i in node.free:
                        order[i] = None
            case Delta(left, right) | Shift(left, right, _):
                for i in (left, right):
                    if isinstance(i, Axis) and i in node.free:
                        order[i] = None
            case Position(axis) if axis in node.free:
                order[axis] = None
            case Apply(_, _, index):
                for c in n.children:
                    go(c)
                for i in index:
                    if isinstance(i, Axis) and i in node.free:
                        order[i] = None
                return
        for c in n.children:
            go(c)

    go(found)
    axes = tuple(order)
    others = [a for a in axes if a != BATCH]
    return rename(found, {a: Axis(f"@{k}", a.dim) for k, a in enumerate(others)}), axes
