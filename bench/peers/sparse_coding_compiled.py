"""Codes as in ``sparse_coding``, five steps at a time through ``torch.compile``, which fuses all but the products."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softshrink

CHECK = 5
State = tuple[Tensor, Tensor, Tensor]


def advance(shift: Tensor, matrix: Tensor, threshold: float, state: State) -> tuple[State, Tensor]:
    """``CHECK`` steps of accelerated proximal gradient with restarts from code, extrapolation and its age."""
    z, ahead, since = state
    residual = since
    for _ in range(CHECK):
        new = softshrink(torch.addmm(shift, ahead, matrix), threshold)
        move = new - z
        since = torch.where(((ahead - new) * move).sum(1, keepdim=True) > 0, 0, since)
        residual = (ahead - new).abs().amax(1)
        ahead, z, since = new + since / (since + 3) * move, new, since + 1
    return (z, ahead, since), residual


@cache
def compiled(backend: str) -> Any:
    return torch.compile(advance, dynamic=True, backend=backend)


@torch.no_grad()
def codes(W: Tensor, y: Tensor, lam: float, tolerance: float, max_steps: int, backend: str = "inductor") -> Tensor:
    """``argmin_z ||y - W z||² + λ|z|`` for each row of ``y`` ``(B, m)``: ``(B, n)``.

    A row is done where a step moves no entry by more than ``tolerance`` of the largest first move.
    """
    small = W @ W.T if W.shape[0] < W.shape[1] else W.T @ W
    bound = 2 * float(torch.linalg.eigvalsh(small)[-1]) * (1 + 1e-6)
    shift, matrix = (y @ W).mul_(2 / bound), (W.T @ W).mul_(-2 / bound)
    matrix.diagonal().add_(1)
    goal = tolerance * max(1.0, bound * float(shift.abs().max())) / bound
    rows, answer = torch.arange(len(y)), torch.zeros_like(shift)
    z, ahead, since = answer.clone(), answer.clone(), shift.new_zeros(len(y), 1)
    for _ in range(0, max_steps, CHECK):
        (z, ahead, since), residual = compiled(backend)(shift, matrix, lam / bound, (z, ahead, since))
        busy = (residual > goal).nonzero()[:, 0]
        if not len(busy) or len(rows) - len(busy) >= max(1, len(rows) // 8):
            answer[rows] = z
            if not len(busy):
                return answer
            rows, shift, z, ahead, since = (a[busy] for a in (rows, shift, z, ahead, since))
    answer[rows] = z
    return answer
