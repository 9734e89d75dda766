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


def alternating_directions(
    functions: tuple[Callable[..., Tensor], Callable[..., Tensor], Callable[..., Tensor]],
    solve: Callable[[Tensor, Tensor], Tensor],
    prox: Callable[[Tensor, Tensor], Tensor],
    slack: Callable[[Tensor, Tensor], Tensor],
    bound: Callable[[Tensor, Tensor], Tensor],
    kinks: Callable[[Tensor], Tensor] | None,
    start: Tensor,
    given: tuple[Tensor, ...],
    rho: float,
    copy: tuple[int, int] | None,
    goal: Tensor,
    max_steps: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Minimise for each row of ``start`` ``(B, n)`` by ADMM: the minimiser, its duality gap, steps.

    ``functions`` are ``x -> K x + c``, ``u -> K'u`` and ``∇S``; each takes the rows ``given``. ``solve(r, ρ)`` is
    ``(∇²S + ρ K'K)⁻¹ r``, ρ ``(B, 1)``; ``prox(w, ρ)`` is ``argmin_v R(v) + ρ/2 ‖v - w‖²``. ``copy``: the entries of
    ``v`` that are a copy of x which lies in its domain, or is exactly sparse. Over-relaxed by 1.7; ρ of each row is
    balanced between both residuals (Boyd et al. 2011, sections 3.4.1 and 3.4.3), at most forty times, so that it
    converges. Rows whose gap is at most ``goal`` ``(B,)`` leave. ``kinks(v)`` says which entries stand at the
    end of a straight piece, where all pieces are straight: after as many steps as an exact solve costs, and each time
    their number has doubled, the rows that are left try one (:func:`try_kinks`).
    """
    forward, back, gradient = functions
    rows = torch.arange(start.shape[0], device=start.device)
    answer = start.clone()
    gaps = torch.full((start.shape[0],), torch.inf, dtype=start.dtype, device=start.device)
    steps = torch.full((start.shape[0],), max_steps, device=start.device)
    x = start
    linear, offset = gradient(torch.zeros_like(x), *given), forward(torch.zeros_like(x), *given)
    weight = torch.full_like(x[:, :1], rho)
    w = forward(x, *given)
    v, u = w, torch.zeros_like(w)
    again = max(50, x.shape[1] + v.shape[1])
    certify = duality_gap(functions, slack, bound)
    for step in range(1, max_steps + 1):
        before = v
        w = forward(x, *given)
        ahead = torch.lerp(v, w, 1.7)
        v = prox(ahead + u / weight, weight)
        u = u + weight * (ahead - v)
        x = solve(back(weight * (v - offset) - u, *given) - linear, weight)
        if step % 10 == 0 or step == max_steps:
            found = x if copy is None else v[:, copy[0] : copy[1]]
            gap = certify(found, u, *given)
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
            if step <= 400:
                apart = (w - v).norm(dim=1, keepdim=True) / torch.maximum(w.norm(dim=1), v.norm(dim=1))[:, None]
                moved = weight * (v - before).norm(dim=1, keepdim=True) / u.norm(dim=1, keepdim=True)
                ratio = (apart / moved).sqrt().nan_to_num(1.0).clamp(0.2, 5)
                weight = torch.where((ratio > 2) | (ratio < 0.5), weight * ratio, weight)
            if int(done.sum()) > len(done) // 8:
                keep = ~done
                rows, x, v, u, weight, linear, offset, goal = (
                    a[keep] for a in (rows, x, v, u, weight, linear, offset, goal)
                )
                given = tuple(a[keep] for a in given)
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
    zero = torch.zeros_like(start)
    linear, offset = gradient(zero, *given), forward(zero, *given)
    tiny = torch.finfo(start.dtype).tiny
    size = curve = torch.ones_like(start[:, :1])
    generator = torch.Generator().manual_seed(0)
    a = b = torch.randn(start.shape[1:], generator=generator, dtype=start.dtype).to(start.device).expand_as(start)
    for _ in range(20):
        a, b = a / a.norm(dim=1, keepdim=True).clamp_min(tiny), b / b.norm(dim=1, keepdim=True).clamp_min(tiny)
        a, b = back(forward(a, *given) - offset, *given), gradient(b, *given) - linear
        size, curve = a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True)
    size, curve = 1.05 * size.clamp_min(1e-12), 1.05 * curve
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
