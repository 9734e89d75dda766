"""What an energy compares the observed with: ``g`` in a term ``c ‖y - g‖²``."""

from __future__ import annotations

from ebdsl.facts.normal import normal, split
from ebdsl.model.algebra import rename
from ebdsl.model.build import add, div, fresh, mul, neg
from ebdsl.model.ir import BATCH, Add, Axis, Get, Lit, Mul, Node, Pow, Symbol
from ebdsl.model.model import Model


def reconstruction(model: Model) -> tuple[Symbol, Node, tuple[Axis, ...]] | None:
    """The observed symbol of the first such term, ``g``, and its axes; None where there is no such term."""
    for term in model.terms:
        for y in model.role("observed"):
            if y not in term.node.symbols:
                continue
            core = split(normal(term.node), frozenset({y})).core
            if not (isinstance(core, Pow) and core.exponent == Lit(2.0) and isinstance(core.base, Add)):
                continue
            own: list[Node] = []
            rest: list[Node] = []
            for t in core.base.terms:
                (own if _entry(t, y) is not None else rest).append(t)
            if len(own) != 1 or not rest:
                continue
            entry = _entry(own[0], y)
            assert entry is not None
            get, scale = entry
            index = [i for i in get.index if isinstance(i, Axis)]
            if len(index) != len(y.shape) or len(set(index)) != len(index):
                continue
            axes = tuple(fresh(d) for d in y.shape)
            if any(t.free - set(index) - {BATCH} for t in rest):
                continue  # it is compared with several
            node = neg(add(*rest)) if scale == Lit(1.0) else div(neg(add(*rest)), scale)
            return y, rename(node, dict(zip(index, axes, strict=True))), axes
    return None


def _entry(node: Node, y: Symbol) -> tuple[Get, Node] | None:
    """``scale · y[index]`` with a number as scale."""
    if isinstance(node, Get) and node.symbol == y:
        return node, Lit(1.0)
    if isinstance(node, Mul) and len(node.factors) == 2 and isinstance(node.factors[0], Lit):
        inner = node.factors[1]
        if isinstance(inner, Get) and inner.symbol == y:
            return inner, mul(node.factors[0])
    return None
