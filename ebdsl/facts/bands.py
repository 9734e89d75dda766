"""Quadratics whose second derivative is a band along an axis: each step is coupled to those near it alone.

The couplings are read off the algebra: a piece of the second derivative with ``Σ_t shift(t, i, a) shift(t, j, b)``
couples the entries ``t + a`` and ``t + b``, so that the largest ``|b - a|`` is the bandwidth.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from ebdsl.facts.forms import flatten
from ebdsl.model.algebra import contract, degree, expand, multiply, rename, zeroed
from ebdsl.model.derivative import NoDerivative, derivative, fresh_index
from ebdsl.model.ir import ZERO, Axis, Delta, Dim, Node, Shift, Symbol, difference

MOST_PLACES = 3


@dataclass(frozen=True)
class Piece:
    """Second derivative in entries ``row`` of one latent and ``column`` of another, ``time + first`` in the one and
    ``time + second`` in the other; ``time`` None: at these very entries, from the end where they are negative.

    ``value`` is over ``time`` and the other axes of the two latents, ``left`` and ``right``.
    """

    row: int
    column: int
    time: Axis | None
    first: int
    second: int
    left: tuple[Axis, ...]
    right: tuple[Axis, ...]
    value: Node

    @property
    def offset(self) -> int:
        return self.second - self.first


@dataclass(frozen=True)
class Band:
    """``½ x'Qx + b'x`` with Q a band along axis ``places[k]`` of each of ``latents``; ``linear`` b over ``at``."""

    latents: tuple[Symbol, ...]
    places: tuple[int, ...]
    steps: Dim
    width: int
    at: tuple[tuple[Axis, ...], ...]
    linear: tuple[Node, ...]
    pieces: tuple[Piece, ...]

    @property
    def shared(self) -> bool:
        """One matrix for all samples."""
        return not any(s.per_sample for p in self.pieces for s in p.value.symbols)

    def less(self, k: int) -> int:
        """By how many steps the axis of a latent is shorter than the longest."""
        found = difference(self.steps, self.latents[k].shape[self.places[k]])
        assert found is not None
        return found


def band(energy: Node, latents: tuple[Symbol, ...], sequences: int = 0) -> Band | str:
    """The narrowest band in which the second derivative lies, or why there is none. The first axis of the first
    ``sequences`` of the latents is known to be that of time."""
    names = ", ".join(s.name for s in latents)
    if degree(energy, frozenset(latents)) != 2:
        return f"the energy is not quadratic in {names}"
    at = tuple(fresh_index(s) for s in latents)
    twin = tuple(fresh_index(s) for s in latents)
    try:
        gradients = [derivative(energy, s, a) for s, a in zip(latents, at, strict=True)]
        second = {
            (i, j): [] if (d := derivative(gradients[i], latents[j], twin[j])) == ZERO else list(expand(d))
            for i, j in itertools.product(range(len(latents)), repeat=2)
        }
    except NoDerivative:
        return f"the second derivative in {names} is not known"
    found: list[Band] = []
    several = [min(len(s.shape), MOST_PLACES if k >= sequences else 1) for k, s in enumerate(latents)]
    for places in itertools.product(*map(range, several)):
        dims = [s.shape[p] for s, p in zip(latents, places, strict=True)]
        beside = [difference(d, dims[0]) for d in dims]
        if any(b is None for b in beside):
            continue
        steps = dims[max(range(len(dims)), key=lambda k: (beside[k] or 0, -k))]
        pieces = [piece(n, i, j, at[i], twin[j], places[i], places[j]) for (i, j), ns in second.items() for n in ns]
        linked = [p for p in pieces if p is not None]
        if len(linked) < len(pieces):
            continue
        width = max((abs(p.offset) for p in linked), default=0)
        linear = tuple(zeroed(g, latents) for g in gradients)
        found.append(Band(latents, places, steps, width, at, linear, tuple(linked)))
    if not found:
        return f"no axis along which only near entries are coupled was found in {names}"
    return min(found, key=lambda b: (b.width == 0, b.width))


def piece(
    node: Node, row: int, column: int, at: tuple[Axis, ...], twin: tuple[Axis, ...], p: int, q: int
) -> Piece | None:
    """One addend of a second derivative, its two steps told apart; None where these are not coupled by a shift."""
    axes, factors = flatten(node)
    i, j = at[p], twin[q]
    links = [f for f in factors if isinstance(f, Delta | Shift) and (i in f.free or j in f.free)]
    rest = multiply(*(f for f in factors if f not in links))
    time: Axis | None
    match links:
        case [Delta(a, b)] if {a, b} == {i, j}:
            time, first, second, rest = i, 0, 0, rename(rest, {j: i})
        case [Shift(a, b, offset)] if (a, b) == (i, j):
            time, first, second = i, 0, offset
        case [Shift(a, b, offset)] if (a, b) == (j, i):
            time, first, second = j, offset, 0
        case [Shift(t, a, m), Shift(u, b, n)] if t == u and t in axes and {a, b} == {i, j}:
            time, first, second = (t, m, n) if a == i else (t, n, m)
        case [Delta() as a, Delta() as b]:
            fixed: dict[Axis, int] = {}
            for d in (a, b):
                free = [x for x in (d.left, d.right) if isinstance(x, Axis)]
                places = [x for x in (d.left, d.right) if isinstance(x, int)]
                if len(free) != 1 or len(places) != 1:
                    return None
                fixed[free[0]] = places[0]
            if set(fixed) != {i, j} or (fixed[i] < 0) != (fixed[j] < 0):
                return None
            time, first, second = None, fixed[i], fixed[j]
        case _:
            return None
    if rest.free & ({i, j} - ({time} if time is not None else set())):
        return None
    value = contract(rest, tuple(a for a in axes if a != time))
    left = tuple(a for k, a in enumerate(at) if k != p)
    right = tuple(a for k, a in enumerate(twin) if k != q)
    return Piece(row, column, time, first, second, left, right, value)
