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


def last_coefficients(order: int) -> Tensor:
    """``(order, 4)``: from an integrand at the nodes times their weights to the last four of its Legendre series."""
    x = 2 * gauss_legendre(order)[0] - 1
    p = [torch.ones_like(x), x]
    for k in range(1, order - 1):
        p.append(((2 * k + 1) * x * p[k] - k * p[k - 1]) / (k + 1))
    return torch.stack([(2 * k + 1) * p[k] for k in range(order - 4, order)], 1)


def moved_edges(edges: Tensor, share: Tensor) -> Tensor:
    """Edges ``(..., P + 1)`` of panels with ``share`` ``(..., P)``, moved so that each panel gets as much of it.

    A panel's share is spread evenly over it (de Boor, Lect. Notes in Math. 363, 1974); the ends, where there is none,
    are cut off.
    """
    panels = share.shape[-1]
    sums = torch.cat([torch.zeros_like(share[..., :1]), share.cumsum(-1)], -1)
    sums = sums / sums[..., -1:]
    wanted = (torch.arange(panels + 1, dtype=edges.dtype, device=edges.device) / panels).expand_as(sums).contiguous()
    at = torch.searchsorted(sums, wanted, right=True) - 1
    at[..., -1] = torch.searchsorted(sums, wanted[..., -1:].contiguous())[..., 0] - 1
    at = at.clamp(0, panels - 1)
    low, high = sums.gather(-1, at), sums.gather(-1, at + 1)
    first, last = edges.gather(-1, at), edges.gather(-1, at + 1)
    along = ((wanted - low) / (high - low).clamp_min(torch.finfo(edges.dtype).tiny)).clamp(0, 1)
    return first + (last - first) * along


def low_places(value: Tensor) -> Tensor:
    """Where values ``(B, n, ..., n)`` on a grid are no higher than those beside them along every side."""
    found = torch.ones_like(value, dtype=torch.bool)
    for k in range(1, value.ndim):
        rise = value.diff(dim=k)
        found.narrow(k, 0, value.shape[k] - 1).logical_and_(rise >= 0)
        found.narrow(k, 1, value.shape[k] - 1).logical_and_(rise <= 0)
    return found


