"""Convolution of maps, of the map's size, for any leading axes. Torch only; copied into generated files by name.

With ``c = (k - 1) // 2`` on every axis and zeros outside: ``convolve(K, x)[p] = Σ_q K[q] x[p - q + c]``. The circular
ones have the map go on at its other end, and are products of spectra.
"""

from __future__ import annotations

import torch
from torch import Tensor


def convolve(kernel: Tensor, x: Tensor, ndim: int) -> Tensor:
    """``(..., *k)`` and ``(..., *n)``, with ``ndim`` axes in k and n, give ``(..., *n)``; leading axes broadcast."""
    after = tuple((k - 1) // 2 for k in kernel.shape[-ndim:])
    before = tuple(k - 1 - c for k, c in zip(kernel.shape[-ndim:], after, strict=True))
    return correlate_padded(kernel.flip(tuple(range(-ndim, 0))), x, before, after)


def convolve_channels(kernel: Tensor, x: Tensor, ndim: int) -> Tensor:
    """``Σ_c kernel[c] * x[c]``: ``(C, *k)`` and ``(..., C, *n)`` give ``(..., *n)``, as one convolution."""
    after = tuple((k - 1) // 2 for k in kernel.shape[1:])
    sides = [side for k, c in zip(kernel.shape[:0:-1], after[::-1], strict=True) for side in (k - 1 - c, c)]
    maps = torch.nn.functional.pad(x.reshape(-1, *x.shape[-ndim - 1 :]), sides)
    convolution = (torch.conv1d, torch.conv2d, torch.conv3d)[ndim - 1]
    y = convolution(maps, kernel.flip(tuple(range(-ndim, 0)))[None])
    return y.reshape(*x.shape[: -ndim - 1], *x.shape[-ndim:])


def correlate(kernel: Tensor, x: Tensor, ndim: int) -> Tensor:
    """The adjoint of :func:`convolve` in the map: ``Σ_q K[q] x[p + q - c]``."""
    before = tuple((k - 1) // 2 for k in kernel.shape[-ndim:])
    after = tuple(k - 1 - c for k, c in zip(kernel.shape[-ndim:], before, strict=True))
    return correlate_padded(kernel, x, before, after)


def kernel_gradient(x: Tensor, g: Tensor, kernel: Tensor, ndim: int) -> Tensor:
    """The adjoint of :func:`convolve` in the kernel: ``Σ_p g[p] x[p - q + c]`` for all q of ``kernel``."""
    after = tuple((k - 1) // 2 for k in kernel.shape[-ndim:])
    before = tuple(k - 1 - c for k, c in zip(kernel.shape[-ndim:], after, strict=True))
    return correlate_padded(g, x, before, after).flip(tuple(range(-ndim, 0)))


def correlate_padded(kernel: Tensor, x: Tensor, before: tuple[int, ...], after: tuple[int, ...]) -> Tensor:
    """``y[p] = Σ_q K[q] x[p + q - before]`` with so many zeros before and after on each axis.

    Leading axes of the two broadcast; where the kernel has one entry they are a batch, where the map has one they are
    channels that come out, else groups.
    """
    ndim = len(before)
    lead = torch.broadcast_shapes(kernel.shape[:-ndim], x.shape[:-ndim])
    kernel = kernel[(None,) * (len(lead) + ndim - kernel.ndim)]
    batch = [i for i in range(len(lead)) if kernel.shape[i] == 1]
    groups = [i for i in range(len(lead)) if kernel.shape[i] != 1]
    count = kernel.shape[: len(lead)].numel()
    inner = range(len(lead), len(lead) + ndim)
    x = x[(None,) * (len(lead) + ndim - x.ndim)]
    spread = all(x.shape[i] == 1 for i in groups)
    over = [1 if spread and i in groups else n for i, n in enumerate(lead)]
    maps = x.expand(*over, *x.shape[-ndim:]).permute(*batch, *groups, *inner)
    maps = maps.reshape(-1, 1 if spread else count, *x.shape[-ndim:])
    sides = [side for pair in zip(before[::-1], after[::-1], strict=True) for side in pair]
    weight = kernel.reshape(count, 1, *kernel.shape[-ndim:])
    convolution = (torch.conv1d, torch.conv2d, torch.conv3d)[ndim - 1]
    y = convolution(torch.nn.functional.pad(maps, sides), weight, groups=1 if spread else count)
    order = [*batch, *groups]
    y = y.reshape(*(lead[i] for i in order), *y.shape[-ndim:])
    return y.permute(*(order.index(i) for i in range(len(lead))), *inner)


def placed(kernel: Tensor, size: tuple[int, ...]) -> Tensor:
    """Kernels ``(..., *k)`` on maps of ``size``, their centre ``(k - 1) // 2`` at the origin, the rest round it."""
    for axis, n in zip(range(-len(size), 0), size, strict=True):
        k = kernel.shape[axis]
        place = (torch.arange(k, device=kernel.device) - (k - 1) // 2) % n
        shape = list(kernel.shape)
        shape[axis] = n
        kernel = kernel.new_zeros(shape).index_add(axis, place, kernel)  # a kernel larger than the map comes round
    return kernel


def kernel_spectrum(kernel: Tensor, size: tuple[int, ...]) -> Tensor:
    """The half spectrum of :func:`placed`."""
    return torch.fft.rfftn(placed(kernel, size), dim=tuple(range(-len(size), 0)))


def circular_convolve(kernel: Tensor, x: Tensor, ndim: int) -> Tensor:
    """:func:`convolve` with x going on at its other end."""
    size, axes = x.shape[-ndim:], tuple(range(-ndim, 0))
    return torch.fft.irfftn(kernel_spectrum(kernel, size) * torch.fft.rfftn(x, dim=axes), s=size, dim=axes)


def circular_convolve_channels(kernel: Tensor, x: Tensor, ndim: int) -> Tensor:
    """:func:`convolve_channels` with x going on at its other end."""
    size, axes = x.shape[-ndim:], tuple(range(-ndim, 0))
    whole = (kernel_spectrum(kernel, size) * torch.fft.rfftn(x, dim=axes)).sum(-ndim - 1)
    return torch.fft.irfftn(whole, s=size, dim=axes)


def circular_correlate(kernel: Tensor, x: Tensor, ndim: int) -> Tensor:
    """The adjoint of :func:`circular_convolve` in the map."""
    size, axes = x.shape[-ndim:], tuple(range(-ndim, 0))
    return torch.fft.irfftn(kernel_spectrum(kernel, size).conj() * torch.fft.rfftn(x, dim=axes), s=size, dim=axes)


def circular_kernel_gradient(x: Tensor, g: Tensor, kernel: Tensor, ndim: int) -> Tensor:
    """The adjoint of :func:`circular_convolve` in the kernel."""
    size, axes = x.shape[-ndim:], tuple(range(-ndim, 0))
    whole = torch.fft.irfftn(torch.fft.rfftn(x, dim=axes).conj() * torch.fft.rfftn(g, dim=axes), s=size, dim=axes)
    for axis, n in zip(axes, size, strict=True):
        k = kernel.shape[axis]
        whole = whole.index_select(axis, (torch.arange(k, device=x.device) - (k - 1) // 2) % n)
    return whole
