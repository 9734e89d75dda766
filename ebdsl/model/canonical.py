"""Canonical names: equal expressions come out equal, whatever their axes are called, in any order of operands."""

from __future__ import annotations

from ebdsl.model.algebra import rename
from ebdsl.model.deltas import Index
from ebdsl.model.ir import (
    BATCH,
    Add,
    Apply,
    Axis,
    Delta,
    Fn,
    Get,
    Lit,
    Mul,
    Node,
    Position,
    Pow,
    Shift,
    Size,
    Sum,
    Tensor,
)


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
            name = function if isinstance(function, str) else function.name + str(getattr(function, "which", ""))
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
