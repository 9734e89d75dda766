"""Descent on a compact set: the lowest point of a fine grid, whatever the scale."""

from __future__ import annotations

import pytest
import torch

from ebdsl.runtime.inference import descend
from ebdsl.runtime.projections import project_sphere


@pytest.mark.parametrize("far", [0.5, 5.0, 50.0])
def test_descent_on_a_circle_stays_on_it_and_goes_to_the_nearest_point(far) -> None:
    angle = torch.linspace(0, 2 * torch.pi, 201, dtype=torch.float64)[:-1]
    y = far * torch.stack([angle.cos(), angle.sin()], 1)
    halves = torch.tensor([2.0, 1.5], dtype=torch.float64)

    def energy(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (y - halves * z).square().sum(-1)

    fine = torch.linspace(0, 2 * torch.pi, 7201, dtype=torch.float64)
    best = torch.cdist(y, halves * torch.stack([fine.cos(), fine.sin()], 1)).square().amin(1)
    start = project_sphere(halves * y)
    z, value, _, _ = descend(
        energy, lambda x, t: project_sphere(x), start, (y,), torch.full_like(start[:, 0], 1e-9), 500
    )
    torch.testing.assert_close(torch.linalg.vector_norm(z, dim=1), torch.ones(len(z), dtype=torch.float64))
    again = descend(energy, lambda x, t: project_sphere(x), z, (y,), torch.full_like(z[:, 0], 1e-9), 500)[1]
    assert bool((value >= best - 1e-4 * (1 + best)).all()) and bool((again <= value + 1e-9).all())
    assert bool((value <= energy(start, y) + 1e-9).all())


@pytest.mark.parametrize("size", [1e-30, 1e-19, 1.0, 1e19, 1e30])
def test_projection_onto_the_sphere_at_any_size(size) -> None:
    x = size * torch.tensor([[3.0, -4.0]])
    torch.testing.assert_close(project_sphere(x), torch.tensor([[0.6, -0.8]]))
