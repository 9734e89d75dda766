"""Inference along time against the horizon: a trend through 8 series, beside scipy's band solver and a dense one."""

from __future__ import annotations

import math
import sys
import time
import types
from collections.abc import Callable
from typing import Any

from bench.rounds import Row
from ebdsl import driver
from ebdsl.diagnostics import Source

SPEC = """
model trend
observed y : R[L]
latent x : R[L]
F(y) = min_x ||y - x||^2 + 1600 Σ_t (x[t+1] - 2 x[t] + x[t-1])^2
"""
SERIES, DENSE = 8, 1000


def ours() -> types.ModuleType:
    """The generated file, as a module."""
    text = driver.compile_source(Source("trend.ebm", SPEC)).value
    assert text is not None
    module = types.ModuleType("generated_trend")
    sys.modules[module.__name__] = module
    exec(compile(text, "<trend>", "exec"), module.__dict__)
    return module


def seconds(work: Callable[[], Any], rounds: int) -> tuple[float, ...]:
    """Processor time of each of some runs, after one that does not count."""
    work()
    found = []
    for _ in range(rounds):
        begin = time.process_time()
        work()
        found.append(time.process_time() - begin)
    return tuple(found)


def run(quick: bool, threads: int) -> tuple[list[Row], dict[str, Any]]:
    """Rows compare with a peer at one horizon; the exponent is that of our time from 1,000 steps on."""
    import numpy as np
    import torch
    from scipy.linalg import solveh_banded

    module, rng, rounds = ours(), np.random.default_rng(0), 1 if quick else 3
    rows, points = [], []
    for steps in (10, 1000, 3000) if quick else (10, 100, 1000, 3000, 10_000):
        y = np.cumsum(rng.standard_normal((SERIES, steps)), 1)
        net = module.build(L=steps, dtype=torch.float64)
        band = np.zeros((3, steps))
        band[2] = 1 + 1600 * np.r_[1, 5, np.full(steps - 4, 6.0), 5, 1]
        band[1, 1:] = 1600 * np.r_[-2, np.full(steps - 3, -4.0), -2]
        band[0, 2:] = 1600
        given = torch.as_tensor(y)
        taken = seconds(lambda net=net, given=given: net.infer(given), rounds)  # type: ignore[misc]
        peer = seconds(lambda band=band, y=y: solveh_banded(band, y.T), rounds)  # type: ignore[misc]
        np.testing.assert_allclose(
            net.infer(given).latents["x"].numpy(), solveh_banded(band, y.T).T, rtol=1e-6, atol=1e-6
        )
        rows.append(Row(f"{steps} steps, banded", taken, peer, "scipy solveh_banded"))
        if steps <= DENSE:
            d = np.diff(np.eye(steps), 2, axis=0)
            matrix = np.eye(steps) + 1600 * d.T @ d
            dense = seconds(lambda m=matrix, y=y: np.linalg.solve(m, y.T), rounds)  # type: ignore[misc]
            rows.append(Row(f"{steps} steps, dense", taken, dense, "numpy solve"))
        if steps >= 1000:
            points.append((math.log(steps), math.log(min(taken))))
    x, t = (sum(p[k] for p in points) / len(points) for k in (0, 1))
    exponent = sum((a - x) * (b - t) for a, b in points) / sum((a - x) ** 2 for a, _ in points)
    return rows, {"exponent": round(exponent, 3)}
