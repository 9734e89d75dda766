"""Local search against all states, and against all changes of one variable or two."""

from __future__ import annotations

import itertools

import pytest
import torch

from ebdsl.runtime.search import flip_search, site_search


def quadratics(n: int, count: int, shared: bool) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    factor = torch.randn(*(() if shared else (count,)), n, n, generator=generator, dtype=torch.float64)
    return factor.mT @ factor, torch.randn(count, n, generator=generator, dtype=torch.float64) * 3


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("ends", [(0.0, 1.0), (-1.0, 1.0)])
def test_flips_find_the_lowest_state(shared: bool, ends: tuple[float, float]) -> None:
    matrix, linear = quadratics(10, 6, shared)
    low, high = (torch.full((10,), e, dtype=torch.float64) for e in ends)
    generator = torch.Generator().manual_seed(1)
    starts = [torch.where(torch.rand(6, 10, generator=generator) < 0.5, low, high) for _ in range(4)]
    found = [flip_search(matrix, linear, low, high, start, 5000) for start in starts]
    assert not any(bool(left.any()) for _, left, _ in found) and min(int(s.min()) for _, _, s in found) >= 100
    states = torch.tensor(list(itertools.product(ends, repeat=10)), dtype=torch.float64)
    whole = matrix.expand(6, 10, 10)

    def energy(x: torch.Tensor) -> torch.Tensor:
        return 0.5 * torch.einsum("...bi,bij,...bj->...b", x, whole, x) + (linear * x).sum(-1)

    lowest = energy(states[:, None].expand(-1, 6, 10)).amin(0)
    assert torch.allclose(torch.stack([energy(x) for x, _, _ in found]).amin(0), lowest)


def test_a_pair_is_flipped_where_no_entry_alone_should_be() -> None:
    matrix = torch.tensor([[0.0, -3.0], [-3.0, 0.0]], dtype=torch.float64)
    low, high = torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    linear = torch.ones(1, 2, dtype=torch.float64)
    x, _, _ = flip_search(matrix, linear, low, high, low[None], 0)
    assert not bool(x.any())  # no step is allowed
    x, left, _ = flip_search(matrix, linear, low, high, low[None], 10)
    assert x.tolist() == [[1, 1]] and not bool(left.any())


def test_sites_end_where_no_change_of_one_lowers() -> None:
    generator = torch.Generator().manual_seed(2)
    ties = torch.randn(6, 3, 6, 3, generator=generator, dtype=torch.float64)
    field = torch.randn(5, 6, 3, generator=generator, dtype=torch.float64)

    def energy(x: torch.Tensor, field: torch.Tensor) -> torch.Tensor:
        z = x.reshape(-1, 6, 3)
        return torch.einsum("bik,ikjl,bjl->b", z, ties, z).tanh() + (field * z).sum((1, 2))

    eye = torch.eye(3, dtype=torch.float64)
    start = eye[torch.randint(3, (5, 6), generator=generator)].reshape(5, 18)
    x, left, _ = site_search(energy, start, (field,), [(k, eye) for k in range(0, 18, 3)], 100)
    assert not bool(left.any()) and bool((energy(x, field) <= energy(start, field)).all())
    for k, value in itertools.product(range(0, 18, 3), eye):
        moved = x.clone()
        moved[:, k : k + 3] = value
        assert bool((energy(moved, field) >= energy(x, field) - 1e-12).all())
    assert bool((x.reshape(5, 6, 3).sum(2) == 1).all())
    _, left, steps = site_search(energy, start, (field,), [(k, eye) for k in range(0, 18, 3)], 1)
    assert bool(left.isinf().any()) and steps.tolist() == [1] * 5
