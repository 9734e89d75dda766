"""Where latents start and how parameters are drawn. Torch only; copied into generated files by name.

``options`` are those of torch's factories: ``dtype``, ``device``, and ``generator`` where something is drawn.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def first_onehot(shape: tuple[int, ...], **options: Any) -> Tensor:
    """The first of the one-hot vectors along the last axis."""
    x = torch.zeros(shape, **options)
    x[..., 0] = 1.0
    return x


def identity(shape: tuple[int, ...], generator: torch.Generator | None = None, **options: Any) -> Tensor:
    """Identity matrices ``(..., m, n)``."""
    return torch.eye(shape[-2], shape[-1], **options).expand(shape).clone()


def draw_normal(shape: tuple[int, ...], **options: Any) -> Tensor:
    """Normal entries of variance 1 / n, with n the extent of the last axis: ``W z`` is then about as large as z."""
    return torch.randn(shape, **options) * (shape[-1] if shape else 1) ** -0.5


def draw_nonnegative(shape: tuple[int, ...], **options: Any) -> Tensor:
    """Absolute values of normal entries of variance 1 / n, with n the extent of the last axis."""
    return torch.randn(shape, **options).abs() * (shape[-1] if shape else 1) ** -0.5


def draw_positive(shape: tuple[int, ...], **options: Any) -> Tensor:
    """Entries between ½ and 3/2."""
    return torch.rand(shape, **options) + 0.5


def draw_uniform(shape: tuple[int, ...], low: float, high: float, **options: Any) -> Tensor:
    """Entries between ``low`` and ``high``."""
    return low + (high - low) * torch.rand(shape, **options)


def draw_onehot(shape: tuple[int, ...], **options: Any) -> Tensor:
    """One-hot vectors along the last axis, all equally likely."""
    x = torch.rand(shape, **options)
    return torch.zeros_like(x).scatter_(-1, x.argmax(-1, keepdim=True), 1.0)


def draw_binary(shape: tuple[int, ...], **options: Any) -> Tensor:
    """0 and 1, equally likely."""
    return torch.rand(shape, **options).round()


def draw_spin(shape: tuple[int, ...], **options: Any) -> Tensor:
    """-1 and 1, equally likely."""
    return 2 * torch.rand(shape, **options).round() - 1


def draw_simplex(shape: tuple[int, ...], **options: Any) -> Tensor:
    """Uniform on the simplex along the last axis: exponential entries over their sum."""
    x = -torch.log1p(-torch.rand(shape, **options)) + 1e-12
    return x / x.sum(-1, keepdim=True)


def draw_sphere(shape: tuple[int, ...], **options: Any) -> Tensor:
    """Uniform on the sphere along the last axis."""
    return torch.nn.functional.normalize(torch.randn(shape, **options), dim=-1)


def draw_ball(shape: tuple[int, ...], radius: float, **options: Any) -> Tensor:
    """Uniform in the ball along the last axis."""
    x = torch.nn.functional.normalize(torch.randn(shape, **options), dim=-1)
    return radius * torch.rand((*shape[:-1], 1), **options) ** (1 / shape[-1]) * x


def draw_unit_columns(shape: tuple[int, ...], **options: Any) -> Tensor:
    """Columns of ``(..., m, n)`` uniform on the sphere."""
    return torch.nn.functional.normalize(torch.randn(shape, **options), dim=-2)


def draw_unit_filters(shape: tuple[int, ...], **options: Any) -> Tensor:
    """Norm 1 over all axes but the first, uniform on the sphere."""
    x = torch.randn(shape, **options)
    return x / torch.linalg.vector_norm(x, dim=tuple(range(1, len(shape))), keepdim=True)


def draw_orthonormal(shape: tuple[int, ...], **options: Any) -> Tensor:
    """Matrices ``(..., m, n)`` with orthonormal rows, or columns where ``m > n``, uniformly distributed."""
    u, _, v = torch.linalg.svd(torch.randn(shape, **options), full_matrices=False)
    return u @ v
