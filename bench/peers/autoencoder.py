"""An auto-encoder by hand: two-layer encoder and decoder, squared error, fused Adam, no waiting for metrics."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss


def network(sizes: tuple[int, ...] = (784, 256, 32, 256, 784)) -> nn.Sequential:
    """Linear layers with ReLU between them, none at the code (the middle) and at the end."""
    layers: list[nn.Module] = []
    for k, (a, b) in enumerate(pairwise(sizes)):
        layers.append(nn.Linear(a, b))
        if k + 2 != len(sizes) and k + 1 != len(sizes) // 2:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


class Learner:
    """Adam on the mean over samples of the squared error."""

    def __init__(self, net: nn.Sequential, lr: float = 1e-3) -> None:
        self.net = net
        self.optimizer = torch.optim.Adam(net.parameters(), lr=lr, fused=True)

    def step(self, y: Tensor) -> Tensor:
        """One update from a batch ``(B, m)``: the mean energy before it."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = mse_loss(self.net(y), y, reduction="sum") / len(y)
        loss.backward()
        self.optimizer.step()
        return loss.detach()
