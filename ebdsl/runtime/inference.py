"""Tensor functions of generated inference code. Torch only; copied into generated files by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def largest_eigenvalue(matrix: Tensor) -> Tensor:
    """An upper bound of the largest eigenvalue of a positive semidefinite ``(n, n)`` matrix, close above it.

    Ten steps of Lanczos guess the eigenvalue; ``bound - matrix`` has a Cholesky factor, which proves the bound. Cheaper
    than all eigenvalues. A guess that was too low is raised.
    """
    identity = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    v = torch.arange(1, matrix.shape[-1] + 1, dtype=matrix.dtype, device=matrix.device).sin()
    v = v / torch.linalg.vector_norm(v)
    w = matrix @ v
    diagonal, beside = [], []
    for _ in range(10):
        diagonal.append(v @ w)
        w = torch.addcmul(w, diagonal[-1], v, value=-1)
        beside.append(torch.linalg.vector_norm(w))
        v, before = w / beside[-1].clamp_min(torch.finfo(w.dtype).tiny), v
        w = torch.addcmul(matrix @ v, beside[-1], before, value=-1)
    small = torch.diag(torch.stack(diagonal)) + torch.diag(torch.stack(beside[:-1]), -1)
    guess = torch.linalg.eigvalsh(small.nan_to_num())[-1].clamp_min(1e-12)  # reads the lower triangle
    for k in range(6):
        bound = guess * (1 + 0.002 * 4**k)
        if not bool(torch.linalg.cholesky_ex(bound * identity - matrix).info):
            return bound
    return matrix.abs().sum(0).max()


def residual_goals(slope: Tensor, tolerance: float) -> Tensor:
    """The residual that is asked of each row: ``tolerance`` times the largest entry of its ``slope`` ``(B, ...)``.

    The slope is that of the smooth part at a point that does not depend on where a search begins, so that an energy in
    other units gets the same answers, and a large sample makes no other's less exact. A slope of zero, or next to it,
    asks for what the rounding of a middling row allows; what is not a number counts as 1.
    """
    if not slope.numel():
        return slope.new_full((len(slope),), tolerance)
    size = slope.abs().flatten(1).amax(1) if slope.ndim > 1 else slope.abs()
    size = torch.where(size.isfinite(), size, 1.0)
    middling = torch.where(size > 0, size, torch.nan).nanmedian()
    return tolerance * torch.where(middling > 0, torch.maximum(size, torch.finfo(size.dtype).eps * middling), 1.0)


def solve_symmetric(matrix: Tensor, right: Tensor) -> Tensor:
    """``x`` with ``matrix @ x = right`` for positive semidefinite ``(..., n, n)`` and ``(..., n, k)``.

    Cholesky where that exists, else the solution of least norm.
    """
    factor, info = torch.linalg.cholesky_ex(matrix)
    if not bool(info.any()):
        return torch.cholesky_solve(right, factor)
    values, vectors = torch.linalg.eigh(matrix)
    floor = values[..., -1:].abs() * matrix.shape[-1] * torch.finfo(matrix.dtype).eps
    inverse = torch.where(values > floor, values.clamp_min(torch.finfo(matrix.dtype).tiny).reciprocal(), 0)
    return vectors @ (inverse[..., None] * (vectors.mT @ right))


def solve_together(blocks: list[list[Tensor]], right: list[Tensor], old: list[Tensor]) -> list[Tensor]:
    """``x_i`` ``(..., n_i, k)`` with ``Σ_j blocks[i][j] x_j = right[i]``, of which ``blocks`` holds ``j <= i``.

    Solved for the step from ``old``, in float64 and with a diagonal of ones, since weights and an offset to data far
    from 0 are nearly the same direction. What the rounding of the sums does not tell from flat is left as it was.
    """
    n, eps = len(right), torch.finfo(right[0].dtype).eps
    rows = [torch.cat([blocks[i][j] if j <= i else blocks[j][i].mT for j in range(n)], -1) for i in range(n)]
    matrix, x = torch.cat(rows, -2).double(), torch.cat(old, -2).double()
    slope = torch.cat(right, -2).double() - matrix @ x
    diagonal = matrix.diagonal(dim1=-2, dim2=-1)
    scale = torch.where(diagonal > 0, diagonal, 1).rsqrt()[..., None]
    matrix, slope = scale * matrix * scale.mT, scale * slope
    factor, info = torch.linalg.cholesky_ex(matrix)
    if not bool(info.any()) and bool(factor.diagonal(dim1=-2, dim2=-1).square().min() > 10 * x.shape[-2] * eps):
        step = torch.cholesky_solve(slope, factor)
    else:
        values, vectors = torch.linalg.eigh(matrix)
        inverse = torch.where(values > 4 * eps * values[..., -1:], values.reciprocal(), 0)
        step = vectors @ (inverse[..., None] * (vectors.mT @ slope))
    return list((x + scale * step).to(right[0].dtype).split([r.shape[-2] for r in right], -2))


def quadratic_proximal_gradient(
    forward: Callable[..., Tensor],
    prox: Callable[[Tensor, float], Tensor],
    start: Tensor,
    step: float,
    shift: Tensor,
    goal: Tensor,
    max_steps: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """:func:`proximal_gradient` for a quadratic ``S`` whose curvature is at most ``1 / step``; ``t`` is a number.

    ``forward(x, shift)`` is ``x - step ∇S(x)``, a new tensor; ``shift`` is its value at 0. It is affine, so that it is
    extrapolated with the point: one product a step. The momentum is ``k / (k + 3)``, ``k`` steps after the restart
    (Tseng 2008; Chambolle & Dossal 2015).
    """
    rows = torch.arange(start.shape[0], device=start.device)
    answer, x, move = start.clone(), start.clone(), torch.zeros_like(start)
    residuals = torch.full((start.shape[0],), torch.inf, dtype=start.dtype, device=start.device)
    steps = torch.full((start.shape[0],), max_steps, device=start.device)
    since = momentum = torch.zeros_like(start[:, :1])
    down = forward(x, shift) if bool(start.any()) else shift.clone()
    down_ahead = down.clone()
    for count in range(1, max_steps + 1):  # what is read no more is written over: fewer tensors fit the cache
        new = prox(down_ahead, step)
        down_new = forward(new, shift)
        check = count % 5 == 0 or count == max_steps
        if check:
            residual = (down_ahead - down_new).abs_().amax(-1).div_(step)
        move, before = torch.sub(new, x, out=x), move
        uphill = torch.addcmul(move, momentum, before, value=-1, out=before).mul_(move).sum(-1, keepdim=True) < 0
        since = since.masked_fill(uphill, 0)
        momentum = since / (since + 3)
        since = since + 1
        down_ahead = torch.lerp(down, down_new, 1 + momentum, out=down)
        x, down = new, down_new
        if check:
            busy = (residual > goal).nonzero()[:, 0]
            last = not len(busy) or count == max_steps
            if last or len(busy) <= len(rows) - max(1, len(rows) // 8):
                answer.index_copy_(0, rows, x)
                residuals.index_copy_(0, rows, residual)
                steps.index_fill_(0, rows, count)
                if last:
                    break
                rows, x, move, since, momentum, down, down_ahead, shift, goal = (
                    a.index_select(0, busy) for a in (rows, x, move, since, momentum, down, down_ahead, shift, goal)
                )
    return answer, residuals, steps


def curvature_along(
    gradient: Callable[..., Tensor], x: Tensor, slope: Tensor, given: tuple[Tensor, ...], affine: bool
) -> Tensor:
    """The second derivative of each row along its ``slope`` ``(B, n)`` at ``x``, ``(B, 1)``: no more than the largest.

    A difference of slopes; where the gradient is ``affine`` the second one is as long as rounding wants it.
    """
    eps, top = torch.finfo(x.dtype).eps, torch.linalg.vector_norm(slope, dim=-1, keepdim=True)
    way = slope / torch.where(top > 0, top, 1.0)
    length = top if affine else eps**0.5 * torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min(1.0)
    found = top
    for _ in range(2 if affine else 1):
        length = torch.where(length > 0, length, 1.0)
        moved = gradient(torch.addcmul(x, length, way), *given) - slope
        found = torch.linalg.vector_norm(moved, dim=-1, keepdim=True) / length
        length = top / found
    usable = (found > 0) & found.isfinite() & (top > 0)
    others = torch.where(usable, found, 0.0).sum() / usable.sum().clamp_min(1)
    return torch.where(usable, found, torch.where(others > 0, others, 1.0))


def proximal_gradient(
    gradient: Callable[..., Tensor],
    prox: Callable[..., Tensor],
    start: Tensor,
    given: tuple[Tensor, ...],
    goal: Tensor,
    max_steps: int,
    affine: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """Minimise ``S(x) + R(x)`` for each row of ``start`` ``(B, n)``: the minimiser, residual and steps.

    Accelerated proximal gradient (Beck & Teboulle 2009) with gradient restart for each row (O'Donoghue &
    Candes 2015) and a step found by backtracking. ``gradient(x, *given)`` is that of ``S``, whose rows go with those
    of ``given``; ``prox(v, t)`` is ``argmin_x t R(x) + ½‖x - v‖²``, ``t`` of shape ``(B, 1)``. The residual is the
    largest entry of an element of ``∂(S + R)(x)``, so it certifies the answer; rows that have reached their ``goal``
    ``(B,)`` leave the batch.
    """
    rows = torch.arange(start.shape[0], device=start.device)
    answer = start.clone()
    residuals = torch.full((start.shape[0],), torch.inf, dtype=start.dtype, device=start.device)
    steps = torch.full((start.shape[0],), max_steps, device=start.device)
    x, v, t = start, start, torch.ones_like(start[:, :1])
    g = gv = gradient(x, *given)
    curvature = curvature_along(gradient, x, g, given, affine)
    eps = 16 * torch.finfo(x.dtype).eps
    every = 10
    for step in range(1, max_steps + 1):
        new = prox(v - gv / curvature, 1 / curvature)
        g_new = gradient(new, *given)
        for _ in range(60):
            move = new - v
            bend = (move * (g_new - gv)).sum(-1, keepdim=True)
            most = curvature * move.square().sum(-1, keepdim=True) * (1.0 if affine else 0.5)
            short = bend > most + eps * (move * gv).abs().sum(-1, keepdim=True)
            if not bool(short.any()):
                break
            curvature = torch.where(short, 2 * curvature, curvature)
            new = prox(v - gv / curvature, 1 / curvature)
            g_new = gradient(new, *given)
        check = step % every == 0 or step == max_steps
        if check:
            residual = (curvature * (v - new) + g_new - gv).abs().amax(-1)
        ahead = new - x
        uphill = ((v - new) * ahead).sum(-1, keepdim=True) > 0
        t = torch.where(uphill, 1.0, t)
        t_new = 0.5 + (0.25 + t.square()).sqrt()
        momentum = torch.where(uphill, 0.0, (t - 1) / t_new)
        v = torch.addcmul(new, momentum, ahead)
        gv = torch.addcmul(g_new, momentum, g_new - g) if affine else gradient(v, *given)
        x, g, t = new, g_new, t_new
        if check:
            done = ~(residual > goal) if step < max_steps else torch.ones_like(residual, dtype=torch.bool)
            finished = int(done.sum())
            if finished == len(done) or finished > len(done) // 4:
                at = rows[done]
                answer[at], residuals[at], steps[at] = x[done], residual[done], step
                if finished == len(done):
                    break
                keep = ~done
                rows, x, v, g, gv, t = rows[keep], x[keep], v[keep], g[keep], gv[keep], t[keep]
                given = tuple(a[keep] for a in given)
                curvature, goal = curvature[keep], goal[keep]
    return answer, residuals, steps


def descend(
    energy: Callable[..., Tensor],
    prox: Callable[[Tensor, Tensor], Tensor] | None,
    start: Tensor,
    given: tuple[Tensor, ...],
    goal: Tensor,
    max_steps: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Go downhill on ``energy(x, *given)`` ``(B,)`` from each row of ``start`` ``(B, n)``: a local minimum.

    Proximal gradient through autograd, each row with its own step: that of Barzilai & Borwein (1988), halved until the
    energy lies below its quadratic bound (SpaRSA: Wright, Nowak & Figueiredo 2009). Gives the point, its energy, the
    residual (largest entry of an element of the subdifferential there) and steps. A row stops counting at its ``goal``.
    """
    x = start.detach()
    step = torch.ones_like(x[:, :1])
    if prox is not None:
        x = prox(x, torch.zeros_like(step))  # into the domain

    def value_and_slope(at: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            at = at.detach().requires_grad_(True)
            value = energy(at, *given)
            (slope,) = torch.autograd.grad(value.sum(), at)
        return value.detach()[:, None], slope

    value, slope = value_and_slope(x)
    residual = torch.full_like(value, torch.inf)
    count = torch.zeros_like(value, dtype=torch.int64)
    for k in range(max_steps):
        new = x - step * slope
        if prox is not None:
            new = prox(new, step)
        move = new - x
        new_value, new_slope = value_and_slope(new)
        square = move.square().sum(-1, keepdim=True)
        bend = (move * (new_slope - slope)).sum(-1, keepdim=True)
        bound = value + (slope * move).sum(-1, keepdim=True) + 0.5 * square / step
        # near the end differences of energies drown in rounding; those of slopes say the same
        blurred = 64 * torch.finfo(x.dtype).eps * value.abs()
        good = (new_value <= bound) | ((bend <= square / step) & (new_value <= bound + blurred))
        gap = (new_slope - slope - move / step).abs().amax(-1, keepdim=True)
        lost = torch.finfo(x.dtype).eps * x.abs().amax(-1, keepdim=True) / step  # of a move that rounding swallows
        residual = torch.where(good, torch.maximum(gap, lost), residual)
        x = torch.where(good, new, x)
        slope = torch.where(good, new_slope, slope)
        value = torch.where(good, new_value, value)
        longer = torch.where(bend > 0, square / bend, 4 * step).clamp(step / 10, 10 * step)
        step = torch.where(good, longer, 0.5 * step).clamp_max(1e6)  # else steps without a curvature grow to infinity
        active = residual > goal[:, None]
        count = torch.where(active, k + 1, count)
        if k % 10 == 9 and not bool((active & (step > 1e-15)).any()):
            break
    return x, value[:, 0], residual[:, 0], count[:, 0]


def call_batched(module: Callable[..., Tensor], inputs: tuple[Tensor, ...], ranks: tuple[int, ...]) -> Tensor:
    """Apply a module whose inputs have several leading axes: these are broadcast and made one."""
    lead = torch.broadcast_shapes(*(x.shape[: x.ndim - r] for x, r in zip(inputs, ranks, strict=True)))
    flat = [
        x.expand(*lead, *x.shape[x.ndim - r :]).reshape(-1, *x.shape[x.ndim - r :])
        for x, r in zip(inputs, ranks, strict=True)
    ]
    out = module(*flat)
    return out.reshape(*lead, *out.shape[1:])


def starting_points(like: Tensor, count: int, low: float, high: float, grid: bool) -> Tensor:
    """``count`` starts for each row of ``like`` ``(B, n)``, row by row ``(B·count, n)``: a grid, or seeded draws.

    The first is the row of ``like`` itself.
    """
    n = like.shape[1]
    if grid:
        side = max(2, round(count ** (1 / n)))
        line = torch.linspace(low, high, side, dtype=like.dtype, device=like.device)
        points = torch.cartesian_prod(*[line] * n).reshape(-1, n)[:count]
    else:
        generator = torch.Generator().manual_seed(0)
        points = (low + high) / 2 + (high - low) / 4 * torch.randn(count, n, generator=generator, dtype=like.dtype)
        points = points.clamp(low, high).to(like.device)
    points = torch.cat([points, points[:1].expand(count - len(points), n)])
    every = points.expand(like.shape[0], count, n).clone()
    every[:, 0] = like
    return every.reshape(-1, n)


def all_assignments(points: Tensor, count: int) -> Tensor:
    """Every way to give ``count`` places one of ``points`` ``(p, *shape)``: ``(p**count, count, *shape)``."""
    places = torch.cartesian_prod(*[torch.arange(points.shape[0])] * count).reshape(-1, count)
    return points[places]


def lowest_rows(points: Tensor, energy: Tensor, count: int) -> Tensor:
    """Of each sample's points ``(B·s, n)`` the ``count`` lowest in ``energy`` ``(B, s)``: ``(B·count, n)``."""
    best = energy.nan_to_num(torch.inf).topk(count, largest=False).indices
    first = energy.shape[1] * torch.arange(energy.shape[0], device=energy.device)
    return points[(first[:, None] + best).reshape(-1)]


def slope_of(energy: Callable[..., Tensor], point: Tensor, *given: Tensor) -> Tensor:
    """The gradient of ``energy(point, *given)`` ``(B,)`` with respect to ``point`` ``(B, n)``."""
    with torch.enable_grad():
        point = point.detach().requires_grad_(True)
        return torch.autograd.grad(energy(point, *given).sum(), point)[0]