def quadrature_nodes(
    energies: Callable[[Tensor], Tensor], batch: int, low: Tensor, high: Tensor, panels: int, order: int, goal: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Nodes ``(B, S, size)``, the logarithms of their weights ``(B, S)``, and the error of the integral ``(B,)``.

    ``energies(x)`` ``(B, S)`` are those of ``∫ exp(-energies)``. Each sample has panels of its own along each side.
    They reach further where the integrand is not negligible at an open end (``low`` or ``high`` infinite), leave out
    where it is, gather where a value lower than those at the nodes may hide, and then where the last terms of the
    integrand's Legendre series are large. That ends where these, taken on to the first term that the nodes do not see,
    and the change by the last move are at most ``goal`` of the integral together, or after six moves. An edge is put
    on 0, where energies have their kinks. NaN where the integral has no end.
    """
    size, dtype, device = len(low), low.dtype, low.device
    nodes, weights, rough = (
        x.to(dtype=dtype, device=device) for x in (*gauss_legendre(order), last_coefficients(order))
    )
    places = torch.cartesian_prod(*[torch.arange(panels * order, device=device)] * size).reshape(-1, size)
    whole = [batch, *[panels, order] * size]
    cells = [0, *range(1, 2 * size, 2), *range(2, 2 * size + 1, 2)]
    open_low, open_high = torch.isinf(low), torch.isinf(high)
    a = torch.where(open_low, torch.where(open_high, -4.0, high - 8.0), low)
    b = torch.where(open_high, torch.where(open_low, 4.0, low + 8.0), high)
    line = torch.arange(panels + 1, dtype=dtype, device=device) / panels
    edges = (a[:, None] + (b - a)[:, None] * line).expand(batch, size, panels + 1)
    best, error = edges, torch.full((batch,), torch.inf, dtype=dtype, device=device)
    before, tries = error, torch.zeros((batch,), device=device)
    goal = max(goal, 64 * torch.finfo(dtype).eps)

    def spread(edges: Tensor) -> tuple[Tensor, Tensor]:
        width = edges.diff(dim=-1)
        side = (edges[..., :-1, None] + width[..., None] * nodes).flatten(2)
        each = (width[..., None] * weights).log().flatten(2)
        x = torch.stack([side[:, j, places[:, j]] for j in range(size)], 2)
        return x, sum(each[:, j, places[:, j]] for j in range(size))  # type: ignore[return-value]

    for number in range(60):
        near = edges[..., 1:-1].abs().argmin(-1, keepdim=True) + 1
        kinked = (edges[..., :1] < 0) & (edges[..., -1:] > 0)
        edges = edges.scatter(-1, near, torch.where(kinked, 0.0, edges.gather(-1, near)))
        x, log_weights = spread(edges)
        value = torch.nan_to_num(energies(x), nan=torch.inf)
        bottom = value.amin(1, keepdim=True)
        value = value - bottom
        mass = torch.exp(log_weights - value)
        total = mass.sum(1, keepdim=True)
        mass = (mass / total).reshape(whole)
        log_total = (total.log() - bottom)[:, 0]
        digits = 4 * torch.finfo(dtype).eps * bottom[:, 0].abs()  # energies are known to no more
        change, before = ((log_total - before).abs() - digits).clamp_min(0), log_total
        value = value.reshape(whole)
        inside = value.permute(cells).flatten(1 + size)
        least, range_ = inside.amin(-1), (inside.amax(-1) - inside.amin(-1)).clamp_max(torch.finfo(dtype).max / 2)
        lowest = low_places(value.reshape(batch, *[panels * order] * size)).reshape(whole)
        lowest = lowest.permute(cells).flatten(1 + size).any(-1)
        hides = least - 0.03 * range_  # a value between nodes may be as low as this
        kept = hides < 26  # above what lets a side grow, or it would be cut off and grow by turns
        seen = mass.permute(cells).flatten(1 + size)
        alone = 2 * seen.amax(-1) > seen.sum(-1)  # one node bears the cell: the peak may be narrower than they see
        unclear = (hides < 2) & lowest & (range_ > 64) & alone
        share, growing, doubt = [], [], torch.zeros_like(error)
        for j in range(size):
            others = [k for k in range(1, size + 1) if k != j + 1]
            has, hidden_ = (m.sum(others) > 0 if others else m for m in (kept, unclear))
            rest = [k for k in range(1, 2 * size + 1) if k not in (2 * j + 1, 2 * j + 2)]
            own = mass.sum(rest) if rest else mass
            last = (own @ rough).abs()
            high_, low_ = last[..., 2:].amax(-1), last[..., :2].amax(-1)
            falls = (high_ / low_.clamp_min(torch.finfo(dtype).tiny)).clamp_max(1)
            off = high_ * torch.where(falls < 0.35, falls**4, falls)
            doubt = doubt + off.sum(-1)
            where = (off / off.amax(-1, keepdim=True).clamp_min(torch.finfo(dtype).tiny)) ** 0.25 + 0.03
            share.append(has * torch.where(hidden_.any(-1, keepdim=True), 1 + where, where))
            line_ = value.amin(rest) if rest else value
            ends = line_[:, [0, -1], [0, -1]]
            fall = line_[:, [0, -1], [-1, 0]] - ends  # across the panel at an end, outwards
            falls_out = (fall > 0.1 + 64 * torch.finfo(dtype).eps * ends) & (number < 16)
            growing.append((ends < 22) | falls_out)
        reach = torch.stack(growing, 1) & torch.stack([open_low, open_high], -1)
        grows = reach.any(-1).any(-1)
        hidden = unclear.flatten(1).any(-1)
        doubt = torch.where(grows, torch.inf, doubt + change + hidden)
        better = doubt < error
        best, error = torch.where(better[:, None, None], edges, best), torch.where(better, doubt, error)
        tries = tries + torch.where(hidden, 1 / 3, 1.0) * ~grows
        done = (error <= goal) | (tries >= 6)
        if bool(done.all()):
            break
        width = edges[..., -1:] - edges[..., :1]
        first = edges[..., :1] - torch.where(reach[..., :1], width, 0.0)
        wide = first + (edges[..., -1:] + torch.where(reach[..., 1:], width, 0.0) - first) * line
        moved = torch.where(reach.any(-1, keepdim=True), wide, edges)
        finer = moved_edges(edges, torch.stack(share, 1))
        edges = torch.where(done[:, None, None], edges, torch.where(grows[:, None, None], moved, finer))
    best = torch.where(torch.isinf(error)[:, None, None], torch.nan, best)
    return (*spread(best), error)
