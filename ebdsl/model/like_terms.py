"""Addends that differ in a number alone, brought together: their curvature is that of their sum."""

from __future__ import annotations

from ebdsl.model.algebra import addends, factors_of, is_number
from ebdsl.model.build import add, mul, power
from ebdsl.model.canonical import canonical
from ebdsl.model.ir import ZERO, Mul, Node, Sum


def collected(node: Node) -> Node:
    """``½ α ‖z‖² - ½ α ρ ‖z‖²`` as ``(½ α - ½ α ρ) ‖z‖²``; a node without like terms as it is."""
    found: dict[Node, tuple[Node, list[Node]]] = {}
    for a in addends(node):
        weight, core = apart(a)
        found.setdefault(canonical(_squared(core)), (core, []))[1].append(weight)
    if all(len(weights) == 1 for _, weights in found.values()):
        return node
    sums = [(add(*weights), core) for core, weights in found.values()]
    return add(*(mul(weight, core) for weight, core in sums if weight != ZERO))


def apart(node: Node) -> tuple[Node, Node]:
    """The numbers that a node is multiplied by, and the rest."""
    if is_number(node):
        return node, mul()
    if isinstance(node, Sum):
        weight, core = apart(node.body)
        return weight, Sum(core, node.axes)
    factors = factors_of(node)
    return mul(*(f for f in factors if is_number(f))), mul(*(f for f in factors if not is_number(f)))


def _squared(node: Node) -> Node:
    """Factors that occur more than once as powers: ``z z`` is ``z²``."""
    if isinstance(node, Sum):
        return Sum(_squared(node.body), node.axes)
    if not isinstance(node, Mul):
        return node
    distinct = dict.fromkeys(node.factors)
    return mul(*(power(f, node.factors.count(f)) for f in distinct))
