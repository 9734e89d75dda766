"""Can changing one entry alone lower the energy? Certificates of coordinate descent, in float64.

An entry's energy given the others is a parabola plus its penalty. It is searched on a grid and by golden sections, with
values of the naive interpreter; no proximal operator of generated code is used.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ebdsl.facts.sizes import Sizes, sizes
from ebdsl.model.adjoint import gradient
from ebdsl.model.algebra import degree, rename
from ebdsl.model.derivative import NoDerivative, derivative, fresh_index
from ebdsl.model.ir import ZERO, Axis, Node, Symbol
from ebdsl.run.judge import Array, Given, Verdict

Table = Callable[[Node, Given, tuple[Axis, ...]], Array]
GRID = np.linspace(-0.25, 1.25, 121)
GOLDEN = (5**0.5 - 1) / 2
EPS = np.finfo(float).eps


def entrywise(
    energy: Node, latents: tuple[Symbol, ...], table: Table, cold: Callable[[Given], list[Given]]
) -> tuple[Callable[[Given], Verdict], str, bool] | str:
    """What judges a batch, the words for it, and whether the rest of the energy is quadratic; or why there is nothing.

    A residual is a slope: that of an entry as it is, and ``√(2 q d)`` where one of curvature q can lower the energy
    by d. That is known where the rest of the energy is quadratic; else points are judged by their own slopes.
    """
    found = sizes(energy, latents)
    if isinstance(found, str):
        return found
    smooth, penalties = found
    by_symbol = {p.symbol: p for p in penalties}
    quadratic = degree(smooth, frozenset(latents)) == 2
    parts, groups = [], []
    for z in latents:
        p = by_symbol.get(z)
        if p is not None and p.within:
            try:
                groups.append(Groups(p, smooth, quadratic, table))
            except NoDerivative as e:
                return f"there is no derivative of {e}"
            continue
        at, twin = p.at if p else fresh_index(z), fresh_index(z)
        try:
            slope = gradient(smooth, z, at)
            bend = rename(derivative(slope, z, twin), dict(zip(twin, at, strict=True))) if quadratic else ZERO
        except NoDerivative as e:
            return f"there is no derivative of {e}"
        value, first = (p.value, p.slopes[0]) if p else (ZERO, ZERO)
        parts.append((z, at, slope, bend, value, first))

    def residual(given: Given) -> Verdict:
        rows = len(given[latents[0]])
        elsewhere = [given | at for at in cold(given)]
        worst, scale = np.zeros(rows), np.zeros((len(elsewhere), rows))
        for z, at, slope, bend, value, first in parts:

            def height(x: Array, value: Node = value, at: tuple[Axis, ...] = at, z: Symbol = z) -> Array:
                return table(value, given | {z: x}, at)

            def steep(x: Array, first: Node = first, at: tuple[Axis, ...] = at, z: Symbol = z) -> Array:
                return table(first, given | {z: x}, at)

            here = table(slope, given, at)
            left = _slope_left(given[z], here, height, steep, z)
            if quadratic:
                left = np.maximum(left, _jump_left(given[z], here, table(bend, given, at), height, z))
            worst = np.maximum(worst, left.reshape(rows, -1).max(1))
            size = [np.abs(table(slope, there, at)).reshape(rows, -1).max(1) for there in elsewhere]
            scale = np.maximum(scale, np.stack(size))
        for g in groups:
            worst = np.maximum(worst, g.left(given))
            scale = np.maximum(
                scale, np.stack([np.abs(g.slope(there)).reshape(rows, -1).max(1) for there in elsewhere])
            )
        asked = scale[0] if quadratic else np.nan_to_num(np.median(scale, 0), posinf=0)
        return Verdict(worst, asked, table(energy, given, ()))

    one = "one group along its direction" if groups else "one entry alone"
    measure = f"what {one} could still lower, as a slope" if quadratic else "slope of an entry as it is"
    return residual, measure, quadratic


class Groups:
    """Functions of the norms of groups: what a group could lower along its own direction, or down the slope from 0.

    In that direction its norm is one number that is not negative, and is judged as an entry. What of the slope lies
    across it has to vanish.
    """

    def __init__(self, p: Sizes, smooth: Node, quadratic: bool, table: Table) -> None:
        z = p.symbol
        at, twin = fresh_index(z), fresh_index(z)
        slope = gradient(smooth, z, at)
        outer = tuple(a for k, a in enumerate(at) if k not in p.within)
        self.axes = (*outer, *(at[k] for k in p.within))
        self.order = tuple(1 + k for k in (*(k for k in range(len(at)) if k not in p.within), *p.within))
        same: dict[Axis, Axis | int] = {
            b: a for k, (a, b) in enumerate(zip(at, twin, strict=True)) if k not in p.within
        }
        self.bend = rename(derivative(slope, z, twin), same) if quadratic else ZERO
        self.twins = tuple(twin[k] for k in p.within)
        self.p, self.node, self.table = p, slope, table
        self.first = derivative(p.of_size, p.size, p.at)

    def slope(self, given: Given) -> Array:
        """The slope of the rest of the energy, ``(B, groups, m)``."""
        found = self.table(self.node, given, self.axes)
        groups = int(np.prod(found.shape[1 : 1 + len(self.p.at)], dtype=int))
        return found.reshape(len(found), groups, -1)

    def left(self, given: Given) -> Array:
        """What is left of each row, as a slope."""
        p, slope = self.p, self.slope(given)
        z = np.transpose(given[p.symbol], (0, *self.order))
        shape = (len(z), *z.shape[1 : 1 + len(p.at)])
        z = z.reshape(slope.shape)
        norm = np.linalg.norm(z, axis=-1)
        if p.symbol.domain.row.bounds(p.symbol.domain.args)[0] >= 0:  # where 0 is left only upwards
            slope = np.where((z <= 0) & (slope > 0), 0.0, slope)
        way = np.where(norm[..., None] > 0, z, -slope)
        length = np.linalg.norm(way, axis=-1, keepdims=True)
        way = way / np.where(length > 0, length, 1.0)
        along = (slope * way).sum(-1)
        across = np.where(norm > 0, np.abs(slope - along[..., None] * way).max(-1), 0.0)
        bend = np.zeros_like(norm)
        if self.bend != ZERO:
            whole = self.table(self.bend, given, (*self.axes, *self.twins)).reshape(*slope.shape, -1)
            bend = np.linalg.eigvalsh(whole)[..., -1]

        def at(node: Node) -> Callable[[Array], Array]:
            return lambda x: self.table(node, given | {p.size: np.maximum(x, 0).reshape(shape)}, p.at).reshape(x.shape)

        found = _slope_left(norm, along, at(p.of_size), at(self.first), p.size)
        if self.bend != ZERO:
            found = np.maximum(found, _jump_left(norm, along, bend, at(p.of_size), p.size))
        found = np.where(length[..., 0] > 0, found * np.abs(way).max(-1), 0.0)  # as the slope of one entry
        return np.maximum(found, across).reshape(len(z), -1).max(1)


def _slope_left(
    z: Array, slope: Array, height: Callable[[Array], Array], steep: Callable[[Array], Array], s: Symbol
) -> Array:
    """Of each entry the least slope among those at both its sides, 0 where they differ in sign or the penalty jumps."""
    low, high = s.domain.row.bounds(s.domain.args)
    near = 1e-9 * np.where(z != 0, np.abs(z), np.maximum(np.abs(z).max(initial=0), 1e-3))
    with np.errstate(all="ignore"):
        falls, rises = slope + steep(z - near), slope + steep(z + near)
        now = height(z)
        wall = 100 * near * np.abs(slope) + 64 * EPS * np.abs(now)
        falls = np.where((height(z - near) > now + wall) | (z - near < low), -np.inf, falls)
        rises = np.where((height(z + near) > now + wall) | (z + near > high), np.inf, rises)
    outside = (z < low - 1e-5 * max(1, abs(low))) | (z > high + 1e-5 * max(1, abs(high)))
    found = np.where(outside, np.inf, np.where(falls * rises <= 0, 0.0, np.minimum(np.abs(falls), np.abs(rises))))
    return np.where(np.isnan(z) | np.isnan(slope), np.nan, found)


def _jump_left(z: Array, slope: Array, bend: Array, height: Callable[[Array], Array], s: Symbol) -> Array:
    """Of each entry, how much it can lower the energy alone, as a slope."""
    low, high = s.domain.row.bounds(s.domain.args)
    bend = np.maximum(bend, EPS * np.abs(bend).max(initial=0))
    now = height(z)

    def rise(x: Array) -> tuple[Array, Array]:
        """The energy above that of now, and what rounding is of its parts."""
        move, there = x - z, height(x)
        parts = (slope * move, 0.5 * bend * move**2, there, -now)
        return sum(parts), 64 * EPS * sum(np.abs(p) for p in parts)  # type: ignore[return-value]

    aim = np.clip(z - slope / np.where(bend > 0, bend, 1), low, high)
    best, (least, blurred) = z, rise(z)
    for share in (*GRID, *(e for e in (low, high) if np.isfinite(e))):
        x = np.clip(share * aim, low, high) if share in GRID else np.full_like(z, share)
        value, noise = rise(x)
        lower = value < least
        best, least, blurred = np.where(lower, x, best), np.where(lower, value, least), np.where(lower, noise, blurred)
    width = np.abs(aim) * (GRID[1] - GRID[0])
    a, b = np.clip(best - width, low, high), np.clip(best + width, low, high)
    for _ in range(45):
        c, d = b - GOLDEN * (b - a), a + GOLDEN * (b - a)
        left = rise(c)[0] < rise(d)[0]
        a, b = np.where(left, a, c), np.where(left, d, b)
    value, noise = rise((a + b) / 2)
    least, blurred = np.where(value < least, value, least), np.where(value < least, noise, blurred)
    return np.sqrt(2 * bend * np.where(least < -blurred, -least, 0.0))
