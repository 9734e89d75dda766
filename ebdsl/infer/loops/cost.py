"""What a step costs: operations, and the bytes that it has to move."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ebdsl.infer.loops.core import Call, Choose, Let, Loop, Prox, Statement, inputs
from ebdsl.model.algebra import with_batch
from ebdsl.model.ir import BATCH, Add, Apply, Axis, Dim, Fn, Get, Mul, Node, Pow, Sum

Extent = Callable[[Dim], int]


@dataclass(frozen=True)
class Cost:
    """Of one step on ``samples`` rows: floating-point ``operations``, those in products of matrices, and ``bytes``.

    A fused step reads what is carried, given and shared, and writes what is carried: nothing else leaves the chip.
    """

    operations: int
    products: int
    bytes: int


def cost(loop: Loop, extent: Extent, samples: int, width: int = 4) -> Cost:
    """``extent`` gives the size of a dimension, ``width`` the bytes of a number."""

    def size(axes: Iterable[Axis]) -> int:
        return math.prod(samples if a == BATCH else extent(a.dim) for a in axes)

    total = products = 0
    for s in loop.step:
        for node, axes in _written(s):
            all_, of_products = operations(with_batch(node), size)
            lead = (BATCH,) if s.symbol.per_sample else ()
            total += all_ + size((*lead, *axes)) * (isinstance(s, Choose | Prox) * 3)
            products += of_products
    carried = sum(samples * math.prod(map(extent, c.symbol.shape)) for c in loop.carried)
    read = inputs(loop.step, frozenset(c.symbol for c in loop.carried))
    given = sum(math.prod(map(extent, s.shape)) * (samples if s.per_sample else 1) for s in read)
    return Cost(total, products, width * (2 * carried + given))


def _written(s: Statement) -> tuple[tuple[Node, tuple[Axis, ...]], ...]:
    match s:
        case Let(axes=axes, value=value):
            return ((value, axes),)
        case Choose(axes=axes, yes=yes):
            return ((yes, axes),)
        case Prox(axes=axes, step=step):
            return ((step, axes),)
        case Call():
            return ()


def operations(node: Node, size: Callable[[Iterable[Axis]], int]) -> tuple[int, int]:
    """Operations of a node, products pairwise as the emitter takes them: all, and those of contractions."""
    memo: set[Node] = set()

    def go(n: Node) -> tuple[int, int]:
        if n in memo or isinstance(n, Get):
            return 0, 0
        memo.add(n)
        inner = [go(c) for c in n.children]
        all_, products = sum(a for a, _ in inner), sum(b for _, b in inner)
        match n:
            case Sum(body, axes):
                factors = [f.free for f in (body.factors if isinstance(body, Mul) else (body,)) if f.free]
                count = _pairwise(factors, frozenset(axes), size)
                own = 0 if not isinstance(body, Mul) else size(body.free) * (len(body.factors) - 1)
                return all_ - own + count, products + (count if len(factors) > 1 else 0)
            case Add(terms) | Mul(terms):
                return all_ + size(n.free) * (len(terms) - 1), products
            case Pow() | Fn():
                return all_ + size(n.free), products
            case Apply(args=args):
                inside = sorted(size(a.axes) for a in args)
                if len(args) == 1:
                    return all_ + size(n.free) * (inside[0] if len(n.index) < len(args[0].axes) else 1), products
                count = 2 * size(n.free) * inside[0]  # a convolution: each entry with all of the smaller one
                return all_ + count, products + count
        return all_, products

    return go(node)


def _pairwise(factors: list[frozenset[Axis]], gone: frozenset[Axis], size: Callable[[Iterable[Axis]], int]) -> int:
    """A multiplication and an addition for each entry of each pair's common space, cheapest pair first."""
    total, left = 0, list(factors)
    if len(left) == 1:
        return size(left[0])
    while len(left) > 1:
        pairs = [(size(a | b), i, j) for i, a in enumerate(left) for j, b in enumerate(left) if i < j]
        entries, i, j = min(pairs)
        others = frozenset().union(*(f for k, f in enumerate(left) if k not in (i, j)))
        joined = left[i] | left[j]
        total += 2 * entries
        left = [f for k, f in enumerate(left) if k not in (i, j)] + [joined - (gone - others)]
    return total


__all__ = ["Cost", "cost", "operations"]
