"""Can changing one entry alone lower the energy? Certificates of coordinate descent, in float64.

An entry's energy given the others is a parabola plus its penalty. It is searched on a grid and by golden sections, with
values of the naive interpreter; no proximal operator of generated code is used.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ebdsl.facts.sizes import sizes
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
    parts = []
    for z in latents:
        p = by_symbol.get(z)
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
        asked = scale[0] if quadratic else np.nan_to_num(np.median(scale, 0), posinf=0)
        return Verdict(worst, asked, table(energy, given, ()))

    measure = "what one entry alone could still lower, as a slope" if quadratic else "slope of an entry as it is"
    return residual, measure, quadratic


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
