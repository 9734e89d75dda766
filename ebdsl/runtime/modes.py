"""Quadratics by fast transforms and by conjugate gradients. Torch only; copied into generated files by name.

``product(x, *given)`` is ``Q x`` for rows ``x`` ``(B, n)``, Q symmetric and positive semidefinite. Rows have ``shape``,
and a basis is told by the axes of that shape (after the sample's) that are taken to cosines and to waves.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


def cosine_transform(x: Tensor, axis: int) -> Tensor:
    """The orthonormal DCT-II along an axis, by one FFT of the same length (Makhoul 1980)."""
    n = x.shape[axis]
    x = x.movedim(axis, -1)
    k = torch.arange(n, dtype=x.dtype, device=x.device)
    size = torch.full_like(k, math.sqrt(2 / n))
    size[0] = math.sqrt(1 / n)
    turn = torch.polar(size, -math.pi / (2 * n) * k)
    spectrum = torch.fft.fft(torch.cat((x[..., ::2], x[..., 1::2].flip(-1)), -1))
    return (spectrum * turn).real.movedim(-1, axis)


def inverse_cosine_transform(x: Tensor, axis: int) -> Tensor:
    """The inverse, and so the transpose, of :func:`cosine_transform`."""
    n = x.shape[axis]
    x = x.movedim(axis, -1)
    k = torch.arange(n, dtype=x.dtype, device=x.device)
    size = torch.full_like(k, math.sqrt(n / 2))
    size[0] = math.sqrt(n)
    turn = torch.polar(size, math.pi / (2 * n) * k)
    beside = torch.cat((torch.zeros_like(x[..., :1]), x[..., 1:].flip(-1)), -1)
    mixed = torch.fft.ifft(torch.complex(x, -beside) * turn).real
    back = torch.empty_like(mixed)
    back[..., ::2], back[..., 1::2] = mixed[..., : (n + 1) // 2], mixed[..., (n + 1) // 2 :].flip(-1)
    return back.movedim(-1, axis)


def to_modes(x: Tensor, cosine: tuple[int, ...], fourier: tuple[int, ...]) -> Tensor:
    """``x`` in cosines along some axes and in waves along others, orthonormal; half of the last of these is held."""
    for axis in cosine:
        x = cosine_transform(x, axis)
    return torch.fft.rfftn(x, dim=fourier, norm="ortho") if fourier else x


def from_modes(x: Tensor, cosine: tuple[int, ...], fourier: tuple[int, ...], size: tuple[int, ...]) -> Tensor:
    """The inverse of :func:`to_modes`; ``size``: the lengths of the axes ``fourier``."""
    if fourier:
        x = torch.fft.irfftn(x, s=size, dim=fourier, norm="ortho")
    for axis in cosine:
        x = inverse_cosine_transform(x, axis)
    return x


def solve_by_modes(
    product: Callable[..., Tensor],
    linear: Tensor,
    given: tuple[Tensor, ...],
    shape: tuple[int, ...],
    cosine: tuple[int, ...],
    fourier: tuple[int, ...],
    channels: tuple[int, ...],
) -> tuple[Tensor, Tensor]:
    """``x`` ``(B, n)`` with ``Q x = -linear`` and the largest entry of what is left, where a basis makes Q diagonal.

    Along ``channels`` Q does anything: each mode has a small matrix over them. The basis is known beforehand, so that a
    signal with all modes at 1 shows all eigenvalues at once, one for each channel. Without ``given`` Q is the same for
    all samples. Modes of no curvature stay 0; a second solve takes off the rounding of the first.
    """
    if not linear.numel():
        return linear.clone(), linear.new_zeros(len(linear))
    size = tuple(shape[a - 1] for a in fourier)
    rows = linear.shape[0] if given else 1
    count = math.prod(shape[a - 1] for a in channels)
    front = tuple(range(1, 1 + len(channels)))
    inner = [shape[a - 1] for a in range(1, 1 + len(shape)) if a not in channels]

    def split(x: Tensor) -> Tensor:
        """Modes ``(B, ..., channels)`` of rows."""
        x = to_modes(x.reshape(-1, *shape), cosine, fourier).movedim(channels, front).flatten(1, len(channels) or 1)
        return (x if channels else x[:, None]).movedim(1, -1)

    def join(x: Tensor) -> Tensor:
        x = x.movedim(-1, 1)
        x = x.reshape(-1, *(shape[a - 1] for a in channels), *x.shape[2:]).movedim(front, channels)
        return from_modes(x, cosine, fourier, size).flatten(1)

    blank = to_modes(linear.new_zeros((1, *shape)), cosine, fourier).movedim(channels, front).shape[1 + len(channels) :]
    kind = torch.complex(linear[:0], linear[:0]).dtype if fourier else linear.dtype
    columns = []
    for k in range(count):
        ones = torch.zeros((rows, *blank, count), dtype=kind, device=linear.device)
        ones[..., k] = 1
        columns.append(split(product(join(ones), *given)))
    matrix = torch.stack(columns, -1)
    if count == 1:
        curve = matrix[..., 0, :].real
        floor = 64 * torch.finfo(curve.dtype).eps * curve.abs().amax()
        inverse = torch.where(curve > floor, curve.clamp_min(floor).reciprocal(), 0)
    else:
        matrix = (matrix + matrix.mH) / 2
        factor, info = torch.linalg.cholesky_ex(matrix)
        rounding = len(inner) * 64 * torch.finfo(linear.dtype).eps
        singular = bool(info.any())
        inverse = torch.linalg.pinv(matrix, rtol=rounding, hermitian=True) if singular else factor.cholesky_inverse()
    x = torch.zeros_like(linear)
    left = linear
    for _ in range(2):
        right = split(left)
        x = x - join(inverse * right if count == 1 else (inverse @ right[..., None])[..., 0])
        left = product(x, *given) + linear
    return x, left.abs().amax(1)


def nearly_diagonal(
    product: Callable[..., Tensor],
    like: Tensor,
    given: tuple[Tensor, ...],
    shape: tuple[int, ...],
    cosine: tuple[int, ...],
    fourier: tuple[int, ...],
) -> tuple[Tensor, bool]:
    """Estimates of the diagonal of Q, a row for each of ``like`` where Q is one's own, and whether they are of modes.

    ``Σ v Q v / Σ v²`` over random v, entry by entry, in the given basis or in that of the entries: in that which leaves
    the lesser part of ``Q v`` unexplained (Bekas, Kokiopoulou & Saad 2007).
    """
    generator = torch.Generator().manual_seed(0)
    rows = len(like) if given else 1
    found = []
    for axes in ((cosine, fourier), ((), ())):
        top = bottom = square = like.new_zeros(())
        for _ in range(8):
            v = torch.randn((1, *shape), generator=generator, dtype=like.dtype).to(like.device).expand(rows, *shape)
            u = to_modes(v, *axes)
            w = to_modes(product(v.flatten(1), *given).reshape(rows, *shape), *axes)
            top, bottom, square = top + (u.conj() * w).real, bottom + u.abs().square(), square + w.abs().square()
        found.append((top / bottom, 1 - float((top.square() / bottom).sum() / square.sum())))
    (modes, in_modes), (entries, in_entries) = found
    best = modes if in_modes < in_entries else entries
    floor = 1e-3 * best.flatten(1).amax(1).clamp_min(torch.finfo(like.dtype).tiny)
    return best.clamp_min(floor.reshape(-1, *[1] * len(shape))), in_modes < in_entries


def conjugate_gradient(
    product: Callable[..., Tensor],
    linear: Tensor,
    start: Tensor,
    given: tuple[Tensor, ...],
    shape: tuple[int, ...],
    cosine: tuple[int, ...],
    fourier: tuple[int, ...],
    goal: Tensor,
    max_steps: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """``x`` with ``Q x = -linear`` for each row, the largest entry of what is left, steps.

    Hestenes & Stiefel 1952, preconditioned by :func:`nearly_diagonal`. Rows that have reached ``goal`` ``(B,)`` leave.
    What is left is measured anew at the end, and those that rounding kept above the goal go on from there.
    """
    size = tuple(shape[a - 1] for a in fourier)
    curve, modes = nearly_diagonal(product, linear, given, shape, cosine, fourier)
    axes = (cosine, fourier) if modes else ((), ())

    def precondition(r: Tensor, curve: Tensor) -> Tensor:
        divided = to_modes(r.reshape(-1, *shape), *axes) / curve
        return from_modes(divided, *axes, size if modes else ()).flatten(1)

    answer, left = start.clone(), product(start, *given) + linear
    residual = left.abs().amax(1)
    steps = torch.zeros_like(residual, dtype=torch.int64)
    taken = 0
    for _ in range(8):
        rows = (~(residual <= goal)).nonzero()[:, 0]
        if not len(rows) or taken >= max_steps:
            break
        own = tuple(a[rows] for a in given)
        x, r, aim, d = answer[rows], -left[rows], goal[rows], curve[rows] if given else curve
        p = z = precondition(r, d)
        square = (r * z).sum(1, keepdim=True)
        while len(rows) and taken < max_steps:
            q = product(p, *own)
            bend = (p * q).sum(1, keepdim=True)
            length = torch.where(bend > 0, square / bend, 0)
            x, r = torch.addcmul(x, length, p), torch.addcmul(r, length, q, value=-1)
            taken += 1
            if taken % 5 == 0 or taken == max_steps:
                done = (r.abs().amax(1) <= aim) | (bend[:, 0] <= 0)
                count = int(done.sum())
                if count > len(done) // 8 or taken == max_steps:
                    out = done if taken < max_steps else torch.ones_like(done)
                    answer[rows[out]], steps[rows[out]] = x[out], taken
                    keep = ~out
                    rows, x, r, p, square, aim = (a[keep] for a in (rows, x, r, p, square, aim))
                    own = tuple(a[keep] for a in own)
                    d = d[keep] if given else d
                if not len(rows):
                    break
            z = precondition(r, d)
            before, square = square, (r * z).sum(1, keepdim=True)
            p = torch.addcmul(z, square / before.clamp_min(torch.finfo(r.dtype).tiny), p)
        left = product(answer, *given) + linear
        before_residual, residual = residual, left.abs().amax(1)
        if not bool(((residual > goal) & (residual < 0.5 * before_residual)).any()):
            break
    return answer, residual, steps
