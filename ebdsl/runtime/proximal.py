"""Proximal operators: ``(v, t) -> argmin_x t f(x) + ½ ‖x - v‖²``, for any leading axes.

Torch only; copied into generated files by name. Formulas: Parikh & Boyd, Proximal algorithms, 2014, chapter 6.
"""

from __future__ import annotations

import torch
from torch import Tensor


def soft_threshold(v: Tensor, t: Tensor | float) -> Tensor:
    """Prox of ``Σ|x|``: each entry moved towards 0 by ``t`` (``t >= 0``, broadcast), and 0 where it is smaller."""
    return v - v.clamp(-t, t) if isinstance(t, Tensor) else torch.nn.functional.softshrink(v, t)


def nonnegative_soft_threshold(v: Tensor, t: Tensor | float) -> Tensor:
    """Prox of ``Σ|x|`` on ``x >= 0``."""
    return (v - t).clamp_min(0)


def group_soft_threshold(v: Tensor, t: Tensor | float, axes: tuple[int, ...] = (-1,)) -> Tensor:
    """Prox of the Euclidean norm over ``axes``: groups shortened by ``t``, and 0 where they are shorter.

    ``t`` broadcasts against the norms with ``axes`` kept as ones (Yuan & Lin 2006).
    """
    norm = torch.linalg.vector_norm(v, dim=axes, keepdim=True)
    return v * (1 - t / norm.clamp_min(torch.finfo(v.dtype).tiny)).clamp_min(0)


def plane_soft_threshold(v: Tensor, t: Tensor | float) -> Tensor:
    """:func:`group_soft_threshold` over axis 1 of ``v`` ``(B, k, n)``, plane by plane; ``t`` is ``(B, n or 1)``."""
    first, *more = v.unbind(1)
    square = first * first
    for plane in more:
        square.addcmul_(plane, plane)
    share = square.clamp_min_(torch.finfo(v.dtype).tiny).rsqrt_().mul_(-t).add_(1).clamp_min_(0)
    return v * share[:, None]


def nonnegative_group_soft_threshold(v: Tensor, t: Tensor | float, axes: tuple[int, ...] = (-1,)) -> Tensor:
    """Prox of the Euclidean norm over ``axes`` on ``x >= 0``: the positive part, then shortened."""
    v = v.clamp_min(0)
    norm = torch.linalg.vector_norm(v, dim=axes, keepdim=True)
    return v * (1 - t / norm.clamp_min(torch.finfo(v.dtype).tiny)).clamp_min(0)


def sparse_group_soft_threshold(v: Tensor, t: Tensor, group: Tensor | float, axes: tuple[int, ...] = (-1,)) -> Tensor:
    """Prox of ``t Σ|x| + group ‖x‖`` over ``axes``: entries shrunk, then groups (Friedman et al. 2010)."""
    v = v - v.clamp(-t, t)
    norm = torch.linalg.vector_norm(v, dim=axes, keepdim=True)
    return v * (1 - group / norm.clamp_min(torch.finfo(v.dtype).tiny)).clamp_min(0)


def prox_relu(v: Tensor, t: Tensor | float) -> Tensor:
    """Prox of ``Σ max(x, 0)``: positive entries moved down by ``t``, not below 0."""
    return torch.minimum(v, (v - t).clamp_min(0))


def prox_square(v: Tensor, t: Tensor | float) -> Tensor:
    """Prox of ``Σ x²``."""
    return v / (1 + 2 * t)


def prox_huber(v: Tensor, t: Tensor | float) -> Tensor:
    """Prox of ``Σ huber(x)`` of width 1."""
    return v - t * (v / (1 + t)).clamp(-1, 1)


def prox_negative_log(v: Tensor, t: Tensor | float) -> Tensor:
    """Prox of ``-Σ log x``: the positive root of ``x² - v x = t``, without cancellation for ``v < 0``."""
    root = (v.square() + 4 * t).sqrt()
    return torch.where(v > 0, (v + root) / 2, 2 * t / (root - v).clamp_min(torch.finfo(v.dtype).tiny))


def wright_omega(x: Tensor) -> Tensor:
    """The positive ``w`` with ``w + log w = x``, that is Lambert's ``W(exp x)`` without overflow.

    From a guess by two steps of fourth order (Fritsch, Shafer & Crowley 1973; Lawrence, Corless & Jeffrey 2012).
    """
    tiny = torch.finfo(x.dtype).tiny
    small = x.clamp_max(1.0).exp()
    logarithm = x.clamp_min(1.0).log()
    w = torch.where(x < 1, small / (1 + small * 0.7), x.clamp_min(1.0) - logarithm * (1 - 1 / x.clamp_min(1.0)))
    w = w.clamp_min(tiny)
    for _ in range(3):
        r = (x - w - w.log()).clamp(-1, 1)  # beyond that w is at the floor
        a = 2 * (1 + w) * (1 + w + 2 * r / 3)
        w = (w * (1 + r / (1 + w) * ((a - r) / (a - 2 * r)))).clamp_min(tiny)
    return w


def prox_entropy(v: Tensor, t: Tensor | float) -> Tensor:
    """Prox of ``Σ x log x``: the positive root of ``x + t (1 + log x) = v``; ``t`` broadcasts.

    Chambolle & Pock, An introduction to continuous optimization for imaging, 2016, section 3.4.
    """
    t = torch.as_tensor(t, dtype=v.dtype, device=v.device).clamp_min(torch.finfo(v.dtype).eps ** 2)
    return t * wright_omega(v / t - 1 - t.log())


