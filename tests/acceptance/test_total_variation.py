"""Total variation: a noisy picture comes out nearer to the clean one, flat in places, certified."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

import ebdsl

EXAMPLE = Path(ebdsl.__file__).parents[1] / "examples" / "total_variation.ebm"


def test_noise_goes_and_edges_stay() -> None:
    spec = ebdsl.load(EXAMPLE, H=40, W=36)
    clean = np.zeros((2, 40, 36))
    clean[0, 10:30, 8:20] = 1
    i, j = np.mgrid[:40, :36]
    clean[1, (i - 20) ** 2 + (j - 18) ** 2 < 120] = 1
    noisy = clean + 0.15 * np.random.default_rng(0).normal(size=clean.shape)
    model = spec.module().double()
    found = model.infer(torch.tensor(noisy), tolerance=1e-4)
    assert bool(found.converged.all())
    z = found.latents["z"].numpy()
    before, after = (((x - clean) ** 2).mean((1, 2)) for x in (noisy, z))
    assert (after < before / 4).all()
    assert (np.abs(z[0, :, 8] - z[0, :, 7])[12:28] > 0.5).all()  # the edge is where it was
    # by its definition in numpy, no blend with the clean or the noisy picture is lower by more than the gap

    def energy(x: np.ndarray) -> np.ndarray:
        down, across = np.diff(x, axis=1)[:, :, :-1], np.diff(x, axis=2)[:, :-1]
        return ((noisy - x) ** 2).sum((1, 2)) + 0.3 * np.sqrt(down**2 + across**2).sum((1, 2))

    np.testing.assert_allclose(energy(z), found.energy.numpy(), rtol=1e-9)
    rng = np.random.default_rng(1)
    for other in (clean, noisy, z + 0.01 * rng.normal(size=z.shape), 0.99 * z + 0.01 * noisy, 0.99 * z + 0.01 * clean):
        assert (energy(other) >= energy(z) - found.residual.numpy()).all()
