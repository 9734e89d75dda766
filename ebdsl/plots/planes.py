"""Planes to draw an energy over: which two observed numbers vary, and what the others are held at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ebdsl.plots.core import NotApplicable

if TYPE_CHECKING:
    from ebdsl.plots.view import Arrays, View

NEAR = 150
"""Samples that count as near a held value."""


@dataclass(frozen=True)
class Plane:
    """``full`` makes samples of points ``(n, 2)``; ``points`` ``(m, 2)`` is the data that belongs here.

    ``equal`` where both numbers are entries of one variable, so that both axes have one scale.
    """

    full: Callable[[np.ndarray], Arrays]
    points: np.ndarray
    labels: tuple[str, str]
    caption: str = ""
    equal: bool = True


def planes(view: View, most: int = 2000) -> list[Plane]:
    """One plane where all that is observed is two numbers; three where two numbers are left when the others are held.

    Raises :class:`NotApplicable` where the last observed variable is neither.
    """
    samples = view.some(most)
    symbols = view.spec.role("observed")
    widths = {s.name: prod(view.sizes(s)) for s in symbols}
    shapes = {s.name: view.sizes(s) for s in symbols}
    flat = {name: x.reshape(len(x), -1) for name, x in samples.items()}
    if sum(widths.values()) == 2:
        both = np.concatenate(list(flat.values()), axis=1)
        (labels, split) = (
            ((f"{symbols[0].name}₁", f"{symbols[0].name}₂"), None)
            if len(symbols) == 1
            else ((symbols[0].name, symbols[1].name), 1)
        )

        def full(points: np.ndarray) -> Arrays:
            parts = [points] if split is None else [points[:, :1], points[:, 1:]]
            return {n: p.reshape(-1, *shapes[n]).astype(np.float32) for n, p in zip(shapes, parts, strict=True)}

        return [Plane(full, both, labels, equal=split is None)]
    target = symbols[-1].name
    if len(symbols) < 2 or widths[target] != 2:
        there = ", ".join(f"{name} has {width}" for name, width in widths.items())
        raise NotApplicable(f"two observed numbers span a plane, and {there}")
    return [_held(flat, shapes, target, i, near) for i, near in held(flat, target)]


def held(flat: Arrays, target: str, count: int = 3) -> list[tuple[int, np.ndarray]]:
    """Samples at which all but ``target`` is held, spread over the data, and the rows of the samples near each."""
    given = np.concatenate([x for name, x in flat.items() if name != target], axis=1)
    scaled = (given - given.mean(axis=0)) / np.maximum(given.std(axis=0), 1e-9)
    order = np.argsort(scaled[:, 0], kind="stable")
    picked = [int(order[int(q * (len(order) - 1))]) for q in np.linspace(0.1, 0.9, count)]
    out = []
    for i in picked:
        distance = ((scaled - scaled[i]) ** 2).sum(axis=1)
        out.append((i, np.sort(np.argsort(distance, kind="stable")[: min(NEAR, len(order) // 8 + 1)])))
    return out


def _held(flat: Arrays, shapes: dict[str, tuple[int, ...]], target: str, i: int, near: np.ndarray) -> Plane:
    def full(points: np.ndarray) -> Arrays:
        fixed = {n: np.repeat(x[i : i + 1], len(points), axis=0) for n, x in flat.items() if n != target}
        all_ = {**fixed, target: points}
        return {n: all_[n].reshape(-1, *shapes[n]).astype(np.float32) for n in shapes}

    return Plane(full, flat[target][near], (f"{target}₁", f"{target}₂"), caption(flat, target, i))


def caption(flat: Arrays, target: str, i: int) -> str:
    """``x = 0.3``, ``x = (0.3, …)``: what is held."""
    words = []
    for name, x in flat.items():
        if name != target:
            numbers = ", ".join(f"{v:.2f}" for v in x[i][:3]) + (", …" if x.shape[1] > 3 else "")
            words.append(f"{name} = ({numbers})" if x.shape[1] > 1 else f"{name} = {numbers}")
    return ", ".join(words)


def limits(points: np.ndarray, equal: bool, margin: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper corner of what is drawn: the points and a margin around them."""
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.maximum(high - low, 1e-6)
    span = np.full(2, span.max()) if equal else span
    middle = (low + high) / 2
    return middle - span * (0.5 + margin), middle + span * (0.5 + margin)


def grid(low: np.ndarray, high: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two axes ``(n,)`` and their points ``(n², 2)``, the first varying fastest."""
    u, v = np.linspace(low[0], high[0], n), np.linspace(low[1], high[1], n)
    return u, v, np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2)
