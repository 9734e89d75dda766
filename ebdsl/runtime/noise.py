"""Draws of noise that stand for its law: mirrored, and with the spread that the law has. Torch only."""

from __future__ import annotations

import torch
from torch import Tensor


def mirrored_normal(shape: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """``shape[0]`` (even) standard normal draws, each with its negative; every entry has mean 0 and variance 1."""
    half = torch.randn((shape[0] // 2, *shape[1:]), generator=generator, dtype=dtype)
    both = torch.cat((half, -half))
    return both / both.square().mean(0).sqrt()


def mirrored_uniform(shape: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """``shape[0]`` (even) draws from 0 to 1, one in each of as many cells and mirrored about one half, for every entry
    in an order of its own."""
    count = shape[0] // 2
    inner = torch.rand((count, *shape[1:]), generator=generator, dtype=dtype)
    cells = torch.rand((count, *shape[1:]), generator=generator, dtype=dtype).argsort(0)
    low = (cells + inner) / (2 * count)
    side = torch.rand((count, *shape[1:]), generator=generator, dtype=dtype) < 0.5
    low = torch.where(side, low, 1 - low)
    return torch.cat((low, 1 - low))
