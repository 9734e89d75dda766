"""Minima of sums of kinks: weighted medians and quantiles. Torch only; copied into generated files by name."""

from __future__ import annotations

import torch
from torch import Tensor


def weighted_medians(
    kinks: list[tuple[Tensor, Tensor, Tensor | float]], linear: Tensor, curvature: Tensor, old: Tensor, dim: int | None
) -> Tensor:
    """Minimise ``Σ_kinks Σ_n jump (relu(x - point) - below x) + linear x + ½ curvature x²`` in each entry ``x``.

    ``kinks``: points, jumps and shares below, each ``(n, *shape)`` or with ones in place of an extent, as ``linear``
    and ``curvature`` ``shape``. Each value of axis ``dim`` is taken alone, with the points that weigh there. An entry
    that nothing depends on stays as in ``old`` ``shape``.
    """
    if dim is None:
        whole = [
            [torch.as_tensor(t, dtype=old.dtype, device=old.device).expand(len(k[0]), *old.shape) for t in k]
            for k in kinks
        ]
        points, jumps, below = (torch.cat(parts) for parts in zip(*whole, strict=True))
        return lowest_of_kinks(points, jumps, below, linear, curvature, old)
    new = old.clone()

    def part(t: Tensor, k: int, axis: int) -> Tensor:
        return t.select(axis, min(k, t.shape[axis] - 1))

    for k in range(old.shape[dim]):
        mine = []
        for p, j, b in kinks:
            p, j = part(p, k, dim + 1), part(j, k, dim + 1)
            rows = (j != 0).flatten(1).any(1).nonzero()[:, 0] if j.ndim > 1 else j.nonzero()[:, 0]
            b = part(b, k, dim + 1)[rows] if isinstance(b, Tensor) and b.ndim else b
            mine.append((p[rows], j[rows], b))
        here = part(linear, k, dim), part(curvature, k, dim), old.select(dim, k)
        new.select(dim, k).copy_(weighted_medians(mine, *here, None))
    return new


def lowest_of_kinks(
    points: Tensor, jumps: Tensor, below: Tensor, linear: Tensor, curvature: Tensor, old: Tensor
) -> Tensor:
    """:func:`weighted_medians` of one set of kinks, all ``(n, *shape)``, by sorting; halfway where it is flat."""
    if not len(points):
        return torch.where(curvature > 0, -linear / curvature, old)
    points, order = torch.where(jumps > 0, points, 0.0).double().sort(0)
    weights = jumps.double().gather(0, order)
    begin = linear.double() - (jumps.double() * below).sum(0)
    rise = weights.cumsum(0)
    still = 1e-12 * (rise[-1] + begin.abs())
    after = begin + rise + curvature.double() * points  # the slope on the right of each point
    last = len(points) - 1

    def first(reached: Tensor) -> Tensor:
        return torch.where(reached.any(0), reached.to(torch.uint8).argmax(0), last)[None]

    low, high = first(after >= -still), first(after > still)
    left = points.gather(0, low)[0]
    right = torch.where((after > still).any(0), points.gather(0, high)[0], left)
    middle = (left + right) / 2
    reach = torch.where((after >= -still).any(0), (rise - weights).gather(0, low)[0], rise[-1])
    between = -(begin + reach) / curvature.double()  # where the slope passes 0 before or after all points
    bent = (curvature > 0) & (begin + reach + curvature.double() * left > still)
    bent |= (curvature > 0) & ~(after >= -still).any(0)
    found = torch.where(bent, between, middle).to(old.dtype)
    return torch.where((rise[-1] > 0) | (curvature > 0), found, old)
