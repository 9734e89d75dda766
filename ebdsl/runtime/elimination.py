"""Tensor functions for many finite latents: elimination of one variable after the other. Torch only; copied by name.

A *site* is named by a tuple. ``tables`` are energies ``(B, places, *states)``, or with one row for all samples,
of which the last is none; the sites of a table's place are a tuple in ``scopes``, one for each of its axes of states.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import torch
from torch import Tensor


def elimination_order(scopes: Sequence[tuple[tuple, ...]]) -> list[tuple]:
    """Sites in the order in which they leave: the one that meets fewest others first."""
    near: dict[tuple, set[tuple]] = {}
    for scope in scopes:
        for site in scope:
            near.setdefault(site, set()).update(scope)
    turn = {site: k for k, site in enumerate(near)}
    heap = [(len(others), turn[site], site) for site, others in near.items()]
    heapq.heapify(heap)
    order: list[tuple] = []
    gone: set[tuple] = set()
    while heap:
        met, _, site = heapq.heappop(heap)
        if site in gone or met != len(near[site]):
            continue
        gone.add(site)
        order.append(site)
        others = near.pop(site) - {site}
        for other in others:
            near[other] |= others
            near[other].discard(site)
            heapq.heappush(heap, (len(near[other]), turn[other], other))
    return order


def joined_table(factors: Sequence[tuple[tuple[tuple, ...], Tensor]], whole: tuple[tuple, ...]) -> Tensor:
    """The sum of tables ``(B, *states)``, each over the sites of its scope, as one over the sites of ``whole``."""
    total: Tensor | None = None
    for scope, table in factors:
        table = table.permute(0, *(1 + scope.index(site) for site in whole if site in scope))
        table = table[(slice(None), *(slice(None) if site in scope else None for site in whole))]
        total = table if total is None else total + table
    assert total is not None
    return total


def eliminate(
    tables: Sequence[Tensor], scopes: Sequence[Sequence[tuple[tuple, ...]]], beta: float | Tensor | None
) -> tuple[Tensor, dict[tuple, Tensor]]:
    """The least energy over all states of all sites ``(B,)``, and the state of each site ``(B,)`` where it is reached.

    With ``beta`` the free energy ``-1/β log Σ exp(-β E)`` instead, and no states.
    """
    factors: dict[int, tuple[tuple[tuple, ...], Tensor]] = {}
    for table, places in zip(tables, scopes, strict=True):
        for scope, part in zip(places, table.unbind(1), strict=True):
            distinct = tuple(dict.fromkeys(scope))
            for site in distinct:
                while scope.count(site) > 1:  # two places that are one site
                    first = scope.index(site)
                    second = scope.index(site, first + 1)
                    part = part.diagonal(dim1=1 + first, dim2=1 + second)
                    scope = (*(s for k, s in enumerate(scope) if k not in (first, second)), site)
            factors[len(factors)] = (scope, part)
    touching: dict[tuple, set[int]] = {}
    for k, (scope, _) in factors.items():
        for site in scope:
            touching.setdefault(site, set()).add(k)
    fresh = len(factors)
    trace = []
    for site in elimination_order([scope for scope, _ in factors.values()]):
        mine = [factors.pop(k) for k in sorted(touching[site])]
        rest = tuple(dict.fromkeys(s for scope, _ in mine for s in scope if s != site))
        table = joined_table(mine, (*rest, site))
        if beta is None:
            table, state = table.min(-1)
            trace.append((site, rest, state))
        else:
            table = -torch.logsumexp(-beta * table, -1) / beta
        for other in rest:
            touching[other] = {k for k in touching[other] if k in factors} | {fresh}
        factors[fresh] = (rest, table)
        fresh += 1
    energy = joined_table(list(factors.values()), ())
    chosen: dict[tuple, Tensor] = {}
    rows = torch.arange(tables[-1].shape[0], device=energy.device)
    for site, rest, state in reversed(trace):
        own = rows if len(state) == len(rows) else torch.zeros_like(rows)
        chosen[site] = state[(own, *(chosen[s] for s in rest))]
    return energy.expand(len(rows)), chosen


def part_posteriors(
    tables: Sequence[Tensor], scopes: Sequence[Sequence[tuple[tuple, ...]]], beta: float | Tensor
) -> tuple[Tensor, list[Tensor]]:
    """The free energy ``(B,)`` and the posterior of each table's states: its derivative in the table."""
    with torch.enable_grad():
        count = tables[-1].shape[0]
        leaves = [t.detach().expand(count, *t.shape[1:]).clone().requires_grad_(True) for t in tables]
        energy, _ = eliminate(leaves, scopes, beta)
        return energy.detach(), list(torch.autograd.grad(energy.sum(), leaves))
