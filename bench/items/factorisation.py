"""Nonnegative factorisation to the energy of the best peer: the generated learner against scikit-learn and by hand.

``Σ ‖y - W z‖²`` with ``W >= 0`` and ``z >= 0``, 10,000 samples of 64 numbers, 16 parts. Each method runs for the fewest
passes of a list that bring it within half a percent of the least energy that scikit-learn's coordinate descent finds
in 1,000; seconds hold everything from the data to parts and codes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.items.training_step import ROOT
from bench.peers.regressions import hals
from bench.rounds import Row, clock, interleave, library
from ebdsl import driver
from ebdsl.diagnostics import Source
from ebdsl.run.load import load

PASSES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 120, 150, 200, 300, 500, 1000)
CLOSE = 1.005

Solve = Callable[[int], tuple[Any, Any]]
"""Passes -> codes ``(n, k)`` and parts ``(m, k)``."""


def run(quick: bool, threads: int) -> tuple[list[Row], dict[str, Any]]:
    n, m, k = (600, 12, 3) if quick else (10_000, 64, 16)
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    parts = drawn(m, k) * (drawn(m, k) < 0.5)
    amounts = -drawn(n, k).clamp_min(1e-6).log() * (drawn(n, k) < 0.4)
    y = (amounts @ parts.T + 0.1 * torch.randn(n, m, generator=generator)).abs()

    def energy(found: tuple[Any, Any]) -> float:
        z, w = (torch.as_tensor(a).double() for a in found)
        return float((y.double() - z @ w.T).square().sum() / n)

    def by_hand(passes: int) -> tuple[Tensor, Tensor]:
        start = torch.Generator().manual_seed(1)
        W = y[torch.randperm(n, generator=start)[:k]].T.contiguous()
        return hals(y, W, (y @ W).clamp_min(0) / W.square().sum(), passes)[::-1]

    ours, peers = learner(y, k), {s: scikit(y, k, s) for s in ("cd", "mu") if library("sklearn")}
    peers["HALS by hand"] = by_hand
    least = energy(next(iter(peers.values()))(1000))
    mine = fewest(ours, energy, CLOSE * least)
    more: dict[str, Any] = {"least energy": round(least, 5), "our steps": mine}
    rows = []
    for name, solve in peers.items():
        shown = f"scikit-learn {name}" if name in ("cd", "mu") else name
        theirs = fewest(solve, energy, CLOSE * least)
        if mine is None or theirs is None:
            more[f"not reached with {PASSES[-1]} passes"] = "ours" if mine is None else shown
            continue
        times = interleave(
            lambda _, p=mine: ours(p), lambda _, f=solve, p=theirs: f(p), 1 if quick else 3, clock(threads)
        )
        rows.append(Row(f"nonnegative factorisation, {n:,} x {m}, {k} parts", *times, f"{shown}, {theirs} passes", 1.0))
    return rows, more


def fewest(solve: Solve, energy: Callable[[tuple[Any, Any]], float], target: float) -> int | None:
    return next((p for p in PASSES if energy(solve(p)) <= target), None)


def learner(y: Tensor, k: int) -> Solve:
    """Steps on all samples, each of some sweeps; the codes are those that the learner keeps, as with the peers."""
    text = (ROOT / "examples" / "nonnegative_factorisation.ebm").read_text(encoding="utf-8")
    found = driver.plan_source(Source("nonnegative_factorisation.ebm", text.replace("K = 4", f"K = {k}"))).value
    assert found is not None
    file = load(driver.emit(found))

    def solve(passes: int) -> tuple[Tensor, Tensor]:
        model = file.build(M=y.shape[1], seed=0)
        learning = file.learner(model, len(y), seed=0)
        learning.start({"y": y})
        for _ in range(passes):
            learning.step({"y": y})
        return learning.z, model.W.detach()

    return solve


def scikit(y: Tensor, k: int, solver: str) -> Solve:
    import warnings

    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    seen = np.ascontiguousarray(y.numpy())

    def solve(passes: int) -> tuple[Any, Any]:
        start = "nndsvda" if solver == "mu" else "nndsvd"  # products never leave 0
        model = NMF(k, init=start, solver=solver, tol=0, max_iter=passes, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit_transform(seen), model.components_.T

    return solve
