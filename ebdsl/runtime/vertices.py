"""The end of a splitting over straight pieces: the pieces that it is on are taken for those of the answer.

Torch only; copied into generated files by name.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def finish_straight(
    functions: tuple[Callable[..., Tensor], Callable[..., Tensor], Callable[..., Tensor]],
    fixed: Tensor,
    v: Tensor,
    u: Tensor,
    given: tuple[Tensor, ...],
) -> tuple[Tensor, Tensor]:
    """``x`` ``(B, n)`` and ``u`` ``(B, m)``, optimal if the kinks at which ``v`` stands are those of the answer.

    ``functions`` are ``x -> K x + c``, ``u -> K'u`` and ``∇S``, S quadratic. Where ``fixed`` ``(B, m)`` an entry of
    ``K x + c`` keeps the value of ``v`` and ``u`` is found; elsewhere ``u`` is the slope of its piece and stays. One
    linear system a row, that of an equality-constrained quadratic program (Nocedal & Wright 2006, section 16.1), as
    in the polish of OSQP (Stellato et al. 2020). Whether they are optimal is for the caller's gap to say.
    """
    forward, back, gradient = functions
    (count, m), n = v.shape, back(u, *given).shape[1]
    every = torch.eye(n, dtype=v.dtype, device=v.device).repeat(count, 1)
    each = tuple(a.repeat_interleave(n, 0) for a in given)
    zero = v.new_zeros(count, n)
    linear, offset = gradient(zero, *given), forward(zero, *given)
    curve = gradient(every, *each).reshape(count, n, n) - linear[:, None]
    maps = (forward(every, *each).reshape(count, n, m) - offset[:, None]).mul_(fixed[:, None])
    system = torch.cat(
        (torch.cat((curve, maps), 2), torch.cat((maps.mT, torch.diag_embed((~fixed).to(v.dtype))), 2)), 1
    )
    right = torch.cat((-linear - back(u.masked_fill(fixed, 0), *given), (v - offset).masked_fill(~fixed, 0)), 1)
    found = solve_by_lu(system, right)[..., None]
    left = (system @ found)[..., 0] - right
    wrong = ~(left.abs().amax(1) <= torch.finfo(v.dtype).eps ** 0.75 * right.abs().amax(1))
    if bool(wrong.any()):  # more kinks than directions: the solution of least norm
        inverse = torch.linalg.pinv(system[wrong].nan_to_num(0, 0, 0), hermitian=True)
        found[wrong] = inverse @ right[wrong][..., None]
    return found[:, :n, 0], torch.where(fixed, found[:, n:, 0], u)


def solve_by_lu(systems: Tensor, right: Tensor) -> Tensor:
    """``x`` with ``systems @ x = right`` for ``(B, n, n)`` and ``(B, n)``; anything where one has no factors.

    On a processor large systems are factored one by one: in a batch MKL starts threads of its own inside of torch's,
    and from 150 numbers on, after ``torch.set_num_threads``, hangs or leaves no pivots (pytorch issue 142815).
    """
    together = max(1, len(right)) if right.shape[1] <= 128 or right.is_cuda else 1
    found = [right[:0]]
    for some, b in zip(systems.split(together), right.split(together), strict=True):
        factor, pivots, _ = torch.linalg.lu_factor_ex(some)
        # LAPACK may leave pivots of 0 where a number is not finite, which a solve refuses for all rows
        found.append(torch.linalg.lu_solve(factor, pivots.clamp_min(1), b[..., None])[..., 0])
    return torch.cat(found)


def try_kinks(
    functions: tuple[Callable[..., Tensor], Callable[..., Tensor], Callable[..., Tensor]],
    prox: Callable[[Tensor, Tensor], Tensor],
    certify: Callable[..., Tensor],
    kinks: Callable[[Tensor], Tensor],
    copy: tuple[int, int] | None,
    goal: Tensor,
    state: tuple[Tensor, Tensor, Tensor],
    given: tuple[Tensor, ...],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Newton's method on the kinks: those of one answer are tried for the next, at most six times.

    ``state`` is ``v``, ``u`` and ``ρ``; ``certify(x, u, *given)`` is the gap. Gives ``x``, ``v``, ``u``, the answer and
    its gap, infinite where none was found. Rows are taken in tiles whose systems fit in memory.
    """
    forward, _, _ = functions
    v, u, weight = state
    x = functions[1](u, *given)
    answer, best_v, best_u = x.clone(), v.clone(), u.clone()
    gaps = torch.full_like(goal, torch.inf)
    for rows in torch.arange(len(goal), device=goal.device).split(max(1, 2**22 // (x.shape[1] + v.shape[1]) ** 2)):
        some, v_new, u_new = rows, v[rows], u[rows]
        for _ in range(6):
            own, heavy = tuple(a[some] for a in given), weight[some]
            x_new, u_new = finish_straight(functions, kinks(v_new), v_new, u_new, own)
            w_new = forward(x_new, *own)
            v_new = prox(w_new + u_new / heavy, heavy)
            u_new = u_new + heavy * (w_new - v_new)
            found = x_new if copy is None else v_new[:, copy[0] : copy[1]]
            gap = certify(found, u_new, *own)
            good = gap < gaps[some]
            kept = some[good]
            x[kept], best_v[kept], best_u[kept] = x_new[good], v_new[good], u_new[good]
            answer[kept], gaps[kept] = found[good], gap[good]
            left = gaps[some] > goal[some]
            some, v_new, u_new = some[left], v_new[left], u_new[left]
            if not len(some):
                break
    return x, best_v, best_u, answer, gaps
