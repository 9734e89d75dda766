"""Modules of generated files that ``torch.nn`` has not."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Joined(nn.Module):
    """A body that reads several inputs as one vector: each ``(B, *shape)`` is flattened, all are joined."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.body(torch.cat([x.reshape(x.shape[0], x.shape[1:].numel()) for x in inputs], 1))
