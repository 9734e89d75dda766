"""Projections: the nearest point of a domain, on the trailing axes, for any leading axes.

Torch only; copied into generated files by name; each stands alone.
"""

from __future__ import annotations

import torch
from torch import Tensor


def project_nonnegative(x: Tensor) -> Tensor:
    """Every entry at least 0."""
    return x.clamp_min(0)


def project_positive(x: Tensor, floor: float = 1e-6) -> Tensor:
    """Every entry at least ``floor``."""
    return x.clamp_min(floor)


def project_box(x: Tensor, low: float, high: float) -> Tensor:
    """Every entry between ``low`` and ``high``."""
    return x.clamp(low, high)


def project_onehot(x: Tensor) -> Tensor:
    """1 at the greatest entry along the last axis (the first of several), else 0."""
    return torch.zeros_like(x).scatter_(-1, x.argmax(-1, keepdim=True), 1.0)


def project_binary(x: Tensor) -> Tensor:
    """0 or 1, whichever is nearer."""
    return (x > 0.5).to(x.dtype)


def project_spin(x: Tensor) -> Tensor:
    """-1 or 1, whichever is nearer."""
    return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)


def project_simplex(x: Tensor, radius: float = 1.0) -> Tensor:
    """The nearest point with entries >= 0 that add up to ``radius``, along the last axis.

    By sorting (Held, Wolfe & Crowder 1974; Duchi et al. 2008), exact up to rounding.
    """
    x = x - x.amax(-1, keepdim=True)  # the answer is the same, and the sums stay small
    sorted_, _ = x.sort(dim=-1, descending=True)
    excess = sorted_.cumsum(-1) - radius
    ranks = torch.arange(1, x.shape[-1] + 1, dtype=x.dtype, device=x.device)
    count = (sorted_ * ranks > excess).sum(-1, keepdim=True).clamp_min(1)
    return (x - excess.gather(-1, count - 1) / count).clamp_min(0)


def project_sphere(x: Tensor) -> Tensor:
    """Norm 1 along the last axis; a zero vector, to which all points are equally near, goes to equal entries."""
    largest = x.abs().amax(-1, keepdim=True)
    x = x / largest.clamp_min(torch.finfo(x.dtype).tiny)  # no square overflows, nor falls to zero
    norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return torch.where(norm > 0, x / norm, x.shape[-1] ** -0.5)


def project_ball(x: Tensor, radius: float = 1.0) -> Tensor:
    """Norm at most ``radius`` along the last axis."""
    return x * (radius / torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min(radius))


def normalise_columns(x: Tensor) -> Tensor:
    """Norm 1 for each column of ``(..., m, n)``; a zero column goes to equal entries."""
    x = x + torch.finfo(x.dtype).tiny ** 0.5  # nothing to a column that is not zero
    return x / torch.linalg.vector_norm(x, dim=-2, keepdim=True)


def project_ball_columns(x: Tensor) -> Tensor:
    """Norm at most 1 for each column of ``(..., m, n)``."""
    return x / torch.linalg.vector_norm(x, dim=-2, keepdim=True).clamp_min(1.0)


def normalise_filters(x: Tensor, ndim: int) -> Tensor:
    """Norm 1 over the last ``ndim - 1`` axes; a zero filter goes to equal entries."""
    axes = tuple(range(1 - ndim, 0))
    norm = torch.linalg.vector_norm(x, dim=axes, keepdim=True)
    return torch.where(norm > 0, x / norm, x[(0,) * (x.ndim - ndim + 1)].numel() ** -0.5)


def nonnegative_unit(x: Tensor, dim: int) -> Tensor:
    """Entries at least 0 and norm 1 along ``dim``: clamped, then normalised.

    What has no positive entry goes to the axis of its greatest one.
    """
    largest, place = x.max(dim, keepdim=True)
    corner = torch.zeros_like(x).scatter_(dim, place, 1.0)
    x = torch.where(largest > 0, x.clamp_min(0) / largest.clamp_min(torch.finfo(x.dtype).tiny), corner)
    return x / torch.linalg.vector_norm(x, dim=dim, keepdim=True)


def nonnegative_filters(x: Tensor, ndim: int) -> Tensor:
    """Entries at least 0 and norm 1 over the last ``ndim - 1`` axes, as :func:`nonnegative_unit`."""
    return nonnegative_unit(x.flatten(1 - ndim), -1).view(x.shape)


def project_orthonormal(x: Tensor) -> Tensor:
    """The nearest matrix ``(..., m, n)`` with orthonormal rows, or columns where ``m > n``: the polar factor.

    ``U V'`` of the singular value decomposition (Schönemann 1966).
    """
    u, _, v = torch.linalg.svd(x, full_matrices=False)
    return u @ v


def project_psd(x: Tensor, floor: float = 1e-6) -> Tensor:
    """The nearest symmetric matrix ``(..., n, n)`` with eigenvalues at least ``floor`` (Higham 1988)."""
    values, vectors = torch.linalg.eigh((x + x.mT) / 2)
    return (vectors * values.clamp_min(floor)[..., None, :]) @ vectors.mT
