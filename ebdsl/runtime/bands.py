"""Systems whose matrix is a band of blocks."""

from __future__ import annotations

import torch
from torch import Tensor


def in_groups(bands: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """A band (see :func:`solve_band`) as block tridiagonal, ``size`` steps in a block: the blocks on the diagonal and
    those beside it, ``(count, n, n)`` each. Steps past the end that fill the last block are the identity."""
    width, steps, m = bands.shape[-4] - 1, bands.shape[-3], bands.shape[-1]
    count = -(-steps // size)
    past = count * size - steps
    blocks = bands.new_zeros((*bands.shape[:-4], count, size, m, size, m))
    after = torch.zeros_like(blocks)
    padded = torch.nn.functional.pad(bands, (0, 0, 0, 0, 0, past)).unflatten(-3, (count, size))
    for offset in range(width + 1):
        for a in range(size):
            part = padded[..., offset, :, a, :, :]
            if a + offset < size:
                blocks[..., :, a, :, a + offset, :] = part
                if offset:
                    blocks[..., :, a + offset, :, a, :] = part.mT
            elif a + offset < 2 * size:
                after[..., :, a, :, a + offset - size, :] = part
    for a in range(size - past, size):  # steps that are not there
        blocks[..., -1, a, :, a, :] = torch.eye(m, dtype=bands.dtype, device=bands.device)
    n = size * m
    return blocks.reshape(*blocks.shape[:-5], count, n, n), after.reshape(*after.shape[:-5], count, n, n)


def solve_band(bands: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """``x`` with ``Q x = right`` for ``(B, T, m)``, and what is left of ``|Q x - right|``, the largest of each sample.

    ``bands[..., o, t]`` is the block of Q, positive semidefinite, between step ``t`` and step ``t + o``: ``(p+1, T, m,
    m)``, or with the samples before. Steps are taken ``p`` or more at a time, so that Q is block tridiagonal and small
    steps are not alone, and eliminated in order (Golub & Van Loan, Matrix Computations, 4.5.1): linear in T.
    """
    width, steps, m = bands.shape[-4] - 1, bands.shape[-3], bands.shape[-1]
    size = max(width, 1, min(24 // m, steps))
    blocks, after = in_groups(bands, size)
    count, n = blocks.shape[-3], size * m
    past = count * size - steps
    rhs = torch.nn.functional.pad(right, (0, 0, 0, past)).reshape(-1, count, n)
    shared = bands.ndim == 4  # then samples are columns: (count, n, B), else (count, B, n, 1)
    rhs = rhs.permute(1, 2, 0) if shared else rhs.permute(1, 0, 2)[..., None]
    tiny = torch.finfo(bands.dtype).eps * n
    factors: list[Tensor] = []
    ways: list[Tensor] = []
    known: list[Tensor] = []
    for k in range(count):
        block, value = blocks[..., k, :, :], rhs[k]
        if k:
            ways.append(torch.linalg.solve_triangular(factors[-1], after[..., k - 1, :, :], upper=False))
            block, value = block - ways[-1].mT @ ways[-1], value - ways[-1].mT @ known[-1]
        factor, info = torch.linalg.cholesky_ex(block)
        if bool(info.any()):  # a direction that nothing determines: held near zero
            ridge = tiny * block.diagonal(dim1=-2, dim2=-1).abs().amax(-1).clamp_min(tiny)
            factor = torch.linalg.cholesky(
                block + ridge[..., None, None] * torch.eye(n, dtype=bands.dtype, device=bands.device)
            )
        factors.append(factor)
        known.append(torch.linalg.solve_triangular(factor, value, upper=False))
    found: list[Tensor] = []
    for k in reversed(range(count)):
        value = known[k] - ways[k] @ found[-1] if found else known[k]
        found.append(torch.linalg.solve_triangular(factors[k].mT, value, upper=True))
    x = torch.stack(found[::-1])
    diagonal, beside = (blocks, after) if shared else (blocks.transpose(0, 1), after.transpose(0, 1))
    left = diagonal @ x - rhs
    left[:-1] += beside[:-1] @ x[1:]
    left[1:] += beside[:-1].mT @ x[:-1]
    x, left = (v.permute(2, 0, 1) if shared else v[..., 0].transpose(0, 1) for v in (x, left))
    return x.reshape(-1, count * size, m)[:, :steps], left.abs().flatten(1).amax(1)


def solve_riccati(
    bands: Tensor, right: Tensor, ways: Tensor, drift: Tensor, free: tuple[int, ...] = ()
) -> tuple[Tensor, Tensor]:
    """``x`` of lowest ``½ x'Qx - right'x`` whose states follow from the rest, and the slope left in the choices.

    A step of x is ``m`` numbers: ``n`` states, then the choices. The states of step t are ``Σ_l ways[l, t] x[t - l] +
    drift[t]``, with ``ways`` ``(reach+1, T, n, m)``, or with the samples before, and ``drift`` ``(B, T, n)``; those
    numbered by ``free`` are chosen at the first step. Q is a band as in ``solve_band``. Backwards, the lowest energy of
    all later steps is a quadratic in this one (the Riccati recursion: Bertsekas, Dynamic Programming and Optimal
    Control, 3.1, with the choices of a step beside its states); forwards, each choice is read off it: linear in T.
    Steps are taken several at a time, so that one group reaches the next alone and small ones are not alone.
    """
    steps, m = bands.shape[-3], bands.shape[-1]
    reach, n = ways.shape[-4] - 1, ways.shape[-2]
    size = max(bands.shape[-4] - 1, reach, 1, min(24 // m, steps))
    blocks, after = in_groups(bands, size)
    count, choices = blocks.shape[-3], m - n
    past = count * size - steps
    ways = torch.nn.functional.pad(ways, (0, 0, 0, 0, 0, past)).unflatten(-3, (count, size))
    drift = torch.nn.functional.pad(drift, (0, 0, 0, past)).reshape(-1, count, size, n)
    # a group is before @ (the group before) + chosen @ (its choices) + alone
    before = ways.new_zeros((*ways.shape[:-5], count, size, m, size * m))
    chosen = ways.new_zeros((*ways.shape[:-5], count, size, m, size * choices))
    alone = drift.new_zeros((drift.shape[0], count, size, m))
    for a in range(size):
        if choices:
            eye = torch.eye(choices, dtype=ways.dtype, device=ways.device)
            chosen[..., a, n:, a * choices : (a + 1) * choices] = eye
        for lag in range(reach + 1):
            way, from_ = ways[..., lag, :, a, :, :], (a - lag) % size
            if lag > a:
                before[..., a, :n, from_ * m : (from_ + 1) * m] += way
                continue
            before[..., a, :n, :] += way @ before[..., from_, :, :]
            chosen[..., a, :n, :] += way @ chosen[..., from_, :, :]
            alone[:, :, a, :n] += (way @ alone[:, :, from_, :, None])[..., 0]
        alone[:, :, a, :n] += drift[:, :, a]
    whole = size * m
    before, chosen = before.flatten(-3, -2), chosen.flatten(-3, -2)
    rhs = torch.nn.functional.pad(right, (0, 0, 0, past)).reshape(-1, count, whole)
    columns = [t.reshape(-1, count, whole) for t in (rhs, alone)]
    shared = bands.ndim == 4  # then samples are columns: (count, n, B), else (count, B, n, 1)
    rhs, alone = (t.permute(1, 2, 0) if shared else t.permute(1, 0, 2)[..., None] for t in columns)
    if not shared:
        blocks, after, before, chosen = (t.transpose(0, 1) for t in (blocks, after, before, chosen))
    first = chosen[0]
    if free:
        first = torch.cat((first, before[0][..., [(size - 1) * m + k for k in free]]), -1)
    tiny = torch.finfo(bands.dtype).eps * whole
    gains: list[Tensor] = []
    offsets: list[Tensor] = []
    value, slope = blocks[-1], rhs[-1]  # the lowest energy from here on is ½ x'value x - slope'x
    for k in range(count - 1, -1, -1):
        way, choose = before[k], chosen[k] if k else first
        moved = value @ alone[k] - slope
        curved = choose.mT @ value @ choose
        factor, info = torch.linalg.cholesky_ex(curved)
        if bool(info.any()):  # a direction that nothing determines: held near zero
            ridge = tiny * curved.diagonal(dim1=-2, dim2=-1).abs().amax(-1).clamp_min(tiny)
            eye = torch.eye(curved.shape[-1], dtype=bands.dtype, device=bands.device)
            factor = torch.linalg.cholesky(curved + ridge[..., None, None] * eye)
        offsets.append(torch.cholesky_solve(choose.mT @ moved, factor))
        if not k:
            break
        beside = after[k - 1]
        mixed = choose.mT @ (value @ way + beside.mT)
        gains.append(torch.cholesky_solve(mixed, factor))
        slope = rhs[k - 1] - way.mT @ moved - beside @ alone[k] + mixed.mT @ offsets[-1]
        cross = beside @ way
        value = blocks[k - 1] + way.mT @ value @ way + cross + cross.mT - mixed.mT @ gains[-1]
        value = (value + value.mT) / 2
    found = [alone[0] - first @ offsets[-1]]
    for k in range(1, count):
        answer = gains[-k] @ found[-1] + offsets[-1 - k]
        found.append(before[k] @ found[-1] - chosen[k] @ answer + alone[k])
    x = torch.stack(found)
    pull = blocks @ x - rhs  # the energy's slope, then with what each step does to all later ones
    pull[:-1] += after[:-1] @ x[1:]
    pull[1:] += after[:-1].mT @ x[:-1]
    for k in range(count - 1, 0, -1):
        pull[k - 1] += before[k].mT @ pull[k]
    left = (first.mT @ pull[0]).abs().amax(0 if shared else (1, 2))
    if choices and count > 1:
        later = (chosen[1:].mT @ pull[1:]).abs()
        left = torch.maximum(left, later.amax((0, 1) if shared else (0, 2, 3)))
    x = x.permute(2, 0, 1) if shared else x[..., 0].transpose(0, 1)
    return x.reshape(-1, count * size, m)[:, :steps], left
