"""Sums of squares of stencils in cosines and waves. Torch only; copied into generated files by name.

Rows have ``shape``; ``cosine`` and ``fourier`` are the axes of that shape, after the sample's, that are transformed.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ebdsl.runtime.modes import from_modes, to_modes

Taps = tuple[tuple[tuple[int, ...], float], ...]


def stencil_curve(
    shape: tuple[int, ...],
    cosine: tuple[int, ...],
    fourier: tuple[int, ...],
    maps: tuple[tuple[Tensor | float, Taps], ...],
    like: Tensor,
) -> Tensor:
    """``Σ scale |Σ factor exp(i θ·offsets)|²`` at the frequencies θ of all modes, ``(1, *modes)``.

    These are the eigenvalues of ``K'K`` where the ends are joined or mirrored, so that there are more places.
    """
    kind = torch.float64 if like.device.type != "mps" else like.dtype
    angles = []
    for axis, n in enumerate(shape, 1):
        half = bool(fourier) and axis == fourier[-1]
        k = torch.arange(n // 2 + 1 if half else n, dtype=kind, device=like.device)
        angle = math.pi / n * k if axis in cosine else 2 * math.pi / n * k if axis in fourier else 0 * k
        angles.append(angle.reshape(-1, *[1] * (len(shape) - axis)))
    total = torch.zeros([1], dtype=kind, device=like.device)
    for scale, taps in maps:
        real = imaginary = torch.zeros_like(total)
        for offsets, factor in taps:
            turn = torch.zeros_like(total)
            for o, angle in zip(offsets, angles, strict=True):
                turn = turn + o * angle
            real, imaginary = real + factor * turn.cos(), imaginary + factor * turn.sin()
        total = total + scale * (real**2 + imaginary**2)
    return total[None].to(like.dtype)


def mode_curve(
    gradient: Callable[..., Tensor],
    like: Tensor,
    given: tuple[Tensor, ...],
    shape: tuple[int, ...],
    cosine: tuple[int, ...],
    fourier: tuple[int, ...],
) -> Tensor:
    """The eigenvalues ``(1, *modes)`` of a quadratic's second derivative that these modes make diagonal, by one signal.

    ``gradient(x, *given)`` is the quadratic's; all samples share the second derivative.
    """
    one = tuple(a[:1] for a in given)
    blank = like.new_zeros((1, math.prod(shape)))
    modes = torch.ones_like(to_modes(blank.reshape(1, *shape), cosine, fourier))
    signal = from_modes(modes, cosine, fourier, tuple(shape[a - 1] for a in fourier)).flatten(1)
    found = gradient(signal, *one) - gradient(blank, *one)
    return to_modes(found.reshape(1, *shape), cosine, fourier).real.clamp_min(0)


def entry_curve(gradient: Callable[..., Tensor], like: Tensor, given: tuple[Tensor, ...]) -> Tensor:
    """The largest entry ``(B, 1)`` of a second derivative that is diagonal in the entries."""
    zero = torch.zeros_like(like)
    return (gradient(zero + 1, *given) - gradient(zero, *given)).amax(1, keepdim=True)


def cosine_bases(shape: tuple[int, ...], cosine: tuple[int, ...], like: Tensor, longest: int = 512) -> list[Tensor]:
    """The orthonormal DCT-II as a matrix along each of the axes, while a product is quicker than an FFT."""
    found = []
    for axis in cosine:
        n = shape[axis - 1]
        k = torch.arange(n if n <= longest else 0, dtype=torch.float64)
        matrix = torch.cos(math.pi / n * k[:, None] * (k + 0.5)) * math.sqrt(2 / n)
        matrix[:1] *= math.sqrt(0.5)
        found.append(matrix.to(like))
    return found


def along(x: Tensor, matrix: Tensor, axis: int) -> Tensor:
    """``matrix`` times ``x`` along an axis."""
    if axis == x.ndim - 1:
        return x @ matrix.T
    shape = x.shape
    return (matrix @ x.reshape(*shape[: axis + 1], -1)).reshape(shape)


def divide_modes(
    right: Tensor,
    curve: Tensor,
    shape: tuple[int, ...],
    cosine: tuple[int, ...],
    fourier: tuple[int, ...],
    bases: list[Tensor],
) -> Tensor:
    """``right`` ``(B, n)`` over ``curve`` ``(B, *modes)`` in these modes."""
    short = {axis: m for axis, m in zip(cosine, bases, strict=True) if len(m)}
    long = tuple(a for a in cosine if a not in short)
    x = right.reshape(-1, *shape)
    for axis, matrix in short.items():
        x = along(x, matrix, axis)
    x = to_modes(x, long, fourier).div_(curve)
    x = from_modes(x, long, fourier, tuple(shape[a - 1] for a in fourier))
    for axis, matrix in short.items():
        x = along(x, matrix.T, axis)
    return x.flatten(1)
