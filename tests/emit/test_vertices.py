"""Splittings over straight pieces end on the exact vertex: linear programs and support vectors, against scipy."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from ebdsl.infer.core import Refusal
from ebdsl.infer.rules import interior
from tests.emit.compiled import compile_spec

ERRORS = "observed y : R[{m}]\nlatent z : {z}\nparam W : R[{m}, {n}], unit columns\nF(y) = min_z "


def least_absolute(W: np.ndarray, y: np.ndarray, penalty: float, low: float | None) -> float:
    """The minimum of ``|y - W z| + penalty |z|`` over ``z >= low`` as a linear program."""
    m, n = W.shape
    cost = np.r_[np.full(2 * n, penalty), np.ones(2 * m)]
    equal = np.hstack((W, -W, np.eye(m), -np.eye(m)))
    if low is not None:  # z = low + (its first part)
        bounds = [(0, None)] * n + [(0, 0)] * n + [(0, None)] * (2 * m)
        assert penalty == 0
        return float(linprog(cost, A_eq=equal, b_eq=y - W @ np.full(n, low), bounds=bounds).fun)
    return float(linprog(cost, A_eq=equal, b_eq=y).fun)


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize(
    ("domain", "penalty", "low"), [("R[6]", 0.0, None), ("R[6]", 0.2, None), ("box(-0.1, 50)[6]", 0.0, -0.1)]
)
def test_least_absolute_errors_are_a_linear_program(
    domain: str, penalty: float, low: float | None, twice: bool
) -> None:
    """With rows that occur twice more errors vanish than there are unknowns: the system is singular."""
    text = ERRORS.format(m=20, n=6, z=domain) + "|y - W z|" + (f" + {penalty}|z|" if penalty else "")
    c = compile_spec(text)
    assert c.rule == "splitting" and c.guarantee == "global"
    net = c.randomise(c.build(), 3)
    y = c.observed(8, 4)["y"]
    if twice:
        with torch.no_grad():
            net.W[10:] = net.W[:10]
        y[:, 10:] = y[:, :10]
    found = net.infer(y)
    assert bool(found.converged.all()) and int(found.iterations.max()) <= 800
    W = net.W.detach().numpy()
    for row, energy in zip(y.numpy(), found.energy.tolist(), strict=True):
        assert energy == pytest.approx(least_absolute(W, row, penalty, low), abs=1e-7)


def test_hinges_of_each_sample_end_on_their_support_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps that differ from sample to sample have no common factor; the end of a splitting is exact all the same."""
    monkeypatch.setattr(interior, "consider", lambda _: Refusal("interior points", "not asked for"))
    text = ERRORS.format(m=30, n=5, z="R[5]") + "Σ_i relu(1 - y[i] (W z)[i]) + 0.05||z||^2"
    c = compile_spec(text)
    net = c.randomise(c.build(), 3)
    y = c.observed(6, 4)["y"].sign()
    found = net.infer(y)
    assert bool(found.converged.all()) and int(found.iterations.max()) <= 400
    margins = y * (found.latents["z"] @ net.W.detach().T)
    on = (margins - 1).abs() < 1e-9
    assert bool((on.sum(1) > 0).all())
    slope = 0.1 * found.latents["z"] - (y * (margins < 1) * ~on) @ net.W.detach()
    for i in range(6):  # what is left of the slope is a sum of support vectors with weights between 0 and 1
        vectors = (y[i, on[i], None] * net.W.detach()[on[i]]).T
        weights = torch.linalg.lstsq(vectors, slope[i][:, None]).solution[:, 0]
        assert torch.allclose(vectors @ weights, slope[i], atol=1e-7)
        assert float(weights.min()) > -1e-7 and float(weights.max()) < 1 + 1e-7


THREADS = """
import torch
from ebdsl.runtime.vertices import solve_by_lu
torch.set_num_threads(2)
a = torch.randn(3, 160, 160, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
a[2, 0, 0] = torch.nan
b = a[:, 0]
x = solve_by_lu(a, b)
assert torch.allclose((a[:2] @ x[:2, :, None])[..., 0], b[:2])
"""


def test_large_systems_are_solved_beside_two_threads() -> None:
    """A batch of them hangs in MKL, or has no pivots, once threads were set (pytorch issue 142815)."""
    subprocess.run([sys.executable, "-c", THREADS], check=True, timeout=60)
