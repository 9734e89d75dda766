"""Runtime functions of learning beside PyTorch's own."""

from __future__ import annotations

import pytest
import torch

from ebdsl.runtime.learning import add_product, lowest_state, soft_states, sum_by_state, tiles


@pytest.mark.parametrize("k", [1, 5, 31, 32, 100, 257])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_lowest_state(k: int, dtype: torch.dtype) -> None:
    """The same values as ``min`` and a place where each stands, ties, infinities and NaN included."""
    scores = torch.randn(50, k, dtype=dtype, generator=torch.Generator().manual_seed(k))
    scores[7] = 1.0
    scores[8] = torch.inf
    scores[9, 0] = -torch.inf
    value, state = lowest_state(scores.clone())
    assert torch.equal(value, scores.amin(1))
    assert torch.equal(scores.gather(1, state[:, None])[:, 0], value)
    scores[3, k // 2] = torch.nan
    value, state = lowest_state(scores.clone())
    assert bool(value[3].isnan()) and int(state.min()) >= 0 and int(state.max()) < k


@pytest.mark.parametrize("beta", [1.0, 2.5])
def test_soft_states(beta: float) -> None:
    scores = 100 * torch.randn(20, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    free, weights = soft_states(scores.clone(), beta)
    torch.testing.assert_close(free, -torch.logsumexp(-beta * scores, 1) / beta)
    torch.testing.assert_close(weights, torch.softmax(-beta * scores, 1))


def test_sum_by_state() -> None:
    generator = torch.Generator().manual_seed(1)
    state = torch.randint(0, 4, (30,), generator=generator)
    for shape in ((30,), (30, 3), (30, 2, 3)):
        values = torch.randn(shape, dtype=torch.float64, generator=generator)
        wanted = torch.stack([values[state == k].sum(0) for k in range(6)])
        torch.testing.assert_close(sum_by_state(values, state, 6), wanted)


def test_tiles_cover_all_samples_in_order() -> None:
    x, y = torch.arange(1000), torch.arange(2000).reshape(1000, 2)
    parts = list(tiles(2**19, x, y))
    assert len(parts) > 1
    assert torch.equal(torch.cat([a for a, _ in parts]), x) and torch.equal(torch.cat([b for _, b in parts]), y)


@pytest.mark.parametrize("k", [1, 5, 16, 17, 40])
def test_a_product_is_added(k: int) -> None:
    rest, x, w = torch.randn(k), torch.randn(9, 7, dtype=torch.float32), torch.randn(7, k)
    torch.testing.assert_close(add_product(rest, x, w, alpha=-2), rest - 2 * x @ w)
