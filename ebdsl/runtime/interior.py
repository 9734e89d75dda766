"""Kinks of affine maps beside what is smooth and convex. Torch only; copied into generated files by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def interior_point(
    functions: tuple[Callable[..., Tensor], Callable[..., Tensor], Callable[..., Tensor] | None],
    ends: tuple[Tensor, Tensor, Tensor],
    bounds: tuple[float | Tensor, float | Tensor],
    start: Tensor,
    given: tuple[tuple[Tensor, ...], tuple[Tensor, ...]],
    goal: Tensor,
    max_steps: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Minimise ``S(x) + Σ_i max_u (u r_i - ½ soft_i u²)``, u from ``low_i`` to ``high_i``, with ``r = K x + c``: the
    minimiser, its duality gap, steps.

    ``functions`` are ``x -> K x + c``, ``∇S`` and, where S is no quadratic, its second derivative, ``(B, n, n)`` or
    its diagonal, of rows ``(B, n)`` and of what is ``given`` to the first, and to the others. ``ends``, low, high and
    soft, are ``(m,)`` or ``(B, m)``; the first two may be infinite: then r keeps to one side, and ``bounds`` say so of
    x. Where soft is 0 a piece has a kink, else it is Huber's. Newton's steps for the optimality conditions
    ``∇S + K'u = 0``, ``p (high - u) = q (u - low) = μ`` with ``r = p - q + soft u``, where μ falls to 0 as predicted
    (Mehrotra 1992; Portnoy & Koenker 1997 for absolute errors); each wants the factor of an ``(n, n)`` matrix. In
    float64. The gap is to points no further from 0 than the answer is, or than constants over maps. Samples whose gap
    is at most ``goal`` ``(B,)``, or has not fallen for twenty steps, leave; in float32 a hundredth of that, since two
    more steps cost little.
    """
    count, n = start.shape
    m = ends[0].shape[-1]
    tile = max(1, 2**23 // max(1, n * (n + m)))
    if count > tile:
        parts = []
        for rows in torch.arange(count, device=start.device).split(tile):
            low, high, soft = (e if e.ndim == 1 else e[rows] for e in ends)
            some = (tuple(a[rows] for a in given[0]), tuple(a[rows] for a in given[1]))
            parts.append(interior_point(functions, (low, high, soft), bounds, start[rows], some, goal[rows], max_steps))
        return torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts]), torch.cat([p[2] for p in parts])
    forward, gradient, bend = functions
    for_maps, for_slope = given
    dtype, eye = start.dtype, torch.eye(n, dtype=start.dtype, device=start.device).repeat(count, 1)
    zero = torch.zeros_like(start)
    every = [tuple(a.repeat_interleave(n, 0) for a in of) for of in given]
    constant, linear = forward(zero, *for_maps), gradient(zero, *for_slope).double()
    maps = (forward(eye, *every[0]).reshape(count, n, m) - constant[:, None]).double()
    square = linear.new_zeros(count, n, n)
    if bend is None:
        square = (gradient(eye, *every[1]).reshape(count, n, n)).double() - linear[:, None]
    constant = constant.double()
    low, high, soft = (e.double().expand(count, m) for e in ends)
    spread = constant.norm(dim=1) / maps.flatten(1).norm(dim=1), linear.norm(dim=1) / square.flatten(1).norm(dim=1)
    reach = torch.maximum(*(a.nan_to_num(0, 0, 0) for a in spread))  # how far from 0 answers may be expected
    reach = torch.where(reach > 0, reach, 1)
    floor, ceiling = (torch.as_tensor(b, device=start.device).double().expand(n) for b in bounds)
    if bend is not None:  # a logarithm has no value at a bound
        floor = floor + torch.finfo(dtype).eps ** 2
    up, down = (e.isfinite() & (high > low) for e in (high, low))
    soft = torch.where(up & down, soft, 0)

    def slope_at(x: Tensor) -> Tensor:
        if bend is None:
            return times(square, x) + linear
        return gradient(x.clamp(floor, ceiling).to(dtype), *for_slope).double()

    def curvature(x: Tensor) -> Tensor:
        if bend is None:
            return square
        found = bend(x.clamp(floor, ceiling).to(dtype), *for_slope).double()
        return found if found.ndim == 3 else torch.diag_embed(found)

    def cost(r: Tensor) -> Tensor:
        hard = torch.where(r > 0, high * r, torch.where(r < 0, low * r, 0))
        u = torch.minimum(torch.maximum(r / soft, low), high)
        return torch.where(soft > 0, u * r - 0.5 * soft * u * u, hard)

    x = start.double().clamp(floor, ceiling)
    rows = torch.arange(count, device=start.device)
    answer, best = x.clone(), torch.full_like(goal, torch.inf, dtype=torch.float64)
    goal = goal.double() * (0.01 if dtype == torch.float32 else 1)
    last, steps = torch.zeros_like(rows), torch.full((count,), max_steps, device=start.device)
    r = times(maps.mT, x) + constant
    slope, curved = slope_at(x), curvature(x)
    both, tight = maps @ maps.mT, curved.diagonal(dim1=1, dim2=2).sum(1)
    pull = slope.norm(dim=1) / times(maps, r).norm(dim=1)  # the unit of a penalty: squares in place of the pieces
    ratio = torch.where(tight > 0, tight, pull) / both.diagonal(dim1=1, dim2=2).sum(1)
    ratio = torch.where(ratio.isfinite() & (ratio > 0), ratio, 1)[:, None]
    x = x - factored(curved + ratio[..., None] * both)(slope + ratio * times(maps, r))
    x = torch.where(x.isfinite(), x, 0).clamp(floor, ceiling)
    if bend is not None:
        inside = torch.minimum(0.1 * reach[:, None], (ceiling - floor) / 4)
        x = torch.minimum(torch.maximum(x, floor + inside), ceiling - inside)
    r = times(maps.mT, x) + constant
    size = r.abs().mean(1, keepdim=True)
    size = torch.where(size > 0, size, 1)
    steep = ratio * size
    u = torch.where(up & down, (low + high) / 2, torch.where(up, high - steep, torch.where(down, low + steep, 0)))
    p, q = torch.where(up, r.clamp_min(0) + size, 0), torch.where(down, (-r).clamp_min(0) + size, 0)
    if bend is not None:  # what is inside stays so
        p, q = torch.where(up & ~down & (r > 0), r, p), torch.where(down & ~up & (r < 0), -r, q)
    above, under = torch.where(up, high - u, 1), torch.where(down, u - low, 1)  # kept, so as not to be rounded to 0
    for step in range(max_steps + 1):
        own = slope_at(x)
        slope, r = own + times(maps, u), times(maps.mT, x) + constant
        near = x.clamp(floor, ceiling)
        left = slope if bool((near == x).all()) else slope_at(near) + times(maps, u)
        at = times(maps.mT, near) + constant
        far = torch.maximum(near.norm(dim=1), reach)
        gap = (cost(at) + 0.5 * soft * u * u - u * at).sum(1) + left.norm(dim=1) * far
        better = gap < best[rows]
        last = torch.where(gap < 0.9 * best[rows], step, last)
        answer[rows[better]], best[rows[better]] = near[better], gap[better]
        done = (best[rows] <= goal) | ~gap.isfinite() | (step == max_steps) | (last < step - 20)
        steps[rows[done]] = step
        if bool(done.all()):
            break
        if bool(done.any()):
            keep = ~done
            rows, last, goal, reach, x, u, r, slope = (a[keep] for a in (rows, last, goal, reach, x, u, r, slope))
            p, q, above, under = (a[keep] for a in (p, q, above, under))
            maps, square, linear, constant, low, high, soft, up, down = (
                a[keep] for a in (maps, square, linear, constant, low, high, soft, up, down)
            )
            for_slope = tuple(a[keep] for a in for_slope)
        weight = torch.where(up | down, 1 / (p / above + q / under + soft), 0)
        solve = factored(curvature(x) + (maps * weight[:, None]) @ maps.mT)

        def direction(more: Tensor, less: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
            """Newton's step where ``p (high - u)`` and ``q (u - low)`` shall change by ``more`` and ``less``."""
            more, less = torch.where(up, more, 0), torch.where(down, less, 0)  # noqa: B023
            rest = r - p + q - soft * u - more / above + less / under  # noqa: B023
            right = slope + times(maps, weight * rest)  # noqa: B023
            dx = -solve(right)  # noqa: B023
            du = weight * (times(maps.mT, dx) + rest)  # noqa: B023
            return dx, du, (more + p * du) / above, (less - q * du) / under  # noqa: B023

        dx, du, dp, dq = direction(-p * above, -q * under)
        far_p, far_q = longest_step(p, dp), longest_step(q, dq)
        far = torch.minimum(torch.minimum(far_p, far_q), longest_step(above, -du * up))
        far = torch.minimum(far, longest_step(under, du * down))
        now = (p * above + q * under).sum(1, keepdim=True)
        then = ((p + far * dp) * (above - far * du * up) + (q + far * dq) * (under + far * du * down)).sum(
            1, keepdim=True
        )
        aim = (then / now) ** 3 * now / (up.sum(1, keepdim=True) + down.sum(1, keepdim=True)).clamp_min(1)
        bent = far.square()  # a short step says little of how the products bend (Colombo & Gondzio 2008)
        dx, du, dp, dq = direction(aim - p * above + bent * dp * du, aim - q * under - bent * dq * du)
        primal = torch.minimum(longest_step(p, dp), longest_step(q, dq))
        dual = torch.minimum(longest_step(above, -du * up), longest_step(under, du * down))
        if bend is not None or bool(square.any()):  # the slope holds both
            primal = dual = torch.minimum(primal, dual)
        x, p, q, u = x + primal * dx, p + primal * dp, q + primal * dq, u + dual * du
        above, under = above - dual * du * up, under + dual * du * down
    return answer.to(dtype), best.to(dtype), steps


def times(matrix: Tensor, x: Tensor) -> Tensor:
    """``matrix @ x`` of each row."""
    return (matrix @ x[..., None])[..., 0]


def factored(matrix: Tensor) -> Callable[[Tensor], Tensor]:
    """``right -> matrix⁻¹ right`` of each row, refined once, for positive semidefinite ``(B, n, n)``."""
    firm = matrix.clone()
    diagonal = firm.diagonal(dim1=1, dim2=2)
    diagonal.add_(1e-14 * diagonal.mean(1, keepdim=True))
    factor, wrong = torch.linalg.cholesky_ex(firm)
    if bool(wrong.any()):
        diagonal.add_(1e-10 * diagonal.mean(1, keepdim=True) * (wrong > 0)[:, None])
        factor = torch.linalg.cholesky_ex(firm)[0]

    def solve(right: Tensor) -> Tensor:
        found = torch.cholesky_solve(right[..., None], factor)
        return (found + torch.cholesky_solve(right[..., None] - matrix @ found, factor))[..., 0]

    return solve


def longest_step(value: Tensor, move: Tensor) -> Tensor:
    """The share of a move, at most all, that keeps all of ``value`` positive, of each row: ``(B, 1)``."""
    share = torch.where(move < 0, -value / move, torch.inf).amin(1, keepdim=True)
    return torch.where(share.isfinite(), (0.9995 * share).clamp_max(1), 1.0)
