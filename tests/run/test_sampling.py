"""Chains against what is known: moments of Gaussians, exact probabilities of binary vectors, AR(1) processes."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

import ebdsl
from ebdsl import SpecError
from ebdsl.run.sampling.diagnostics import effective, r_hat

GAUSS = "observed y : R[3]\nparam μ : R[3], A : R[3, 3], positive definite\nF(y) = ½ (y - μ)' A (y - μ) - ½ log det A\n"


def gaussian(n: int = 2000) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.standard_normal((n, 3)) @ rng.standard_normal((3, 3)) * [1, 10, 0.1] + [1, 2, 3]).astype(np.float32)


@pytest.fixture(scope="module")
def fitted() -> ebdsl.Spec:
    return ebdsl.load(GAUSS).fit(gaussian(), device="cpu")


@pytest.mark.parametrize("method", ["hmc", "mala"])
def test_moments_of_a_gaussian(fitted: ebdsl.Spec, method: str) -> None:
    """Means and covariance on very different scales, within Monte Carlo error."""
    found = fitted.sample(20000, method=method, steps=1500, chains=200)
    y = gaussian()
    assert found.r_hat < 1.05 and found.effective > 1000 and not found.warnings
    assert 0.4 < found.acceptance < 0.95
    scale = y.std(0)
    np.testing.assert_allclose(found.values.mean(0) / scale, y.mean(0) / scale, atol=0.08)
    np.testing.assert_allclose(np.cov(found.values.T / scale[:, None]), np.cov(y.T / scale[:, None]), atol=0.08)
    assert found.energy.mean() == pytest.approx(float(np.mean(fitted.free_energy(found.values))), abs=1e-3)


def test_langevin_is_off_by_its_step(fitted: ebdsl.Spec) -> None:
    """A stationary variance of 1/(1 - α/2) along each axis whose variance is the unit (α in its units)."""
    text = "observed y : R[4]\nconst c = 1\nF(y) = ½ c ||y||^2\n"
    y = np.random.default_rng(0).standard_normal((4000, 4)).astype(np.float32)
    spec = ebdsl.load(text).fit(y, device="cpu")
    found = spec.sample(100_000, method="langevin", chains=2000, warmup=100, steps=150, step_size=0.4)
    alpha = (0.4 * 1.0) ** 2
    assert found.values.var() == pytest.approx(1 / (1 - alpha / 2), rel=0.02)


def test_temperature_scales_the_variance(fitted: ebdsl.Spec) -> None:
    hot = fitted.sample(10000, beta=0.25, chains=200)
    cold = fitted.sample(10000, beta=4, chains=200)
    np.testing.assert_allclose(hot.values.var(0) / cold.values.var(0), 16, rtol=0.15)


def test_binary_probabilities_are_exact() -> None:
    """Gibbs sampling of four coupled entries against all sixteen states, at the strategy's own temperature."""
    text = (
        "observed y : binary[4]\nparam J : R[4, 4]\nF(y) = y' J y\n"
        "train\n    strategy ratio_matching\n    epochs 20\n    lr 0.05\n"
    )
    rng = np.random.default_rng(0)
    y = np.array(list(itertools.product([0.0, 1.0], repeat=4)))[rng.integers(0, 9, 500)]
    spec = ebdsl.load(text).fit(y, device="cpu")
    found = spec.sample(40000, chains=200, warmup=50)
    states = np.array(list(itertools.product([0.0, 1.0], repeat=4)))
    wanted = np.exp(-np.asarray(spec.free_energy(states), np.float64))
    wanted /= wanted.sum()
    seen = np.bincount((found.values @ [8, 4, 2, 1]).round().astype(int), minlength=16) / len(found.values)
    assert found.method == "gibbs" and abs(seen - wanted).max() < 0.02


def test_a_box_is_not_left() -> None:
    text = "observed y : box(0, 1)[2]\nconst c = 3\nF(y) = c Σ_i y_i\n"
    spec = ebdsl.load(text).fit(np.random.default_rng(0).random((500, 2)), device="cpu")
    found = spec.sample(20000, chains=200, steps=1000)
    assert found.values.min() >= 0 and found.values.max() <= 1
    assert found.values.mean() == pytest.approx(1 / 3 - 1 / (np.e**3 - 1), abs=0.01)
    with pytest.raises(SpecError, match="would leave it"):
        spec.sample(10, method="langevin")


