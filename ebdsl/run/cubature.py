"""Adaptive integrals of ``exp(-f)`` over boxes, sample by sample, in float64: what certifies a quadrature.

Boxes are halved along every side until the halves agree with the whole (Berntsen, Espelid & Genz, ACM TOMS 17, 1991).
Everything is kept as logarithms, and a box in which f still falls is not given up, so that narrow peaks are found.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
ORDER = {1: 10, 2: 6, 3: 5}
MOST = 200_000
"""Boxes at a time."""
LEVELS = 60
HIDDEN = 0.05
"""Between its nodes f may fall lower in a box, by this share of how much it varies there."""
DEEP = 25.0
"""What lies this much above ``-log total`` weighs nothing."""
ROUGH = 30.0
"""Where f varies no more than this in a box, the nodes see it."""


@dataclass
class Integral:
    """``log_total`` ``(B,)``, ``mean`` and ``spread`` ``(B, d)`` of x, and ``error`` ``(B,)`` relative to the total."""

    log_total: Array
    mean: Array
    spread: Array
    error: Array


def integrate(f: Callable[[Array, Array], Array], edges: list[list[Array]], target: float) -> Integral:
    """Of ``f(rows, x)``, for ``rows`` ``(n,)`` and points ``(n, d)``. ``edges``: where boxes end, by row and side."""
    d = len(edges[0])
    nodes, weights = np.polynomial.legendre.leggauss(ORDER[d])
    unit = np.stack(np.meshgrid(*[(nodes + 1) / 2] * d, indexing="ij"), -1).reshape(-1, d)
    share = np.prod(np.stack(np.meshgrid(*[weights / 2] * d, indexing="ij"), -1).reshape(-1, d), -1)
    corners = np.array(list(itertools.product((0.0, 0.5), repeat=d)))

    def over(rows: Array, low: Array, high: Array) -> tuple[Array, ...]:
        """Log integral, mean, mean square, least and greatest f of each box."""
        x = low[:, None] + (high - low)[:, None] * unit
        value = f(np.repeat(rows, len(unit)), x.reshape(-1, d)).reshape(len(rows), -1)
        value = np.where(np.isnan(value), np.inf, value)
        least = value.min(1)
        mass = share * np.exp(np.where(np.isfinite(least), least, 0)[:, None] - value)
        total = mass.sum(1)
        some = np.where(total > 0, total, 1)[:, None]
        log_total = np.where(total > 0, np.log(some[:, 0]) - np.where(np.isfinite(least), least, 0), -np.inf)
        first, second = (mass[..., None] * x).sum(1) / some, (mass[..., None] * x * x).sum(1) / some
        return log_total + np.log(high - low).sum(1), first, second, least, value.max(1)

    boxes = [
        (k, [a for a, _ in cell], [b for _, b in cell])
        for k, sides in enumerate(edges)
        for cell in itertools.product(*(list(itertools.pairwise(side)) for side in sides))
    ]
    rows = np.array([k for k, _, _ in boxes])
    low, high = (np.array([b[i] for b in boxes], dtype=float).reshape(-1, d) for i in (1, 2))
    found = over(rows, low, high)[0]
    kept: list[tuple[Array, ...]] = []
    count = len(edges)
    error = np.zeros(count)
    for level in range(LEVELS):
        at = (low[:, None] + (high - low)[:, None] * corners).reshape(-1, d)
        size = np.repeat((high - low) / 2, len(corners), 0)
        owner = np.repeat(rows, len(corners))
        parts = over(owner, at, at + size)
        both = [np.concatenate([k[0] for k in kept] + [owner]), np.concatenate([k[1] for k in kept] + [parts[0]])]
        log_total = _by_row(both[0], both[1], count)
        old = np.exp(np.minimum(found - log_total[rows], 700))
        new = np.exp(parts[0] - log_total[owner]).reshape(len(rows), -1).sum(1)
        off = np.abs(old - new)
        hidden = parts[3] - HIDDEN * (parts[4] - parts[3]) < DEEP - log_total[owner]
        unclear = hidden & (parts[4] - parts[3] > ROUGH)
        inside = (np.repeat(off > target / 64, len(corners)) | unclear) & (level < LEVELS - 1)
        if inside.sum() * len(corners) > MOST:
            inside[:] = False
        np.add.at(error, owner, np.where(inside, 0, np.repeat(off / len(corners), len(corners))))
        kept.append((owner[~inside], *(p[~inside] for p in parts[:3])))
        rows, low, high = owner[inside], at[inside], (at + size)[inside]
        found = parts[0][inside]
        if not len(rows):
            break
    owner, logs, first, second = (np.concatenate(x) for x in zip(*kept, strict=True))
    log_total = _by_row(owner, logs, count)
    weight = np.exp(logs - log_total[owner])[:, None]
    mean, square = np.zeros((count, d)), np.zeros((count, d))
    np.add.at(mean, owner, weight * first)
    np.add.at(square, owner, weight * second)
    return Integral(log_total, mean, np.sqrt(np.maximum(square - mean**2, 0)), error)


def _by_row(owner: Array, logs: Array, count: int) -> Array:
    """``log Σ exp`` of the entries of each row."""
    top = np.full(count, -np.inf)
    np.maximum.at(top, owner, logs)
    top = np.where(np.isfinite(top), top, 0)
    total = np.zeros(count)
    np.add.at(total, owner, np.exp(logs - top[owner]))
    with np.errstate(divide="ignore"):
        return top + np.log(total)
