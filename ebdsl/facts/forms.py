"""Sums of products that are sums of squares: ``Σ_ij x_i Λ_ij x_j``, ``Σ_mnk z_n W_mn W_mk z_k``.

Such a sum stays the same when some of its indices change places two by two. What these indices tie together falls into
halves that mirror each other; where the only ties between the halves are positive definite matrices, the sum is
``Σ weight · A'ΛA``, with A the product of one half, and so never negative where the weight is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ebdsl.model.algebra import freshen, rename
from ebdsl.model.build import mul, sum_over
from ebdsl.model.canonical import canonical
from ebdsl.model.ir import Apply, Axis, Delta, Get, Mul, Node, Sum

MOST_AXES = 6


@dataclass(frozen=True)
class SquareForm:
    """``Σ_fixed weight · Σ A(p) Λ(p, q) A(q)``; ``half`` is A, a node; ``links`` are the matrices."""

    weight: Node
    half: Node
    links: tuple[Node, ...]


def flatten(node: Node) -> tuple[tuple[Axis, ...], tuple[Node, ...]]:
    """Nested sums and products as one sum over axes of a product of factors."""
    if isinstance(node, Sum):
        axes, factors = flatten(node.body)
        return (*node.axes, *axes), factors
    if isinstance(node, Mul):
        all_axes: tuple[Axis, ...] = ()
        all_factors: tuple[Node, ...] = ()
        for f in node.factors:
            axes, factors = flatten(f)
            if set(axes) & (set(all_axes) | node.free | {a for g in all_factors for a in g.free}):
                axes, factors = flatten(freshen(f))
            all_axes, all_factors = (*all_axes, *axes), (*all_factors, *factors)
        return all_axes, all_factors
    return (), (node,)


def square_forms(node: Node) -> Iterator[SquareForm]:
    """The ways in which a sum of products is one of squares."""
    axes, factors = flatten(node)
    if not 2 <= len(axes) <= MOST_AXES or len(factors) < 2:
        return
    keys = Counter(_key(f) for f in factors)
    for swap in _swaps(axes):
        if swap and Counter(_key(rename(f, dict(swap))) for f in factors) == keys:
            found = _halves(axes, factors, swap)
            if found is not None:
                yield found


def _swaps(axes: tuple[Axis, ...]) -> Iterator[dict[Axis, Axis]]:
    """All ways of pairing some of the axes, as the exchange of partners."""
    if not axes:
        yield {}
        return
    first, rest = axes[0], axes[1:]
    yield from _swaps(rest)
    for k, other in enumerate(rest):
        if other.dim == first.dim:
            for swap in _swaps(rest[:k] + rest[k + 1 :]):
                yield {first: other, other: first, **swap}


def _key(factor: Node) -> Node:
    """Equal for factors that are the same; a symmetric matrix's indices are put in order."""
    if is_definite(factor):
        assert isinstance(factor, Get | Apply)
        *lead, i, j = factor.index
        i, j = sorted((i, j), key=lambda a: a.name if isinstance(a, Axis) else str(a))
        if isinstance(factor, Get):
            return Get(factor.symbol, (*lead, i, j))
        return canonical(Apply(factor.function, factor.args, (*lead, i, j)))
    if isinstance(factor, Delta):
        i, j = sorted((factor.left, factor.right), key=str)
        return Delta(i, j)
    return canonical(factor)


def is_definite(factor: Node) -> bool:
    """Whether a factor is an entry of a matrix that is positive definite, or of the inverse of one."""
    if isinstance(factor, Get):
        return factor.symbol.domain.row.definite and len(factor.index) >= 2
    if isinstance(factor, Apply) and factor.function == "inverse":
        (arg,) = factor.args
        body = arg.body
        return isinstance(body, Get) and is_definite(body) and body.index[-2:] == arg.axes
    return False


def _halves(axes: tuple[Axis, ...], factors: tuple[Node, ...], swap: dict[Axis, Axis]) -> SquareForm | None:
    moving = frozenset(swap)
    links, weights, rest = [], [], []
    for f in factors:
        mine = f.free & moving
        if not mine:
            weights.append(f)
        elif _is_link(f, mine, swap):
            links.append(f)
        else:
            rest.append(f)
    linked = frozenset(a for f in links for a in f.free & moving)
    group = {a: frozenset({a}) for a in moving}  # what the factors tie together
    for f in rest:
        together = frozenset().union(*(group[a] for a in f.free & moving))
        for a in together:
            group[a] = together
    half: set[Axis] = set()
    for a in sorted(moving, key=lambda a: a.name):
        if swap[a] in group[a]:
            return None  # tied to its own mirror image
        if swap[a] not in half:
            half |= group[a]
    if any(swap[a] in half for a in half):
        return None
    own = [f for f in rest if f.free & moving <= half]
    inner = tuple(a for a in axes if a in half and a not in linked)
    return SquareForm(mul(*weights), sum_over(mul(*own), inner), tuple(links))


def _is_link(factor: Node, mine: frozenset[Axis], swap: dict[Axis, Axis]) -> bool:
    """Whether a factor is a positive definite matrix between an axis and its partner alone."""
    if len(mine) != 2 or swap[min(mine, key=lambda a: a.name)] not in mine:
        return False
    if isinstance(factor, Delta):
        return True
    if is_definite(factor):
        assert isinstance(factor, Get | Apply)
        body_free = frozenset() if isinstance(factor, Get) else factor.args[0].free
        return frozenset(i for i in factor.index[-2:] if isinstance(i, Axis)) == mine and not (body_free & mine)
    return False