def prox_entropy_simplex(v: Tensor, t: Tensor | float) -> Tensor:
    """Prox of ``Σ x log x`` on the simplex along the last axis; ``t`` broadcasts.

    ``x(μ) = prox(v - μ)`` with the multiplier at which the entries add up to 1. Their sum falls and is convex in μ, so
    Newton's method from where one entry is 1 goes up to the root and never past it.
    """
    t = torch.as_tensor(t, dtype=v.dtype, device=v.device).clamp_min(torch.finfo(v.dtype).eps ** 2)
    level = (v - t).amax(-1, keepdim=True) - 1
    small = 4 * v.shape[-1] * torch.finfo(v.dtype).eps
    x = v
    for _ in range(60):
        share = wright_omega((v - level) / t - 1 - t.log())
        x = t * share
        excess = x.sum(-1, keepdim=True) - 1
        if not bool((excess > small).any()):
            break
        level = level + excess / (share / (1 + share)).sum(-1, keepdim=True)
    return x / x.sum(-1, keepdim=True)


def water_level(v: Tensor, t: Tensor | float) -> Tensor:
    """The level ``c`` ``(…, 1)`` that ``v`` exceeds by ``t`` in all, ``Σ (v - c)_+ = t``, along the last axis.

    By sorting (Held, Wolfe & Crowder 1974), exact up to rounding; ``t >= 0`` is a number or ``(…, 1)``.
    """
    sorted_, _ = v.sort(dim=-1, descending=True)
    excess = sorted_.cumsum(-1) - t
    ranks = torch.arange(1, v.shape[-1] + 1, dtype=v.dtype, device=v.device)
    count = (sorted_ * ranks > excess).sum(-1, keepdim=True).clamp_min(1)
    return excess.gather(-1, count - 1) / count


def axes_last(v: Tensor, t: Tensor | float, axes: tuple[int, ...]) -> tuple[Tensor, Tensor | float]:
    """``v`` with ``axes`` moved to the end, and ``t``, which broadcasts against ``v`` with ones there, likewise."""
    last = tuple(range(-len(axes), 0))
    if isinstance(t, Tensor) and t.ndim:
        t = t.reshape((1,) * (v.ndim - t.ndim) + t.shape).movedim(axes, last)
    return v.movedim(axes, last), t


def prox_maximum(v: Tensor, t: Tensor | float, axes: tuple[int, ...] = (-1,)) -> Tensor:
    """Prox of the greatest entry over ``axes``: what exceeds a level is cut off, ``t`` in all (Moreau's identity).

    ``t`` broadcasts against ``v`` with ``axes`` kept as ones.
    """
    moved, t = axes_last(v, t, axes)
    rows = moved.flatten(-len(axes))
    level = water_level(rows, t.flatten(-len(axes)) if isinstance(t, Tensor) and t.ndim else t)
    new = torch.minimum(rows, level).reshape(moved.shape)
    return new.movedim(tuple(range(-len(axes), 0)), axes)


def prox_norm_inf(v: Tensor, t: Tensor | float, axes: tuple[int, ...] = (-1,)) -> Tensor:
    """Prox of the greatest absolute value over ``axes``: sizes cut off at a level, ``t`` in all, or all 0.

    ``t`` broadcasts against ``v`` with ``axes`` kept as ones. It is ``v - P(v)``, P onto the L1 ball (Moreau's
    identity), with the sizes at the level exactly equal.
    """
    size = prox_maximum(v.abs(), t, axes).clamp_min(0)
    return v.clamp(-size, size)


def prox_longest(v: Tensor, t: Tensor | float, axes: tuple[int, ...] = (-2, -1)) -> Tensor:
    """Prox of the greatest Euclidean norm of the rows of matrices over ``axes``: lengths cut off at a level.

    Directions stay, since it grows with each length (Combettes & Pesquet 2011).
    """
    length = torch.linalg.vector_norm(v, dim=axes[-1], keepdim=True)
    new = prox_maximum(length, t, axes).clamp_min(0)
    return v * (new / length.clamp_min(torch.finfo(v.dtype).tiny)).clamp_max(1)


def prox_nuclear(v: Tensor, t: Tensor | float, axes: tuple[int, ...] = (-2, -1)) -> Tensor:
    """Prox of the sum of singular values of the matrices over ``axes``: soft threshold (Cai, Candès & Shen 2010).

    ``t`` broadcasts against ``v`` with ``axes`` kept as ones.
    """
    moved, t = axes_last(v, t, axes)
    left, sizes, right = torch.linalg.svd(moved, full_matrices=False)
    sizes = (sizes - (t.squeeze(-1) if isinstance(t, Tensor) and t.ndim else t)).clamp_min(0)
    return ((left * sizes[..., None, :]) @ right).movedim((-2, -1), axes)


def prox_spectral(v: Tensor, t: Tensor | float, axes: tuple[int, ...] = (-2, -1)) -> Tensor:
    """Prox of the greatest singular value of the matrices over ``axes``: sizes cut off at a level, ``t`` in all.

    ``t`` broadcasts against ``v`` with ``axes`` kept as ones.
    """
    moved, t = axes_last(v, t, axes)
    left, sizes, right = torch.linalg.svd(moved, full_matrices=False)
    sizes = prox_norm_inf(sizes, t.squeeze(-1) if isinstance(t, Tensor) and t.ndim else t)
    return ((left * sizes[..., None, :]) @ right).movedim((-2, -1), axes)


def polar_factor(x: Tensor) -> Tensor:
    """``U V'`` of the singular value decomposition of ``(..., m, n)``: the slope of the nuclear norm."""
    left, _, right = torch.linalg.svd(x, full_matrices=False)
    return left @ right


def leading_pair(x: Tensor) -> Tensor:
    """``u v'`` of the first singular vectors of ``(..., m, n)``: the slope of the spectral norm."""
    left, _, right = torch.linalg.svd(x, full_matrices=False)
    return left[..., :, :1] @ right[..., :1, :]
