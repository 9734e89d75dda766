"""Kinks of affine maps beside a quadratic, for one large sample. Torch only; copied into generated files by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def interior_point(
    forward: Callable[[Tensor], Tensor],
    gradient: Callable[[Tensor], Tensor],
    low: Tensor,
    high: Tensor,
    start: Tensor,
    goal: Tensor,
    max_steps: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Minimise ``S(x) + Σ_i max(low_i r_i, high_i r_i)`` with ``r = K x + c``: the minimiser, its duality gap, steps.

    ``forward`` is ``x -> K x + c`` and ``gradient`` ``∇S``, of rows ``(B, n)``; ``start`` ``(1, n)``, ends ``(m,)``.
    Newton's steps for the optimality conditions ``∇S + K'u = 0``, ``p (high - u) = q (u - low) = μ`` with
    ``r = p - q``, where μ falls to 0 as predicted (Mehrotra 1992; Portnoy & Koenker 1997 for absolute errors); each
    wants the factor of an ``(n, n)`` matrix. In float64. The gap is to points no further from 0 than the answer is.
    """
    x = start[0].double()
    zero, eye = torch.zeros_like(start), torch.eye(start.shape[1], dtype=start.dtype, device=start.device)
    constant, linear = forward(zero)[0], gradient(zero)[0]
    maps, square = (forward(eye) - constant).double(), (gradient(eye) - linear).double()
    weighs = high > low
    maps, constant, low, high = maps[:, weighs], constant[weighs].double(), low[weighs].double(), high[weighs].double()
    linear = linear.double()
    answer, best = x, torch.tensor(torch.inf, dtype=x.dtype, device=x.device)
    r = x @ maps + constant
    size = r.abs().mean().clamp_min(1e-9) if len(r) else r.new_ones(())
    u, p, q = (low + high) / 2, r.clamp_min(0) + size, (-r).clamp_min(0) + size
    step = 0
    for step in range(max_steps + 1):
        slope = x @ square + linear + maps @ u
        r = x @ maps + constant
        gap = (torch.maximum(low * r, high * r) - u * r).sum() + slope.norm() * x.norm().clamp_min(1)
        if bool(gap < best):
            answer, best = x, gap
        if bool(best <= goal[0]) or step == max_steps or not bool(gap.isfinite()):
            break
        above, under = high - u, u - low
        weight = 1 / (p / above + q / under)
        curved = square + (maps * weight) @ maps.mT
        curved.diagonal().add_(1e-14 * curved.diagonal().mean())
        factor = torch.linalg.cholesky_ex(curved)[0]

        def direction(more: Tensor, less: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
            """Newton's step where ``p (high - u)`` and ``q (u - low)`` shall change by ``more`` and ``less``."""
            rest = r - p + q - more / above + less / under  # noqa: B023
            dx = -torch.cholesky_solve((slope + maps @ (weight * rest))[:, None], factor)[:, 0]  # noqa: B023
            du = weight * (dx @ maps + rest)  # noqa: B023
            return dx, du, (more + p * du) / above, (less - q * du) / under  # noqa: B023

        dx, du, dp, dq = direction(-p * above, -q * under)
        far = min(longest_step(p, dp), longest_step(q, dq), longest_step(above, -du), longest_step(under, du))
        now = (p * above).sum() + (q * under).sum()
        then = ((p + far * dp) * (above - far * du)).sum() + ((q + far * dq) * (under + far * du)).sum()
        aim = (then / now) ** 3 * now / (2 * len(u))
        dx, du, dp, dq = direction(aim - p * above + dp * du, aim - q * under - dq * du)
        primal, dual = (
            min(longest_step(p, dp), longest_step(q, dq)),
            min(longest_step(above, -du), longest_step(under, du)),
        )
        if bool(square.any()):  # the slope holds both
            primal = dual = min(primal, dual)
        x, p, q, u = x + primal * dx, p + primal * dp, q + primal * dq, u + dual * du
    return answer[None].to(start.dtype), best[None].to(start.dtype), torch.full((1,), step, device=start.device)


def longest_step(value: Tensor, move: Tensor) -> float:
    """The share of a move, at most all, that keeps all of ``value`` positive."""
    down = move < 0
    return min(1.0, 0.9995 * float((-value[down] / move[down]).amin())) if bool(down.any()) else 1.0
