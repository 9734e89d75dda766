"""Quadratics that share one matrix, plus a penalty of straight pieces: splitting, finished on the active set.

Torch only; copied into generated files by name.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def solve_active(matrix: Tensor, right: Tensor, free: Tensor) -> Tensor:
    """For each row the ``x`` ``(B, n)`` that is 0 where not ``free`` and has ``matrix @ x = right`` where it is.

    Rows of about the same number of free entries are solved together, padded by ones on the diagonal. Where a block
    is singular the row is 0.
    """
    n, size = matrix.shape[0], free.sum(1)
    order = size.argsort()
    sizes = size[order].tolist()
    padded = torch.block_diag(matrix, torch.eye(n, dtype=matrix.dtype, device=matrix.device))
    answer = torch.zeros_like(right)
    first = 0
    while first < len(order):
        last = min(len(order), first + 128)
        while last > first + 1 and sizes[last - 1] ** 2 * (last - first) > 1 << 18:  # the blocks stay in the cache
            last = first + (last - first + 1) // 2
        rows, most, first = order[first:last], sizes[last - 1], last
        if most == 0:
            continue
        used, index = free[rows].to(torch.uint8).topk(most, 1)
        at = index + n * (1 - used.long())
        blocks = padded.take(at[:, :, None] * (2 * n) + at[:, None, :])
        factor, info = torch.linalg.cholesky_ex(blocks)
        values = right[rows].gather(1, index).mul_(used)[:, :, None]
        solved = torch.cholesky_solve(values, factor)[:, :, 0].masked_fill_((info != 0)[:, None], 0)
        answer.index_copy_(0, rows, answer.new_zeros(len(rows), n).scatter_(1, index, solved))
    return answer


def quadratic_splitting(
    prox: Callable[[Tensor, float], Tensor],
    free: Callable[[Tensor], Tensor],
    matrix: Tensor,
    linear: Tensor,
    start: Tensor,
    goal: Tensor,
    max_steps: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Minimise ``½ x' matrix x + linear' x + R(x)`` for each row of ``start`` ``(B, n)``: minimiser, residual, steps.

    ``matrix`` ``(n, n)`` is positive semidefinite. ``prox(v, t)`` is ``argmin_x t R(x) + ½‖x - v‖²``; ``R`` is a sum of
    functions of one entry made of straight pieces, and ``free(x)`` says which entries lie inside of a piece.

    Douglas-Rachford splitting (Lions & Mercier 1979; relaxed: Eckstein & Bertsekas 1992), that is ADMM: one product
    a step with ``(matrix + rho)^-1``, which all rows share, and few steps where columns are correlated. ``rho`` is the
    mean curvature of an entry; for rows not done after 50, 100, 200 … steps it is balanced (Wohlberg 2017).

    Rows that would not be done ten steps later try Newton's method on the active set: the straight pieces that the
    point is on are taken for those of the answer, so that its free entries solve a linear system (primal-dual active
    sets, Hintermüller, Ito & Kunisch 2002). The try is kept where it lowers the residual, the largest entry of an
    element of the subdifferential; the splitting goes on from it and converges from everywhere.
    """
    n, relaxed, tile = matrix.shape[-1], 1.75, 512
    rho = float(matrix.diagonal().mean()) or 1.0 if n else 1.0
    identity = torch.eye(n, dtype=matrix.dtype, device=matrix.device)
    state = start - torch.addmm(linear, start, matrix) / rho  # in the end x + (what R's subdifferential gives) / rho
    answer, residuals = start.clone(), torch.full_like(start[:, 0], torch.inf)
    steps, balance = torch.zeros_like(residuals, dtype=torch.int64), torch.ones_like(residuals)
    shift = torch.empty_like(start)
    pending, count, again = torch.arange(len(start), device=start.device), 0, 0
    while len(pending) and count < max_steps:
        if count >= again:
            new = rho * float(balance[pending].nan_to_num(1, 1, 1).median().sqrt().clamp(0.1, 10))
            if count:
                state[pending] = torch.lerp(answer[pending], state[pending], rho / new)
            rho, again = new, max(50, 2 * count)
            inverse = torch.cholesky_inverse(torch.linalg.cholesky_ex(matrix + rho * identity)[0])
            forward = (relaxed * rho) * inverse - identity
            shift[pending] = (linear[pending] @ inverse).mul_(-relaxed)
        length = min(10 if count else 20, max_steps - count)
        count += length
        rest = []
        for rows in pending.split(tile):  # so that all that a step reads and writes stays in the cache
            v, given = state[rows], shift[rows]
            for _ in range(length):
                x, before = prox(v, 1 / rho), v
                v = torch.addmm(given, torch.lerp(v, x, 2), forward).add_(x, alpha=2 - relaxed)
            last, x, given = x, prox(v, 1 / rho), linear[rows]
            apart, moved = (v - before).norm(dim=1) / relaxed, (x - last).norm(dim=1)
            balance[rows] = apart * (v - x).norm(dim=1) / (moved * x.norm(dim=1))
            slope = torch.addmm(given, x, matrix).add_(v - x, alpha=rho)
            residual = slope.abs().amax(1)
            slow = residual * (residual / residuals[rows]).clamp(0.1, 1) > goal[rows]
            left = (slow & residuals[rows].isfinite()).nonzero()[:, 0]
            for _ in range(3):
                if not len(left):
                    break
                piece = free(x[left])
                exact = x[left] - solve_active(matrix, slope[left] * piece, piece)
                v_new = exact - torch.addmm(given[left], exact, matrix) / rho
                x_new = prox(v_new, 1 / rho)
                back = x_new - exact
                slope_new = torch.addmm(back, back, matrix, beta=-rho)
                residual_new = slope_new.abs().amax(1)
                better = residual_new < 0.3 * residual[left]
                left = left[better]
                x[left], v[left], slope[left] = x_new[better], v_new[better], slope_new[better]
                residual[left] = residual_new[better]
                left = left[residual[left] > goal[rows][left]]
            answer[rows], residuals[rows], steps[rows], state[rows] = x, residual, count, v
            rest.append(rows[residual > goal[rows]])
        pending = torch.cat(rest)
    return answer, residuals, steps
