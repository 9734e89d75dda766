"""Batches of small convex problems by hand, as fast as eager PyTorch allows: for each row of ``y`` its own minimum.

``accelerated`` is FISTA on a shared Gram matrix with a restart for each row (Beck & Teboulle 2009; O'Donoghue &
Candes 2015), stopped by its optimality residual, finished rows leaving the batch. ``total_variation`` is ADMM with one
dense inverse for all rows (Boyd et al. 2011, section 6.4.1), of second differences too. ``chambolle`` is accelerated
projected gradient on the dual for isotropic total variation of pictures (Beck & Teboulle 2009b). ``hals`` is
nonnegative factorisation by coordinates (Cichocki & Phan 2009; Gillis & Glineur 2012).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

CHECK = 10


@torch.no_grad()
def accelerated(
    gram: Tensor, linear: Tensor, prox: Callable[[Tensor, float], Tensor], tolerance: float, most: int = 20_000
) -> Tensor:
    """``argmin ½ z'Gz - linear'z + R(z)`` for each row of ``linear`` ``(B, n)``; ``prox(v, t)`` is that of ``t R``."""
    L = float(torch.linalg.eigvalsh(gram)[-1]) * (1 + 1e-6)
    matrix = gram / -L
    matrix.diagonal().add_(1)
    shift = linear / L
    goal = tolerance * float(linear.abs().max()) / L
    rows = torch.arange(len(shift))
    answer = torch.zeros_like(shift)
    z, down, ahead = answer.clone(), shift.clone(), shift
    since = shift.new_zeros(len(shift), 1)
    for step in range(1, most + 1):
        new = prox(ahead, 1 / L)
        down_new = torch.addmm(shift, new, matrix)
        move = new - z
        uphill = ((ahead - new - (down - z)).mul_(move)).sum(1, keepdim=True) > 0
        if step % CHECK == 0 or step == most:
            busy = ((ahead - down_new).abs_().amax(1) > goal).nonzero()[:, 0]
            if not len(busy) or step == most:
                answer[rows] = new
                break
            if len(rows) - len(busy) >= max(1, len(rows) // 8):
                answer[rows] = new
                rows, shift, new, down, down_new, since, uphill = (
                    a[busy] for a in (rows, shift, new, down, down_new, since, uphill)
                )
        since = since.masked_fill(uphill, 0)
        ahead = torch.lerp(down, down_new, 1 + since / (since + 3))
        since = since + 1
        z, down = new, down_new
    return answer


@torch.no_grad()
def total_variation(y: Tensor, weight: float, tolerance: float, order: int = 1, most: int = 5000) -> Tensor:
    """``argmin ½‖y - z‖² + weight Σ|differences of z|`` for each row of ``y`` ``(B, n)``."""
    n = y.shape[1]
    D = torch.diff(torch.eye(n, dtype=torch.float64), n=order, dim=0)
    rho = 2 * weight if order == 1 else 10 * weight
    back_rho = rho * (-1) ** order
    inverse = torch.linalg.inv(torch.eye(n, dtype=torch.float64) + rho * D.T @ D).to(y.dtype)
    rows = torch.arange(len(y))
    answer, z = y.clone(), y
    v = torch.diff(z, n=order)
    u = torch.zeros_like(v)
    goal = tolerance * float(y.abs().max())
    for step in range(1, most + 1):
        back = torch.nn.functional.pad(v - u, (order, order))
        z = (y + back_rho * torch.diff(back, n=order)) @ inverse
        w = torch.diff(z, n=order)
        ahead = 1.7 * w - 0.7 * v
        before, v = v, torch.nn.functional.softshrink(ahead + u, weight / rho)
        u = u + ahead - v
        if step % CHECK == 0 or step == most:
            apart, moved = (w - v).abs().amax(1), rho * (v - before).abs().amax(1)
            busy = (torch.maximum(apart, moved) > goal).nonzero()[:, 0]
            if not len(busy) or step == most:
                answer[rows] = z
                break
            if len(rows) - len(busy) >= max(1, len(rows) // 8):
                answer[rows] = z
                rows, y, z, v, u = (a[busy] for a in (rows, y, z, v, u))
    return answer


@torch.no_grad()
def chambolle(y: Tensor, weight: float, tolerance: float, most: int = 5000) -> Tensor:
    """``argmin ½‖y - z‖² + weight Σ‖(z[i+1,j] - z[i,j], z[i,j+1] - z[i,j])‖`` for each ``y`` ``(B, h, w)``.

    The sum is over the places where both neighbours exist.
    """
    B, h, w = y.shape
    p = y.new_zeros(B, 2, h - 1, w - 1)

    def back(p: Tensor) -> Tensor:
        out = y.new_zeros(len(p), h, w)
        out[:, :-1, :-1] -= p[:, 0] + p[:, 1]
        out[:, 1:, :-1] += p[:, 0]
        out[:, :-1, 1:] += p[:, 1]
        return out

    def forward(z: Tensor) -> Tensor:
        here = z[:, :-1, :-1]
        return torch.stack([z[:, 1:, :-1] - here, z[:, :-1, 1:] - here], 1)

    rows, seen = torch.arange(B), y
    answer = y.clone()
    ahead, t = p, 1.0
    goal = tolerance * float(y.abs().max())
    last = y
    for step in range(1, most + 1):
        z = seen - back(ahead)
        new = ahead + forward(z) / 8
        size = (new[:, :1] * new[:, :1]).addcmul_(new[:, 1:], new[:, 1:]).sqrt_()  # vector_norm is slow across planes
        new = new * (weight / size.clamp_min_(weight))
        t_new = (1 + (1 + 4 * t * t) ** 0.5) / 2
        ahead, p, t = new + (t - 1) / t_new * (new - p), new, t_new
        if step % CHECK == 0 or step == most:
            z = seen - back(p)
            busy = ((z - last).abs().amax((1, 2)) > goal).nonzero()[:, 0]
            if not len(busy) or step == most:
                answer[rows] = z
                break
            if len(rows) - len(busy) >= max(1, len(rows) // 8):
                answer[rows] = z
                rows, seen, p, ahead, z = (a[busy] for a in (rows, seen, p, ahead, z))
            last = z
    return answer


@torch.no_grad()
def hals(Y: Tensor, W: Tensor, Z: Tensor, sweeps: int) -> tuple[Tensor, Tensor]:
    """``sweeps`` over the rows of ``Z'`` and the columns of ``W`` for ``‖Y - Z W'‖²``, both nonnegative."""
    H, C = Z.T.contiguous(), W.T.contiguous()
    for _ in range(sweeps):
        for A, other, seen in ((H, C, Y.T), (C, H, Y)):
            gram, cross = other @ other.T, other @ seen
            for k in range(len(A)):
                if float(gram[k, k]) > 0:
                    step = torch.addmv(cross[k], A.T, gram[k], alpha=-1).div_(gram[k, k])
                    A[k].add_(step).clamp_min_(0)
    return C.T, H.T
