"""Smooth blocks without a formula, moved together: against scipy in float64, by energies written by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import logsumexp

from tests.emit.compiled import Compiled, compile_spec

Array = np.ndarray
N = 400


def logcosh(x: Array) -> Array:
    return np.logaddexp(x, -x) - np.log(2)


def ica(y: Array, W: Array) -> float:
    return float(logcosh(y @ W.T).sum(1).mean() - np.linalg.slogdet(W)[1])


def student(y: Array, L: Array, m: Array) -> float:
    r = (y - m) @ L.T
    return float(3.5 * np.log1p((r * r).sum(1) / 4).mean() - np.linalg.slogdet(L)[1])


def network(x: Array, y: Array, W: Array, v: Array) -> float:
    r = y - np.tanh(x @ W.T) @ v
    return float(logcosh(r).mean() + 0.02 * ((W * W).sum() + (v * v).sum()))


def eliminated(y: Array, W: Array) -> float:
    T = np.tanh(W)
    z = np.linalg.solve(T.T @ T + 0.3 * np.eye(T.shape[1]), T.T @ y.T).T
    return float((((y - z @ T.T) ** 2).sum(1) + 0.3 * (z * z).sum(1)).mean() + 0.1 * (W * W).sum())


def mixture(y: Array, mu: Array) -> float:
    e = np.log1p(((y[:, None] - mu) ** 2).sum(2))
    return float(-logsumexp(-e, axis=1).mean())


def saturating(y: Array, a: Array, b: Array) -> float:
    return float(np.log1p((y - a * np.tanh(b * y)) ** 2).mean() + (b - 2) ** 2)


CASES: dict[str, tuple[str, dict[str, tuple[int, ...]], Callable[..., float]]] = {
    "ICA": (
        "observed y : R[3]\nparam W : R[3, 3]\nF(y) = Σ_k log cosh(W[k, :]'y) - log|det W|",
        {"y": (3,)}, ica,
    ),
    "precision": (
        "observed y : R[3]\nparam L : R[3, 3]\nparam m : R[3]\n"
        "F(y) = 3.5 log(1 + ||L (y - m)||^2 / 4) - log|det L|",
        {"y": (3,)}, student,
    ),
    "network": (
        "observed x : R[4], y : R\nparam W : R[2, 4]\nparam v : R[2]\n"
        "F(x, y) = log cosh(y - Σ_k v_k tanh(W[k, :]'x)) + 0.02 ||W||^2 + 0.02 ||v||^2",
        {"x": (4,), "y": ()}, network,
    ),
    "eliminated": (
        "observed y : R[4]\nlatent z : R[2]\nparam W : R[4, 2]\n"
        "F(y) = min_z Σ_i (y_i - Σ_k tanh(W[i, k]) z_k)^2 + 0.3 ||z||^2 + 0.1 ||W||^2",
        {"y": (4,)}, eliminated,
    ),
    "mixture": (
        "observed y : R[2]\nlatent s : onehot[3]\nparam μ : R[3, 2]\n"
        "F(y) = softmin_s Σ_k s_k log(1 + ||y - μ[k, :]||^2)",
        {"y": (2,)}, mixture,
    ),
    "bounds": (
        "observed y : R\nparam a : positive\nparam b : box(0, 1)\nF(y) = log(1 + (y - a tanh(b y))^2) + (b - 2)^2",
        {"y": ()}, saturating,
    ),
}  # fmt: skip


def drawn(shapes: dict[str, tuple[int, ...]], n: int) -> dict[str, torch.Tensor]:
    g = np.random.default_rng(0)
    made = {}
    for name, shape in shapes.items():
        x = g.laplace(size=(n, *shape))
        made[name] = x @ g.standard_normal((shape[0], shape[0])) + 0.3 if shape else np.abs(x)
    return {k: torch.from_numpy(v) for k, v in made.items()}


def learned(c: Compiled, batch: dict[str, torch.Tensor], seed: int = 1, steps: int = 300) -> Any:
    net = c.build(seed)
    learner = c.module.Learner(net, seed=2)
    learner.start(batch)
    for _ in range(steps):
        metrics = learner.step(batch)
        if learner.converged:
            break
    assert learner.converged
    assert all(float(v) < 1e-7 for k, v in metrics.items() if k.startswith("residual/"))
    return net


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_lower(name: str) -> None:
    text, shapes, energy = CASES[name]
    c = compile_spec(text)
    assert c.plan.schedule == "together" and {d.rule for _, d in c.plan.learning} == {"quasi-Newton"}
    batch = drawn(shapes, N)
    net = learned(c, batch)
    params = [(s, getattr(net, c.python(s)).detach().numpy()) for s in c.model.role("param")]
    given = [v.numpy() for v in batch.values()]
    bounds = np.array([s.domain.row.bounds(s.domain.args) for s, p in params for _ in range(p.size)])
    bounds[:, 0] += [1e-6 * s.domain.row.strict for s, p in params for _ in range(p.size)]

    def value(x: Array) -> float:
        parts = np.split(x, np.cumsum([p.size for _, p in params])[:-1])
        return energy(*given, *(part.reshape(p.shape) for part, (_, p) in zip(parts, params, strict=True)))

    def least(start: Array) -> float:
        return float(minimize(value, start, method="L-BFGS-B", bounds=bounds).fun)

    found = np.concatenate([p.reshape(-1) for _, p in params])
    here = value(found)
    for k, (low, high) in enumerate(bounds):
        up, down = (np.where(np.arange(found.size) == k, found + h, found).clip(*bounds.T) for h in (1e-5, -1e-5))
        assert min(value(up), value(down)) > here - 1e-10, (k, low, high)
    g = np.random.default_rng(3)
    starts = [found, *(g.standard_normal(found.size).clip(*bounds.T) for _ in range(3))]
    assert here <= min(map(least, starts)) + 1e-6


def sources(n: int, d: int, seed: int = 0) -> tuple[torch.Tensor, Array]:
    """Laplace sources mixed, and the mixing."""
    g = np.random.default_rng(seed)
    mixing = g.standard_normal((d, d))
    return torch.from_numpy(g.laplace(size=(n, d)) @ mixing.T), mixing


def apart(W: Array, mixing: Array) -> float:
    """The Amari index, 0 where W A is a scaled permutation (Amari, Cichocki & Yang, NIPS 1996)."""
    p = np.abs(W @ mixing)
    both = ((p / p.max(k, keepdims=True)).sum(k) - 1 for k in (0, 1))
    return float(sum(b.sum() for b in both) / (2 * len(p) * (len(p) - 1)))


ICAS = {
    "as written": ("observed y : R[5]\nparam W : R[5, 5]\nF(y) = Σ_k log cosh(W[k, :]'y) - log|det W|", 1.0),
    "other units": ("observed y : R[5]\nparam W : R[5, 5]\nF(y) = Σ_k log cosh(W[k, :]'y) - log|det W|", 1e-4),
    "another name, order, size": (
        "observed sound : R[5]\nparam B : R[5, 5]\nE(sound) = -300 log|det B| + 300 Σ_j log cosh(2 (B'sound)_j)", 1.0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ICAS)
def test_sources_come_apart(name: str) -> None:
    """On growing shares of 12,000 samples, in float32, whatever the units."""
    text, unit = ICAS[name]
    c = compile_spec(text)
    y, mixing = sources(12_000, 5)
    net = c.module.build(seed=0)
    learner = c.module.Learner(net, seed=1)
    batch = {c.python(c.model.role("observed")[0]): (unit * y).float()}
    learner.start(batch)
    counts, energies = [], []
    while not learner.converged and learner.steps < 40:
        energies.append(float(learner.step(batch)["energy"]))
        counts.append(learner.descent.count)
    assert learner.converged and learner.steps < 25 and float(learner.descent.residual) < 1e-4
    assert counts[0] == 3000 and counts[-1] == 12_000
    (W,) = net.parameters()
    W = W.detach().double().numpy() * unit
    assert apart(W.T if "B" in text else W, mixing) < 0.03


def test_a_resumed_descent_takes_the_same_steps() -> None:
    c = compile_spec(ICAS["as written"][0])
    y, _ = sources(9000, 5)
    batch = {"y": y.float()}

    def begun() -> tuple[Any, Any]:
        net = c.module.build(seed=0)
        return net, c.module.Learner(net, seed=1)

    net, learner = begun()
    learner.start(batch)
    for _ in range(2):
        learner.step(batch)
    saved = {k: v.clone() for k, v in learner.state_dict().items()}, {k: v.clone() for k, v in net.state_dict().items()}
    other, resumed = begun()
    resumed.load_state_dict(saved[0])
    other.load_state_dict(saved[1])
    for _ in range(3):
        assert float(learner.step(batch)["energy"]) == float(resumed.step(batch)["energy"])
    assert torch.equal(net.W, other.W)


REFUSED = {
    "observed y : R[4]\nparam W : R[4, 4]\nF(y) = Σ_k |W[k, :]'y| - log|det W|": "kinks in W",
    "observed y : R[4]\nparam W : R[4, 4]\nF(y) = Σ_k log cosh(W[k, :]'y) - log|det W|\ntrain\n    lr 0.01": "sets lr",
    "observed y : R[4]\nparam W : R[3, 4], unit rows\nF(y) = -Σ_k log cosh(W[k, :]'y)": "more than bounds",
    "observed y : R[4]\nlatent z : R[2]\nparam W : R[4, 2]\n"
    "F(y) = min_z Σ_i (y_i - Σ_k tanh(W[i, k]) z_k)^2 + |z| + 0.1 ||W||^2": "are dear",
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_refusals(text: str) -> None:
    plan = compile_spec(text).plan
    assert plan.schedule == "batches"
    assert REFUSED[text] in next(r.reason for r in plan.learning[0][1].refused if r.rule == "quasi-Newton")
