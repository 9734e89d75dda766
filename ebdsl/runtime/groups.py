"""A convex quadratic plus functions of the norms of groups: thresholding, and one group after the other.

Torch only; copied into generated files by name. ``prox(v, t)`` is that of all groups on ``(B, n)``, and ``penalty(x)``
gives their values ``(B, groups)``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ebdsl.runtime.coordinates import sparse_starts, threshold, times_matrix


def prox_of_norm(prox: Callable[..., Tensor], v: Tensor, t: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Prox of ``Σ_g φ(‖x_g‖)`` over groups along ``axes``: ``prox(‖v_g‖, t)`` along v, whose entries share one ``t``.

    Of all x of one length that along v is the nearest to v. On ``x >= 0`` it is that of the positive part.
    """
    last = tuple(range(-len(axes), 0))
    rows = v.movedim(axes, last)
    step = t.expand(v.shape).movedim(axes, last).flatten(-len(axes))[..., 0]
    flat = rows.flatten(-len(axes))
    norm = torch.linalg.vector_norm(flat, dim=-1)
    length = prox(norm, step)
    new = flat * (length / norm.clamp_min(torch.finfo(v.dtype).tiny))[..., None]
    first = torch.where(norm > 0, new[..., 0], length)  # where there is no direction, any will do
    new = torch.cat((first[..., None], new[..., 1:]), -1)
    return new.reshape(rows.shape).movedim(last, axes)


def lowest_thresholded(
    prox: Callable[..., Tensor],
    penalty: Callable[..., Tensor],
    matrix: Tensor,
    linear: Tensor,
    low: Tensor | float,
    high: Tensor | float,
    start: Tensor,
    owner: Tensor,
    kicks: int = 3,
) -> Tensor:
    """Of ``start``, zero, least squares and a path of L1 penalties, each thresholded, the lowest for each row.

    Then ``kicks`` times a part of its entries is put back to each of those points, at random, and thresholded again. In
    the end no group alone is lower: see :func:`lower_groups`.
    """
    n = linear.shape[1]
    low, high = (torch.as_tensor(e, dtype=linear.dtype, device=linear.device).expand(n) for e in (low, high))
    generator = torch.Generator().manual_seed(0)
    found = []
    for k in range(0, len(linear), 1024):
        given = linear[k : k + 1024]
        points = torch.cat((start[k : k + 1024, None], sparse_starts(matrix, given, low, high)), 1)
        count = points.shape[1]
        each, tried = given.repeat_interleave(count, 0), points
        best, least = torch.zeros_like(given), torch.full_like(given[:, 0], torch.inf)
        for _ in range(kicks + 1):
            x = threshold(prox, penalty, matrix, each, tried.reshape(-1, n), 100)
            energy = penalty(x).sum(1) + (x * (0.5 * times_matrix(x, matrix) + each)).sum(1)
            lower, at = energy.reshape(-1, count).nan_to_num(torch.inf).min(1)
            new = x.reshape(-1, count, n)[torch.arange(len(given), device=x.device), at]
            best, least = torch.where((lower < least)[:, None], new, best), torch.minimum(lower, least)
            back = torch.rand(count, n, generator=generator) < torch.linspace(0.1, 0.9, count)[:, None]
            tried = torch.where(back.to(x.device), points, best[:, None])
        for _ in range(2):
            best = lower_groups(prox, penalty, owner, matrix, given, best, 20 + len(owner))
            best = threshold(prox, penalty, matrix, given, best, 100)
        found.append(best)
    return torch.cat(found) if found else start


def lower_groups(
    prox: Callable[..., Tensor],
    penalty: Callable[..., Tensor],
    owner: Tensor,
    matrix: Tensor,
    linear: Tensor,
    x: Tensor,
    steps: int,
) -> Tensor:
    """For each row the group that surely lowers the energy most goes to the minimum of its bound, until none does.

    ``owner`` ``(n,)`` numbers the group of each entry, as ``penalty`` gives their values. The bound of a group has the
    greatest curvature of its own block (block coordinate descent: Tseng & Yun 2009), not that of the whole matrix.
    """
    top = torch.empty_like(matrix[0])
    for g in range(int(owner.max()) + 1):
        at = owner == g
        top[at] = torch.linalg.eigvalsh(matrix[at][:, at])[-1]
    top = top.clamp_min(torch.finfo(x.dtype).eps * top.max())
    eps = 16 * torch.finfo(x.dtype).eps
    for _ in range(steps):
        slope = x @ matrix + linear
        move = prox(x - slope / top, 1 / top) - x
        change = move * (slope + 0.5 * top * move)
        was, now = penalty(x), penalty(x + move)
        gain = (was - now).index_add(1, owner, -change)
        blurred = (was.abs() + now.abs()).index_add(1, owner, (move * slope).abs() + top * move * move)
        most, at = (gain - eps * blurred).max(1)
        if not bool((most > 0).any()):
            break
        x = torch.where((owner == at[:, None]) & (most > 0)[:, None], x + move, x)
    return x
