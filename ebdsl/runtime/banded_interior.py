"""Kinks of near entries beside a quadratic, for many samples. Torch only; copied into generated files by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def factor_band(bands: Tensor) -> tuple[Tensor, Tensor]:
    """``1/D`` and L below its ones, of ``L D L'`` for definite bands ``(T, p+1, C)``, entry o between t and t + o.

    One column after the other in T, all C beside each other (Golub & Van Loan, Matrix Computations, 4.3.5). A pivot
    that is rounding counts as infinite, as usual for interior points (Wright 1999).
    """
    steps, width = bands.shape[0], bands.shape[1] - 1
    rows = torch.cat((bands, bands.new_zeros(width, *bands.shape[1:]))).unbind(0)
    inverse, ways = torch.empty_like(bands[:, 0]), torch.empty_like(bands[:, 1:])
    least = torch.finfo(bands.dtype).eps * bands[:, 0]
    for t in range(steps):
        row = rows[t]
        torch.reciprocal(row[0], out=inverse[t]).masked_fill_(~(row[0] > least[t]), 0)
        way = torch.mul(row[1:], inverse[t], out=ways[t])
        for k in range(width):
            rows[t + k + 1][: width - k].addcmul_(way[k], row[k + 1 :], value=-1)
    return inverse, ways


def solve_factored(factor: tuple[Tensor, Tensor], right: Tensor) -> Tensor:
    """``x`` with ``L D L' x = right`` for ``(T, C)``."""
    inverse, ways = factor
    steps, width = ways.shape[:2]
    x = torch.cat((right, right.new_zeros(width, right.shape[1])))
    rows = x.unbind(0)
    for t in range(steps):
        x[t + 1 : t + 1 + width].addcmul_(ways[t], rows[t], value=-1)
    x[:steps].mul_(inverse)
    for t in range(steps - 1, -1, -1):
        for k in range(width):
            rows[t].addcmul_(ways[t, k], rows[t + k + 1], value=-1)
    return x[:steps]


