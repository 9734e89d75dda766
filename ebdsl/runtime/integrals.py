"""Tensor functions of softmins: Gaussian integrals. Torch only; copied into generated files by name."""

from __future__ import annotations

import torch
from torch import Tensor


def solve_gaussian(matrix: Tensor, linear: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of ``½ x'Qx + b'x``: the minimiser, ``Q⁻¹`` and ``log det Q``, for ``(..., n, n)`` and ``b`` ``(..., n, k)``.

    NaN where ``Q`` is not positive definite: there the integral of ``exp(-½ x'Qx)`` diverges.
    """
    factor, info = torch.linalg.cholesky_ex(matrix)
    factor = factor.masked_fill((info != 0)[..., None, None], torch.nan)
    log_det = 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return -torch.cholesky_solve(linear, factor), torch.cholesky_inverse(factor.detach()), log_det
