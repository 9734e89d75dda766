"""Proximal operators: ``(v, t) -> argmin_x t f(x) + ½ ‖x - v‖²``, for any leading axes.

Torch only; copied into generated files by name. Formulas: Parikh & Boyd, Proximal algorithms, 2014, chapter 6.
"""

from __future__ import annotations

import torch
from torch import Tensor

NEEDS: dict[str, tuple[str, ...]] = {"prox_norm_inf": ("project_l1_ball",)}


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


def prox_norm_inf(v: Tensor, t: Tensor | float) -> Tensor:
    """Prox of the greatest absolute value along the last axis: ``v - P(v)``, P onto the L1 ball (Moreau)."""
    return v - project_l1_ball(v, t)


def project_l1_ball(x: Tensor, radius: Tensor | float = 1.0) -> Tensor:
    """The nearest point with ``Σ|x| <= radius`` along the last axis (``(…, 1)`` where radius is a tensor).

    Duchi, Shalev-Shwartz, Singer & Chandra 2008.
    """
    size = x.abs()
    sorted_, _ = size.sort(dim=-1, descending=True)
    excess = sorted_.cumsum(-1) - radius
    ranks = torch.arange(1, x.shape[-1] + 1, dtype=x.dtype, device=x.device)
    count = (sorted_ * ranks > excess).sum(-1, keepdim=True).clamp_min(1)
    threshold = (excess.gather(-1, count - 1) / count).clamp_min(0)
    return x.sign() * (size - threshold).clamp_min(0)
