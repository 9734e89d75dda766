"""The leading 32 directions of centred data: the generated learner against every solver of scikit-learn and torch.

All have the same float64 residual to a part in ten thousand. The randomised ones are given as many power iterations,
of 1, 2, 4, ..., as that takes them, which is reported.
"""

from __future__ import annotations

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

CASES = {"100,000 x 144": (100_000, 144), "5,000 x 784": (5_000, 784)}
QUICK = {"500 x 60": (500, 60)}
COMPONENTS = 32
SHARE = 1e-4


def run(quick: bool, threads: int) -> tuple[list[Row], dict[str, Any]]:
    rows: list[Row] = []
    more: dict[str, Any] = {}
    for name, size in (QUICK if quick else CASES).items():
        rows += compare(name, *size, 1 if quick else 5, threads, more)
    return rows, more


def compare(name: str, n: int, d: int, rounds: int, threads: int, more: dict[str, Any]) -> list[Row]:
    decomposition = library("sklearn.decomposition")
    y = samples(n, d)
    data, module = torch.from_numpy(y), generated()

    def ours(_: int) -> Tensor:
        model = module.build(D=d, K=COMPONENTS)
        module.Learner(model).step({"y": data})
        return model.W.detach()

    def scikit(solver: str, power: int = 0) -> Any:
        from threadpoolctl import threadpool_limits

        def work(_: int) -> Tensor:
            options = {"iterated_power": power} if power else {}
            with threadpool_limits(threads):
                fitted = decomposition.PCA(COMPONENTS, svd_solver=solver, random_state=0, **options).fit(y)
            return torch.from_numpy(fitted.components_.copy())

        return work

    def lowrank(power: int) -> Any:
        return lambda _: torch.pca_lowrank(data, COMPONENTS + 10, center=False, niter=power)[2].T[:COMPONENTS]

    wanted = residual(data, ours(0))

    def enough(name_: str, powered: Any) -> Any:
        """The peer with as many power iterations as it needs."""
        torch.manual_seed(0)
        power = next((p for p in (1, 2, 4, 8, 16) if residual(data, powered(p)(0)) < wanted * (1 + SHARE)), 32)
        more[f"{name}: power iterations of {name_}"] = power
        return powered(power)

    peers = {f"scikit-learn {s}": scikit(s) for s in ("full", "covariance_eigh", "arpack") if decomposition}
    if decomposition:
        peers["scikit-learn randomized"] = enough("scikit-learn randomized", lambda p: scikit("randomized", p))
    peers["torch pca_lowrank"] = enough("torch pca_lowrank", lowrank)
    rows = []
    for peer, work in peers.items():
        ratio = residual(data, work(0)) / wanted
        if abs(ratio - 1) > 2 * SHARE:
            raise AssertionError(f"{peer}: residual {ratio} times ours")
        mine, theirs = interleave(ours, work, rounds, clock(threads))
        rows.append(Row(f"{name}, {COMPONENTS} components", mine, theirs, peer, limit=1.0))
    return rows


def residual(y: Tensor, rows: Tensor) -> float:
    """``‖y - y W'W‖²`` with orthonormal rows, in float64."""
    w, y = rows.double(), y.double()
    return float(y.square().sum() - (y @ w.T).square().sum())


def samples(n: int, d: int) -> Any:
    """Centred, with directions whose spread falls off."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((d, d)))[0]
    y = (rng.standard_normal((n, d)) * (1 + np.arange(d)) ** -0.7 @ basis).astype(np.float32)
    return y - y.mean(0)


def generated() -> ModuleType:
    text = (ROOT / "specs" / "pca.ebm").read_text(encoding="utf-8")
    found = driver.compile_source(Source("pca.ebm", text), {"K": COMPONENTS})
    assert found.value is not None, found.diagnostics
    return load(found.value)


def on_device(quick: bool, device: str) -> dict[str, tuple[Any, Any, Work]]:
    """The Gram matrix and its eigenvectors; the work is that of the product, of which half is enough."""
    found, module = {}, generated()
    for name, (n, d) in (QUICK if quick else CASES).items():
        data, model = torch.from_numpy(samples(n, d)).to(device), module.build(D=d, K=COMPONENTS).to(device)
        learner = module.Learner(model)
        found[f"{name}, {COMPONENTS} components"] = (
            lambda _, learner=learner, data=data: learner.step({"y": data}),
            lambda _, data=data: torch.linalg.eigh(data.T @ data)[1][:, -COMPONENTS:],
            Work(n * d * d, 4 * n * d),
        )
    return found
