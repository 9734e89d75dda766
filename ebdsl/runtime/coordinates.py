"""A convex quadratic plus a function of each entry, convex or not: one entry at its minimum after the other.

Torch only; copied into generated files by name. Functions of entries come as ``prox(v, t)``, their values
``penalty(x)`` and their first two derivatives ``slopes(x)``, all entry by entry on ``(B, n)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def least_size(v: Tensor, t: Tensor, pieces: Sequence[tuple], low: float, high: float) -> tuple[Tensor, Tensor]:
    """The ``u`` in ``[low, high]`` at which ``t φ(u) + ½ (u - v)²`` is least, and that value.

    A piece of φ is ``(value, slopes, start, end, way)``, with functions of u. Where its slope is convex, way 1,
    Newton's method from its right end, or from v, goes down to the largest root of ``u - v + t φ'(u)`` and never past
    it; where it is concave, way -1, from its left end up to the smallest. Where it rises and is convex in ``log u``,
    way 2, steps from the right are in that. A straight slope, way 0, takes one step. Roots and ends of all pieces are
    compared. Of one piece that is concave, as of ``√u`` or ``log(1 + u)``, this is 0 or that root (Marjanovic & Solo
    2012).
    """
    least = torch.full_like(v, torch.inf)
    best = v.clamp(low, high)
    for value, slopes, start, end, way in pieces:
        left = torch.as_tensor(start, dtype=v.dtype, device=v.device).clamp_min(low)
        right = torch.as_tensor(end, dtype=v.dtype, device=v.device).clamp_max(high)
        from_right = torch.where(right.isfinite(), right, torch.maximum(v, left))
        u = (left if way < 0 else from_right).expand_as(v)
        for _ in range(50 if way else 1):
            slope, bend = slopes(u)
            rise, curvature = u - v + t * slope, 1 + t * bend
            new = u - rise / curvature
            if not way:
                u = torch.where(curvature > 0, torch.minimum(torch.maximum(new, left), right), u)
            else:
                if way == 2:
                    new = u * (-rise / (u * curvature)).clamp_max(0).exp()
                last = left if way > 0 else right
                inside = torch.where((curvature > 0) & (way * (new - last) > 0), new, last)
                before, u = u, torch.where(way * rise > 0, inside, u)
                if not bool(((before - u).abs() > 2 * torch.finfo(v.dtype).eps * u.abs()).any()):
                    break
        for x in (left.expand_as(v), u, right.expand_as(v)):
            height = t * value(x) + 0.5 * (x - v).square()
            lower = (height < least) & (left <= right) & x.isfinite()
            best, least = torch.where(lower, x, best), torch.where(lower, height, least)
    return best, least


def prox_of_size(v: Tensor, t: Tensor, pieces: Sequence[tuple], low: float, high: float) -> Tensor:
    """Prox of ``Σ φ(|x|)`` on ``[low, high]``: see :func:`least_size`. Of equals the first is taken."""
    if low == -high:
        return least_size(v.abs(), t, pieces, 0.0, high)[0].copysign(v)
    if low >= 0:
        return least_size(v, t, pieces, low, high)[0]
    left, lower = least_size(-v, t, pieces, max(-high, 0.0), -low)
    if high <= 0:
        return -left
    right, least = least_size(v, t, pieces, 0.0, high)
    return torch.where(least <= lower, right, -left)


def times_matrix(x: Tensor, matrix: Tensor) -> Tensor:
    """Each row of ``(B, n)`` times one symmetric matrix ``(n, n)`` or its own ``(B, n, n)``."""
    return x @ matrix if matrix.ndim == 2 else (matrix @ x[..., None])[..., 0]


def rows_of(matrix: Tensor, row: Tensor, at: Tensor) -> Tensor:
    """Row ``at`` ``(B,)`` of one matrix, or of that of each ``row``: ``(B, n)``."""
    return matrix[at] if matrix.ndim == 2 else matrix[row, at]


def sound_factor(matrix: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """Cholesky factors of ``(…, n, n)`` and where there are any, beyond the rounding of entries of ``size``; else 1."""
    factor, info = torch.linalg.cholesky_ex(matrix)
    least = factor.diagonal(dim1=-2, dim2=-1).amin(-1).square()
    sound = (info == 0) & (least > 8 * matrix.shape[-1] * torch.finfo(matrix.dtype).eps * size)
    identity = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    return torch.where(sound[..., None, None], factor, identity), sound


def supported_least_squares(matrix: Tensor, linear: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The minimum of ``½ x' matrix x + linear' x`` on each of the ``2^n`` supports, ``(B, 2^n, n)``, within bounds.

    A support on which the matrix is singular, but for rounding, gives 0: its minimum is one on a smaller support too.
    """
    n = linear.shape[1]
    bits = torch.arange(2**n, device=linear.device)[:, None] >> torch.arange(n, device=linear.device)
    held = (bits % 2).to(linear.dtype)
    blocks = held[:, :, None] * held[:, None] * matrix.reshape(-1, 1, n, n)
    blocks.diagonal(dim1=2, dim2=3).add_(1 - held)
    factor, sound = sound_factor(blocks, matrix.diagonal(dim1=-2, dim2=-1).amax(-1).reshape(-1, 1))
    inverse = torch.cholesky_inverse(factor) * sound[..., None, None] * held[:, :, None] * held[:, None]
    one = matrix.ndim == 2
    points = torch.einsum("bn,snm->bsm" if one else "bn,bsnm->bsm", -linear, inverse[0] if one else inverse)
    return torch.minimum(torch.maximum(points, low), high)


