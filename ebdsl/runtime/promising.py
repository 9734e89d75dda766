"""Where descents begin in few dimensions, at whatever size the answer has. Torch only; copied into generated files."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def promising_points(
    energy: Callable[..., Tensor],
    place: Callable[..., Tensor],
    like: Tensor,
    given: tuple[Tensor, ...],
    ends: tuple[float | Tensor, float | Tensor],
    tried: list[int],
    count: int,
    keep: int,
) -> Tensor:
    """``keep`` starts for each row of ``like`` ``(B, n)``, row by row ``(B·keep, n)``, the first the row itself.

    Up to three entries are ``tried``: the lowest local minima of ``energy(x, *given)`` ``(B,)`` on grids of ``count``
    points; more: the lowest of as many points drawn. They lie between ``ends``, least and most; where these are
    infinite, at eight distances from 0, so that data in other units are found, a third of them within 3.
    ``place(x, *given)`` puts points into the domain, and may set the other entries to their best (variable projection:
    Golub & Pereyra 1973).
    """
    rows, n = like.shape
    low, high = (torch.as_tensor(end, dtype=like.dtype, device=like.device).expand(n)[tried] for end in ends)
    side = round(count ** (1 / len(tried))) if len(tried) <= 3 else 0
    if side:
        line = torch.linspace(-1, 1, side, dtype=like.dtype, device=like.device)
        unit = torch.cartesian_prod(*[line] * len(tried)).reshape(-1, len(tried))
    else:
        generator = torch.Generator().manual_seed(0)
        unit = torch.rand(count, len(tried), generator=generator, dtype=like.dtype).to(like.device) * 2 - 1
        unit[::2] = unit[::2].sign() * unit[::2].abs() ** 0.25  # half of them near the ends
    tile = max(1, 2**18 // max(1, len(unit)))
    if rows > tile:
        blocks = [
            promising_points(energy, place, x, tuple(a[k * tile : k * tile + tile] for a in given), ends, tried, count,
                             keep)
            for k, x in enumerate(like.split(tile))
        ]  # fmt: skip
        return torch.cat(blocks)
    each = tuple(a.repeat_interleave(len(unit), 0) for a in given)

    def best_at(distances: tuple[float, ...], number: int) -> Tensor:
        best, lowest = like[:, None], torch.full_like(like[:, :1], torch.inf)
        for far in distances:
            left = torch.where(low.isfinite(), low, torch.where(high.isfinite(), high - far, -far))
            right = torch.where(high.isfinite(), high, torch.where(low.isfinite(), low + far, far))
            points = like.new_zeros(rows, len(unit), n)
            points[:, :, tried] = left + (right - left) * (unit + 1) / 2
            flat = place(points.reshape(-1, n), *each)
            heights = energy(flat, *each).reshape(rows, -1).nan_to_num(torch.inf, torch.inf)
            if side:
                heights = torch.where(lowest_near(heights, side, len(tried)), heights, torch.inf)
            points, heights = torch.cat((best, flat.reshape(points.shape)), 1), torch.cat((lowest, heights), 1)
            lowest, order = heights.topk(number, largest=False)
            best = points.gather(1, order[..., None].expand(-1, -1, n))
        return torch.where(lowest[..., None].isfinite(), best, like[:, None])

    if bool((low.isfinite() & high.isfinite()).all()):
        return torch.cat((like[:, None], best_at((1.0,), keep - 1)), 1).reshape(-1, n)
    shares = {(3.0,): keep // 3, (12.0,): keep // 4, (3 / 16, 3 / 256): keep // 6}
    shares[48.0, 192.0, 768.0, 3072.0] = keep - 1 - sum(shares.values())
    return torch.cat((like[:, None], *(best_at(d, number) for d, number in shares.items())), 1).reshape(-1, n)


def lowest_near(energy: Tensor, side: int, n: int) -> Tensor:
    """Which points of grids ``(B, side**n)`` lie no higher than their neighbours along each axis."""
    grid = energy.reshape(-1, *[side] * n)
    lowest = torch.ones_like(grid, dtype=torch.bool)
    for axis in range(1, n + 1):
        inner, ahead = grid.narrow(axis, 0, side - 1), grid.narrow(axis, 1, side - 1)
        lowest.narrow(axis, 0, side - 1).logical_and_(inner <= ahead)
        lowest.narrow(axis, 1, side - 1).logical_and_(ahead <= inner)
    return lowest.reshape(energy.shape)
