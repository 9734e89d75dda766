"""Stencils in cosines and waves: eigenvalues bound the maps' squares, and division by them is what it says."""

from __future__ import annotations

import itertools

import pytest
import torch

from ebdsl.runtime.stencils import cosine_bases, divide_modes, stencil_curve

ACROSS = (((0, 0), -1.0), ((0, 1), 1.0))
DOWN = (((0, 0), -1.0), ((1, 0), 1.0))
SLANTED = (((0, 0), -0.5), ((1, 1), 1.0))


def product(x: torch.Tensor, taps: tuple[tuple[tuple[int, ...], float], ...]) -> torch.Tensor:
    """The stencil at each place where it fits."""
    h, w = (max(o[k] for o, _ in taps) for k in (0, 1))
    rows, columns = x.shape[1] - h, x.shape[2] - w
    return torch.stack([f * x[:, a : a + rows, b : b + columns] for (a, b), f in taps]).sum(0)


@pytest.mark.parametrize(
    ("axes", "shape"), list(itertools.product(["cosine", "fourier", "mixed"], [(5, 6), (4, 96), (97, 3)]))
)
def test_division_is_by_a_matrix_that_bounds_the_maps(axes: str, shape: tuple[int, int]) -> None:
    cosine, fourier = {"cosine": ((1, 2), ()), "fourier": ((), (1, 2)), "mixed": ((1,), (2,))}[axes]
    maps = ((2.0, ACROSS), (1.0, DOWN), *([(0.7, SLANTED)] if axes == "fourier" else []))
    x = torch.randn(8, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    bases = cosine_bases(shape, cosine, x)
    square = stencil_curve(shape, cosine, fourier, maps, x)
    inverse = divide_modes(x.flatten(1), 1 + square, shape, cosine, fourier, bases)
    again = divide_modes(inverse, 1 / (1 + square), shape, cosine, fourier, bases).reshape(x.shape)
    torch.testing.assert_close(again, x)
    bound = divide_modes(x.flatten(1), 1 / (square + 1e-30), shape, cosine, fourier, bases).reshape(x.shape)
    own = torch.stack([scale * product(x, taps).square().sum((1, 2)) for scale, taps in maps]).sum(0)
    assert bool(((x * bound).sum((1, 2)) >= own * (1 - 1e-12)).all())
    if axes == "cosine":  # with all differences, the bound is exact
        torch.testing.assert_close((x * bound).sum((1, 2)), own)


def test_long_axes_go_by_fourier_transforms() -> None:
    shape, maps = (2, 1026), ((1.0, ACROSS),)
    x = torch.randn(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    square = stencil_curve(shape, (1, 2), (), maps, x)
    bound = divide_modes(x.flatten(1), 1 / (square + 1e-30), shape, (1, 2), (), cosine_bases(shape, (1, 2), x))
    torch.testing.assert_close((x.flatten(1) * bound).sum(1), x.diff(dim=2).square().sum((1, 2)))
