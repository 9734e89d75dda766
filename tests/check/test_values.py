"""Formulas against numpy: what the checker makes of them is what a reader computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ebdsl.model import reference
from tests.check.checking import model

HEAD = """
dim M = 5, N = 3, K = 4
observed y : R[M]
observed x : R
latent   z : R[N]
latent   u : R[M]
latent   c : onehot[K]
param    W : R[M, N], A : R[M, M], V : R[M, K], B : R[K, M, N], μ : R[K, M], π : simplex[K]
param    Λ : R[K, M, M], positive definite
const    λ = 0.5, β = 2
h = W z
r(a) = y - a
C(a, b) = ||a - b||^2
e(k) = ||y - μ_k||^2
"""

Names = dict[str, Any]
CASES: dict[str, Callable[[Names], float]] = {
    "||y - W z||^2": lambda v: sum((v["y"] - v["W"] @ v["z"]) ** 2),
    "||W z - y||": lambda v: np.linalg.norm(v["W"] @ v["z"] - v["y"]),
    "(y - u)'(y + u)": lambda v: (v["y"] - v["u"]) @ (v["y"] + v["u"]),
    "y'A u": lambda v: v["y"] @ v["A"] @ v["u"],
    "y' A A' u": lambda v: v["y"] @ v["A"] @ v["A"].T @ v["u"],
    "y'A'A y": lambda v: sum((v["A"] @ v["y"]) ** 2),
    "z' W' W z": lambda v: sum((v["W"] @ v["z"]) ** 2),
    "||Wᵀ W z - z||^2": lambda v: sum((v["W"].T @ v["W"] @ v["z"] - v["z"]) ** 2),
    "trace(W' W)": lambda v: (v["W"] ** 2).sum(),
    "||W||^2": lambda v: (v["W"] ** 2).sum(),
    "||A y y' - y u'||^2": lambda v: ((np.outer(v["A"] @ v["y"], v["y"]) - np.outer(v["y"], v["u"])) ** 2).sum(),
    "(A + A')[0, 1] x": lambda v: (v["A"] + v["A"].T)[0, 1] * v["x"],
    "||B[0] z||^2": lambda v: sum((v["B"][0] @ v["z"]) ** 2),
    "Σ_k ||B[k] z||^2": lambda v: sum(((b @ v["z"]) ** 2).sum() for b in v["B"]),
    "λ(|z| + |x|)": lambda v: 0.5 * (abs(v["z"]).sum() + abs(v["x"])),
    "-(x - |z|)": lambda v: abs(v["z"]).sum() - v["x"],
    "Σ_k c_k ||y - μ_k||^2": lambda v: sum(v["c"] * ((v["y"] - v["μ"]) ** 2).sum(1)),
    "Σ_k c[k] ||y - V_k||^2": lambda v: sum(v["c"] * ((v["y"][:, None] - v["V"]) ** 2).sum(0)),
    "Σ_k c_k e(k)": lambda v: sum(v["c"] * ((v["y"] - v["μ"]) ** 2).sum(1)),
    "e(2)": lambda v: sum((v["y"] - v["μ"][2]) ** 2),
    "y ⊙ y · u": lambda v: (v["y"] ** 2) @ v["u"],
    "y · u": lambda v: v["y"] @ v["u"],
    "||y ⊙ A u||^2": lambda v: sum((v["y"] * (v["A"] @ v["u"])) ** 2),
    "sum(y ⊙ 2 u)": lambda v: 2 * v["y"] @ v["u"],
    "||y / 2 + u/(1 + x^2)||^2": lambda v: sum((v["y"] / 2 + v["u"] / (1 + v["x"] ** 2)) ** 2),
    "sum(y / (1 + u^2))": lambda v: sum(v["y"] / (1 + v["u"] ** 2)),
    "x(x + 1)": lambda v: v["x"] * (v["x"] + 1),
    "λ(x + 1)^2": lambda v: 0.5 * (v["x"] + 1) ** 2,
    "1/β x": lambda v: v["x"] / 2,
    "x/β/2": lambda v: v["x"] / 4,
    "1/2 ||y||^2": lambda v: 0.5 * sum(v["y"] ** 2),
    "1/2||y||^2": lambda v: 0.5 * sum(v["y"] ** 2),
    "½||y||²": lambda v: 0.5 * sum(v["y"] ** 2),
    "-x^2": lambda v: -(v["x"] ** 2),
    "2^-1 x": lambda v: 0.5 * v["x"],
    "|x|^3 ||y||^3": lambda v: abs(v["x"]) ** 3 * np.linalg.norm(v["y"]) ** 3,
    "||z| - 1|": lambda v: abs(abs(v["z"]).sum() - 1),
    "|x||z|": lambda v: abs(v["x"]) * abs(v["z"]).sum(),
    "||y||_inf": lambda v: abs(v["y"]).max(),
    "||y||_1": lambda v: abs(v["y"]).sum(),
    "sqrt(1 + ||y||^2)": lambda v: np.sqrt(1 + sum(v["y"] ** 2)),
    "log(1 + exp(x))": lambda v: np.log(1 + np.exp(v["x"])),
    "Σ_m tanh(y_m)^2": lambda v: sum(np.tanh(v["y"]) ** 2),
    "sum(softmax(y) ⊙ u)": lambda v: (np.exp(v["y"]) / np.exp(v["y"]).sum()) @ v["u"],
    "mean_m y_m": lambda v: v["y"].mean(),
    "Σ_m y_m / M": lambda v: v["y"].mean(),
    "Σ_i Σ_j A[i, j] y_i y_j": lambda v: v["y"] @ v["A"] @ v["y"],
    "Σ_{i,j} A_{i,j} y_i u_j": lambda v: v["y"] @ v["A"] @ v["u"],
    "Σ_i A[i, i]": lambda v: np.trace(v["A"]),
    "||h - y||^2": lambda v: sum((v["W"] @ v["z"] - v["y"]) ** 2),
    "C(y, W z) + C(u, h)": lambda v: sum((v["y"] - v["W"] @ v["z"]) ** 2) + sum((v["u"] - v["W"] @ v["z"]) ** 2),
    "||r(W z)||^2": lambda v: sum((v["y"] - v["W"] @ v["z"]) ** 2),
    "||A (y - u)||^2": lambda v: sum((v["A"] @ (v["y"] - v["u"])) ** 2),
    "||A(y - u)||^2": lambda v: sum((v["A"] @ (v["y"] - v["u"])) ** 2),
    "½ (y - μ[1])' Λ[1] (y - μ[1])": lambda v: 0.5 * (v["y"] - v["μ"][1]) @ v["Λ"][1] @ (v["y"] - v["μ"][1]),
    "Σ_k c_k log det Λ_k": lambda v: sum(v["c"] * np.linalg.slogdet(v["Λ"])[1]),
    "Σ_k c_k log |Λ_k|": lambda v: sum(v["c"] * np.linalg.slogdet(v["Λ"])[1]),
    "log |det A|": lambda v: np.linalg.slogdet(v["A"])[1],
    "-Σ_k c_k log π_k": lambda v: -sum(v["c"] * np.log(v["π"])),
    "y' Λ[0] Λ[0] y": lambda v: sum((v["Λ"][0] @ v["y"]) ** 2),
    "Σ_k c_k k": lambda v: sum(v["c"] * np.arange(4)),
    "N x + K": lambda v: 3 * v["x"] + 4,
    "Σ_k log Σ_m exp(μ[k, m] y[m])": lambda v: sum(np.log(np.exp(v["μ"] * v["y"]).sum(1))),
    "||(y)||^2": lambda v: sum(v["y"] ** 2),
    "y[0]^2 + y[4] u[1]": lambda v: v["y"][0] ** 2 + v["y"][4] * v["u"][1],
    "||W[:, 1] - W[:, 2]||^2 x": lambda v: sum((v["W"][:, 1] - v["W"][:, 2]) ** 2) * v["x"],
    "2 x - -x": lambda v: 3 * v["x"],
    "||A' - A||^2": lambda v: ((v["A"].T - v["A"]) ** 2).sum(),
    "||1 - y||^2": lambda v: sum((1 - v["y"]) ** 2),
}


@pytest.mark.parametrize("formula", CASES.keys())
def test_value(formula: str) -> None:
    m = model(HEAD + f"F(x, y) = {formula} + ||y||^2 + x\n")
    rng = np.random.default_rng(3)
    values = reference.random_values(m, rng)
    names = {s.name: np.asarray(v) for s, v in values.items()}
    wanted = CASES[formula](names) + sum(names["y"] ** 2) + names["x"]
    assert reference.energy(m, values) == pytest.approx(float(wanted), rel=1e-10)


@pytest.mark.parametrize("formula", CASES.keys())
def test_terms_add_up_when_distributed(formula: str) -> None:
    """A weight before a bracket, a sum over an index and a call of a definition change no value."""
    text = HEAD + f"G(x, y) = {formula} + ||y||^2\nF(x, y) = 3 (G(x, y) - x) / 2\n"
    m = model(text)
    values = reference.random_values(m, np.random.default_rng(4))
    names = {s.name: np.asarray(v) for s, v in values.items()}
    wanted = 1.5 * (CASES[formula](names) + sum(names["y"] ** 2) - names["x"])
    assert reference.energy(m, values) == pytest.approx(float(wanted), rel=1e-10)
    assert len(m.terms) >= 3
