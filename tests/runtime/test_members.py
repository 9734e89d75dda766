"""Samples that are seen again: sums that do not depend on how they came about, and states found without looking."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ebdsl.runtime.learning import sum_by_state
from ebdsl.runtime.members import Members


def adding(k: int) -> Callable[..., None]:
    def add(sums: dict[str, Tensor], y: Tensor, state: Tensor) -> None:
        sums["y"] = sum_by_state(y, state, k)
        sums["one"] = torch.bincount(state, minlength=k).to(y.dtype)

    return add


@pytest.mark.parametrize("mean", [0.0, 1e4])
def test_sums_do_not_depend_on_their_history(mean: float) -> None:
    """The same to the bit after many changes as taken at once, in any order, and closer than float32 is."""
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(3000, 5, generator=generator) * torch.tensor([1e-6, 1.0, 3.0, 1e5, 0.0]) + mean
    state = torch.randint(0, 7, (3000,), generator=generator)
    members = Members(y)
    for share in (1.0, 0.3, 0.01, 0.9, 0.0):
        moved = torch.rand(3000, generator=generator) < share
        state = torch.where(moved, torch.randint(0, 7, (3000,), generator=generator), state)
        sums = members.settle(state, adding(7))
    order = torch.randperm(3000, generator=generator)
    anew = Members(y[order]).settle(state[order], adding(7))
    assert torch.equal(sums["y"], anew["y"]) and torch.equal(sums["one"], anew["one"])
    wanted = sum_by_state(y.double(), state, 7)
    torch.testing.assert_close(sums["y"], wanted, rtol=1e-10, atol=1e-10 * float(y.abs().max()))


@pytest.mark.parametrize(("mean", "scale", "prior"), [(0.0, 1.0, 0.0), (0.0, 0.01, 0.3), (30.0, 4.0, 0.0)])
def test_states_that_bounds_decide_are_the_lowest(mean: float, scale: float, prior: float) -> None:
    """As points come to rest, the states are those of all distances in float64; most samples are not looked at.

    With steps that disturb the points, states with a price of their own, and data far from 0.
    """
    generator = torch.Generator().manual_seed(1)
    n, d, k = 800, 256, 32
    y = torch.randn(n, d, generator=generator) * (1 + torch.arange(d)) ** -0.7 + mean
    w = y[:k].clone()
    height = prior * torch.rand(k, generator=generator)
    members = Members(y)
    for step in range(40):
        offset = scale * w.square().sum(1) + height
        state = members.lowest(w, offset, -2 * scale, scale)
        energy = scale * torch.cdist(y.double(), w.double()).square() + height.double()
        gap = energy.gather(1, state[:, None])[:, 0] - energy.amin(1)
        assert float(gap.max()) <= 1e-5 * scale * float(y.double().square().sum(1).mean())
        sums = members.settle(state, adding(k))
        w = torch.where(sums["one"][:, None] > 0, sums["y"] / sums["one"][:, None].clamp_min(1), w.double()).float()
        w = w if step % 10 else w + 1e-3 * torch.randn(k, d, generator=generator)
    if mean == 0:  # far from 0 rounding leaves all of them open, and some change for ever
        assert members.bounds is not None
        rows = members.bounds.open_rows(w, scale * w.square().sum(1) + height, -2 * scale, members.state)
        assert rows is not None and len(rows) < n / 2
