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
    past, steps = request["past"] or _width(request, 0, 1), request["steps"] or _width(request, 1, 2)
    where = request.rng.uniform(-0.5, 0.5, (n, 1))
    drift = request.rng.uniform(-0.3, 0.3, (n, 1)) if past > 1 else np.zeros((n, 1))
    side = request.rng.integers(2, size=n)
    before, after = np.arange(-past, 0) / past, np.arange(1, steps + 1) / steps
    x = where + drift * before
    y = where + (drift + np.where(side == 0, -1.0, 1.0)[:, None]) * after
    what = f"bounces: from where a ball was at {past} earlier times, where it is at {steps} later ones, left or right"
    return _pair(x, y, request, what, side)


def branches(request: Request) -> Raw:
    n, k = request["n"], request["k"]
    x = request.rng.uniform(-1, 1, (n, 1))
    branch = request.rng.integers(k, size=n)
    level = np.linspace(-1, 1, k)[branch] if k > 1 else np.zeros(n)
    open_ = 1 / (1 + np.exp(-6 * x))
    return _pair(
        x, open_ * level[:, None] + 0.2 * np.sin(3 * x), request, f"pairs: {k} branches that part as x grows", branch
    )


def _width(request: Request, which: int, default: int) -> int:
    """Entries of the first or second of two observed vectors, ``default`` where that is open."""
    shapes = list(request.wanted.values())
    size = shapes[which][0] if len(shapes) == 2 and len(shapes[which]) == 1 else None
    return size or default


register(
    Source(
        "ellipse",
        "pairs with y on an ellipse whose half-axes (1.5 x + 2 (1-x), 2 x + 1.5 (1-x)) exp(2x) depend on x in [0, 1] "
        "(Canziani & LeCun, NYU Deep Learning 2021, week 15); a spec that observes y alone gets x = 0, the half-axes "
        "2 and 1.5",
        ellipse,
        (N, _noise(0.05)),
        ("n",),
    )
)
register(
    Source(
        "bounce",
        "a ball hits a post and goes on to the left or to the right, each half of the time. x is where it was at "
        "earlier times, y where it is at later ones, up to 1: y_t = u + (v ± 1) t, with u in [-0.5, 0.5] and v in "
        "[-0.3, 0.3] to be read from x (v = 0 where x is one number, u itself). The mean of the two futures, u + v "
        "t, never happens",
        bounce,
        (
            N,
            Keyword("past", "count", None, "how many earlier times x has; by default as x is declared, else 1", low=1),
            Keyword("steps", "count", None, "how many later times y has; by default as y is declared, else 2", low=1),
            _noise(0.02),
        ),
        ("n",),
    )
)
register(
    Source(
        "branches",
        "pairs with x in [-1, 1]: one y for small x, k of them for large x",
        branches,
        (N, Keyword("k", "count", 2, "how many branches", low=1), _noise(0.05)),
        ("n", "k"),
    )
)
