"""Layers that ``torch.nn`` has not, for generated files to hold a copy of."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Pointwise(nn.Module):
    """A function of tensors as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Gain(nn.Module):
    """Each entry of ``(..., *shape)`` times a learned number, 1 at first."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x


class Shrink(nn.Module):
    """Smooth shrinkage ``sign(x) (log(exp(βb) + exp(β|x|) - 1) / β - b)`` of ``(..., *shape)``, β and b learned.

    Kavukcuoglu et al., Learning convolutional feature hierarchies, NIPS 2010, equation 5. Both numbers are kept
    positive by softplus; at first b = 0.1 and β = 10.
    """

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.full(shape, 0.1).expm1().log())
        self.sharpness = nn.Parameter(torch.full(shape, 10.0).expm1().log())

    def forward(self, x: Tensor) -> Tensor:
        b = nn.functional.softplus(self.threshold)
        beta = nn.functional.softplus(self.sharpness)
        size = beta * x.abs()
        # log(exp(βb) + exp(s) - 1) = s + log(1 + (exp(βb) - 1) exp(-s)), which cannot overflow in s
        return x.sign() * ((size + torch.log1p(torch.expm1(beta * b) * torch.exp(-size))) / beta - b)
