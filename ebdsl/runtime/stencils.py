"""Sums of squares of stencils in cosines and waves. Torch only; copied into generated files by name.

Rows have ``shape``; ``cosine`` and ``fourier`` are the axes of that shape, after the sample's, that are transformed.
Cosines stand in the order of :func:`cosine_order`: even ones need the sum of both halves, odd ones the difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ebdsl.runtime.modes import cosine_transform, from_modes, inverse_cosine_transform, to_modes

Taps = tuple[tuple[tuple[int, ...], float], ...]


def cosine_order(n: int, device: torch.device) -> Tensor:
    """Even cosines first where two matrices of half the size are quicker, and an FFT is not quicker still."""
    k = torch.arange(n, device=device)
    return torch.cat((k[::2], k[1::2])) if n % 2 == 0 and 96 <= n <= 1024 else k


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
        k = torch.arange(n // 2 + 1 if half else n, device=like.device)
        k = (cosine_order(n, like.device) if axis in cosine else k).to(kind)
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
    found = to_modes(found.reshape(1, *shape), cosine, fourier).real.clamp_min(0)
    for axis in cosine:
        found = found.index_select(axis, cosine_order(shape[axis - 1], like.device))
    return found


def entry_curve(gradient: Callable[..., Tensor], like: Tensor, given: tuple[Tensor, ...]) -> Tensor:
    """The largest entry ``(B, 1)`` of a second derivative that is diagonal in the entries."""
    zero = torch.zeros_like(like)
    return (gradient(zero + 1, *given) - gradient(zero, *given)).amax(1, keepdim=True)


def cosine_bases(shape: tuple[int, ...], cosine: tuple[int, ...], like: Tensor) -> list[list[Tensor]]:
    """The orthonormal DCT-II along each of the axes: a matrix, those of even and odd cosines, or none for an FFT."""
    found: list[list[Tensor]] = []
    for axis in cosine:
        n = shape[axis - 1]
        if n > 1024:
            found.append([])
            continue
        k = cosine_order(n, torch.device("cpu")).double()
        matrix = torch.cos(math.pi / n * k[:, None] * (torch.arange(n).double() + 0.5)) * math.sqrt(2 / n)
        matrix[:1] *= math.sqrt(0.5)
        half = n // 2
        parts = [matrix] if k[1:2] == 1 or n == 1 else [matrix[:half, :half], matrix[half:, :half]]
        found.append([m.contiguous().to(like) for m in parts])
    return found


def along(x: Tensor, matrix: Tensor, axis: int) -> Tensor:
    """``matrix`` times ``x`` along an axis."""
    if axis == x.ndim - 1:
        return x @ matrix.T
    lead, trail = x.shape[:axis], x.shape[axis + 1 :]
    return (matrix @ x.reshape(*lead, x.shape[axis], -1)).reshape(*lead, len(matrix), *trail)


def to_cosines(x: Tensor, parts: list[Tensor], axis: int) -> Tensor:
    """``x`` in cosines along an axis."""
    if len(parts) < 2:
        return along(x, parts[0], axis) if parts else cosine_transform(x, axis)
    left, right = x.chunk(2, axis)
    right = right.flip(axis)
    return torch.cat((along(left + right, parts[0], axis), along(left - right, parts[1], axis)), axis)


def from_cosines(x: Tensor, parts: list[Tensor], axis: int) -> Tensor:
    """The inverse of :func:`to_cosines`."""
    if len(parts) < 2:
        return along(x, parts[0].T, axis) if parts else inverse_cosine_transform(x, axis)
    even, odd = (along(h, m.T, axis) for h, m in zip(x.chunk(2, axis), parts, strict=True))
    return torch.cat((even + odd, (even - odd).flip(axis)), axis)


def divide_modes(
    right: Tensor,
    curve: Tensor,
    shape: tuple[int, ...],
    cosine: tuple[int, ...],
    fourier: tuple[int, ...],
    bases: list[list[Tensor]],
) -> Tensor:
    """``right`` ``(B, n)`` over ``curve`` ``(B, *modes)`` in these modes."""
    x = right.reshape(-1, *shape)
    for axis, parts in zip(cosine, bases, strict=True):
        x = to_cosines(x, parts, axis)
    x = to_modes(x, (), fourier).div_(curve)
    x = from_modes(x, (), fourier, tuple(shape[a - 1] for a in fourier))
    for axis, parts in zip(cosine, bases, strict=True):
        x = from_cosines(x, parts, axis)
    return x.flatten(1)
