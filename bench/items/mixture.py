"""Fifty steps of expectation maximisation from the same start: the generated learner against scikit-learn and by hand.

Full covariances, and diagonal ones. The mean log-likelihood is compared in float64; ours and the one by hand compute in
float32, scikit-learn in the data's float32 as well.
"""

from __future__ import annotations

import math
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.device import Work
from bench.items.training_step import ROOT
from bench.rounds import Row, clock, interleave, library
from ebdsl import driver
from ebdsl.diagnostics import Source
from ebdsl.run.load import load

STEPS = 50
DIAGONAL = """
model diagonal
dim K = 5
observed y : R[D]
latent z : onehot[K]
param μ : R[K, D], τ : R[K, D], > 0, π : simplex[K]
E(y, z) = Σ_k z_k (½ Σ_d τ[k, d] (y_d - μ[k, d])^2 - ½ Σ_d log τ[k, d] - log π_k)
F(y) = softmin_z[1] E(y, z)
"""


def run(quick: bool, threads: int) -> tuple[list[Row], dict[str, Any]]:
    rows: list[Row] = []
    n, d, k = (500, 4, 3) if quick else (20_000, 16, 20)
    for kind in ("full", "diag"):
        rows += compare(kind, n, d, k, 1 if quick else 3, threads)
    return rows, {}


def compare(kind: str, n: int, d: int, k: int, rounds: int, threads: int) -> list[Row]:
    mixture = library("sklearn.mixture")
    y, means, spread, module = problem(kind, n, d, k)
    data = torch.from_numpy(y)

    def ours(_: int) -> tuple[Tensor, Tensor, Tensor]:
        model, learner = begun(module, kind, means, spread)
        for _ in range(STEPS):
            learner.step({"y": data})
        return model.pi.detach(), model.mu.detach(), (model.Lam if kind == "full" else model.tau).detach()

    def scikit(_: int) -> tuple[Tensor, Tensor, Tensor]:
        from threadpoolctl import threadpool_limits

        first = np.broadcast_to(np.diag(spread), (k, d, d)) if kind == "full" else np.broadcast_to(spread, (k, d))
        model = mixture.GaussianMixture(
            k, covariance_type=kind, tol=0, max_iter=STEPS, reg_covar=1e-6, weights_init=np.full(k, 1 / k),
            means_init=means, precisions_init=np.array(first),
        )  # fmt: skip
        with warnings.catch_warnings(), threadpool_limits(threads):
            warnings.simplefilter("ignore")
            model.fit(y)
        return tuple(torch.as_tensor(x) for x in (model.weights_, model.means_, model.precisions_))  # type: ignore[return-value]

    def hand(_: int) -> tuple[Tensor, Tensor, Tensor]:
        return by_hand(data, torch.from_numpy(means), torch.from_numpy(spread), kind)

    wanted = likelihood(data, *ours(0))
    peers = {"scikit-learn": scikit} if mixture else {}
    peers["by hand"] = hand
    rows = []
    for peer, work in peers.items():
        other = likelihood(data, *work(0))
        if abs(wanted - other) > 1e-3 * abs(other):
            raise AssertionError(f"{peer}: log-likelihood {other:g}, ours {wanted:g}")
        mine, theirs = interleave(ours, work, rounds, clock(threads))
        rows.append(Row(f"{kind}, {n:,} x {d}, k = {k}, {STEPS} steps", mine, theirs, peer, limit=1.0))
    return rows


def problem(kind: str, n: int, d: int, k: int) -> tuple[Any, Any, Any, ModuleType]:
    """Samples, means and precisions to begin with, and the generated file."""
    rng = np.random.default_rng(0)
    y = (1.5 * rng.standard_normal((k, d))[rng.integers(k, size=n)] + rng.standard_normal((n, d))).astype(np.float32)
    means = y[rng.choice(n, k, replace=False)]
    text = (ROOT / "specs" / "gmm.ebm").read_text(encoding="utf-8") if kind == "full" else DIAGONAL
    found = driver.compile_source(Source("mixture.ebm", text), {"K": k})
    assert found.value is not None, found.diagnostics
    return y, means, 1 / y.var(0), load(found.value)


def begun(module: ModuleType, kind: str, means: Any, spread: Any, device: str = "cpu") -> tuple[Any, Any]:
    """A network that starts there, and its learner."""
    k, d = means.shape
    model = module.build(D=d, K=k)
    with torch.no_grad():
        model.mu.copy_(torch.from_numpy(means))
        model.pi.fill_(1 / k)
        precision = model.Lam if kind == "full" else model.tau
        precision.copy_(torch.from_numpy(np.diag(spread) if kind == "full" else spread).expand_as(precision))
    model = model.to(device)
    return model, module.Learner(model)


def on_device(quick: bool, device: str) -> dict[str, tuple[Any, Any, Work]]:
    """One step: distances and second moments are products of samples, components and entries."""
    found = {}
    n, d, k = (500, 4, 3) if quick else (200_000, 16, 20)
    for kind in ("full", "diag"):
        y, means, spread, module = problem(kind, n, d, k)
        _, learner = begun(module, kind, means, spread, device)
        data, mu, precision = (torch.from_numpy(a).to(device) for a in (y, means, spread))
        each = d * d if kind == "full" else 2 * d
        found[f"{kind}, {n:,} x {d}, k = {k}, one step"] = (
            lambda _, learner=learner, data=data: learner.step({"y": data}),
            lambda _, data=data, mu=mu, spread=precision, kind=kind: by_hand(data, mu, spread, kind, 1),
            Work(4 * n * k * each, 4 * n * d),
        )
    return found


def by_hand(y: Tensor, mu: Tensor, spread: Tensor, kind: str, steps: int = STEPS) -> tuple[Tensor, Tensor, Tensor]:
    """Expectation maximisation as one would write it."""
    k, n = len(mu), len(y)
    pi = y.new_full((k,), 1 / k)
    precision = (torch.diag(spread) if kind == "full" else spread).expand(k, *([y.shape[1]] * (1 + (kind == "full"))))
    for _ in range(steps):
        r = torch.softmax(scores(y, pi, mu, precision), 1)
        count = r.sum(0)
        pi, mu = count / n, r.T @ y / count[:, None]
        if kind == "full":
            moment = torch.einsum("nk,nd,ne->kde", r, y, y) / count[:, None, None] - mu[:, :, None] * mu[:, None]
            precision = torch.linalg.inv(moment)
        else:
            precision = 1 / (r.T @ y.square() / count[:, None] - mu.square())
    return pi, mu, precision


def scores(y: Tensor, pi: Tensor, mu: Tensor, precision: Tensor) -> Tensor:
    """``log π_k - ½ (y - μ_k)' Λ_k (y - μ_k) + ½ log det Λ_k``, ``(n, k)``."""
    if precision.ndim == 2:
        far = y.square() @ precision.T - 2 * y @ (precision * mu).T + (precision * mu.square()).sum(1)
        return pi.log() - 0.5 * far + 0.5 * precision.log().sum(1)
    root = torch.linalg.cholesky(precision)
    far = torch.stack([((y - m) @ r).square().sum(1) for m, r in zip(mu, root, strict=True)], 1)
    return pi.log() - 0.5 * far + root.diagonal(dim1=1, dim2=2).log().sum(1)


def likelihood(y: Tensor, pi: Tensor, mu: Tensor, precision: Tensor) -> float:
    """The mean log-likelihood, in float64."""
    found = scores(y.double(), pi.double(), mu.double(), precision.double())
    return float(torch.logsumexp(found, 1).mean()) - 0.5 * y.shape[1] * math.log(2 * math.pi)
