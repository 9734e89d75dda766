"""What constraints make constant: norms of what lies on a sphere, Gram matrices of orthonormal ones."""

from __future__ import annotations

from ebdsl.model.algebra import contract, multiply, transform
from ebdsl.model.deltas import delta
from ebdsl.model.ir import Get, Mul, Node, Sum, Symbol


def gram_places(symbol: Symbol) -> tuple[int, ...]:
    """Places whose products, summed, are 1 or 0: ``Σ_i W[i, j] W[i, k] = δ_jk`` has place 0."""
    row, n = symbol.domain.row, len(symbol.shape)
    if row.whole != 2 or not row.level:
        return ()
    if symbol.shape[-1] == symbol.shape[-2]:
        return (n - 2, n - 1)
    return (n + row.gram,) if row.gram else ()


def bound_places(symbol: Symbol) -> tuple[int, ...]:
    """Places over which the domain ties entries together."""
    row, n = symbol.domain.row, len(symbol.shape)
    if row.whole < 0:
        return tuple(range(1, n))
    if row.whole == 1:
        return (n + row.axis,)
    return tuple(range(n - row.whole, n))


def with_grams(node: Node) -> Node:
    """The node with Gram matrices of orthonormal symbols written as the identity that they are."""

    def leaf(n: Node) -> Node | None:
        if not isinstance(n, Sum):
            return None
        factors = n.body.factors if isinstance(n.body, Mul) else (n.body,)
        for k, f in enumerate(factors):
            for j in range(k):
                g = factors[j]
                if not (isinstance(f, Get) and isinstance(g, Get) and f.symbol == g.symbol):
                    continue
                for place in gram_places(f.symbol):
                    i, others = f.index[place], [h for m, h in enumerate(factors) if m not in (j, k)]
                    lead = range(len(f.index) - 2)
                    if (
                        i != g.index[place]
                        or i not in n.axes
                        or any(i in h.free for h in others)
                        or any(f.index[m] != g.index[m] for m in lead)
                        or sum(x == i for x in (*f.index, *g.index)) != 2
                    ):
                        continue
                    other = 2 * len(f.index) - 3 - place
                    axes = tuple(a for a in n.axes if a != i)
                    return with_grams(contract(multiply(delta(f.index[other], g.index[other]), *others), axes))
        return None

    return transform(node, leaf)
