"""The smallest subgradient of a penalised energy at a point, in float64: what certifies an answer.

The proximal operators here are their own, in numpy, not those of generated code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ebdsl.model.ir import Symbol
from ebdsl.runtime import projections

Array = np.ndarray


def smallest_subgradient(
    z: Array, slope: Array, penalties: list[tuple[str, Array, tuple[int, ...]]], s: Symbol, share: float = 1e-5
) -> Array:
    """For each row the largest entry of the element of least norm of ``slope + ∂R(z) + N(z)``, ``inf`` outside.

    It is the limit of ``(z - prox_tR(z - t slope)) / t`` for small steps ``t`` (Parikh & Boyd 2014, section 3.2).
    A step moves by ``share`` of the point's size, which has to be more than the digits that the point is known to.
    """
    rows = len(z)
    inside = _prox(z, 0.0, penalties, s)
    outside = np.abs(inside - z).reshape(rows, -1).max(1) > 1e-5 * np.maximum(1, np.abs(z).reshape(rows, -1).max(1))
    size = np.abs(inside).reshape(rows, -1).max(1)
    steep = np.abs(slope).reshape(rows, -1).max(1)
    t = np.where(size > 0, share * size, 1.0) / np.where(steep > 0, steep, 1.0)
    t = t.reshape(-1, *[1] * (z.ndim - 1))
    moved = _prox(inside - t * slope, t, penalties, s)
    found = (np.abs(inside - moved) / t).reshape(rows, -1).max(1)
    return np.where(outside, np.inf, found)


def lowest_by_steps(
    z: dict[Symbol, Array],
    smooth: Callable[[dict[Symbol, Array]], Array],
    slopes: Callable[[dict[Symbol, Array]], dict[Symbol, Array]],
    energy: Callable[[dict[Symbol, Array]], Array],
    penalties: dict[Symbol, list[tuple[str, Array, tuple[int, ...]]]],
    steps: int = 100,
) -> Array:
    """The energy ``(B,)`` that proximal steps from ``z`` reach: none that they come below is a minimum.

    Step sizes are halved until the quadratic bound holds (Beck & Teboulle 2009), and grow again.
    """
    rows = len(next(iter(z.values())))
    value, slope = smooth(z), slopes(z)
    t = 1 / np.maximum(sum(np.abs(g).reshape(rows, -1).max(1) for g in slope.values()), 1e-12)
    for _ in range(steps):
        wide = {s: t.reshape(-1, *[1] * (x.ndim - 1)) for s, x in z.items()}
        new = {s: _prox(x - wide[s] * slope[s], wide[s], penalties[s], s) for s, x in z.items()}
        far = {s: (new[s] - x).reshape(rows, -1) for s, x in z.items()}
        ahead = sum((d * slope[s].reshape(rows, -1)).sum(1) + (d * d).sum(1) / (2 * t) for s, d in far.items())
        reached = smooth(new)
        good = reached <= value + ahead + 1e-12 * np.abs(value)
        z = {s: np.where(good.reshape(-1, *[1] * (x.ndim - 1)), new[s], x) for s, x in z.items()}
        value, t = np.where(good, reached, value), np.where(good, 1.5 * t, t / 2)
        slope = slopes(z)
    return energy(z)


def _prox(v: Array, t: Any, penalties: list[tuple[str, Array, tuple[int, ...]]], s: Symbol) -> Array:
    """``argmin_x t R(x) + ½‖x - v‖²`` over the domain, one sample a row: entries, then groups, then the domain."""
    kind = s.domain.kind
    for name, weight, _ in penalties:
        if name == "l1":
            straight = kind in ("nonnegative", "simplex") or any(p[0] == "entropy" for p in penalties)
            v = v - t * weight if straight else np.sign(v) * np.maximum(np.abs(v) - t * weight, 0)
    entropies = [weight for name, weight, _ in penalties if name == "entropy"]
    if entropies:
        return _of_entropy(v, np.broadcast_to(t * sum(entropies), v.shape), s)
    if kind == "nonnegative":
        v = np.maximum(v, 0)
    for name, weight, within in sorted(penalties, key=lambda p: (len(p[2]), p[0] == "group")):
        axes = tuple(k + 1 for k in within)
        if name == "group":
            norm = np.sqrt((v**2).sum(axes, keepdims=True))
            v = v * np.maximum(1 - t * weight / np.maximum(norm, 1e-300), 0)
        elif name != "l1":
            v = _of_groups(name, v, t * weight, axes)
    if kind not in ("real", "nonnegative"):
        project = getattr(projections, s.domain.row.project or "")
        v = project(torch.from_numpy(np.ascontiguousarray(v)), *s.domain.args).numpy()
    return v


def _of_entropy(v: Array, t: Array, s: Symbol) -> Array:
    """``argmin t Σ x log x + ½‖x - v‖²`` over the domain, by bisection: first of the entries, then of a multiplier."""

    def entries(shift: Any) -> Array:
        """``log x`` lies between where x is 0 as a number and where ``x + t log x`` is surely above its aim."""
        aim = v - shift - t
        low, high = np.full_like(aim, -745.0), np.log(np.maximum(aim, 1))
        for _ in range(60):
            middle = (low + high) / 2
            above = np.exp(middle) + t * middle > aim
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return np.exp(high)

    if s.domain.kind != "simplex":
        found = entries(0.0)
        low, high = s.domain.row.bounds(s.domain.args)
        return np.clip(found, low, high)
    low = v.max(-1, keepdims=True) - t.max(-1, keepdims=True) * (1 + np.log(v.shape[-1] + 1.0)) - 1
    high = (v + 800 * t).max(-1, keepdims=True)
    for _ in range(60):
        middle = (low + high) / 2
        above = entries(middle).sum(-1, keepdims=True) > 1
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return entries(high)


def _of_groups(name: str, v: Array, t: Any, axes: tuple[int, ...]) -> Array:
    """The operator of a greatest entry, or of a norm of singular values, of the groups over ``axes``."""
    last = tuple(range(-len(axes), 0))
    moved = np.moveaxis(v, axes, last)
    lead = moved.shape[: -len(axes)]
    t = np.broadcast_to(np.moveaxis(np.broadcast_to(t, _ones(v, axes)), axes, last), (*lead, *[1] * len(axes)))
    if name in ("nuclear", "spectral"):
        u, s, w = np.linalg.svd(moved, full_matrices=False)
        shrunk = np.maximum(s - t[..., 0], 0) if name == "nuclear" else np.minimum(s, _level(s, t[..., 0, 0]))
        found = (u * shrunk[..., None, :]) @ w
    else:
        rows, amount = moved.reshape(*lead, -1), t.reshape(lead)
        if name == "inf":
            level = np.maximum(_level(np.abs(rows), amount), 0)
            rows = np.clip(rows, -level, level)
        else:
            rows = np.minimum(rows, _level(rows, amount))
        found = rows.reshape(moved.shape)
    return np.moveaxis(found, last, axes)


def _ones(v: Array, axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 if k in axes else n for k, n in enumerate(v.shape))


def _level(v: Array, amount: Array) -> Array:
    """What ``v`` exceeds by ``amount`` in all along the last axis: the best of the levels above k entries."""
    ordered = -np.sort(-v, -1)
    return ((ordered.cumsum(-1) - amount[..., None]) / np.arange(1, v.shape[-1] + 1)).max(-1, keepdims=True)
