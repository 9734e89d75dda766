"""Local search over finite latents that are too many to try: one variable changed at a time, from several starts.

Torch only; copied into generated files by name.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def site_search(
    energy: Callable[..., Tensor],
    start: Tensor,
    given: tuple[Tensor, ...],
    sites: list[tuple[int, Tensor]],
    max_steps: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Lower ``energy(x, *given)`` ``(B,)`` from each row of ``start`` ``(B, n)`` until no change of one variable does.

    ``sites``: for each variable where it begins in a row, and its values ``(count, width)``. All values of one are
    tried, the best kept, then those of the next (iterated conditional modes: Besag 1986). Gives the point, 0 where a
    last sweep changed nothing (else ``inf``), and sweeps; rows where nothing changed leave.
    """
    rows = torch.arange(start.shape[0], device=start.device)
    x, answer = start.clone(), start.clone()
    left = torch.full_like(start[:, 0], torch.inf)
    steps = torch.full((start.shape[0],), max_steps, device=start.device)
    value = energy(x, *given)
    for sweep in range(1, max_steps + 1):
        before = x.clone()
        for begin, table in sites:
            count, width = table.shape
            tries = x.repeat_interleave(count, 0)
            tries[:, begin : begin + width] = table.repeat(x.shape[0], 1)
            tried = energy(tries, *(a.repeat_interleave(count, 0) for a in given)).reshape(-1, count)
            lowest, which = tried.min(1)
            lower = lowest < value - 16 * torch.finfo(x.dtype).eps * value.abs()
            x[lower, begin : begin + width] = table[which[lower]]
            value = torch.where(lower, lowest, value)
        still = (x == before).all(1)
        answer[rows] = x
        left[rows[still]], steps[rows[still]] = 0, sweep
        if bool(still.all()):
            break
        rows, x, value = rows[~still], x[~still], value[~still]
        given = tuple(a[~still] for a in given)
    return answer, left, steps


def flip_search(
    matrix: Tensor, linear: Tensor, low: Tensor, high: Tensor, start: Tensor, max_steps: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Lower ``½ x' matrix x + linear' x`` for each row of ``start`` ``(B, n)`` whose entries are ``low`` or ``high``.

    ``matrix`` is ``(n, n)`` or ``(B, n, n)``. Tabu search: the best flip is taken even uphill, and not undone for a
    while unless that gives a new lowest energy (Glover, Kochenberger & Alidaee 1998); each flip costs one row of the
    matrix. From the lowest point the search goes on until no flip of one entry or of two lowers. Gives the point, 0
    where that was reached (else ``inf``), and flips.
    """
    count, n = start.shape
    rows = torch.arange(count, device=start.device)
    whole = matrix.expand(count, n, n)
    bend = matrix.diagonal(dim1=-2, dim2=-1)

    def slopes(x: Tensor) -> Tensor:
        return torch.einsum("bn,bnk->bk", x, whole) + linear if matrix.ndim == 3 else torch.addmm(linear, x, matrix)

    def flips(x: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
        move = low + high - 2 * x
        return move, move * (slope + 0.5 * bend * move)

    x, slope = start.clone(), slopes(start)
    value = 0.5 * (x * (slope + linear)).sum(1)
    best, least = x.clone(), value.clone()
    until = torch.zeros(count, n, dtype=torch.int64, device=x.device)
    generator = torch.Generator().manual_seed(0)
    tenure = torch.randint(max(1, n // 8), max(2, n // 3), (10 * n,), generator=generator).tolist()
    for k in range(min(max_steps, 10 * n)):
        move, change = flips(x, slope)
        barred = (until > k) & (value[:, None] + change >= least[:, None])
        at = change.masked_fill(barred, torch.inf).argmin(1)
        moved = move[rows, at]
        value = value + change[rows, at]
        slope = torch.addcmul(slope, moved[:, None], whole[rows, at])
        x[rows, at] += moved
        until[rows, at] = k + 1 + tenure[k]
        lower = value < least
        best, least = torch.where(lower[:, None], x, best), torch.where(lower, value, least)
    x, slope = best, slopes(best)
    left = torch.full_like(least, torch.inf)
    steps = torch.full((count,), 10 * n, device=x.device)
    for _ in range(max_steps):
        move, change = flips(x, slope)
        pairs = change[:, :, None] + change[:, None, :] + move[:, :, None] * whole * move[:, None, :]
        pairs.diagonal(dim1=1, dim2=2).copy_(change)  # of an entry with itself: one flip
        lowest, at = pairs.flatten(1).min(1)
        scale = (slope.abs().amax(1) + bend.abs().amax(-1)) * move.abs().amax(1)
        lower = lowest < -64 * torch.finfo(x.dtype).eps * scale
        left = torch.where(lower, left, 0)
        if not bool(lower.any()):
            break
        first, second = at // n, at % n
        flipped = torch.zeros_like(x)
        flipped[rows, first] = 1
        flipped[rows, second] = 1
        x = torch.addcmul(x, flipped * lower[:, None], move)
        slope = slopes(x)
        steps = steps + lower
    return x, left, steps