def test_other_variables_are_given(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1000, 2)).astype(np.float32)
    y = (x @ [[1.0, 0.0], [2.0, 1.0]] + 0.7 * rng.standard_normal((1000, 2))).astype(np.float32)
    text = "observed x : R[2], y : R[2]\nparam A : R[2, 2]\nF(x, y) = ||y - A x||^2\n"
    spec = ebdsl.load(text).fit({"x": x, "y": y}, device="cpu")
    found = spec.sample(20000, given={"x": [1.0, -1.0]}, chains=200)
    assert found.r_hat < 1.05 and (found.given["x"] == [1, -1]).all()
    np.testing.assert_allclose(found.values.mean(0), [-1, -1], atol=0.12)
    np.testing.assert_allclose(found.values.var(0), 0.5, atol=0.05)
    free = spec.sample(2000)
    assert free.r_hat != free.r_hat and np.isin(free.given["x"][:, 0], x[:, 0]).all()


def test_two_far_valleys_are_told() -> None:
    text = "observed y : R\nconst a = 30\nF(y) = a (y^2 - 1)^2\n"
    y = np.where(np.random.default_rng(0).random(500) < 0.5, -1, 1).astype(np.float32)
    spec = ebdsl.load(text).fit(y, device="cpu")
    found = spec.sample(1000)
    assert found.r_hat > 1.5 and found.warnings[0].code == "EB0763"


def test_an_energy_that_holds_nothing() -> None:
    text = "observed y : R[2]\nparam m : R[2]\nF(y) = log(1 + log(1 + ||y - m||^2))\n"
    spec = ebdsl.load(text).fit(np.random.default_rng(0).standard_normal((200, 2)), device="cpu")
    found = spec.sample(1000, method="mala", steps=4000, warmup=2000)
    assert "EB0764" in {d.code for d in found.warnings}


def test_diagnostics_of_known_processes() -> None:
    """Independent draws, an AR(1) process of known autocorrelation time, chains of two minds, a chain that drifts."""
    rng = np.random.default_rng(0)
    independent = rng.standard_normal((1000, 8))
    assert r_hat(independent) == pytest.approx(1, abs=0.01)
    assert effective(independent) == pytest.approx(8000, rel=0.1)
    for phi in (0.5, 0.9):
        x = np.zeros((4000, 8))
        for t in range(1, len(x)):
            x[t] = phi * x[t - 1] + rng.standard_normal(8)
        assert effective(x) == pytest.approx(x.size * (1 - phi) / (1 + phi), rel=0.15)
    assert r_hat(independent + 3 * (np.arange(8) < 4)) > 1.5
    assert r_hat(independent * (1 + 9 * (np.arange(8) < 4))) > 1.05  # alike in the mean, not in the spread
    assert r_hat(independent + np.linspace(0, 5, 1000)[:, None]) > 1.2
    assert r_hat(np.ones((10, 4))) == 1 and effective(np.ones((10, 4))) != effective(np.ones((10, 4)))


def test_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from ebdsl.commands import run

    monkeypatch.chdir(tmp_path)
    (tmp_path / "g.ebm").write_text(GAUSS)
    np.save("y.npy", gaussian(300))
    assert run(["train", "g.ebm", "--data", "y.npy", "--out", "r", "-q"]) == 0
    capsys.readouterr()
    assert run(["sample", "r", "-n", "70", "--format", "json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["samples"] == 70 and said["output"].endswith("samples.npz") and said["beta"] == 1
    with np.load("r/samples.npz") as saved:
        assert saved["y"].shape == (70, 3) and saved["energy"].shape == (70,)
        first = saved["y"]
    assert run(["sample", "r", "-n", "70", "-o", "again.csv"]) == 0  # the same seed, the same samples
    assert "R-hat" in capsys.readouterr().err
    again = np.loadtxt("again.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(again[:, :3], first, rtol=1e-5)
    for arguments, code in (
        (["--given", "y=1"], "EB0766"),
        (["--method", "gibbs"], "EB0760"),
        (["-o", "s.txt"], "EB0809"),
        (["--given", "y"], "is not NAME=VALUE"),
    ):
        assert run(["sample", "r", "-n", "3", "--warmup", "1", "--steps", "4", *arguments]) != 0
        assert code in capsys.readouterr().err
