"""Minima of smooth functions, all samples at once: Newton's method and limited memory quasi-Newton, within bounds.

Torch only; copied into generated files by name.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def smooth_minimum(
    energy: Callable[..., Tensor],
    slope: Callable[..., Tensor],
    bend: Callable[..., Tensor] | None,
    start: Tensor,
    given: tuple[Tensor, ...],
    least: float | Tensor,
    most: float | Tensor,
    goal: Tensor,
    max_steps: int,
    weight: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Minimise ``energy(x, *given) + Σ weight |x|`` over ``least <= x <= most`` from each row of ``start`` ``(B, n)``.

    Gives the minimiser, the residual (the largest entry of the smallest subgradient, without those that push against
    a bound) and steps. ``bend`` is the second derivative, ``(B, n, n)`` or its diagonal ``(B, n)``, for Newton's
    method; without it the last ten moves stand for it (L-BFGS: Liu & Nocedal 1989). Entries at a bound that the slope
    pushes against keep out of the curvature, so that clipping goes downhill (two-metric projection: Bertsekas 1982).
    With a ``weight`` ``(n,)`` a step stays on the side of 0 that it begins on or goes to (Andrew & Gao 2007): one more
    bound. Each sample halves its step until the energy falls enough (Armijo 1966); near the end, where differences of
    energies drown in rounding, until the residual falls. Samples that have reached their ``goal`` ``(B,)`` leave.
    """
    low, high = (torch.as_tensor(end, dtype=start.dtype, device=start.device) for end in (least, most))
    tile = max(1, 2**22 // max(1, start.shape[1]) ** 2)
    if bend is not None and start.shape[0] > tile:  # their second derivatives would not fit in memory
        parts = [
            smooth_minimum(energy, slope, bend, x, tuple(a[k * tile : k * tile + tile] for a in given), low, high,
                           wanted, max_steps, weight)
            for k, (x, wanted) in enumerate(zip(start.split(tile), goal.split(tile), strict=True))
        ]  # fmt: skip
        return torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts]), torch.cat([p[2] for p in parts])
    rows = torch.arange(start.shape[0], device=start.device)
    x = start.clamp(low, high)

    def priced(x: Tensor) -> Tensor:
        value = energy(x, *given)
        return value if weight is None else value + (weight * x.abs()).sum(1)

    value, g = priced(x), slope(x, *given)
    answer, length = x.clone(), torch.ones_like(x[:, :1])
    residuals = torch.full_like(value, torch.inf)
    steps = torch.full((start.shape[0],), max_steps, device=start.device)
    moves: list[Tensor] = []
    turns: list[Tensor] = []
    floor = torch.finfo(x.dtype).eps ** 0.75
    for count in range(max_steps + 1):
        full, lo, hi = one_sided(x, g, low, high, weight)
        residual = full.masked_fill(pushed(x, full, lo, hi), 0).abs().amax(-1)
        if bend is not None or count % 5 == 0 or count == max_steps:
            done = ~(residual > goal) | (length[:, 0] < floor) | (count == max_steps)
            finished = int(done.sum())
            if finished == len(done) or finished > len(done) // 4:
                at = rows[done]
                answer[at], residuals[at], steps[at] = x[done], residual[done], count
                if finished == len(done):
                    break
                keep = ~done
                rows, x, value, g, length, full, goal = (a[keep] for a in (rows, x, value, g, length, full, goal))
                residual, given = residual[keep], tuple(a[keep] for a in given)
                lo, hi = (lo, hi) if weight is None else (lo[keep], hi[keep])
                moves, turns = [a[keep] for a in moves], [a[keep] for a in turns]
        near = (x - (x - full).clamp(lo, hi)).abs().amax(-1, keepdim=True).clamp_max(1e-3)
        free = ~pushed(x, full, lo + near, hi - near) & (lo < hi)
        if bend is not None:
            step = newton_step(bend(x, *given), full, free)
        else:
            step = quasi_newton_step(full, moves, turns, free)
        size, reach = (a.abs().amax(1, keepdim=True) for a in (step, x))  # where nothing bends, steps have no end
        step = step * (100 * reach.clamp_min(1) / size.clamp_min(torch.finfo(x.dtype).tiny)).clamp_max(1)
        new = torch.addcmul(x, length, step).clamp(lo, hi)
        new_value, new_g = priced(new), slope(new, *given)
        move = new - x
        new_full, *ends = one_sided(new, new_g, low, high, weight)
        left = new_full.masked_fill(pushed(new, new_full, *ends), 0).abs().amax(-1)
        blurred = value + 64 * torch.finfo(x.dtype).eps * value.abs()
        good = (new_value <= value + 1e-4 * (full * move).sum(-1).clamp_max(0)) & (new_value < value)
        good |= (new_value <= blurred) & (left < residual)
        held = good[:, None]
        if bend is None:
            moves, turns = [*moves[-9:], torch.where(held, move, 0)], [*turns[-9:], torch.where(held, new_g - g, 0)]
        x, g, value = torch.where(held, new, x), torch.where(held, new_g, g), torch.where(good, new_value, value)
        length = torch.where(held, 1.0, 0.5 * length)
    return answer, residuals, steps


