"""Total variation along a sequence, exactly. Torch only; copied into generated files by name."""

from __future__ import annotations

import torch
from torch import Tensor


def minimise_variation(
    curve: Tensor,
    slope: Tensor,
    prices: tuple[Tensor, Tensor],
    kink: tuple[Tensor, Tensor] | None,
    ends: tuple[float, float],
) -> tuple[Tensor, Tensor]:
    """``argmin Σ_t ½ q_t x_t² + s_t x_t + k_t(x_t) + up_t max(x_t+1 - x_t, 0) + down_t max(x_t - x_t+1, 0)``, and gap.

    ``curve`` q and ``slope`` s are ``(B, T, m)``, ``prices`` down and up ``(B, T-1, m)``, each of the ``m`` sequences
    of a row by itself; an extent may be 1 where all share it. ``kink``: the slopes of k below and above 0. All x lie
    between ``ends``. Gives ``x`` and, ``(B,)``, a bound for how much lower the energy can be.

    The level sets of x at a height depend on the slopes at that height alone (Chambolle & Darbon 2009), so that bounds
    cut the answer off, and a kink is one problem above it and another below. In float64, a few columns at a time.
    """
    (count, steps, m), dtype = slope.shape, slope.dtype
    wide = dtype if slope.device.type == "mps" else torch.float64
    lowest, highest = torch.tensor(ends, dtype=dtype).tolist()
    answers, gaps = [], []

    def columns(part: Tensor, rows: Tensor, length: int) -> Tensor:
        part = part if len(part) == 1 else part[rows]
        return part.expand(len(rows), length, m).transpose(0, 1).reshape(length, -1).to(wide)

    for rows in torch.arange(count, device=slope.device).split(max(1, 2**20 // (steps * max(m, 1)))):
        q, s = columns(curve, rows, steps), columns(slope, rows, steps)
        down, up = (columns(p, rows, steps - 1) for p in prices)
        if kink is None:
            below, above = torch.zeros(2, 1, 1, dtype=wide, device=s.device).expand(2, *s.shape)
            x = chain_minimum(q, s, down, up)
        else:
            below, above = (columns(k, rows, steps) for k in kink)
            higher = chain_minimum(q, s + above, down, up).clamp_min_(0)
            x = chain_minimum(q, s + below, down, up).clamp_max_(0).add_(higher)
        x = x.clamp_(lowest, highest).to(dtype)
        gap = chain_gap(x.to(wide), q, s, (down, up), (below, above), (lowest, highest))
        answers.append(x.view(steps, len(rows), m).transpose(0, 1))
        gaps.append(gap.view(len(rows), m).sum(1).to(dtype))
    return torch.cat(answers), torch.cat(gaps)


def chain_minimum(curve: Tensor, slope: Tensor, down: Tensor, up: Tensor) -> Tensor:
    """The exact minimum of :func:`minimise_variation` without kinks and ends, for columns ``(T, B)``.

    What all steps up to t cost at best, given ``x_t``, has a slope of straight pieces. The next price cuts it off at
    ``-down`` and ``up``: each cut drops the corners beyond it and leaves a new one, and in the end x is read back from
    the corners (Johnson 2013; in time linear in T). A column has a lane for the left end of its corners and one for the
    right end. A corner keeps its ``place`` and what its slope there was without the sums ``Q x + S`` of all steps, its
    ``height``, which never changes; the piece to its right likewise has a ``tilt`` and a ``lift``.
    """
    steps, count = slope.shape
    device, inf = slope.device, torch.inf
    least = torch.where(curve > 0, curve, inf).amin(0)
    far = (slope.abs().sum(0) + (down.amax(0) + up.amax(0) if steps > 1 else 0)).div_(least).nan_to_num_(0, 0, 0)
    far = far.repeat(2)  # no answer is further from 0
    levels = torch.cat((torch.cat((-down, up), 1), slope.new_zeros(1, 2 * count)))
    place, height, tilt, lift = slope.new_empty(4, (2 * steps + 4) * count).unbind(0)
    column = torch.arange(count, device=device)
    ends = torch.cat((column + (steps + 2) * count, column + (steps + 1) * count))  # none: the right one is before
    sign = torch.ones(2, count, dtype=slope.dtype, device=device)
    sign[1] = -1
    sign = sign.view(-1)
    inwards = count * sign.long()
    back = inwards.clamp_min(0)  # a lane's piece is that to the right of the corner which it passed last, or left of it
    stop, tie = -inf * sign, torch.finfo(slope.dtype).tiny * sign.clamp_max(0)
    height.scatter_(0, ends - inwards, stop)
    tilt.scatter_(0, ends - back, torch.zeros_like(sign))
    lift.scatter_(0, ends - back, torch.zeros_like(sign))
    bounds = torch.empty_like(levels)
    for t, (q, s, level) in enumerate(zip(curve.cumsum(0), slope.cumsum(0), levels, strict=True)):
        q, goal = q.repeat(2), level - s.repeat(2)
        lanes, at, tilted, limit, side = None, ends, q, goal * sign, sign
        while True:  # lanes whose next corner is cut off
            over = torch.addcmul(height.index_select(0, at), tilted, place.index_select(0, at)).mul_(side) < limit
            busy = over.nonzero().view(-1)
            if not len(busy):
                break
            lanes = busy if lanes is None else lanes.index_select(0, busy)
            tilted, limit, side = (a.index_select(0, busy) for a in (tilted, limit, side))
            at = at.index_select(0, busy) + inwards.index_select(0, lanes)
            ends.scatter_(0, lanes, at)
        piece = ends - back
        bend, drop = tilt.index_select(0, piece) + q, goal - lift.index_select(0, piece)
        corner = torch.where(bend > 0, drop / bend, torch.where(drop > tie, far, -far)).clamp_(-far, far)
        bounds[t] = corner
        ends = ends - inwards
        place.scatter_(0, ends, corner)
        height.scatter_(0, ends, torch.addcmul(goal, q, corner, value=-1))
        height.scatter_(0, ends - inwards, stop)
        piece = ends - back
        tilt.scatter_(0, piece, -q)
        lift.scatter_(0, piece, goal)
    found = torch.empty_like(slope)
    x = torch.zeros_like(slope[0])
    for t in range(steps - 1, -1, -1):
        low, high = bounds[t].view(2, -1)
        x = torch.maximum(torch.minimum(x, high), low, out=found[t])
    return found


def chain_gap(
    x: Tensor,
    curve: Tensor,
    slope: Tensor,
    prices: tuple[Tensor, Tensor],
    kink: tuple[Tensor, Tensor],
    ends: tuple[float, float],
) -> Tensor:
    """How much lower than at ``x`` ``(T, B)`` each column's energy can be, by duality.

    The slopes that every difference and every kink allow at x are an interval. What can be reached step by step from
    one end is told forwards, and slopes are picked backwards; r is what they leave over. Then the minimum is no more
    than ``Σ r²/2q`` lower; where q is 0, no more than ``|r|`` times the length of x over points no farther away.
    """
    steps, inf = len(x), torch.inf
    rising = torch.diff(x, dim=0)
    low, high = (torch.cat((p, torch.zeros_like(x[:1]))) for p in (-prices[0], prices[1]))
    low[:-1], high[:-1] = torch.where(rising > 0, high[:-1], low[:-1]), torch.where(rising < 0, low[:-1], high[:-1])
    plain = torch.addcmul(slope, curve, x)
    least = plain + torch.where(x > 0, kink[1], kink[0])
    most = plain + torch.where(x < 0, kink[0], kink[1])
    least, most = least.masked_fill_(x <= ends[0], -inf), most.masked_fill_(x >= ends[1], inf)
    slopes = torch.stack((least, most), 1)
    reached = torch.empty_like(slopes)
    reach = torch.zeros_like(slopes[0])
    for t in range(steps - 1):
        reach = torch.maximum(torch.minimum(reach + slopes[t], high[t]), low[t], out=reached[t])
    dual = x.new_zeros(steps + 1, x.shape[1])
    u = dual[-1]
    for t in range(steps - 2, -1, -1):
        u = torch.maximum(torch.minimum(u, u - least[t + 1]), u - most[t + 1])
        u = torch.maximum(torch.minimum(u, reached[t][1]), reached[t][0], out=dual[t + 1])
    step = torch.diff(dual, dim=0)
    left = step - torch.maximum(torch.minimum(step, most), least)
    far = left.abs() * torch.linalg.vector_norm(x, dim=0).clamp_min(1)
    return torch.where(curve > 0, left.square() / (2 * curve), far).sum(0)