def banded_interior_point(
    functions: tuple[Callable[..., Tensor], Callable[..., Tensor], Callable[..., Tensor]],
    bound: Callable[[Tensor, Tensor], Tensor],
    curved: tuple[Tensor, Callable[[Tensor], Tensor]],
    layout: tuple[tuple[int, ...], int],
    offset: Tensor | None,
    slopes: tuple[Tensor, Tensor],
    copies: list[tuple[int, int, float]],
    ends: tuple[float, float],
    start: Tensor,
    given: tuple[Tensor, ...],
    goal: Tensor,
    max_steps: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Minimise ``S(x) + Σ_i sup{u_i r_i : low_i <= u_i <= high_i}``, ``r = K x + c``: the minimiser, its gap, steps.

    ``functions`` are ``x -> K x``, ``u -> K'u`` and ``∇S`` for rows ``(B, n)``; ``offset`` is c; ``slopes`` are low
    and high ``(m,)``, one of the two perhaps infinite. ``layout``: the shape of x, and the axis along which ``∇²S`` and
    ``K'K`` are bands; the others are not coupled. ``curved`` are ``∇²S`` and ``w -> K'wK`` as ``(T, p+1, B, rest)``,
    the first perhaps with 1 for B: entry o is that between t and t + o. ``copies``: stretches of r that are x less a
    number. The answer lies between ``ends``.

    Newton's steps for the optimality conditions ``∇S + K'u = 0``, ``p (high - u) = q (u - low) = μ``, ``r = p - q``,
    where μ falls to 0 as predicted (Mehrotra 1992; for trend filtering Kim, Koh, Boyd & Gorinevsky 2009): each factors
    a band, linear in T, all samples beside each other, in float64. Samples whose gap is at most ``goal`` leave.
    """
    forward, back, gradient = functions
    dtype, (count, n), (shape, place) = start.dtype, start.shape, layout
    wide = dtype if start.device.type == "mps" else torch.float64
    low, high = (a.to(wide) for a in slopes)
    idle = ~(low < high)  # costs nothing: it has no ends, and its u stays 0
    low, high = low.masked_fill(idle, -torch.inf), high.masked_fill(idle, torch.inf)
    closed_low, closed_high = low.isfinite(), high.isfinite()
    pairs, straight = int(closed_low.sum() + closed_high.sum()), not bool(curved[0].any())
    ceiling, floor = high.masked_fill(~closed_high, 0), low.masked_fill(~closed_low, 0)
    whole = pairs == 2 * len(low)
    answer, gaps = start.clone(), torch.full_like(goal, torch.inf)
    steps = torch.full((count,), max_steps, device=start.device)

    def shrinks(p: Tensor, dp: Tensor, q: Tensor, dq: Tensor) -> Tensor:
        """The greatest share of a value that a move takes away, of both kinds."""
        shares = (dp / p, dq / q)
        parts = [(s if whole else s.nan_to_num_(0)).amin(1, keepdim=True) for s in shares]
        return torch.minimum(*parts).neg_()

    def together(p: Tensor, above: Tensor, q: Tensor, under: Tensor) -> tuple[Tensor, Tensor]:
        """``p (high - u)`` and ``q (u - low)``, 0 where there is no end."""
        upper, lower = p * above, q * under
        return (upper, lower) if whole else (upper.masked_fill_(~closed_high, 0), lower.masked_fill_(~closed_low, 0))

    for rows in torch.arange(count, device=start.device).split(max(1, 2**18 // max(n, 1))):
        x, own, fixed = start[rows].to(wide), tuple(a[rows].to(wide) for a in given), curved[0].to(wide)
        fixed = fixed if fixed.shape[2] == 1 else fixed[:, :, rows]
        shift = 0.0 if offset is None else offset[rows].to(wide)
        r = forward(x, *own) + shift
        size, pull = (a.abs().mean(1, keepdim=True) for a in (r, gradient(x, *own)))
        size = torch.where(size > 0, size, 1.0)
        pull = torch.maximum(pull, (ceiling - floor).abs().mean())
        u = torch.where(closed_low & closed_high, (ceiling + floor) / 2, ceiling + floor - pull * closed_high)
        u = u + pull * closed_low.logical_and(~closed_high)
        p, q = r.clamp_min(0).add_(size) * closed_high, (-r).clamp_min_(0).add_(size) * closed_low
        rest, since = r - p + q, torch.zeros_like(rows)
        for step in range(max_steps + 1):
            slope = gradient(x, *own) + back(u, *own)
            above, under = high - u, u - low
            found = x
            for begin, end, value in copies:  # near enough to a kink or an end to stand on it
                inside = torch.minimum(above, under)[:, begin:end] * size
                found = torch.where(torch.maximum(p, q)[:, begin:end] * pull < inside, value, found)
            found = (found if ends == (-torch.inf, torch.inf) else found.clamp(*ends)).to(dtype).to(wide)
            there, steep = forward(found, *own) + shift, gradient(found, *own) + back(u, *own)
            gap = torch.where(there > 0, ceiling, floor).sub_(u).mul_(there).sum(1) + bound(steep, found)
            gap = gap.to(dtype)
            better = gap < gaps[rows]
            answer[rows[better]], gaps[rows[better]] = found[better].to(dtype), gap[better]
            since = torch.where(better, step, since)
            done = (gaps[rows] <= goal[rows]) | ~gap.isfinite() | (step - since > 10)
            steps[rows[done]] = step
            if bool(done.all()) or step == max_steps:
                break
            if int(done.sum()) > len(done) // 8:
                keep = ~done
                rows, x, u, p, q, rest, slope, above, under, size, pull, since = (
                    a[keep] for a in (rows, x, u, p, q, rest, slope, above, under, size, pull, since)
                )
                shift = shift[keep] if isinstance(shift, Tensor) else shift
                own, fixed = tuple(a[keep] for a in own), fixed if fixed.shape[2] == 1 else fixed[:, :, keep]
            weight = (p / above).addcdiv_(q, under).reciprocal_()
            weight = weight if whole else weight.masked_fill_(idle, 0)
            factor = factor_band(curved[1](weight).add_(fixed).flatten(2))

            def direction(more: Tensor, less: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
                """Newton's step where ``p (high - u)`` and ``q (u - low)`` shall change by ``more`` and ``less``."""
                miss = torch.addcdiv(rest, more, above, value=-1).addcdiv_(less, under)  # noqa: B023
                right = back(weight * miss, *own).add_(slope).neg_()  # noqa: B023
                columns = right.reshape(-1, *shape).movedim(place + 1, 0)
                dx = solve_factored(factor, columns.reshape(shape[place], -1))  # noqa: B023
                dx = dx.view(columns.shape).movedim(0, place + 1).reshape(right.shape)
                du = miss.add_(forward(dx, *own)).mul_(weight)  # noqa: B023
                dp = torch.addcmul(more, p, du).div_(above)  # noqa: B023
                return dx, du, dp, torch.addcmul(less, q, du, value=-1).div_(under)  # noqa: B023

            upper, lower = together(p, above, q, under)
            dx, du, dp, dq = direction(-upper, -lower)
            far = torch.maximum(shrinks(p, dp, q, dq), shrinks(above, -du, under, du))
            far = far.clamp_min_(1).reciprocal_()
            now = (upper + lower).sum(1, keepdim=True)
            upper_then, lower_then = together(
                torch.addcmul(p, far, dp), torch.addcmul(above, far, du, value=-1),
                torch.addcmul(q, far, dq), torch.addcmul(under, far, du),
            )  # fmt: skip
            aim = ((upper_then.add_(lower_then)).sum(1, keepdim=True) / now) ** 3 * now / pairs
            more, less = aim - upper, aim - lower
            dx, du, dp, dq = direction(more.addcmul_(dp, du), less.addcmul_(dq, du, value=-1))
            primal, dual = shrinks(p, dp, q, dq), shrinks(above, -du, under, du)
            if not straight:  # the slope holds both
                primal = dual = torch.maximum(primal, dual)
            primal, dual = ((0.9995 / a.clamp_min(1e-9)).clamp_max(1) for a in (primal, dual))
            x, p, q = (torch.addcmul(a, primal, move) for a, move in ((x, dx), (p, dp), (q, dq)))
            u = torch.addcmul(u, dual, du)
            rest = rest * (1 - primal)  # measured anew it would be rounding, times the weights
    return answer, gaps, steps
