"""An optimiser's state as flat tensors, and back."""

from __future__ import annotations

import torch
from torch import Tensor


def optimizer_tensors(optimizer: torch.optim.Optimizer, name: str = "optimizer") -> dict[str, Tensor]:
    """``{"optimizer.0.exp_avg": …}``, by the optimiser's name: a copy of every tensor and number of the state."""
    return {
        f"{name}.{index}.{key}": torch.as_tensor(value).detach().clone()
        for index, state in optimizer.state_dict()["state"].items()
        for key, value in state.items()
    }


def load_optimizer_tensors(
    optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], name: str = "optimizer"
) -> None:
    """Put back what :func:`optimizer_tensors` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for held, value in tensors.items():
        if held.startswith(f"{name}."):
            _, index, key = held.split(".", 2)
            state.setdefault(int(index), {})[key] = value.clone()
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
