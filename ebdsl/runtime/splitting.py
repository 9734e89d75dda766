"""Splitting for ``S(x) + R(K x + c)``, with S quadratic. Torch only; copied into generated files by name.

The certificate: for a dual point ``u`` in the domain of ``R*`` and any ``x``, convexity gives ``E(x) - min E <=
[R(w) + R*(u) - u·w] + sup_d [-r·d - ½ d'Qd]`` with ``w = K x + c`` and ``r = ∇S(x) + K'u``. The first part is
``slack(w, u)``, the second ``bound(r, x)``; neither is a difference of energies, so that nothing cancels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ebdsl.runtime.vertices import try_kinks


def joint_factor(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A basis in which two positive semidefinite ``(n, n)`` matrices are diagonal: ``T, a, b``.

    ``T' first T = diag(a)``, ``T' second T = diag(b)``, so that ``(first + ρ second)⁻¹ = T diag(1 / (a + ρ b)) T'`` for
    every ρ. By a Cholesky factor of their sum and the eigenvectors in its basis (Golub & Van Loan, section 8.7).
    """
    scale = first.trace() / second.trace()
    scale = torch.where(scale > 0, scale, 1.0)
    total = first + scale * second
    total.diagonal().add_(total.trace() / len(total) * 8 * torch.finfo(total.dtype).eps)
    lower = torch.linalg.cholesky_ex(total)[0]
    half = torch.linalg.solve_triangular(lower, first, upper=False)
    share, vectors = torch.linalg.eigh(torch.linalg.solve_triangular(lower, half.mT, upper=False))
    share = share.clamp(0, 1)
    return torch.linalg.solve_triangular(lower.mT, vectors, upper=True), share, (1 - share) / scale


def duality_gap(
    functions: tuple[Callable[..., Tensor], Callable[..., Tensor], Callable[..., Tensor]],
    slack: Callable[[Tensor, Tensor], Tensor],
    bound: Callable[[Tensor, Tensor], Tensor],
) -> Callable[..., Tensor]:
    """``(x, u, *given)`` to the certificate of each row."""
    forward, back, gradient = functions

    def certify(x: Tensor, u: Tensor, *given: Tensor) -> Tensor:
        return slack(forward(x, *given), u) + bound(gradient(x, *given) + back(u, *given), x)

    return certify


def largest_curve(gradient: Callable[..., Tensor], like: Tensor, given: tuple[Tensor, ...]) -> Tensor:
    """About the largest eigenvalue ``(B, 1)`` of what is linear in ``gradient(x, *given)``, by power iteration."""
    zero = torch.zeros_like(like)
    offset = gradient(zero, *given)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(like.shape[1:], generator=generator, dtype=like.dtype).to(like.device).expand_as(like)
    size = torch.ones_like(like[:, :1])
    for _ in range(20):
        x = gradient(x / x.norm(dim=1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny), *given) - offset
        size = x.norm(dim=1, keepdim=True)
    return 1.05 * size


