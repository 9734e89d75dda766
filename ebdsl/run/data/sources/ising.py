"""Binary vectors with pairwise interactions and known parameters."""

from __future__ import annotations

import numpy as np

from ebdsl.run.data.core import Keyword, Raw, Request, Source, register


def ising(request: Request) -> Raw:
    n, d = request["n"], request["d"] or request.width(8)
    rng = request.rng
    couplings = np.triu(rng.standard_normal((d, d)), 1) * request["strength"] / d**0.5
    couplings = couplings + couplings.T
    fields = 0.3 * rng.standard_normal(d)
    spins = _exact(rng, n, couplings, fields) if d <= 16 else _gibbs(rng, n, couplings, fields)
    values = request["values"]
    if values is None:
        values = "spin" if "spin" in request.domains.values() else "binary"
    y = spins if values == "spin" else (spins + 1) / 2
    how = "drawn exactly" if d <= 16 else "after 200 Gibbs sweeps"
    what = f"{n} states of an Ising model of {d} spins in {'{-1, 1}' if values == 'spin' else '{0, 1}'}, {how}"
    return Raw({"y": y.astype(np.float32)}, what, truth={"couplings": couplings, "fields": fields})


def _exact(rng: np.random.Generator, n: int, couplings: np.ndarray, fields: np.ndarray) -> np.ndarray:
    d = len(fields)
    states = 2.0 * ((np.arange(2**d)[:, None] >> np.arange(d)) & 1) - 1
    log = 0.5 * np.einsum("si,ij,sj->s", states, couplings, states, optimize=True) + states @ fields
    p = np.exp(log - log.max())
    return states[rng.choice(len(states), size=n, p=p / p.sum())]


def _gibbs(rng: np.random.Generator, n: int, couplings: np.ndarray, fields: np.ndarray) -> np.ndarray:
    s = 2.0 * rng.integers(2, size=(n, len(fields))) - 1
    for _ in range(200):
        for i in range(len(fields)):
            up = 1 / (1 + np.exp(-2 * (s @ couplings[i] + fields[i])))
            s[:, i] = np.where(rng.random(n) < up, 1.0, -1.0)
    return s


register(
    Source(
        "ising",
        "states of p(s) ∝ exp(½ s'Js + h's) for spins s of ±1, J random, h random; exact up to 16 spins",
        ising,
        (
            Keyword("n", "count", 5000, "how many states", low=1, high=10_000_000),
            Keyword(
                "d",
                "count",
                None,
                "how many spins; by default as the observed symbol has them, else 8",
                low=1,
                high=4096,
            ),
            Keyword("strength", "number", 1.0, "J_ij has standard deviation strength/√d", low=0),
            Keyword(
                "values",
                "word",
                None,
                "`binary` for {0, 1}, `spin` for {-1, 1}; by default as the domain says",
                choices=("binary", "spin"),
            ),
        ),
        ("n", "d"),
    )
)
