"""Codes with noise: the talk's fuzzy balls, and the variational auto-encoders."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import ebdsl
from ebdsl import SpecError
from tests.acceptance.test_specs import fit, samples, shipped


def codes(spec: ebdsl.Spec, Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with torch.no_grad():
        mean, spread = spec.module().code(torch.as_tensor(Y))
    return mean.numpy(), spread.numpy()


@pytest.fixture(scope="module")
def spiral() -> np.ndarray:
    return samples(shipped("fuzzy_balls_noise"), "spiral(2000)")["y"]


def test_codes_are_points_and_the_energy_is_flat() -> None:
    with pytest.raises(SpecError) as refused:
        fit("fuzzy_balls_codes")
    assert [d.code for d in refused.value.diagnostics] == ["EB0510"]
    spec = fit("fuzzy_balls_codes", allow_flat=True)
    off = np.random.default_rng(0).uniform(-0.7, 0.7, (500, 2)).astype(np.float32)
    assert spec.free_energy(off).mean() < 0.02 * off.var(0).sum()


def test_overlapping_balls_reconstruct_badly(spiral: np.ndarray) -> None:
    """Codes in a box: noise makes neighbours alike, and what is decoded lies between them."""
    errors = {}
    for sigma in (0.02, 0.3):
        spec = fit("fuzzy_balls_noise", spiral, **{"epochs": 40}) if sigma == 0.3 else shipped(
            "fuzzy_balls_noise", **{"σ": sigma}).fit(spiral, seed=0, device="cpu")  # fmt: skip
        errors[sigma] = float(spec.free_energy(spiral).mean())
        assert np.abs(codes(spec, spiral)[0]).max() <= 1
    assert errors[0.3] > 5 * errors[0.02]


def test_balls_fly_away_without_a_spring(spiral: np.ndarray) -> None:
    with pytest.raises(SpecError) as refused:
        fit("fuzzy_balls_flyaway")
    assert [d.code for d in refused.value.diagnostics] == ["EB0516"]
    spec = fit("fuzzy_balls_flyaway", spiral, allow_flat=True)
    mean, spread = codes(spec, spiral)
    assert np.linalg.norm(mean, axis=1).mean() > 10 and np.allclose(spread, 1)


def test_springs_hold_the_balls_together(spiral: np.ndarray) -> None:
    spec = fit("fuzzy_balls_springs", spiral)
    mean, spread = codes(spec, spiral)
    assert np.linalg.norm(mean, axis=1).mean() < 3
    assert 0.05 < spread.mean() < 1 and np.abs(mean.mean(0)).max() < 1  # a size of its own, around the centre


@pytest.mark.slow
def test_vae_tells_digits_and_draws_them() -> None:
    spec = fit("vae", epochs=25)
    y = samples(spec, "digits")["y"][::5]
    mean, spread = codes(spec, y)
    kl = (0.5 * (mean**2 + spread**2 - 1) - np.log(spread)).mean(0)
    assert 10 < kl.sum() < 60 and (kl > 0.01).sum() >= 8  # limited, and in use
    model = spec.module()
    with torch.no_grad():
        back = model.decode(torch.as_tensor(mean)).numpy()
        drawn = model.decode(torch.randn(200, 16, generator=torch.Generator().manual_seed(0))).numpy()
    assert ((back - y) ** 2).sum() < 0.35 * ((y - y.mean(0)) ** 2).sum()
    shuffled = np.random.default_rng(0).permuted(y, axis=0)
    assert np.median(spec.free_energy(drawn)) < 0.5 * np.median(spec.free_energy(shuffled))
    # samples differ from each other as digits do, and are close to some digit each
    assert drawn.std(0).mean() > 0.5 * y.std(0).mean()


def test_cvae_draws_both_futures() -> None:
    spec = fit("cvae", epochs=30)
    given = samples(spec, "bounce(300)")
    x, y = (torch.as_tensor(given[k]) for k in ("x", "y"))
    draws = 40
    noise = torch.randn(draws * len(x), 2, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        made = spec.module().decode(noise, x.repeat(draws, 1)).reshape(draws, len(x), 2)
    left = (made[:, :, 1] - made.mean(0)[:, 1] < 0).float().mean(0)
    assert ((left > 0.1) & (left < 0.9)).float().mean() > 0.95  # both ways, for nearly every past
    best = ((made - y) ** 2).sum(2).amin(0)
    single = ((made.mean(0) - y) ** 2).sum(1)
    assert best.mean() < 0.05 * single.mean()  # the best of forty is near, the mean is not
