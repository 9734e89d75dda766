"""Nodes of quadrature where an integrand is, sample by sample. Torch only; copied into generated files by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def gauss_legendre(order: int) -> tuple[Tensor, Tensor]:
    """Nodes in (0, 1) and weights that add up to 1, in float64 (Golub & Welsch, Math. Comp. 23, 1969)."""
    k = torch.arange(1, order, dtype=torch.float64)
    beside = k / (4 * k.square() - 1).sqrt()
    nodes, vectors = torch.linalg.eigh(torch.diag(beside, 1) + torch.diag(beside, -1))
    return (nodes + 1) / 2, vectors[0].square()


def quadrature_nodes(
    energies: Callable[[Tensor], Tensor], batch: int, low: Tensor, high: Tensor, panels: int, order: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Nodes ``(B, S, size)``, the logarithms of their weights ``(B, S)``, and which lie at an end that was chosen.

    ``energies(x)`` ``(B, S)`` are those of ``∫ exp(-energies)``. For each sample the box grows where the integrand is
    not negligible at its open ends (``low`` or ``high`` infinite), and shrinks to where it is not; NaN where it does
    not come to an end, since the integral then has no finite value.
    """
    size, dtype, device = len(low), low.dtype, low.device
    nodes, weights = (x.to(dtype=dtype, device=device) for x in gauss_legendre(order))
    side = ((torch.arange(panels, dtype=dtype, device=device)[:, None] + nodes) / panels).flatten()
    unit = torch.cartesian_prod(*[side] * size).reshape(-1, size)
    each = torch.cartesian_prod(*[(weights / panels).repeat(panels)] * size).reshape(-1, size).log().sum(1)
    open_low, open_high = torch.isinf(low), torch.isinf(high)
    least, most = unit < 1 / panels, unit > 1 - 1 / panels
    ends = ((least & open_low) | (most & open_high)).any(1)
    a = torch.where(open_low, torch.where(open_high, -4.0, high - 8.0), low).expand(batch, size)
    b = torch.where(open_high, torch.where(open_low, 4.0, low + 8.0), high).expand(batch, size)
    reached = torch.zeros((batch, size), dtype=torch.bool, device=device)
    for _ in range(60):
        x = a[:, None] + (b - a)[:, None] * unit
        value = torch.nan_to_num(energies(x), nan=torch.inf)
        inside = (value - value.amin(1, keepdim=True) < 32)[..., None]
        first = torch.where(inside, x, torch.inf).amin(1)
        last = torch.where(inside, x, -torch.inf).amax(1)
        panel = (b - a) / panels
        grow_low, grow_high = open_low & (first - a < 0.1 * panel), open_high & (b - last < 0.1 * panel)
        from_ = torch.maximum(first - 0.4 * panel, low)  # nodes are at most 0.19 of a panel apart
        to = torch.minimum(last + 0.4 * panel, high)
        reached = grow_low | grow_high  # while one end grows the other stays, so that the box doubles
        new_a = torch.where(grow_low, a - (b - a), torch.where(reached, a, from_))
        new_b = torch.where(grow_high, b + (b - a), torch.where(reached, b, to))
        settled = ~reached & (new_b - new_a > 0.9 * (b - a))
        if bool(settled.all()):
            break
        a, b = new_a, new_b
    panel = (b - a) / (panels - 1)  # both ends may move a little: 0, where energies have kinks, becomes an edge
    free = open_low & open_high
    moved = (a / panel).floor() * panel
    a, b = torch.where(free, moved, a), torch.where(free, moved + panels * panel, b)
    a = torch.where(reached, torch.nan, a)
    x = a[:, None] + (b - a)[:, None] * unit
    return x, each + (b - a).log().sum(1)[:, None], ends.to(dtype)
