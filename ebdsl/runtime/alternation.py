"""Block coordinate minimisation: each block of latents at its minimum given the others, in turn.

Torch only; copied into generated files by name.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def alternate(
    blocks: list[Callable[[tuple[Tensor, ...], dict[str, Tensor]], dict[str, Tensor]]],
    energy: Callable[[tuple[Tensor, ...], dict[str, Tensor]], Tensor],
    latents: dict[str, Tensor],
    given: tuple[Tensor, ...],
    tolerance: float,
    max_rounds: int,
) -> dict[str, Tensor]:
    """Latents, ``(B, *shape)`` by name, from which a round lowers ``energy(given, latents)`` ``(B,)`` no more.

    ``blocks`` give the minimisers of some latents at the others' values. Where what is not smooth falls apart by block,
    rounds lead to a stationary point (Tseng 2001). Samples whose energy falls by less than ``tolerance`` of it leave.
    """
    rows = torch.arange(len(next(iter(latents.values()))))
    answer = {name: value.clone() for name, value in latents.items()}
    value = energy(given, latents)
    rows = rows.to(value.device)
    for _ in range(max_rounds):
        for block in blocks:
            latents = latents | block(given, latents)
        new = energy(given, latents)
        busy = value - new > tolerance * (1 + new.abs())
        for name, found in latents.items():
            answer[name][rows] = found
        if not bool(busy.any()):
            break
        rows, value, given = rows[busy], new[busy], tuple(a[busy] for a in given)
        latents = {name: found[busy] for name, found in latents.items()}
    return answer