def alternating_directions(
    functions: tuple[Callable[..., Tensor], Callable[..., Tensor], Callable[..., Tensor]],
    solve: Callable[..., Tensor],
    prox: Callable[[Tensor, Tensor], Tensor],
    slack: Callable[[Tensor, Tensor], Tensor],
    bound: Callable[[Tensor, Tensor], Tensor],
    kinks: Callable[[Tensor], Tensor] | None,
    start: Tensor,
    given: tuple[Tensor, ...],
    rho: float | Tensor,
    near: tuple[Callable[[Tensor, Tensor], Tensor], Tensor, Callable[[Tensor], Tensor] | None] | None,
    copy: tuple[int, int] | None,
    goal: Tensor,
    max_steps: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Minimise for each row of ``start`` ``(B, n)`` by ADMM: the minimiser, its duality gap, steps.

    ``functions`` are ``x -> K x + c``, ``u -> K'u`` and ``∇S``; each takes the rows ``given``. ``solve(r, ρ)`` is
    ``(∇²S + ρ K'K)⁻¹ r``, ρ ``(B, 1)``; ``prox(w, ρ)`` is ``argmin_v R(v) + ρ/2 ‖v - w‖²``. ``copy``: the entries of
    ``v`` that are a copy of x which lies in its domain, or is exactly sparse. Over-relaxed by 1.6; ρ of each row is
    balanced between both residuals (Boyd et al. 2011, sections 3.4.1 and 3.4.3), at most forty times, so that it
    converges, and within a factor of 30 of its start ``rho``, which is 0 where nothing is known. Rows whose gap is at
    most ``goal`` ``(B,)`` leave. ``kinks(v)`` says which entries stand at the end of a straight piece, where all pieces
    are straight: after as many steps as an exact solve costs, and each time their number has doubled, the rows that
    are left try one (:func:`try_kinks`).

    ``near`` is ``divisors``, ``top`` ``(B, 1)`` and ``settle``. Then ``solve(r, divisors(ρ, top))`` is by a matrix
    that is only no smaller, and x moves from where it is (a proximal term: Fang, He, Liu & Yuan 2015). ``top`` is what
    that matrix bounds of ``∇²S`` by a multiple of 1, raised where a step shows it to be too small, and 0 where nothing.
    ``settle(r)`` is ``(∇²S)⁻¹ r`` where that is known: the best x for ``u`` is tried too.
    """
    forward, back, gradient = functions
    divisors, top, settle = near or (None, None, None)
    share = None
    rows = torch.arange(start.shape[0], device=start.device)
    answer = start.clone()
    gaps = torch.full((start.shape[0],), torch.inf, dtype=start.dtype, device=start.device)
    steps = torch.full((start.shape[0],), max_steps, device=start.device)
    x = start
    linear, offset = gradient(torch.zeros_like(x), *given), forward(torch.zeros_like(x), *given)
    weight = rho * torch.ones_like(x[:, :1])
    lowest, highest = weight / 30, torch.where(weight > 0, 30 * weight, torch.inf)
    weight = torch.where(weight > 0, weight, 1.0)
    w = forward(x, *given)
    v, d = w, torch.zeros_like(w)  # d is u / ρ
    again = max(50, x.shape[1] + v.shape[1])
    longest, strongest = w.norm(dim=1, keepdim=True), torch.zeros_like(weight)
    certify = duality_gap(functions, slack, bound)
    for step in range(1, max_steps + 1):
        last, before = x, v
        w = forward(x, *given)
        ahead = torch.lerp(v, w, 1.6).add_(d)
        v = prox(ahead, weight)
        d = torch.sub(ahead, v, out=ahead)
        if top is None:
            x = solve(weight * back(v - offset - d, *given) - linear, weight)
        else:
            slope = gradient(x, *given)
            if share is None and divisors is not None:
                share = divisors(weight, top)
            moving = solve(back((w - v).add_(d), *given).mul_(weight).add_(slope), share)
            x = torch.sub(x, moving, out=moving)
        if step % 10 == 0 or step == max_steps:
            u = weight * d
            found = x if copy is None else v[:, copy[0] : copy[1]]
            gap = certify(found, u, *given)
            if settle is not None:
                other = last - settle(gradient(last, *given) + back(u, *given))
                second = certify(other, u, *given)
                found = torch.where((second < gap)[:, None], other, found)
                gap = torch.minimum(gap, second)
            if kinks is not None and step >= again and x.shape[1] + v.shape[1] <= 1024:
                again = 2 * step
                slow = (gap > goal).nonzero()[:, 0]
                at = (v[slow], u[slow], weight[slow])
                tried = try_kinks(functions, prox, certify, kinks, copy, goal[slow], at, tuple(a[slow] for a in given))
                good = tried[4] < gap[slow]
                slow = slow[good]
                x[slow], v[slow], u[slow], found[slow], gap[slow] = (a[good] for a in tried)
            better = gap < gaps[rows]
            answer[rows[better]], gaps[rows[better]] = found[better], gap[better]
            done = gap <= goal
            steps[rows[done]] = step
            if bool(done.all()):
                break
            if step <= 400:  # K x may end at 0: residuals are shares of what there was on the way, too
                length = torch.maximum(w.norm(dim=1, keepdim=True), v.norm(dim=1, keepdim=True))
                longest = torch.maximum(longest, length)
                apart = (w - v).norm(dim=1, keepdim=True) / torch.maximum(length, 0.1 * longest)
                if top is None:
                    moved = weight * (v - before).norm(dim=1, keepdim=True) / u.norm(dim=1, keepdim=True)
                else:
                    pull = back(u, *given)
                    strongest = torch.maximum(strongest, pull.norm(dim=1, keepdim=True))
                    moved = (gradient(last, *given) + pull).norm(dim=1, keepdim=True) / strongest / 2
                ratio = (apart / moved).sqrt().nan_to_num(1.0).clamp(0.2, 5)
                weight = torch.where((ratio > 2) | (ratio < 0.5), weight * ratio, weight)
                weight = torch.maximum(torch.minimum(weight, highest), lowest)
            d = u / weight
            if top is not None:
                share = None
                move = x - last
                square = move.square().sum(1, keepdim=True)
                bend = (move * (gradient(x, *given) - slope)).sum(1, keepdim=True) / square
                seen = (top > 0) & (square > 1e-4 * x.square().sum(1, keepdim=True))  # no rounding
                top = torch.where(seen, torch.maximum(top, bend), top)
            if int(done.sum()) > len(done) // 8:
                keep = ~done
                rows, x, v, d, weight, lowest, highest, linear, offset, goal, longest, strongest = (
                    a[keep] for a in (rows, x, v, d, weight, lowest, highest, linear, offset, goal, longest, strongest)
                )
                given = tuple(a[keep] for a in given)
                top = None if top is None else top[keep]
    return answer, gaps, steps


def primal_dual(
    functions: tuple[Callable[..., Tensor], Callable[..., Tensor], Callable[..., Tensor]],
    prox: Callable[[Tensor, Tensor], Tensor],
    slack: Callable[[Tensor, Tensor], Tensor],
    bound: Callable[[Tensor, Tensor], Tensor],
    kinks: Callable[[Tensor], Tensor] | None,
    start: Tensor,
    given: tuple[Tensor, ...],
    copy: tuple[int, int] | None,
    goal: Tensor,
    max_steps: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """:func:`alternating_directions` without a factor: only ``K``, ``K'`` and ``∇S`` are applied.

    Condat 2013 and Vũ 2013: ``x⁺ = x - τ (∇S(x) + K'u)``, ``u⁺ = prox_σR*(u + σ K(2x⁺ - x))``, with
    ``1/τ - σ‖K‖² >= L/2``. The norms begin at a few power iterations and are raised where a step shows them to be too
    small; σ of each row is balanced between both residuals, at most forty times (Goldstein et al. 2015).
    """
    forward, back, gradient = functions
    rows = torch.arange(start.shape[0], device=start.device)
    answer = start.clone()
    gaps = torch.full((start.shape[0],), torch.inf, dtype=start.dtype, device=start.device)
    steps = torch.full((start.shape[0],), max_steps, device=start.device)
    tiny = torch.finfo(start.dtype).tiny
    offset = forward(torch.zeros_like(start), *given)
    size = largest_curve(lambda x, *g: back(forward(x, *g) - offset, *g), start, given).clamp_min(1e-12)
    curve = largest_curve(gradient, start, given)
    sigma = torch.where(curve > 0, curve / size, size.rsqrt())
    x, g, w = start, gradient(start, *given), forward(start, *given)
    u = torch.zeros_like(w)
    pull = back(u, *given)
    again = max(50, x.shape[1] + u.shape[1])
    certify = duality_gap(functions, slack, bound)
    for step in range(1, max_steps + 1):
        tau = 1 / (0.5 * curve + sigma * size)
        new = x - tau * (g + pull)
        w_new, g_new = forward(new, *given), gradient(new, *given)
        move = new - x
        square = move.square().sum(1, keepdim=True).clamp_min(tiny)
        size = torch.maximum(size, (w_new - w).square().sum(1, keepdim=True) / square)
        curve = torch.maximum(curve, (move * (g_new - g)).sum(1, keepdim=True) / square)
        aim = u + sigma * (2 * w_new - w)
        v = prox(aim / sigma, sigma)
        u_new = aim - sigma * v
        pull_new = back(u_new, *given)
        if step % 20 == 0 or step == max_steps:
            found = new if copy is None else v[:, copy[0] : copy[1]]
            gap = slack(forward(found, *given), u_new) + bound(gradient(found, *given) + pull_new, found)
            if kinks is not None and step >= again and x.shape[1] + u.shape[1] <= 1024:
                again = 2 * step
                slow = (gap > goal).nonzero()[:, 0]
                at = (v[slow], u_new[slow], sigma[slow])
                tried = try_kinks(functions, prox, certify, kinks, copy, goal[slow], at, tuple(a[slow] for a in given))
                good = tried[4] < gap[slow]
                slow = slow[good]
                new[slow], _, u_new[slow], found[slow], gap[slow] = (a[good] for a in tried)
                w_new, g_new, pull_new = forward(new, *given), gradient(new, *given), back(u_new, *given)
            better = gap < gaps[rows]
            answer[rows[better]], gaps[rows[better]] = found[better], gap[better]
            done = gap <= goal
            steps[rows[done]] = step
            if bool(done.all()):
                break
            if step <= 800:
                first = (move / tau + (pull - pull_new)).norm(dim=1, keepdim=True)
                first = first / (u_new.norm(dim=1, keepdim=True) * size.sqrt())  # shares, which have no unit
                apart = ((u_new - u) / sigma - (w_new - w)).norm(dim=1, keepdim=True)
                second = apart / w_new.norm(dim=1, keepdim=True)
                ratio = (second / first).sqrt().nan_to_num(1.0).clamp(0.25, 4)
                sigma = torch.where((ratio > 1.5) | (ratio < 0.67), sigma * ratio, sigma)
        else:
            done = None
        x, g, w, u, pull = new, g_new, w_new, u_new, pull_new
        if done is not None and int(done.sum()) > len(done) // 8:
            keep = ~done
            rows, x, g, w, u, pull, sigma, size, curve, goal = (
                a[keep] for a in (rows, x, g, w, u, pull, sigma, size, curve, goal)
            )
            given = tuple(a[keep] for a in given)
    return answer, gaps, steps
