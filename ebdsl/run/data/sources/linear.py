"""Data made by a linear model with a known answer, for tests and for seeing what is recovered."""

from __future__ import annotations

import numpy as np

from ebdsl.run.data.core import Keyword, Raw, Request, Source, Trouble, register

N = Keyword("n", "count", 5000, "how many samples", low=1, high=10_000_000)
D = Keyword("d", "count", None, "dimensions; by default as the observed symbol has them", low=1, high=100_000)
NOISE = Keyword("noise", "number", 0.01, "standard deviation of the Gaussian noise on each entry", low=0)


def _noisy(x: np.ndarray, request: Request) -> np.ndarray:
    return (x + request["noise"] * request.rng.standard_normal(x.shape)).astype(np.float32)


def lowrank(request: Request) -> Raw:
    n, d = request["n"], request["d"] or request.width(20)
    k = request["k"]
    if k > d:
        raise Trouble("EB0603", f"lowrank: k = {k} directions do not fit into d = {d} dimensions", "take a smaller  k")
    basis = np.linalg.qr(request.rng.standard_normal((d, k)))[0]
    widths = np.linspace(2, 1, k)
    codes = request.rng.standard_normal((n, k)) * widths
    y = _noisy(codes @ basis.T, request)
    what = f"{n} samples of {d} numbers near a {k}-dimensional subspace, noise {request['noise']:g}"
    return Raw({"y": y}, what, truth={"basis": basis, "widths": widths})


def sparse(request: Request) -> Raw:
    n, d = request["n"], request["d"] or request.width(20)
    atoms, active = request["atoms"] or 2 * d, request["active"]
    if active > atoms:
        raise Trouble("EB0603", f"sparse: {active} of {atoms} atoms cannot be active", "take a smaller  active")
    dictionary = request.rng.standard_normal((d, atoms))
    dictionary /= np.linalg.norm(dictionary, axis=0)
    codes = np.zeros((n, atoms), np.float32)
    y = np.empty((n, d), np.float32)
    for rows in np.array_split(np.arange(n), max(1, n * atoms // 10_000_000)):
        chosen = request.rng.random((len(rows), atoms)).argpartition(active - 1, axis=1)[:, :active]
        sizes = request.rng.choice([-1, 1], chosen.shape) * (1 + request.rng.exponential(1.0, chosen.shape))
        codes[rows[:, None], chosen] = sizes
        y[rows] = _noisy(codes[rows] @ dictionary.T, request)
    what = f"{n} samples of {d} numbers, each a sum of {active} of {atoms} unit atoms, noise {request['noise']:g}"
    return Raw({"y": y}, what, truth={"atoms": dictionary, "codes": codes})


def laplace(request: Request) -> Raw:
    n, d = request["n"], request["d"] or request.width(2)
    sources = request.rng.laplace(scale=2**-0.5, size=(n, d))
    turns = [np.linalg.qr(request.rng.standard_normal((d, d)))[0] for _ in range(2)]
    mixing = turns[0] * np.linspace(1, 2, d) @ turns[1]
    y = _noisy(sources @ mixing.T, request)
    return Raw({"y": y}, f"{n} mixtures of {d} Laplace sources of variance 1", truth={"mixing": mixing})


register(
    Source(
        "lowrank",
        "points near a subspace, standard deviations along it from 2 down to 1: what PCA finds",
        lowrank,
        (N, D, Keyword("k", "count", 2, "dimension of the subspace", low=1), NOISE),
        ("n", "d", "k"),
    )
)
register(
    Source(
        "sparse",
        "sums of a few random unit atoms with coefficients of size 1 and more: what a dictionary finds",
        sparse,
        (
            N,
            D,
            Keyword("atoms", "count", None, "size of the dictionary, else twice the dimensions", low=1, high=100_000),
            Keyword("active", "count", 3, "atoms in each sample", low=1),
            NOISE,
        ),
        ("n", "d", "atoms"),
    )
)
register(
    Source(
        "laplace",
        "linear mixtures of independent Laplace sources: what ICA takes apart",
        laplace,
        (N, D, Keyword("noise", "number", 0.0, NOISE.doc, low=0)),
        ("n", "d"),
    )
)
