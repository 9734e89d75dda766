"""Points off the data, at which a learned energy has to be higher than on it.

Only the variable whose energy is shaped moves; what is given stays. Each kind asks another question: uniform points
whether the energy is high far away, noise whether it knows more than mean and covariance, shuffled entries whether
it knows how entries belong together, neighbours whether its valley is narrow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ebdsl.model.ir import Symbol
from ebdsl.model.model import Model

Arrays = dict[str, np.ndarray]

MARGIN = 0.25
"""By which share of its extent the data's box is enlarged on each side."""
NEAR = 0.25
"""Noise that makes a neighbour, in standard deviations of each entry."""
MOST_CORRELATED = 512
"""Entries up to which Gaussian noise has the data's covariance, and not only its variances."""


@dataclass(frozen=True)
class Points:
    """``arrays`` (n, *shape) by the spec's names; ``said`` tells a person what they are."""

    kind: str
    said: str
    arrays: Arrays


@dataclass(frozen=True)
class Probe:
    """Samples ``on`` the data, and as many ``off`` it of each kind. ``over`` is what differs between them."""

    over: Symbol
    on: Arrays
    off: tuple[Points, ...]


def shaped(model: Model) -> Symbol:
    """The observed variable whose energy is shaped; the last one where the energy holds none."""
    return model.shaped or model.role("observed")[-1]


def probe(model: Model, arrays: Mapping[str, np.ndarray], rows: np.ndarray, most: int, seed: int) -> Probe:
    """At most ``most`` of the samples ``rows`` of ``arrays``, and points off the data made of them; always the same."""
    rng = np.random.default_rng([seed, 0xC0])
    rows = np.sort(rng.choice(rows, most, replace=False)) if len(rows) > most else rows
    on = {s.name: np.asarray(arrays[s.name][rows], np.float64) for s in model.role("observed")}
    over = shaped(model)
    given = len(on) > 1
    makers = _finite(over, given) if over.domain.row.finite else _continuous(over, given)
    y = on[over.name]
    drawn = [(kind, said, make(y, rng)) for kind, said, make in makers]
    return Probe(over, on, tuple(Points(kind, said, {**on, over.name: x}) for kind, said, x in drawn))


def _finite(over: Symbol, given: bool) -> list:
    kind = over.domain.kind
    near = "one entry flipped" if kind == "binary" else "another value"
    result = [
        ("uniform", "any other value, all alike", lambda y, rng: _other(over, y, rng)),
        ("neighbours", f"the data with {near}", lambda y, rng: _beside(over, y, rng)),
    ]
    if given or (kind == "binary" and len(over.shape)):
        result.insert(1, _shuffle(over, given))
    return result


def _continuous(over: Symbol, given: bool) -> list:
    low, high = over.domain.row.bounds(over.domain.args)

    def inside(x: np.ndarray) -> np.ndarray:
        if over.domain.kind == "simplex":
            x = np.maximum(x, 0)
            return x / np.maximum(x.sum(-1, keepdims=True), 1e-12)
        if over.domain.kind == "sphere":
            return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)
        return np.clip(x, low, high)

    def uniform(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if over.domain.row.bounded:
            return over.domain.row.sample(rng, y.shape, over.domain.args)  # type: ignore[misc]
        a, b = box(y)
        return inside(rng.uniform(a, b, y.shape))

    where = "in the whole domain" if over.domain.row.bounded else "in the data's box, half as wide again"
    result = [
        ("uniform", f"uniform points {where}", uniform),
        ("noise", "Gaussian noise with the data's mean and covariance", lambda y, rng: inside(_gaussian(y, rng))),
        (
            "neighbours", f"the data with noise of {NEAR:g} times its spread",
            lambda y, rng: inside(y + NEAR * y.std(0) * rng.standard_normal(y.shape)),
        ),
    ]  # fmt: skip
    if given or len(over.shape):
        result.insert(2, _shuffle(over, given))
    return result


def _shuffle(over: Symbol, given: bool) -> tuple:
    if given:
        return "shuffled", f"{over.name} of other samples", lambda y, rng: y[_deranged(len(y), rng)]
    said = "each entry from another sample"
    return "shuffled", said, lambda y, rng: rng.permuted(y.reshape(len(y), -1), axis=0).reshape(y.shape)


def _deranged(n: int, rng: np.random.Generator) -> np.ndarray:
    """An order in which no sample stays where it was, for n of 2 and more: one random cycle."""
    order = rng.permutation(n)
    out = np.empty(n, np.int64)
    out[order] = np.roll(order, 1)
    return out


def box(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the data's box, enlarged on each side; an entry that never varies has the width of the others."""
    low, high = y.min(0), y.max(0)
    extent = high - low
    some = extent[extent > 0]
    extent = np.where(extent > 0, extent, some.mean() if some.size else 1.0)
    return low - MARGIN * extent, high + MARGIN * extent


def _gaussian(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    flat = y.reshape(len(y), -1)
    n = rng.standard_normal(flat.shape)
    if flat.shape[1] > MOST_CORRELATED or len(flat) < 2:
        return (flat.mean(0) + flat.std(0) * n).reshape(y.shape)
    values, vectors = np.linalg.eigh(np.cov(flat, rowvar=False).reshape(flat.shape[1], flat.shape[1]))
    made = flat.mean(0) + (n * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return made.reshape(y.shape)


def _other(over: Symbol, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A value drawn uniformly from the domain; where it is the sample's own, one beside it."""
    drawn = over.domain.row.sample(rng, y.shape, over.domain.args)  # type: ignore[misc]
    same = (drawn == y).reshape(len(y), -1).all(1)
    if same.any():
        drawn[same] = _beside(over, y[same], rng)
    return drawn


def _beside(over: Symbol, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One flip for entries 0 and 1, the next state (round a random number of steps) for a choice."""
    if over.domain.kind == "binary":
        flat = y.reshape(len(y), int(np.prod(y.shape[1:]))).copy()
        at = rng.integers(flat.shape[1], size=len(flat))
        rows = np.arange(len(flat))
        flat[rows, at] = 1 - flat[rows, at]
        return flat.reshape(y.shape)
    states = y.shape[-1]
    chosen = y.reshape(-1, states).argmax(1)
    moved = (chosen + rng.integers(1, max(states, 2), size=len(chosen))) % states
    return np.eye(states)[moved].reshape(y.shape)