def pushed(x: Tensor, slope: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Which entries the slope pushes against a bound that they are at."""
    return ((x <= low) & (slope > 0)) | ((x >= high) & (slope < 0))


def one_sided(
    x: Tensor, slope: Tensor, low: Tensor, high: Tensor, weight: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """The smallest subgradient of a smooth part with ``slope``, plus ``Σ weight |x|``, and bounds that keep to a side.

    An entry at 0 may go where that points, and stays where it is 0.
    """
    if weight is None:
        return slope, low, high
    side = x.sign()
    full = torch.where(side == 0, slope - slope.clamp(-weight, weight), slope + weight * side)
    side = torch.where(side == 0, -full.sign(), side)
    low, high = low.expand_as(x), high.expand_as(x)
    bent = weight > 0
    return (
        full,
        torch.where(bent & (side >= 0), low.clamp_min(0), low),
        torch.where(bent & (side <= 0), high.clamp_max(0), high),
    )


def newton_step(matrix: Tensor, slope: Tensor, free: Tensor) -> Tensor:
    """``-matrix⁻¹ slope`` for each row, entries that are not ``free`` by their own curvature alone.

    A matrix that is not positive definite is replaced by its absolute value, eigenvalues near 0 by small ones, so that
    the step goes downhill (Nocedal & Wright 2006, section 3.4).
    """
    tiny = torch.finfo(slope.dtype).tiny
    if matrix.ndim == 2:
        curvature = matrix.abs()
        return -slope / torch.maximum(curvature, 1e-8 * curvature.amax(-1, keepdim=True)).clamp_min(tiny)
    identity = torch.eye(slope.shape[1], dtype=torch.bool, device=slope.device)
    matrix = matrix.masked_fill(~(free[:, :, None] & free[:, None, :] | identity), 0)
    factor, info = torch.linalg.cholesky_ex(matrix)
    step = -torch.cholesky_solve(slope[..., None], factor)[..., 0]
    bent = info > 0
    if bool(bent.any()):
        values, vectors = torch.linalg.eigh(matrix[bent].nan_to_num(0, 0, 0))
        values = values.abs()
        values = torch.maximum(values, 1e-6 * values.amax(-1, keepdim=True)).clamp_min(tiny)
        along = (vectors.mT @ slope[bent][..., None])[..., 0]
        step[bent] = -(vectors @ (along / values)[..., None])[..., 0]
    return step


def quasi_newton_step(slope: Tensor, moves: list[Tensor], turns: list[Tensor], free: Tensor) -> Tensor:
    """``-H slope`` for each row, where H maps what the gradient turned by to the move that turned it, newest last.

    Two loops over the pairs (Nocedal & Wright 2006, algorithm 7.4); pairs without curvature are passed over.
    """
    down = torch.where(free, slope, 0)
    scale = 1 / slope.abs().amax(-1, keepdim=True).clamp_min(torch.finfo(slope.dtype).tiny)
    pairs = []
    for move, turn in zip(moves, turns, strict=True):
        bend, square = (move * turn).sum(-1, keepdim=True), turn.square().sum(-1, keepdim=True)
        good = bend > torch.finfo(slope.dtype).eps * square
        scale = torch.where(good, bend / square, scale)
        pairs.append((move, turn, torch.where(good, 1 / bend, 0)))
    shares = []
    for move, turn, weight in reversed(pairs):
        shares.append(weight * (move * down).sum(-1, keepdim=True))
        down = torch.addcmul(down, shares[-1], turn, value=-1)
    down = down * scale
    for (move, turn, weight), share in zip(pairs, reversed(shares), strict=True):
        down = torch.addcmul(down, share - weight * (turn * down).sum(-1, keepdim=True), move)
    return -torch.where(free, down, scale * slope)
