"""Partition functions by annealing against those that are known, and what ``ebdsl eval --likelihood`` says."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from ebdsl.commands import run
from ebdsl.run.sampling.annealed import Base, anneal, bernoulli, gaussian, schedule, uniform

DOUBLE = torch.float64


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def normal(d: int) -> tuple[Base, torch.Generator]:
    g = generator()
    return gaussian(torch.zeros(d, dtype=DOUBLE), 2.0 * torch.eye(d, dtype=DOUBLE), (d,), g), g


@pytest.mark.parametrize("d", [1, 5, 20])
def test_a_normal_far_from_where_chains_begin(d: int) -> None:
    base, g = normal(d)
    found = anneal(lambda y: 0.5 * 4 * (y - 1).square().sum(1), base, g)
    wanted = 0.5 * d * math.log(2 * math.pi / 4)
    assert found.error < 0.1 and abs(found.log_z - wanted) < 4 * found.error + 0.01
    assert found.states.mean(0).numpy() == pytest.approx(np.ones(d), abs=0.2)


def test_two_modes() -> None:
    base, g = normal(3)
    a = torch.tensor([2.0, 0, 0], dtype=DOUBLE)

    def potential(y: torch.Tensor) -> torch.Tensor:
        return -torch.logaddexp(-2 * (y - a).square().sum(1), math.log(3) - 2 * (y + a).square().sum(1))

    found = anneal(potential, base, g, chains=512)
    wanted = math.log(4) + 1.5 * math.log(math.pi / 2)
    assert abs(found.log_z - wanted) < 4 * found.error + 0.02
    assert float((found.states[:, 0] < 0).double().mean()) == pytest.approx(0.75, abs=0.1)


def test_a_box() -> None:
    g = generator()
    base = uniform(torch.zeros(2, dtype=DOUBLE), torch.tensor([1.0, 3.0], dtype=DOUBLE), g)
    found = anneal(lambda y: 3 * y[:, 0] + y[:, 1], base, g)
    wanted = math.log((1 - math.exp(-3)) / 3) + math.log(1 - math.exp(-3))
    assert abs(found.log_z - wanted) < 4 * found.error + 0.01


def test_binary_states() -> None:
    g = generator()
    w = torch.randn(8, 8, generator=g, dtype=DOUBLE)

    def potential(y: torch.Tensor) -> torch.Tensor:
        return torch.einsum("bi,ij,bj->b", y, w, y)

    bits = ((torch.arange(256)[:, None] >> torch.arange(8)) & 1).to(DOUBLE)
    wanted = float(torch.logsumexp(-potential(bits), 0))
    found = anneal(potential, bernoulli(torch.full((8,), 0.5, dtype=DOUBLE), g), g, temperatures=100, discrete=True)
    assert abs(found.log_z - wanted) < 4 * found.error + 0.01


def test_the_schedule_goes_from_zero_to_one() -> None:
    s = schedule(50)
    assert s[0] == 0 and s[-1] == 1 and all(b > a for a, b in pairwise(s))


def trained(tmp_path: Path, spec: str, **data: np.ndarray) -> str:
    np.savez(tmp_path / "data.npz", **data)  # type: ignore[arg-type]
    (tmp_path / "spec.ebm").write_text(spec, encoding="utf-8")
    out = str(tmp_path / "run")
    assert run(["train", str(tmp_path / "spec.ebm"), "--data", str(tmp_path / "data.npz"), "--out", out, "-q"]) == 0
    return out


def said(out: str, capsys: pytest.CaptureFixture[str]) -> dict:
    capsys.readouterr()
    assert run(["eval", out, "--likelihood", "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)["likelihood"]


def test_of_a_trained_precision(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    y = (rng.standard_normal((2000, 3)) * [0.5, 1, 2]).astype(np.float32)
    spec = (
        "observed y : R[3]\nparam P : R[3, 3], positive definite\nF(y) = ½ y' P y\n"
        "train\n    strategy score_matching\n    epochs 30\n    lr 0.05\n"
    )
    found = said(trained(tmp_path, spec, y=y), capsys)
    wanted = -0.5 * np.log(2 * np.pi * np.e * y.var(0)).sum()  # of the normal distribution that fits best
    assert found["log-likelihood"] == pytest.approx(wanted, abs=0.06)
    assert 0 < found["error"] < 0.03 and found["how"].startswith("annealed")


def test_of_few_states_it_is_exact(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    y = (np.random.default_rng(0).random((500, 3)) < [0.2, 0.5, 0.9]).astype(np.float32)
    spec = (
        "observed y : binary[3]\nparam b : R[3]\nF(y) = b ⋅ y\n"
        "train\n    strategy maximum_likelihood\n    epochs 60\n    lr 0.1\n"
    )
    found = said(trained(tmp_path, spec, y=y), capsys)
    p = y.mean(0)
    assert found["error"] == 0
    assert found["log-likelihood"] == pytest.approx(float((p * np.log(p) + (1 - p) * np.log(1 - p)).sum()), abs=0.01)


def test_given_variables_have_no_one_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = "observed x : R[2], y : R[2]\nparam W : R[2, 2]\nF(x, y) = ||y - W x||^2\n"
    out = trained(tmp_path, spec, x=np.eye(2).repeat(20, 0), y=np.ones((40, 2)))
    assert run(["eval", out, "--likelihood"]) == 1
    assert "EB0767" in capsys.readouterr().err
