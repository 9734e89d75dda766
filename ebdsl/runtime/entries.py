"""Coordinate descent for many samples at once. Torch only; copied into generated files by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def minimise_entries(
    x: Tensor, matrix: Tensor, linear: Tensor, prox: Callable[[Tensor, float], Tensor], passes: int
) -> Tensor:
    """Lower ``½ x' matrix x + linear' x + Σ_k R(x_k)`` for each column of ``x`` ``(n, B)``, in ``passes`` over it.

    Each entry goes to its exact minimum given the newest of the others, for all columns at once, so that no column's
    energy rises (Friedman et al. 2007; nonnegative: Cichocki & Phan 2009). ``prox(v, t)`` is
    ``argmin_x t R(x) + ½(x - v)²`` entry by entry. What other groups of 32 entries contribute is one product.
    """
    curvature = matrix.diagonal()
    bent = curvature > curvature.max() * 1e-6
    scale = torch.where(bent, 1 / curvature, 0)
    pull = scale[:, None] * -matrix
    pull.diagonal().copy_(~bent)  # the free minimisers, each given the others: pull @ x + shift
    shift = (linear * -scale[:, None]).contiguous()
    entries = x.clone(memory_format=torch.contiguous_format)
    steps, width = scale.tolist(), 32
    groups = []
    for k in range(0, len(entries), width):
        group = slice(k, k + width)
        own, inside, outside = entries[group], pull[group, group], pull[group].clone()
        outside[:, group] = 0
        groups.append(
            (own.T, list(zip(own.unbind(), inside.unbind(), steps[group], strict=True)), shift[group], outside)
        )
    for _ in range(passes):
        for own, rows, base, outside in groups:
            starts = base if len(groups) == 1 else torch.addmm(base, outside, entries)
            for (entry, weights, step), start in zip(rows, starts.unbind(), strict=True):
                entry.copy_(prox(torch.addmv(start, own, weights), step))
    return entries
