"""Sums of functions over the last axis with their derivatives. Torch only; copied into generated files by name.

They share one exponential, and the logarithm of a product stands for logarithms one by one: so they take a third to a
half of the time. The derivatives are exact to the rounding of 1, not to that of themselves.
"""

from __future__ import annotations

import torch
from torch import Tensor


def log_of_product(x: Tensor) -> Tensor:
    """``Σ log x`` over the last axis, for entries between 1/2 and 2: of 64 at a time their product."""
    return torch.stack([part.prod(-1).log_() for part in x.split(64, -1)]).sum(0)


def log_cosh_sum(x: Tensor) -> tuple[Tensor, Tensor]:
    """``Σ log cosh x`` over the last axis, and ``tanh x``: ``log cosh x = |x| - log(1 + |tanh x|)``."""
    slope = torch.mul(x, 2).sigmoid_().mul_(2).sub_(1)
    return x.abs().sum(-1).sub_(log_of_product(slope.abs().add_(1))), slope


def softplus_sum(x: Tensor) -> tuple[Tensor, Tensor]:
    """``Σ log(1 + exp x)`` over the last axis, and ``σ(x)``: ``softplus x = max(x, 0) - log max(σ(x), 1 - σ(x))``."""
    slope = x.sigmoid()
    return x.clamp_min(0).sum(-1).sub_(log_of_product(torch.sub(slope, 0.5).abs_().add_(0.5))), slope
