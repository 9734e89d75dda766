"""Sums of functions and their derivatives by one call, against numpy in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ebdsl.atoms import SCALARS
from ebdsl.runtime import sums

ROWS = [a for a in SCALARS.values() if getattr(a, "summed", None)]


@pytest.mark.parametrize("atom", ROWS, ids=lambda a: a.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("width", [1, 5, 64, 200])
def test_sums(atom: object, dtype: torch.dtype, width: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = (
        torch.randn(7, width, generator=generator, dtype=torch.float64)
        * torch.tensor([[1e-3, 0.1, 1, 5, 30, 300, 2]]).T
    )
    x = torch.cat([x, torch.zeros(1, width, dtype=torch.float64)]).to(dtype)
    total, slope = getattr(sums, atom.summed)(x)  # type: ignore[attr-defined]
    exact = x.double().numpy()
    eps = torch.finfo(dtype).eps
    f = atom.numpy  # type: ignore[attr-defined]
    wanted = f(exact).sum(-1)
    assert np.abs(total.double().numpy() - wanted).max() <= 0 + (8 * eps * (np.abs(exact).sum(-1) + width)).max()
    h = 1e-5
    turned = (f(exact + h) - f(exact - h)) / (2 * h)
    np.testing.assert_allclose(slope.double().numpy(), turned, atol=4 * eps + 1e-9)
