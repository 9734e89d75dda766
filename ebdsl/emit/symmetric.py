"""Pairs of axes that a tensor does not tell apart: no transpose is written for these."""

from __future__ import annotations

from ebdsl.model.algebra import rename, transform
from ebdsl.model.canonical import canonical
from ebdsl.model.ir import Axis, Delta, Node


def as_symmetric(node: Node, held: tuple[Axis, ...], wanted: tuple[Axis, ...]) -> tuple[Axis, ...]:
    """``held`` with two axes exchanged where that brings them to the order ``wanted`` and leaves the node the same."""
    order = tuple(a for a in wanted if a in held)
    apart = [k for k, (a, b) in enumerate(zip(held, order, strict=True)) if a != b]
    if len(apart) != 2:
        return held
    a, b = (held[k] for k in apart)
    return order if a.dim == b.dim and _settled(rename(node, {a: b, b: a})) == _settled(node) else held


def _settled(node: Node) -> Node:
    def leaf(n: Node) -> Node | None:
        if isinstance(n, Delta) and isinstance(n.left, Axis) and isinstance(n.right, Axis):
            return Delta(*sorted((n.left, n.right), key=lambda a: a.name))
        return None

    return canonical(transform(node, leaf))
