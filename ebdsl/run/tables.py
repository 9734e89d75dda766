"""Minima and sums over many finite variables in float64: what certifies an elimination.

Nothing is shared with the elimination of generated code: tables come from the naive interpreter, variables leave in
another order, and that the tables add up to the energy is tried at random states.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

Factor = tuple[tuple[Hashable, ...], Tensor]
"""Variables, and a table of energies ``(B, *values)`` with an axis for each."""


def alone(scope: tuple[Hashable, ...], table: Tensor) -> Factor:
    """A factor that holds each variable once: where one is named twice it takes one value."""
    for k, v in enumerate(scope):
        if v in scope[:k]:
            first = scope.index(v)
            left = tuple(w for j, w in enumerate(scope) if j not in (first, k))
            return alone((*left, v), table.diagonal(dim1=1 + first, dim2=1 + k))
    return scope, table


def order_of(scopes: Sequence[tuple[Hashable, ...]], sizes: dict[Hashable, int]) -> list[Hashable]:
    """Variables in the order in which they leave: with the smallest table, and of several the one named last."""
    near: dict[Hashable, set[Hashable]] = {v: set() for v in reversed(sizes)}
    for scope in scopes:
        for v in scope:
            near[v] |= {*scope} - {v}
    cost = {v: _cells(v, near[v], sizes) for v in near}
    order = []
    while cost:
        v = min(cost, key=cost.__getitem__)
        order.append(v)
        del cost[v]
        others = near.pop(v)
        for w in others:
            near[w] = (near[w] | others) - {v, w}
            cost[w] = _cells(w, near[w], sizes)
    return order


def _cells(v: Hashable, others: set[Hashable], sizes: dict[Hashable, int]) -> float:
    total = float(sizes[v])
    for w in others:
        total *= sizes[w]
    return total


def reduced(factors: Sequence[Factor], order: Sequence[Hashable], beta: Tensor | None) -> Tensor:
    """``min Σ tables`` ``(B,)``; with ``beta`` ``(B,)`` the free energy ``-1/β log Σ exp(-β Σ tables)``.

    Variables leave in this order (Dechter 1999).
    """
    left = dict(enumerate(factors))
    holding: dict[Hashable, set[int]] = {}
    for k, (scope, _) in left.items():
        for v in scope:
            holding.setdefault(v, set()).add(k)
    for fresh, v in enumerate(order, len(factors)):
        numbers = sorted(holding.pop(v))
        mine = [left.pop(k) for k in numbers]
        rest = tuple(dict.fromkeys(w for scope, _ in mine for w in scope if w != v))
        table = sum((_spread(f, (v, *rest)) for f in mine[1:]), _spread(mine[0], (v, *rest)))
        if beta is None:
            table = table.amin(1)
        else:
            b = beta.reshape(-1, *[1] * len(rest))
            table = -torch.logsumexp(-b[:, None] * table, 1) / b
        for w in rest:
            holding[w] = holding[w].difference(numbers) | {fresh}
        left[fresh] = rest, table
    return torch.stack([table for _, table in left.values()]).sum(0)


def _spread(factor: Factor, whole: tuple[Hashable, ...]) -> Tensor:
    """A table over the variables of ``whole``, in their order, with extents of 1 for those that it does not hold."""
    scope, table = factor
    table = table.permute(0, *(1 + scope.index(v) for v in whole if v in scope))
    sizes = iter(table.shape[1:])
    return table.reshape(len(table), *(next(sizes) if v in scope else 1 for v in whole))
