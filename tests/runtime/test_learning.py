"""Runtime functions of learning beside PyTorch's own."""

from __future__ import annotations

import pytest
import torch

from ebdsl.runtime.learning import (
    add_product,
    gram,
    krylov_subspace,
    leading_subspace,
    lowest_state,
    soft_states,
    square_root,
    sum_by_state,
    symmetric_inverse,
    tiles,
)


@pytest.mark.parametrize("k", [1, 5, 31, 32, 100, 257])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("turned", [False, True])
def test_lowest_state(k: int, dtype: torch.dtype, turned: bool) -> None:
    """The same values as ``min`` and a place where each stands, ties, infinities and NaN included.

    Of few samples and of many, of which each state's scores lie together in memory, or each sample's.
    """
    shape = (k, (1 << 16) // k + 50) if turned else (50, k)
    scores = torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(k))
    scores = scores.T if turned else scores
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
@pytest.mark.parametrize("turned", [False, True])
def test_soft_states(beta: float, turned: bool) -> None:
    scores = 100 * torch.randn(20, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    scores = scores.T.contiguous().T if turned else scores
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
    n = 1000 * torch.get_num_threads()
    x, y = torch.arange(n), torch.arange(2 * n).reshape(n, 2)
    parts = list(tiles(2**19, x, y))
    assert len(parts) > 1
    assert torch.equal(torch.cat([a for a, _ in parts]), x) and torch.equal(torch.cat([b for _, b in parts]), y)


@pytest.mark.parametrize("k", [1, 5, 16, 17, 40, 200])
@pytest.mark.parametrize("lead", [(), (9,)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@torch.no_grad()
def test_a_product_is_added(k: int, lead: tuple[int, ...], dtype: torch.dtype) -> None:
    rest, x, w = (torch.randn(*shape, dtype=dtype) for shape in ((*lead, k), (9, 7), (7, k)))
    torch.testing.assert_close(add_product(rest, x, w, alpha=-2), rest - 2 * x @ w)


@pytest.mark.parametrize("lead", [(), (9,)])
def test_a_product_with_several_axes_is_added(lead: tuple[int, ...]) -> None:
    rest, x, w = torch.randn(*lead, 3, 5), torch.randn(9, 7), torch.randn(7, 3, 5)
    torch.testing.assert_close(add_product(rest, x, w, alpha=0.5), rest + 0.5 * torch.einsum("bd,dke->bke", x, w))


@pytest.mark.parametrize("rank", [4, 2])
def test_square_root(rank: int) -> None:
    """Of definite matrices, and of one that is only semidefinite."""
    half = torch.randn(3, 4, rank, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    matrix = half @ half.mT
    root = square_root(matrix)
    torch.testing.assert_close(root @ root.mT, matrix, atol=1e-6, rtol=1e-6)


def test_symmetric_inverse() -> None:
    """The inverse, where no eigenvalue is under the floor, and else the one with eigenvalues at the floor."""
    half = torch.randn(3, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    matrix = half @ half.mT
    torch.testing.assert_close(symmetric_inverse(matrix), torch.linalg.inv(matrix))
    values = torch.tensor([[1.0, 2.0, 3.0], [4.0, 1.0, 1e-9], [0.0, 0.0, 0.0]], dtype=torch.float64)
    floor = 1e-6 * values.mean(1).amax()
    wanted = torch.diag_embed(1 / values.clamp_min(floor))
    torch.testing.assert_close(symmetric_inverse(torch.diag_embed(values)), wanted)


@pytest.mark.parametrize(("power", "settles"), [(1.0, True), (0.0, False)])
def test_few_of_many_eigenvectors(power: float, settles: bool) -> None:
    """Block Krylov spaces give the leading subspace or nothing; then the whole decomposition gives it."""
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(900, 512, generator=generator) * (1 + torch.arange(512)) ** -power
    moment = y.T @ y / 900
    assert len(krylov_subspace(moment, 20)) == (20 if settles else 0)
    rows = leading_subspace(moment, 20).double()
    wanted = torch.linalg.eigh(moment.double()).eigenvectors[:, -20:]
    torch.testing.assert_close(rows @ rows.T, torch.eye(20, dtype=torch.float64), atol=1e-5, rtol=0)
    kept, most = ((v.T @ moment.double() @ v).trace() for v in (rows.T, wanted))
    assert float(1 - kept / most) < 1e-6


@pytest.mark.parametrize("d", [5, 100, 200])
def test_gram(d: int) -> None:
    y = torch.randn(5000, d, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(gram(y), y.T @ y)
