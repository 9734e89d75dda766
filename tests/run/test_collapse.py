"""Runs that go wrong stop with their cause; those that go well say nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ebdsl.diagnostics import Source, SpecError
from ebdsl.run import checkpoint
from ebdsl.run.contrast import auc
from ebdsl.run.train import train

MLP = """observed y : R[2]
module f : R[2] -> R = mlp(32, 32, silu)
F(y) = f(y){}
train
    strategy {}
    data parabola(500)
"""
SPARSE = """observed y : R[6]
latent z : R[8]
param W : R[6, 8], unit columns
const λ = {}
F(y) = min_z ||y - W z||^2 + λ|z|
"""


def stopped(text: str, tmp_path: Path, data: np.ndarray | None = None, **settings: str) -> list:
    tmp_path.mkdir(exist_ok=True)
    given = {}
    if data is not None:
        np.save(tmp_path / "y.npy", data)
        given["data"] = str(tmp_path / "y.npy")
    with pytest.raises(SpecError) as error:
        train(Source("spec.ebm", text), out=str(tmp_path / "run"), settings=settings, **given)
    return error.value.diagnostics


def quiet(text: str, tmp_path: Path, data: np.ndarray | None = None, **settings: str) -> None:
    tmp_path.mkdir(exist_ok=True)
    given = {}
    if data is not None:
        np.save(tmp_path / "y.npy", data)
        given["data"] = str(tmp_path / "y.npy")
    done = train(Source("spec.ebm", text), out=str(tmp_path / "run"), settings=settings, **given)
    assert not done.session.watch.warned and not done.session.watch.suspect


def vectors(n: int = 300, d: int = 6) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.standard_normal((n, 3)) @ rng.standard_normal((3, d))).astype(np.float32)


def test_steps_a_hundred_times_too_large(tmp_path: Path) -> None:
    """Descent with a fixed step runs away; Adam's drives every unit to where it is flat."""
    y = vectors()
    regression = "observed y : R[6]\nparam v : R[6]\nF(y) = log(1 + ||y - v||^2) + ||v||^4\n"
    (found,) = stopped(regression, tmp_path, y, optimizer="sgd", lr="5", epochs="40")
    assert found.code in ("EB0703", "EB0704") and any("--lr ten times smaller" in h for h in found.help)
    assert checkpoint.found(tmp_path / "run" / "checkpoints")
    quiet(regression, tmp_path / "well", y, optimizer="sgd", lr="0.05", epochs="40")
    text = MLP.format("", "score_matching")
    (found,) = stopped(text, tmp_path / "net", lr="3", epochs="40")
    assert found.code == "EB0750" and "the code f(·) is dead" in found.message
    assert any("--lr ten times smaller" in h for h in found.help)
    quiet(text, tmp_path / "net_well", lr="0.003", epochs="10")


def test_a_margin_that_asks_for_nothing(tmp_path: Path) -> None:
    text = MLP.format("^2", "contrastive(loss = hinge, margin = {})")
    (found,) = stopped(text.format("1e-7"), tmp_path, lr="0.01", epochs="60")
    assert found.code == "EB0750" and "the margin asks for no more" in found.message
    assert any("margin = 1" in h for h in found.help)
    (zero,) = stopped(text.format("0"), tmp_path, epochs="1")
    assert "margin is above 0" in zero.message
    quiet(text.format("1"), tmp_path / "well", lr="0.003", epochs="10")


def test_chains_at_temperature_zero(tmp_path: Path) -> None:
    text = MLP.format("", "contrastive_divergence(beta = {})")
    (found,) = stopped(text.format("1e12"), tmp_path, epochs="30", lr="0.001")
    assert found.code == "EB0753" and "frozen" in found.message and any("beta = 1" in h for h in found.help)
    quiet(text.format("1"), tmp_path / "well", epochs="5", lr="0.001")


def test_binary_chains_that_do_not_move(tmp_path: Path) -> None:
    text = (
        "observed y : binary[5]\nparam b : R[5]\nF(y) = b' y\ntrain\n    strategy contrastive_divergence(beta = {})\n"
    )
    y = (np.random.default_rng(0).random((300, 5)) < 0.5).astype(np.float32)
    (found,) = stopped(text.format("1e8"), tmp_path, y, epochs="20")
    assert found.code == "EB0753"
    quiet(text.format("1"), tmp_path / "well", y, epochs="5")


def test_a_code_that_dies(tmp_path: Path) -> None:
    (found,) = stopped(SPARSE.format("1000"), tmp_path, vectors(), epochs="20")
    assert found.code == "EB0751" and found.message.startswith("the code z is dead")
    quiet(SPARSE.format("0.1"), tmp_path / "well", vectors(), epochs="10")


def test_a_rare_state_is_no_dead_code(tmp_path: Path) -> None:
    """One cluster of a hundred samples beside thousands: 128 samples may not show it, and nothing is wrong."""
    rng = np.random.default_rng(0)
    y = rng.standard_normal((4000, 2)).astype(np.float32)
    y[:12] += 50
    quiet((Path(__file__).parents[2] / "specs" / "kmeans.ebm").read_text(), tmp_path, y, K="2")


def test_auc_is_mann_and_whitneys() -> None:
    from scipy.stats import mannwhitneyu

    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(70).round(1), (rng.standard_normal(90) + 0.5).round(1)
    assert auc(a, b) == pytest.approx(mannwhitneyu(b, a).statistic / (70 * 90))
