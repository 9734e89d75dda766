"""Pairs (x, y) with more than one good y for an x."""

from __future__ import annotations

import numpy as np

from ebdsl.run.data.core import Keyword, Raw, Request, Source, register

N = Keyword("n", "count", 2000, "how many pairs", low=1, high=10_000_000)


def _noise(default: float) -> Keyword:
    return Keyword("noise", "number", default, "standard deviation of the Gaussian noise on each entry of y", low=0)


def _pair(x: np.ndarray, y: np.ndarray, request: Request, what: str, label: np.ndarray | None = None) -> Raw:
    y = y + request["noise"] * request.rng.standard_normal(y.shape)
    return Raw(
        {"x": x.astype(np.float32), "y": y.astype(np.float32)},
        f"{len(x)} {what}, noise {request['noise']:g}",
        labels=label,
    )


def ellipse(request: Request) -> Raw:
    n = request["n"]
    conditional = len(request.wanted) != 1
    x = request.rng.uniform(0, 1, (n, 1)) if conditional else np.zeros((n, 1))
    theta = request.rng.uniform(0, 2 * np.pi, n)
    radii = np.concatenate([1.5 * x + 2 * (1 - x), 2 * x + 1.5 * (1 - x)], 1) * np.exp(2 * x)
    y = radii * np.stack([np.cos(theta), np.sin(theta)], 1)
    kind = (
        "pairs: y on an ellipse that x in [0, 1] widens"
        if conditional
        else "points on the ellipse (2 cos θ, 1.5 sin θ)"
    )
    raw = _pair(x, y, request, kind)
    return raw if conditional else Raw({"y": raw.parts["y"]}, raw.what, truth={"theta": theta})


def bounce(request: Request) -> Raw:
    n = request["n"]
    steps = request["steps"] or _last(request, 2)
    x = request.rng.uniform(-0.5, 0.5, (n, 1))
    side = request.rng.integers(2, size=n)
    t = np.arange(1, steps + 1) / steps
    y = x + np.where(side == 0, -1.0, 1.0)[:, None] * t
    return _pair(
        x, y, request, f"bounces: where a ball that comes in at x is at {steps} later times, left or right", side
    )


def branches(request: Request) -> Raw:
    n, k = request["n"], request["k"]
    x = request.rng.uniform(-1, 1, (n, 1))
    branch = request.rng.integers(k, size=n)
    level = np.linspace(-1, 1, k)[branch] if k > 1 else np.zeros(n)
    open_ = 1 / (1 + np.exp(-6 * x))
    return _pair(
        x, open_ * level[:, None] + 0.2 * np.sin(3 * x), request, f"pairs: {k} branches that part as x grows", branch
    )


def _last(request: Request, default: int) -> int:
    shapes = list(request.wanted.values())
    size = shapes[-1][0] if len(shapes) > 1 and len(shapes[-1]) == 1 else None
    return size or default


register(
    Source(
        "ellipse",
        "y on an ellipse whose half-axes (1.5 x + 2 (1-x), 2 x + 1.5 (1-x)) exp(2x) depend on x in [0, "
        "1] (Canziani & LeCun, NYU Deep Learning 2021, "
        "week 15); a spec that observes y alone gets x = 0, the half-axes 2 and 1.5",
        ellipse,
        (N, _noise(0.05)),
        ("n",),
    )
)
register(
    Source(
        "bounce",
        "a ball comes in at x in [-0.5, 0.5] and goes left or right, each half of the time: y_t = x ± t "
        "at equal times up to 1. The mean of the two futures is "
        "one that never happens",
        bounce,
        (
            N,
            Keyword("steps", "count", None, "how many later times y has; by default as y is declared, else 2", low=1),
            _noise(0.02),
        ),
        ("n",),
    )
)
register(
    Source(
        "branches",
        "x in [-1, 1]; one y for small x, k of them for large x",
        branches,
        (N, Keyword("k", "count", 2, "how many branches", low=1), _noise(0.05)),
        ("n", "k"),
    )
)
