"""Quadratics that share one matrix, plus a penalty of straight pieces: splitting, finished on the active set.

Torch only; copied into generated files by name.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

import torch
from torch import Tensor


def solve_active(matrix: Tensor, right: Tensor, free: Tensor) -> Tensor:
    """For each row the ``x`` ``(B, n)`` that is 0 where not ``free`` and has ``matrix @ x = right`` where it is.

    Rows of about the same number of free entries are solved together, padded by ones on the diagonal. Where a block
    is singular the row is 0.
    """
    n = len(matrix)
    size, order = free.sum(1).sort()
    row, column = free[order].nonzero().int().unbind(1)
    ends = size.cumsum(0)
    place = torch.arange(len(row), dtype=torch.int32, device=row.device) - (ends - size).int()[row]
    sizes, cuts = size.tolist(), [0, *ends.tolist()]
    entries = torch.nn.functional.pad(matrix, (0, 1, 0, 1)).view(-1)
    right = torch.nn.functional.pad(right, (0, 1))
    answer = torch.zeros_like(right)
    room = 1 << (24 if matrix.is_cuda else 18)  # so that the blocks stay in the cache
    last = bisect_right(sizes, 0)
    while last < len(sizes):
        first, least = last, sizes[last]
        last = min(len(sizes), max(bisect_right(sizes, least + least // 8 + 1), first + 32))  # a few are no group
        last = min(last, first + max(1, room // sizes[last - 1] ** 2))
        rows, part, most = order[first:last], slice(cuts[first], cuts[last]), sizes[last - 1]
        at = torch.full((last - first, most), n, dtype=torch.int32, device=row.device)
        at[row[part] - first, place[part]] = column[part]
        blocks = entries.index_select(0, (at[:, :, None] * (n + 1) + at[:, None]).view(-1)).view(-1, most, most)
        blocks.diagonal(dim1=1, dim2=2).add_(at == n)
        factor, info = torch.linalg.cholesky_ex(blocks)
        at = at.long()
        solved = torch.cholesky_solve(right[rows].gather(1, at)[:, :, None], factor)[:, :, 0]
        solved.masked_fill_((info != 0)[:, None], 0)
        answer.index_copy_(0, rows, answer.new_zeros(last - first, n + 1).scatter_(1, at, solved))
    return answer[:, :n]


def newton_on_pieces(
    prox: Callable[[Tensor, float], Tensor],
    free: Callable[[Tensor], Tensor],
    matrix: Tensor,
    linear: Tensor,
    x: Tensor,
    slope: Tensor,
    rho: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """The straight pieces that ``x`` is on are taken for the answer's, so that its free entries solve a linear system.

    Primal-dual active sets, Hintermüller, Ito & Kunisch 2002. ``slope`` is an element of the subdifferential at ``x``.
    Gives a state, its prox, and an element of the subdifferential there.
    """
    piece = free(x)
    exact = x - solve_active(matrix, slope * piece, piece)
    state = exact - torch.addmm(linear, exact, matrix) / rho
    x = prox(state, 1 / rho)
    back = x - exact
    return state, x, torch.addmm(back, back, matrix, beta=-rho)


def quadratic_splitting(
    prox: Callable[[Tensor, float], Tensor],
    free: Callable[[Tensor], Tensor] | None,
    matrix: Tensor,
    linear: Tensor,
    start: Tensor,
    goal: Tensor,
    max_steps: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Minimise ``½ x' matrix x + linear' x + R(x)`` for each row of ``start`` ``(B, n)``: minimiser, residual, steps.

    ``matrix`` ``(n, n)`` is positive semidefinite. ``prox(v, t)`` is ``argmin_x t R(x) + ½‖x - v‖²``. Where ``R`` is
    a sum of functions of one entry made of straight pieces, ``free(x)`` says which entries lie inside of a piece. The
    residual is the largest entry of an element of the subdifferential.

    Douglas-Rachford splitting (Lions & Mercier 1979; relaxed: Eckstein & Bertsekas 1992), that is ADMM: one product
    a step with ``(matrix + rho)^-1``, which all rows share, and few steps where columns are correlated. ``rho`` is the
    mean eigenvalue times its share in their root mean square, so less where a few are large, and up to twice that where
    few digits are wanted; for rows not done after 50, 100, 200 … steps it is balanced (Wohlberg 2017). Residuals are
    looked at when half of the rows should be done, by seven steps for each digit that is missing, at first 12 at most.
    On a GPU, where a step is a few launches and a try hundreds, looks and tries are rarer.

    With ``free`` a row tries :func:`newton_on_pieces` when that costs no more than its steps so far have, and again for
    as long as fewer and fewer entries change pieces (Júdice & Pires 1994); after that, not before it has taken twice as
    many steps. A try is kept where it lowers the least residual so far: the splitting converges from everywhere.
    """
    n, relaxed, tile = matrix.shape[-1], 1.6, len(start) if start.is_cuda else 1024  # a step stays in the cache
    cold = not bool(start.any())  # else it may be an answer already
    slope = linear if cold else torch.addmm(linear, start, matrix)
    wanted, digits = ((v.abs().amax(1) / goal).log10().nanmedian().nan_to_num(9) for v in (linear, slope))
    mean, spread = matrix.diagonal().mean(), torch.linalg.matrix_norm(matrix) / max(1, n) ** 0.5
    rho = float(((1 + 1 / wanted.clamp_min(1)) * mean.square() / spread).nan_to_num(1)) or 1.0
    state = start - slope / rho  # in the end x + (what R's subdifferential gives) / rho
    answer = prox(state, 1 / rho)
    moves = (answer != start).any(1)  # else the start is the minimiser
    residuals = torch.where(moves, torch.inf, torch.zeros_like(slope[:, 0]))
    if not cold:
        back = answer - start
        residuals = torch.addmm(back, back, matrix, beta=-rho).abs_().amax(1)
    balance, steps = torch.ones_like(residuals), torch.zeros_like(residuals, dtype=torch.int64)
    shift, later = torch.empty_like(start), steps.clone()
    pending, count, again = (~(residuals <= goal)).nonzero()[:, 0], 0, 0
    while len(pending) and count < max_steps:
        if count >= again:
            new = rho * float(balance[pending].nan_to_num(1, 1, 1).median().sqrt().clamp(0.1, 10))
            if count:
                state[pending] = torch.lerp(prox(state[pending], 1 / rho), state[pending], rho / new)
            rho, again = new, max(50, 2 * count)
            moved = matrix.clone()
            moved.diagonal().add_(rho)
            inverse = torch.cholesky_inverse(torch.linalg.cholesky_ex(moved)[0]).mul_(-relaxed)
            shift.index_copy_(0, pending, linear.index_select(0, pending) @ inverse)
            forward = inverse.mul_(-rho)
            forward.diagonal().sub_(relaxed / 2)
        length = min(max(24 if start.is_cuda else int((7 * digits).clamp(4, 12)), count // 4), max_steps - count)
        count += length
        steps[pending] = count
        for rows in pending.split(max(1, tile)):
            v, given = state.index_select(0, rows), shift.index_select(0, rows)
            for _ in range(length):
                x, before = prox(v, 1 / rho), v
                v = torch.add(given, v, alpha=1 - relaxed / 2).addmm_(torch.lerp(v, x, 2), forward)
            last, x, given, previous = x, prox(v, 1 / rho), linear.index_select(0, rows), residuals[rows]
            if count >= again:
                apart, moved = (v - before).norm(dim=1) / relaxed, (x - last).norm(dim=1)
                balance[rows] = apart * (v - x).norm(dim=1) / (moved * x.norm(dim=1))
            slope = torch.addmm(given, x, matrix).add_(v - x, alpha=rho)
            residual = slope.abs().amax(1)
            state.index_copy_(0, rows, v)
            better = ~(residual >= previous)  # a row that is not a number leaves
            answer.index_copy_(0, rows, torch.where(better[:, None], x, answer.index_select(0, rows)))
            residuals.index_copy_(0, rows, torch.where(better, residual, previous))
            fall = (residual / previous).clamp(0.1, 1) if count > length else 0.1  # a start's residual tells no pace
            slow = residual * fall > goal[rows]  # not done in as many steps again
            if free is None or not bool(slow.any()):
                continue
            size = changed = free(x).sum(1)
            cost = 325 * size.square() * (1 + size / 200) / (n * (n + 30))  # in steps, as measured on a processor
            cost += 200 if start.is_cuda else 2
            busy = slow & (cost <= count) & (later[rows] <= count)
            later[rows[busy]] = 2 * count
            while bool(busy.any()):
                rows, x, slope, given, most = rows[busy], x[busy], slope[busy], given[busy], changed[busy]
                piece = free(x)
                v, x, slope = newton_on_pieces(prox, free, matrix, given, x, slope, rho)
                residual = slope.abs().amax(1)
                better = residual < 0.3 * residuals[rows]
                kept = rows[better]
                answer[kept], residuals[kept], state[kept] = x[better], residual[better], v[better]
                changed = (free(x) != piece).sum(1)
                busy = (residual > goal[rows]) & (changed < most)
        pending = pending[residuals[pending] > goal[pending]]
        digits = (residuals / goal)[pending].log10().median().nan_to_num(9)
    return answer, residuals, steps
