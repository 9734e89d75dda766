"""Pools that overlap on a torus: filters and codes come to lie on a map, where near ones are alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

import ebdsl
from ebdsl.run.data import load

SPECS = Path(ebdsl.__file__).parents[1] / "specs"
V = 8


def patches(spec: ebdsl.Spec, words: str) -> np.ndarray:
    found = load(f"patches(natural, size = 8, count = 12000{words})", spec._model, 0).value
    assert found is not None
    return np.random.default_rng(0).permutation(found.arrays["y"])


def near(n: int, steps: float = 1.0) -> np.ndarray:
    """A Gaussian of the distance on the torus of ``n`` places, V to a turn, by its definition on circles."""

    def squared(d: Any, turn: float) -> Any:
        return 2 * (1 - np.cos(2 * np.pi * d / turn)) * (turn / (2 * np.pi)) ** 2

    d = np.arange(n)[:, None] - np.arange(n)[None]
    return np.exp(-(squared(d, V) + squared(d / V, n / V)) / (2 * steps**2))


def alike(pictures: np.ndarray) -> tuple[float, float]:
    """Mean correlation of amplitude spectra, which tell orientation and frequency and not place.

    Of pictures ``(n, 64)`` that are next to each other on the map, and of those half of it apart.
    """
    spectra = np.abs(np.fft.fft2(pictures.reshape(-1, 8, 8))).reshape(len(pictures), -1)
    c = np.corrcoef(spectra - spectra.mean(0))
    n = len(c)
    k = np.arange(n)
    close = np.concatenate([c[k, (k + 1) % n], c[k, (k + V) % n]]).mean()
    far = np.concatenate([c[k, (k + n // 2) % n], c[k, (k + n // 2 + V // 2) % n]]).mean()
    return float(close), float(far)


@pytest.mark.slow
def test_orthonormal_filters_come_to_lie_on_a_map() -> None:
    spec = ebdsl.load(SPECS / "topographic_pooling.ebm", M=64, K=64, V=V)
    y = patches(spec, ", whiten = zca, floor = 0.3")
    before = alike(spec.module(seed=0).W.detach().numpy())
    spec.fit(y, epochs=12, batch=128, seed=0, device="cpu")
    W = spec.module().W.detach().numpy()
    np.testing.assert_allclose(W @ W.T, np.eye(64), atol=1e-4)
    close, far = alike(W)
    assert abs(before[0] - before[1]) < 0.05
    assert close > far + 0.3
    # the energy of the slide: filters, squares, sums over blocks, roots
    written = np.sqrt((y[:50] @ W.T) ** 2 @ near(64).T + 0.001).sum(1)
    np.testing.assert_allclose(spec.free_energy(y[:50]), written, rtol=1e-4)


@pytest.mark.slow
def test_codes_of_overlapping_pools_come_to_lie_on_a_map() -> None:
    spec = ebdsl.load(SPECS / "ipsd.ebm", M=64, N=64, V=V, λ=1.5)
    y = patches(spec, "")
    spec.fit(y[:6000], epochs=6, batch=100, seed=0, device="cpu")
    model, held = spec.module().double(), torch.as_tensor(y[6000:6300]).double()
    exact = model.infer(held, exact=True, tolerance=1e-6)
    z = exact.latents["z"].numpy()
    assert bool(exact.converged.all())
    close, far = alike(model.W.detach().numpy().T)
    assert close > far + 0.3
    # the minimum is that of an independent solver, of the energy written in numpy
    W, weights = model.W.detach().numpy(), near(64) / (2 * np.pi)
    with torch.no_grad():
        said = model.Enc(held).numpy()
    for k in range(3):

        def energy(x: np.ndarray, k: int = k) -> tuple[float, np.ndarray]:
            rest, pools = held[k].numpy() - W @ x, np.sqrt(weights @ x**2 + 0.001)
            apart = x - said[k]
            slope = -2 * W.T @ rest + 2 * apart + 1.5 * x * (weights.T @ (1 / pools))
            return float(rest @ rest + apart @ apart + 1.5 * pools.sum()), slope

        found = minimize(energy, np.zeros(64), jac=True, method="L-BFGS-B", options={"maxiter": 5000, "ftol": 1e-15})
        assert abs(found.fun - float(exact.energy[k])) < 1e-6 * found.fun
    # the encoder alone is near the codes, and is no minimum
    encoded = model.infer(held)
    assert not bool(encoded.converged.any())
    assert float(np.square(said - z).sum()) < 0.3 * float(np.square(z).sum())