def sparse_starts(matrix: Tensor, linear: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Zero, least squares with a small ridge, and points on a path of L1 penalties: ``(B, 7, n)``, within bounds."""
    size = matrix.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
    ridge = matrix + 1e-3 * size * torch.eye(linear.shape[1], dtype=linear.dtype, device=linear.device)
    factor = torch.linalg.cholesky_ex(ridge)[0]
    points = [torch.zeros_like(linear), -torch.cholesky_solve(linear[..., None], factor)[..., 0]]
    step = 1 / matrix.abs().sum(-1).amax(-1).reshape(-1, 1).clamp_min(torch.finfo(linear.dtype).tiny)
    most = linear.abs().amax(1, keepdim=True)
    x = ahead = torch.zeros_like(linear)
    for share in (0.5, 0.2, 0.1, 0.05, 0.01):
        for k in range(40):
            down = ahead - step * (times_matrix(ahead, matrix) + linear)
            new = torch.minimum(torch.maximum(down - down.clamp(-step * share * most, step * share * most), low), high)
            x, ahead = new, new + k / (k + 3) * (new - x)
        points.append(x)
    return torch.minimum(torch.maximum(torch.stack(points, 1), low), high)


def threshold(
    prox: Callable[..., Tensor], penalty: Callable[..., Tensor], matrix: Tensor, linear: Tensor, x: Tensor, steps: int
) -> Tensor:
    """Proximal gradient with momentum while that lowers the energy: iterative thresholding.

    Blumensath & Davies 2008 for the number of entries; that it converges: Attouch, Bolte & Svaiter 2013. The momentum
    and the step without it where that is lower: Li & Lin 2015.
    """
    top = matrix.abs().sum(-1).amax(-1)
    if matrix.ndim == 2:
        top = torch.minimum(top, 1.01 * torch.linalg.eigvalsh(matrix)[-1])
    step = 1 / top.reshape(-1, 1).clamp_min(torch.finfo(x.dtype).tiny)
    slope, before, slope_before = times_matrix(x, matrix) + linear, x, None
    energy = penalty(x).sum(1) + 0.5 * (x * (slope + linear)).sum(1)
    slope_before = slope
    since = torch.zeros_like(energy)
    for _ in range(steps):
        momentum = (since / (since + 3))[:, None]
        ahead, down = torch.lerp(before, x, 1 + momentum), torch.lerp(slope_before, slope, 1 + momentum)
        new = prox(ahead - step * down, step)
        new_slope = times_matrix(new, matrix) + linear
        new_energy = penalty(new).sum(1) + 0.5 * (new * (new_slope + linear)).sum(1)
        lower = new_energy <= energy
        since = torch.where(lower, since + 1, 0)
        keep = lower[:, None]
        before, slope_before = x, slope
        x, slope = torch.where(keep, new, x), torch.where(keep, new_slope, slope)
        still = ~lower & (momentum[:, 0] == 0)
        if bool((still | (energy - new_energy <= 1e-5 * energy.abs()) & lower).all()):
            break
        energy = torch.where(lower, new_energy, energy)
    return x


def lower_entries(
    prox: Callable[..., Tensor], penalty: Callable[..., Tensor], matrix: Tensor, linear: Tensor, x: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """Greedy coordinate descent: for each row the entry that lowers the energy most goes to its exact minimum.

    Li & Osher 2009; Wu & Lange 2008. Gives the point, and what the entries of that would still go to: those
    that stay cannot lower the energy alone by more than rounding.
    """
    row = torch.arange(len(x), device=x.device)
    bend = matrix.diagonal(dim1=-2, dim2=-1)
    least = torch.finfo(x.dtype).eps * bend.amax(-1, keepdim=True)
    bend = torch.maximum(bend, least).clamp_min(torch.finfo(x.dtype).tiny)  # a matrix may be 0
    x = x.clone()
    moved = x
    for k in range(steps + 1):
        if k % 32 == 0:
            slope = times_matrix(x, matrix) + linear
        moved = prox(x - slope / bend, 1 / bend)
        move = moved - x
        was, now = penalty(x), penalty(moved)
        gain = was - now - move * (slope + 0.5 * bend * move)
        blurred = was.abs() + now.abs() + move.abs() * (slope.abs() + bend * (move.abs() + x.abs()))
        gain = torch.where(gain > 16 * torch.finfo(x.dtype).eps * blurred, gain, 0.0)
        most, at = gain.max(1)
        if k == steps or not bool((most > 0).any()):
            break
        by = torch.where(most > 0, move[row, at], 0.0)
        x[row, at] = torch.where(most > 0, moved[row, at], x[row, at])
        slope = slope + by[:, None] * rows_of(matrix, row, at)
    return x, torch.where(gain > 0, moved, x)


def exchange_entries(
    prox: Callable[..., Tensor],
    penalty: Callable[..., Tensor],
    slopes: Callable[..., tuple[Tensor, Tensor]],
    matrix: Tensor,
    linear: Tensor,
    x: Tensor,
) -> Tensor:
    """For each row the best of: an entry goes to 0, one leaves it, or both, where the rest of the support adapts.

    Swaps as of Hazimeh & Mazumder 2020, for all pairs at once: with the inverse of the curvature on the support,
    leaving out an entry is a change of rank 1. Exact where φ is flat off 0, and from a point that is settled; else the
    energy of what is found has to be looked at.
    """
    order = (x != 0).to(torch.int8).argsort(dim=1, descending=True, stable=True)
    at = order[:, : max(1, int((x != 0).sum(1).max()))]
    held = (x != 0).gather(1, at)
    row = torch.arange(len(x), device=x.device)[:, None]
    beside = matrix[at] if matrix.ndim == 2 else matrix[row, at]
    beside = torch.where(held[:, :, None], beside, 0.0)
    slope = times_matrix(x, matrix) + linear
    first, second = (torch.where(held, f.gather(1, at), 0.0) for f in slopes(x))
    block = torch.where(held[:, None], beside.gather(2, at[:, None].expand(-1, at.shape[1], -1)), 0.0)
    bend = matrix.diagonal(dim1=-2, dim2=-1)
    top = bend.amax(-1, keepdim=True)
    padded = torch.where(held, second, top)
    factor, sound = sound_factor(block + torch.diag_embed(padded), top[..., 0])
    inverse = torch.cholesky_inverse(factor)
    own = inverse.diagonal(dim1=1, dim2=2)
    size = torch.where(held, x.gather(1, at), 0.0)
    values, empty = penalty(x), penalty(torch.zeros_like(x))
    lost = (empty - values).gather(1, at) + size * (first + 0.5 * size * (1 / own - second))
    lost = torch.where(held, lost, torch.inf)
    none = torch.zeros_like(lost[:, :1])
    through = inverse @ beside  # how the support answers to an entry
    left = bend - (beside * through).sum(1)
    share = size / own
    lost = torch.cat((none, lost), 1)
    down = torch.cat((slope[:, None], slope[:, None] - share[:, :, None] * through), 1)
    curve = torch.cat((left[:, None], left[:, None] + through.square() / own[:, :, None]), 1)
    floor = 8 * x.shape[1] * torch.finfo(x.dtype).eps * top.reshape(-1, 1, 1)
    flat = torch.maximum(curve, floor).reshape(-1, x.shape[1])
    goes = prox(-down.reshape(flat.shape) / flat, 1 / flat)
    gain = penalty(torch.zeros_like(goes)) - penalty(goes) - goes * (down.reshape(flat.shape) + 0.5 * flat * goes)
    gain = gain.reshape(curve.shape).masked_fill((x != 0)[:, None] | (curve <= floor), -torch.inf)
    gain = torch.cat((torch.zeros_like(gain[..., :1]), gain), 2) - lost[..., None]
    gain[:, 0, 0] = -torch.inf
    best = gain.nan_to_num(-torch.inf, posinf=-torch.inf).flatten(1).argmax(1)
    out, to = best // gain.shape[2] - 1, best % gain.shape[2] - 1
    row = row[:, 0]
    put = torch.where(to >= 0, goes.reshape(curve.shape)[row, out + 1, to], 0.0)
    move = torch.where(out >= 0, -share[row, out], 0.0)[:, None] * inverse[row, out]
    new_size = size + move
    # what the support answers to the new entry, given that the one that went stays at 0
    answer = (
        through[row, :, to]
        - torch.where(out >= 0, through[row, out, to] / own[row, out], 0.0)[:, None] * inverse[row, out]
    )
    new_size = torch.where(held, new_size - put[:, None] * answer, 0.0)
    new_size[row, out] = torch.where(out >= 0, 0.0, new_size[row, out])
    new = torch.zeros_like(x).scatter(1, at, new_size)
    new[row, to] = torch.where(to >= 0, put, new[row, to])
    return torch.where(sound[:, None] & new.isfinite().all(1, keepdim=True), new, x)


def settle(
    penalty: Callable[..., Tensor],
    slopes: Callable[..., tuple[Tensor, Tensor]],
    matrix: Tensor,
    linear: Tensor,
    x: Tensor,
    low: Tensor,
    high: Tensor,
) -> Tensor:
    """Newton's method in the entries that are neither 0 nor at a bound, the others as they are.

    A step is halved until the energy falls, or is the same but for rounding and the slope in these entries falls.
    """
    free = (x != 0) & (x > low) & (x < high)
    most = int(free.sum(1).max()) if len(x) else 0
    if not most:
        return x
    row = torch.arange(len(x), device=x.device)[:, None]
    at = free.to(torch.int8).argsort(dim=1, descending=True, stable=True)[:, :most]
    held = free.gather(1, at)
    block = (
        matrix[at[:, :, None], at[:, None]]
        if matrix.ndim == 2
        else matrix[row[:, :, None], at[:, :, None], at[:, None]]
    )
    block = torch.where(held[:, :, None] & held[:, None], block, 0.0)
    top = matrix.diagonal(dim1=-2, dim2=-1).amax(-1).expand(len(x))

    def measured(point: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        first, second = slopes(point)
        slope = times_matrix(point, matrix) + linear
        energy = penalty(point).sum(1) + 0.5 * (point * (slope + linear)).sum(1)
        slope = torch.where(held, (slope + first).gather(1, at), 0.0)
        return energy, slope, torch.where(held, second.gather(1, at), top[:, None])

    energy, slope, bend = measured(x)
    for _ in range(12):
        factor, sound = sound_factor(block + torch.diag_embed(bend), top)
        if not bool(sound.all()):  # bent down along some way: the quadratic alone lies above the energy
            above = torch.where(sound[:, None], bend, bend.clamp_min(0) + 1e-3 * top[:, None])
            factor, _ = sound_factor(block + torch.diag_embed(above), top)
        step = -torch.cholesky_solve(slope[..., None], factor)[..., 0]
        step = torch.where(step.isfinite(), step, 0.0)
        better = torch.zeros_like(sound)
        for _ in range(4):
            new = x.scatter_add(1, at, step)
            new = torch.minimum(torch.maximum(new, low), high)
            new_energy, new_slope, new_bend = measured(new)
            blurred = 16 * torch.finfo(x.dtype).eps * (energy.abs() + (x * linear).abs().sum(1))
            falls = new_slope.abs().amax(1) < slope.abs().amax(1)
            accept = ((new_energy < energy - blurred) | (falls & (new_energy <= energy + blurred))) & ~better
            x = torch.where(accept[:, None], new, x)
            energy = torch.where(accept, new_energy, energy)
            slope, bend = (torch.where(accept[:, None], b, a) for a, b in ((slope, new_slope), (bend, new_bend)))
            better |= accept
            step = torch.where(better[:, None], 0.0, 0.5 * step)
            if bool(better.all()):
                break
        if not bool(better.any()):
            break
    return x


def left_to_lower(
    prox: Callable[..., Tensor],
    penalty: Callable[..., Tensor],
    slopes: Callable[..., tuple[Tensor, Tensor]],
    matrix: Tensor,
    linear: Tensor,
    x: Tensor,
    low: Tensor,
    high: Tensor,
) -> Tensor:
    """How far each row is from where no entry alone lowers the energy, as a slope: 0 exactly there.

    An entry counts its distance to its own minimum times its curvature; one that only rounding would move, its slope.
    """
    bend = matrix.diagonal(dim1=-2, dim2=-1)
    least = torch.finfo(x.dtype).eps * bend.amax(-1, keepdim=True)
    bend = torch.maximum(bend, least).clamp_min(torch.finfo(x.dtype).tiny)
    goes = lower_entries(prox, penalty, matrix, linear, x, 0)[1]
    slope = times_matrix(x, matrix) + linear
    near = (prox(x - slope / bend, 1 / bend) - x).abs() * bend
    inner = torch.where((x != 0) & (x > low) & (x < high), (slope + slopes(x)[0]).abs(), 0.0)
    return torch.where(goes == x, torch.minimum(near, inner), near).amax(1)


def lower_pairs(
    prox: Callable[..., Tensor],
    penalty: Callable[..., Tensor],
    slopes: Callable[..., tuple[Tensor, Tensor]],
    matrix: Tensor,
    linear: Tensor,
    x: Tensor,
    low: Tensor,
    high: Tensor,
    goal: Tensor,
    max_steps: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Settle on the support, lower entry by entry and exchange entries, until none of it lowers a row's energy.

    Gives the points, their energies and the rounds; rows where nothing changed leave.
    """
    x, rounds = x.clone(), torch.zeros_like(x[:, 0], dtype=torch.int64)
    energies, busy = torch.zeros_like(x[:, 0]), torch.arange(len(x), device=x.device)
    for step in range(1, max_steps + 1):
        part, now, before = matrix if matrix.ndim == 2 else matrix[busy], linear[busy], x[busy]

        def down(point: Tensor, part: Tensor = part, now: Tensor = now) -> tuple[Tensor, Tensor]:
            """The point settled and lowered, and its energy."""
            point = settle(penalty, slopes, part, now, point, low, high)
            point = lower_entries(prox, penalty, part, now, point, 10 + len(low) // 4)[0]
            return point, penalty(point).sum(1) + (point * (0.5 * times_matrix(point, part) + now)).sum(1)

        new, energy = down(before)
        other = exchange_entries(prox, penalty, slopes, part, now, new)
        other, lower = down(torch.minimum(torch.maximum(other, low), high))
        changed = lower < energy - 64 * torch.finfo(x.dtype).eps * (energy.abs() + (new * now).abs().sum(1))
        new = torch.where(changed[:, None], other, new)
        x[busy], rounds[busy], energies[busy] = new, step, torch.where(changed, lower, energy)
        left = left_to_lower(prox, penalty, slopes, part, now, new, low, high)
        busy = busy[(changed | (left > goal[busy])) & (new != before).any(1)]
        if not len(busy):
            break
    return x, energies, rounds


def coordinate_minimum(
    prox: Callable[..., Tensor],
    penalty: Callable[..., Tensor],
    slopes: Callable[..., tuple[Tensor, Tensor]],
    matrix: Tensor,
    linear: Tensor,
    low: Tensor | float,
    high: Tensor | float,
    start: Tensor,
    goal: Tensor,
    max_steps: int,
    kicks: int = 3,
) -> tuple[Tensor, Tensor, Tensor]:
    """Minimise ``½ x' matrix x + linear' x + Σ φ(x)`` for each row: the point, its residual and rounds.

    Of at most twelve entries the least squares on all supports are tried, which for ``φ`` a number of entries holds the
    minimum; of more, ``start``, zero, least squares and a path of L1 penalties, each thresholded and lowered entry by
    entry. The lowest go down by :func:`lower_pairs`; of more than twelve entries the best then loses a part of its
    support, ``kicks`` times at random, and goes down again (iterated local search), unless all of a row meet at one
    energy or at most thirty rounds are asked for. The lowest is kept.
    """
    n = linear.shape[1]
    low, high = (torch.as_tensor(e, dtype=linear.dtype, device=linear.device).expand(n) for e in (low, high))
    few, shared = n <= 12, matrix.ndim == 2
    each = (2**n if few else 8) * (n if shared else n * n)
    tile = max(1, 2**21 // each)
    found = [torch.zeros_like(linear[:0])], [goal[:0]], [torch.zeros_like(goal[:0], dtype=torch.int64)]
    for k in range(0, len(linear), tile):
        own, given, wanted = matrix if shared else matrix[k : k + tile], linear[k : k + tile], goal[k : k + tile]

        def several(count: int, own: Tensor = own, given: Tensor = given, wanted: Tensor = wanted) -> tuple:
            """Matrix, linear part and goal of each sample, ``count`` times."""
            return (
                own if shared else own.repeat_interleave(count, 0),
                *(a.repeat_interleave(count, 0) for a in (given, wanted)),
            )

        def lowest(points: Tensor, energy: Tensor, count: int) -> Tensor:
            """Of each sample's points the ``count`` lowest."""
            best = energy.nan_to_num(torch.inf).topk(count, largest=False).indices
            return points.reshape(*energy.shape, n).gather(1, best[..., None].expand(-1, -1, n)).reshape(-1, n)

        points = supported_least_squares(own, given, low, high) if few else sparse_starts(own, given, low, high)
        points = torch.cat((start[k : k + tile, None], points), 1)
        count = points.shape[1]
        if not few:
            square, right, _ = several(count)
            x = threshold(prox, penalty, square, right, points.reshape(-1, n), 100)
            points = lower_entries(prox, penalty, square, right, x, 30)[0].reshape(-1, count, n)
        curve = points @ own
        energy = penalty(points.reshape(-1, n)).reshape(points.shape).sum(2) + (
            points * (0.5 * curve + given[:, None])
        ).sum(2)
        keep = min(count, 8 if few else 4)
        square, right, aim = several(keep)
        x, energy, rounds = lower_pairs(
            prox, penalty, slopes, square, right, lowest(points, energy, keep), low, high, aim, max_steps
        )
        most = rounds.reshape(-1, keep).amax(1)
        each_energy = energy.reshape(-1, keep)
        x, least = lowest(x, each_energy, 1), each_energy.amin(1)
        apart = ~(each_energy.amax(1) - least <= 1e-5 * least.abs())
        rows = torch.arange(len(given), device=x.device)[apart & (not few and max_steps > 30)]
        generator = torch.Generator().manual_seed(0)  # the same for all rows
        for _ in range(kicks if len(rows) else 0):
            share = torch.linspace(0, 0.7, keep, dtype=x.dtype)[:, None]
            drop = (torch.rand(keep, n, generator=generator, dtype=x.dtype) < share).to(x.device).repeat(len(rows), 1)
            square, right, aim = several(keep, own if shared else own[rows], given[rows], wanted[rows])
            kicked = torch.where(drop, 0.0, x[rows].repeat_interleave(keep, 0))
            tried, energy, rounds = lower_pairs(prox, penalty, slopes, square, right, kicked, low, high, aim, max_steps)
            energy = energy.reshape(-1, keep)
            better = energy.amin(1) < least[rows]
            x[rows] = torch.where(better[:, None], lowest(tried, energy, 1), x[rows])
            least[rows] = torch.where(better, energy.amin(1), least[rows])
            most[rows] += rounds.reshape(-1, keep).amax(1)
        found[0].append(x)
        found[1].append(left_to_lower(prox, penalty, slopes, own, given, x, low, high))
        found[2].append(most)
    return torch.cat(found[0]), torch.cat(found[1]), torch.cat(found[2])
