"""The derivative of a minimum. Torch only; copied into generated files by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ebdsl.runtime.active_set import solve_active
from ebdsl.runtime.inference import solve_symmetric


def implicit_argmin(
    energy: Callable[[Tensor], Tensor],
    z: Tensor,
    left: Tensor,
    free: Tensor | None = None,
    simplex: bool = False,
    matrix: Tensor | None = None,
) -> Tensor:
    """``z`` ``(B, *shape)``, where ``energy`` ``(B,)`` is least, with its derivative in all that the energy holds.

    ``dz = -H⁻¹ d∇E`` along what can move, by the implicit function theorem: the entries that are ``free``, which on a
    ``simplex`` keep their sum along the last axis; ``H`` is the second derivative there (Mairal, Bach & Ponce 2012;
    Bolte et al. 2021). Backward, ``H u = v`` is solved, and ``-u`` goes on through ``∇E``: by conjugate gradients with
    products of the energy's second derivative, after a direct solve on each support where that is one ``matrix``
    ``(n, n)`` for all samples. ``left`` is set to the largest part of a sample's ``v`` that is left.
    """
    if not torch.is_grad_enabled():
        return z
    point = z.detach()
    if free is not None:  # beside a kink, where a norm of zeros has a slope; what is held there takes no part in it
        point = torch.where(free, point, point + torch.finfo(z.dtype).tiny ** 0.3)
    point.requires_grad_()
    (slope,) = torch.autograd.grad(energy(point).sum(), point, create_graph=True)
    ones = torch.ones_like(z) if free is None else free.expand_as(z).to(z.dtype)
    count = ones.sum(-1, keepdim=True).clamp_min(1) if simplex else ones

    def along(v: Tensor) -> Tensor:
        v = torch.where(ones > 0, v, 0)
        return v - ones * (v.sum(-1, keepdim=True) / count) if simplex else v

    def product(v: Tensor) -> Tensor:
        (bent,) = torch.autograd.grad(slope, point, v, retain_graph=True)
        return along(bent)

    def solve(v: Tensor) -> Tensor:
        v = along(v)
        start = torch.zeros_like(v)
        if matrix is not None:
            start = solve_symmetric(matrix, v.T).T if free is None else solve_active(matrix, v, free)
        u, residual = conjugate_directions(product, v, start)
        left.fill_(residual.max() if len(v) else 0)
        return u

    answer: Tensor = ImplicitFunction.apply(z.detach(), slope, solve)
    return answer


class ImplicitFunction(torch.autograd.Function):
    """``z``; what comes back for it goes to ``slope`` as ``-solve(v)``, where ``solve`` is the inverse curvature."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, slope: Tensor, solve: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.solve = solve
        return z.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, v: Tensor) -> tuple[None, Tensor, None]:
        return None, -ctx.solve(v), None


def conjugate_directions(product: Callable[[Tensor], Tensor], right: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """``x`` with ``H x = right`` for each sample, H positive semidefinite, and how much is left of ``right``, ``(B,)``.

    Hestenes & Stiefel 1952. A sample stops where a direction has no curvature: its matrix is singular, and what is left
    says so. The residual is measured anew at the end, and a sample that rounding kept from the goal goes on from there.
    """

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).reshape(len(a), -1).sum(1).reshape(-1, *[1] * (a.ndim - 1))

    eps = torch.finfo(right.dtype).eps
    size = dot(right, right)
    goal = eps**1.5 * size
    x, left = start, right - product(start) if bool(start.any()) else right
    rest = dot(left, left)
    worse = ~(rest <= size)  # a direct solve of a singular system
    x, left, rest = torch.where(worse, 0, x), torch.where(worse, right, left), torch.where(worse, size, rest)
    for _ in range(4):
        new, r, p = x, left, left
        square, busy, most = rest, rest > goal, torch.zeros_like(rest)
        for step in range(2 * right[:1].numel() + 10):
            if step % 4 == 0 and not bool(busy.any()):
                break
            q = product(p)
            bend, length = dot(p, q), dot(p, p)
            most = torch.maximum(most, bend / torch.where(length > 0, length, 1))
            busy = busy & (square > goal) & (bend > eps * most * length)
            length = torch.where(busy, square / torch.where(busy, bend, 1), 0)
            new, r = torch.addcmul(new, length, p), torch.addcmul(r, length, q, value=-1)
            before, square = square, torch.where(busy, dot(r, r), square)
            p = torch.addcmul(r, square / torch.where(before > 0, before, 1), p)
        if not step:
            break
        r = right - product(new)
        square = dot(r, r)
        better = square < rest
        gained = bool((better & (square > goal) & (square < rest / 4)).any())
        x, left, rest = torch.where(better, new, x), torch.where(better, r, left), torch.where(better, square, rest)
        if not gained:
            break
    return x, (rest / torch.where(size > 0, size, 1)).sqrt().flatten()
