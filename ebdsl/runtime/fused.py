"""The host's part of a fused loop, and its compilation. Torch only; copied into generated files by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor


def compiled(function: Callable[..., tuple[Tensor, ...]]) -> Callable[..., tuple[Tensor, ...]]:
    """``function`` compiled by Inductor when it is first called; as it is, after one warning, where that fails."""
    fast = torch.compile(function)
    failed = False

    def call(*arguments: object) -> tuple[Tensor, ...]:
        nonlocal failed
        if not failed:
            try:
                return fast(*arguments)
            except Exception as error:  # no C++ compiler, mostly; what is wrong with the arguments is raised below
                result = function(*arguments)
                failed = True
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                warnings.warn(f"Inductor failed, so steps run as they are: {reason[:200]}", stacklevel=2)
                return result
        return function(*arguments)

    call.plain = function  # type: ignore[attr-defined]
    return call


def iterate(
    steps: Callable[..., tuple[Tensor, ...]],
    check: Callable[..., tuple[tuple[Tensor, ...], Tensor]],
    state: tuple[Tensor, ...],
    given: tuple[Tensor, ...],
    shared: tuple[Tensor, ...],
    goal: Tensor | float,
    max_steps: int,
    every: int,
    tile: int,
) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
    """Fused steps until ``check`` finds a residual of at most ``goal`` in each row: answers, residuals, steps.

    ``steps(*state, *given, *shared)`` makes ``every`` steps on rows of ``state`` and ``given`` and gives the new
    ``state``, ``check`` the answers and residuals. Rows that are done leave; the others go through in tiles.
    """
    state = tuple(s.clone() for s in state)
    rows = torch.arange(state[0].shape[0], device=state[0].device)
    answers, residuals = check(*state, *given, *shared)
    answers, residuals = tuple(a.clone() for a in answers), torch.full_like(residuals, torch.inf)
    iterations, count = torch.zeros_like(rows), 0
    target = torch.as_tensor(goal, dtype=residuals.dtype, device=residuals.device).expand(residuals.shape)
    while len(rows) and count < max_steps:
        count += every
        for part in rows.split(tile):
            mine, own = tuple(s[part] for s in state), tuple(g[part] for g in given)
            mine = steps(*mine, *own, *shared)
            found, residuals[part] = check(*mine, *own, *shared)
            for whole, new in (*zip(state, mine, strict=True), *zip(answers, found, strict=True)):
                whole.index_copy_(0, part, new)
        iterations[rows] = count
        rows = rows[residuals[rows] > target[rows]]
    return answers, residuals, iterations


def rounding(like: Tensor) -> Tensor:
    """The share of a number below which differences of sums are noise."""
    return like.new_full((), 16 * torch.finfo(like.dtype).eps)


def usable_curvature(found: Tensor) -> Tensor:
    """``found`` ``(B,)``; where it is 0 or no number the mean of the other rows, or 1."""
    usable = (found > 0) & found.isfinite()
    others = torch.where(usable, found, 0.0).sum() / usable.sum().clamp_min(1)
    return torch.where(usable, found, torch.where(others > 0, others, 1.0))
