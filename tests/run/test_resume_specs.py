"""Every kind of learner that the compiler writes goes on to the bit from the middle of an epoch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ebdsl.diagnostics import Source
from ebdsl.run import checkpoint, train
from ebdsl.run.interrupt import Interrupt
from ebdsl.run.metrics import read_lines

SPECS = {
    "statistics": """
        observed y : R[M]
        latent   z : R[N]
        param    W : R[M, N], unit columns
        dim      N = 6
        E(y, z) = ||y - W z||^2 + 0.1 |z|
        F(y)    = min_z E(y, z)
        train
            data patches(leaves, size = 3, count = 200)
        """,
    "statistics and a module": """
        observed y : R[M]
        latent   z : R[N]
        param    W : R[M, N], unit columns
        module   Enc : R[M] -> R[N] = linear >> sh >> gain
        dim      N = 6
        E(y, z) = ||y - W z||^2 + ||z - Enc(y)||^2 + 0.1 |z|
        F(y)    = min_z E(y, z)
        infer z by Enc
        train
            data patches(leaves, size = 3, count = 200)
        """,
    "all samples": """
        observed y : R[D]
        latent   z : onehot[K]
        param    W : R[D, K]
        dim      K = 5
        E(y, z) = ||y - W z||^2
        F(y)    = softmin_z[2] E(y, z)
        train
            data spiral(200)
            epochs 12
        """,
    "noise": """
        observed y : R[2]
        noise    u ~ normal(0, 1) : R[2]
        module   Enc : R[2] -> R[2] = mlp(8, tanh)
        module   Dec : R[2] -> R[2] = mlp(8, tanh)
        F(y) = E_u[||y - Dec(Enc(y) + u)||^2] + ||Enc(y)||^2
        train
            data spiral(200)
        """,
    "momentum": """
        observed x : R[2]
        observed y : R[2]
        module   f : R[2] -> R[2] = mlp(8, tanh)
        F(x, y) = ||y - f(x)||^2
        train
            data bounce(200)
            optimizer sgd(momentum = 0.9, lr = 0.01)
        """,
    "descent with restarts": """
        observed x : R[1]
        observed y : R[2]
        latent   z : sphere[2]
        module   Dec : R[1], R[2] -> R[2] = mlp(8, tanh)
        E(x, y, z) = ||y - Dec(x, z)||^2
        F(x, y)    = min_z E(x, y, z)
        train
            data ellipse(80)
            steps 10
        """,
}


def curve(folder: Path) -> list[dict]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in read_lines(folder / "metrics.jsonl")]


@pytest.mark.parametrize("name", SPECS)
def test_a_run_that_was_interrupted_ends_like_one_that_was_not(tmp_path, monkeypatch, name) -> None:
    lines = SPECS[name].strip("\n").splitlines()
    text = "\n".join(line.removeprefix("        ") for line in ["model m", *lines]) + "\n"
    given = {"batch": 30, "device": "cpu", "holdout": 0.1}
    given |= {} if "epochs" in text else {"epochs": 3}
    source = Source("m.ebm", text)
    monkeypatch.setattr("ebdsl.plots.after_training", lambda *arguments: [])
    whole = train.train(source, out=str(tmp_path / "whole"), given=given, allow_flat=True)
    steps = whole.session.position.step
    assert steps >= 6
    cut = tmp_path / "cut"
    train_for(monkeypatch, steps // 3, lambda: train.train(source, out=str(cut), given=given, allow_flat=True))
    train_for(monkeypatch, steps // 2 - steps // 3, lambda: train.take_up(cut))
    outcome = train.take_up(cut)
    assert outcome.session.position.step == steps and curve(cut) == curve(tmp_path / "whole")
    ends = [checkpoint.newest(tmp_path / name / "checkpoints")[0].tensors for name in ("whole", "cut")]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[1][k], v) for k, v in ends[0].items())


def train_for(monkeypatch, steps: int, call: Callable[[], train.Outcome]) -> None:
    """Interrupt ``call`` after so many steps, and leave the global generator in disorder."""
    asked = iter(range(1, 10**6))
    with monkeypatch.context() as patch:
        signal = property(lambda _: 2 if next(asked) >= steps else None, lambda *_: None)
        patch.setattr(Interrupt, "signal", signal, raising=False)
        assert call().ending == "interrupted"
    torch.manual_seed(12345)
    torch.randn(100)
