"""Systems whose matrix is a band of blocks."""

from __future__ import annotations

import torch
from torch import Tensor


def solve_band(bands: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """``x`` with ``Q x = right`` for ``(B, T, m)``, and what is left of ``|Q x - right|``, the largest of each sample.

    ``bands[..., o, t]`` is the block of Q, positive semidefinite, between step ``t`` and step ``t + o``: ``(p+1, T, m,
    m)``, or with the samples before. Steps are taken ``p`` or more at a time, so that Q is block tridiagonal and small
    steps are not alone, and eliminated in order (Golub & Van Loan, Matrix Computations, 4.5.1): linear in T.
    """
    width, steps, m = bands.shape[-4] - 1, bands.shape[-3], bands.shape[-1]
    size = max(width, 1, min(24 // m, steps))
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
    blocks, after = blocks.reshape(*blocks.shape[:-5], count, n, n), after.reshape(*after.shape[:-5], count, n, n)
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
