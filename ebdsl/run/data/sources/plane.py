"""Points of the plane along curves and in clumps: what energy surfaces are drawn over."""

from __future__ import annotations

import numpy as np

from ebdsl.run.data.core import Keyword, Raw, Request, Source, Trouble, register

N = Keyword("n", "count", 2000, "how many points", low=1, high=10_000_000)


def _noise(default: float) -> Keyword:
    return Keyword("noise", "number", default, "standard deviation of the Gaussian noise on each coordinate", low=0)


def _points(x: np.ndarray, request: Request, what: str, labels: np.ndarray | None = None) -> Raw:
    noise = request["noise"]
    x = x + noise * request.rng.standard_normal(x.shape)
    return Raw({"y": x.astype(np.float32)}, f"{len(x)} points {what}, noise {noise:g}", labels=labels)


def spiral(request: Request) -> Raw:
    t = request.rng.random(request["n"]) ** 0.5 * request["turns"] * 2 * np.pi
    r = t / (request["turns"] * 2 * np.pi)
    return _points(np.stack([r * np.cos(t), r * np.sin(t)], 1), request, f"on a spiral of {request['turns']:g} turns")


def parabola(request: Request) -> Raw:
    x = request.rng.uniform(-1, 1, request["n"])
    return _points(np.stack([x, x**2], 1), request, "on the parabola y2 = y1²")


def rings(request: Request) -> Raw:
    k = request["k"]
    label = request.rng.integers(k, size=request["n"])
    t = request.rng.uniform(0, 2 * np.pi, request["n"])
    r = (label + 1) / k
    return _points(np.stack([r * np.cos(t), r * np.sin(t)], 1), request, f"on {k} rings around the origin", label)


def circles(request: Request) -> Raw:
    label = request.rng.integers(2, size=request["n"])
    t = request.rng.uniform(0, 2 * np.pi, request["n"])
    r = np.where(label == 0, 1.0, request["factor"])
    return _points(np.stack([r * np.cos(t), r * np.sin(t)], 1), request, "on two circles, one inside the other", label)


def moons(request: Request) -> Raw:
    label = request.rng.integers(2, size=request["n"])
    t = request.rng.uniform(0, np.pi, request["n"])
    upper = np.stack([np.cos(t) - 0.5, np.sin(t) - 0.25], 1)
    return _points(np.where(label[:, None] == 0, upper, -upper), request, "on two half moons", label)


def blobs(request: Request) -> Raw:
    n, k = request["n"], request["k"]
    dim = request["dim"] or request.width(2)
    if n < k:
        raise Trouble("EB0603", f"blobs: {n} points cannot make {k} clumps", "take a larger  n")
    centres = request.rng.uniform(-1, 1, (k, dim)) * request["spread"]
    label = request.rng.permutation(np.arange(n) % k)
    x = centres[label] + request["sd"] * request.rng.standard_normal((n, dim))
    what = f"{n} points in {k} Gaussian clumps of {dim} dimensions, standard deviation {request['sd']:g}"
    return Raw({"y": x.astype(np.float32)}, what, labels=label)


def mixture(request: Request) -> Raw:
    """Clumps of unequal weight and shape: what a Gaussian mixture has over K-means."""
    n, k = request["n"], request["k"]
    dim = request["dim"] or request.width(2)
    weights = request.rng.dirichlet(np.full(k, 4.0))
    centres = request.rng.uniform(-1, 1, (k, dim)) * request["spread"]
    turns = np.linalg.qr(request.rng.standard_normal((k, dim, dim)))[0]
    widths = np.exp(request.rng.uniform(np.log(0.15), np.log(0.9), (k, dim)))
    label = request.rng.choice(k, size=n, p=weights)
    white = request.rng.standard_normal((n, dim)) * widths[label]
    x = centres[label] + np.einsum("nij,nj->ni", turns[label], white)
    what = f"{n} points of a mixture of {k} stretched Gaussians in {dim} dimensions"
    return Raw({"y": x.astype(np.float32)}, what, labels=label)


def gaussian(request: Request) -> Raw:
    n, dim = request["n"], request["dim"] or request.width(2)
    mixing = request.rng.standard_normal((dim, dim)) / dim**0.5
    x = request.rng.standard_normal((n, dim))
    x = x @ mixing.T if request["correlated"] else x
    kind = "correlated" if request["correlated"] else "standard"
    return Raw({"y": x.astype(np.float32)}, f"{n} points of a {kind} Gaussian in {dim} dimensions")


K = Keyword("k", "count", 5, "how many clumps", low=1)
DIM = Keyword(
    "dim", "count", None, "dimensions; by default as the observed symbol has them, else 2", low=1, high=100_000
)

register(
    Source(
        "spiral",
        "points on a spiral in the plane, of radius 0 to 1",
        spiral,
        (N, _noise(0.02), Keyword("turns", "number", 1.5, "how often it winds", low=0.05, high=50)),
        ("n",),
    )
)
register(Source("parabola", "points near y2 = y1², y1 in [-1, 1]", parabola, (N, _noise(0.03)), ("n",)))
register(
    Source(
        "rings",
        "points on rings around the origin, of radius up to 1; the label is the ring",
        rings,
        (N, _noise(0.02), Keyword("k", "count", 2, "how many rings", low=1)),
        ("n",),
    )
)
register(
    Source(
        "circles",
        "points on a circle of radius 1 and one inside it",
        circles,
        (N, _noise(0.05), Keyword("factor", "number", 0.5, "radius of the inner one", low=0.01, high=1)),
        ("n",),
    )
)
register(Source("moons", "points on two half moons that reach into each other", moons, (N, _noise(0.05)), ("n",)))
register(
    Source(
        "blobs",
        "Gaussian clumps of one size around random centres; the label is the clump",
        blobs,
        (
            N,
            K,
            DIM,
            Keyword("sd", "number", 0.3, "standard deviation of each clump", low=0),
            Keyword("spread", "number", 4.0, "centres are uniform in [-spread, spread]", low=0),
        ),
        ("n", "k", "dim"),
    )
)
register(
    Source(
        "mixture",
        "Gaussian clumps of unequal weight, size and direction; the label is the clump",
        mixture,
        (N, K, DIM, Keyword("spread", "number", 4.0, "centres are uniform in [-spread, spread]", low=0)),
        ("n", "k", "dim"),
    )
)
register(
    Source(
        "gaussian",
        "one Gaussian clump around the origin",
        gaussian,
        (N, DIM, Keyword("correlated", "flag", True, "with a random covariance, else the identity")),
        ("n", "dim"),
    )
)
