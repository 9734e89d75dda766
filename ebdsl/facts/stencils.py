"""Affine maps that put the same few factors at each place of an array: differences, second differences, copies.

With the array's ends joined, or mirrored where that mirrors each map into one of them, there are more places, and the
sum of squares over all of them is diagonal in waves or in cosines. So it bounds ``K'K`` from above: where places are
left out, weights differ, or differences stop in the last row and column, too.
"""

from __future__ import annotations

from dataclasses import dataclass

from ebdsl.facts.composite import Composite
from ebdsl.facts.forms import flatten
from ebdsl.facts.identity import proportional
from ebdsl.facts.modes import ALONE, COSINE, FOURIER
from ebdsl.model.algebra import expand, multiply
from ebdsl.model.build import add
from ebdsl.model.derivative import NoDerivative, derivative, fresh_index
from ebdsl.model.ir import ZERO, Axis, Delta, Lit, Node, Shift, Symbol

Taps = tuple[tuple[tuple[int, ...], float], ...]


@dataclass(frozen=True)
class Stencil:
    """``weight · Σ factor · z[place + offsets]`` at each place; ``taps`` are offsets and factor, in order of offsets.

    ``weight`` may vary over the places ``axes``.
    """

    taps: Taps
    weight: Node
    axes: tuple[Axis, ...]


@dataclass(frozen=True)
class Stencils:
    """All maps of the pieces; ``bases`` says of each axis in which their sum of squares is diagonal, ends mended."""

    maps: tuple[Stencil, ...]
    bases: tuple[str, ...]


def stencils(parts: Composite, z: Symbol) -> Stencils | str:
    """The maps of the pieces as stencils on ``z``, or why they are none."""
    found = []
    for piece in parts.pieces:
        for m in piece.maps:
            one = _read(m.node, (*piece.outer, *m.within), z)
            if isinstance(one, str):
                return one
            found.append(one)
    bases = []
    for k in range(len(z.shape)):
        if all(len({o[k] for o, _ in s.taps}) == 1 for s in found):
            bases.append(ALONE)
        else:
            bases.append(COSINE if _mirrored(found, k) else FOURIER)
    return Stencils(tuple(found), tuple(bases))


def _read(node: Node, own: tuple[Axis, ...], z: Symbol) -> Stencil | str:
    at = fresh_index(z)
    taps: dict[tuple[int, ...], Node] = {}
    places: tuple[Axis, ...] | None = None
    try:
        terms = expand(derivative(node, z, at))
    except NoDerivative:
        return f"a map of {z.name} goes through steps whose derivative is not written out"
    for term in terms:
        axes, factors = flatten(term)
        links = [link(a, factors) for a in at]
        if axes or None in links:
            return f"a map is no sum of few entries of {z.name} for each place"
        followed = tuple(link[0] for link in links if link is not None)
        if places not in (None, followed) or len(set(followed)) < len(followed) or set(followed) != set(own):
            return f"a map is not one of each entry of {z.name}"
        places = followed
        key = tuple(link[1] for link in links if link is not None)
        rest = multiply(*(f for f in factors if not (isinstance(f, Delta | Shift) and f.free & set(at))))
        taps[key] = add(taps.get(key, ZERO), rest)
    taps = {k: v for k, v in taps.items() if v != ZERO}
    if places is None or not taps:
        return f"a map holds nothing of {z.name}"
    first = taps[min(taps)]
    factors_ = [(k, 1.0 if v == first else proportional(v, first)) for k, v in sorted(taps.items())]
    if any(f is None for _, f in factors_):
        return f"the factors of a map of {z.name} differ from place to place"
    scale = first.value if isinstance(first, Lit) else 1.0
    weight = Lit(1.0) if isinstance(first, Lit) else first
    if any(s.per_sample for s in weight.symbols):
        return f"the factors of a map of {z.name} differ from sample to sample"
    return Stencil(tuple((k, scale * f) for k, f in factors_ if f is not None), weight, places)


def link(axis: Axis, factors: tuple[Node, ...]) -> tuple[Axis, int] | None:
    """The axis that an entry's index follows, and how far ahead it is."""
    found = [f for f in factors if isinstance(f, Delta | Shift) and axis in f.free]
    if len(found) != 1:
        return None
    (f,) = found
    if isinstance(f, Shift):
        return (f.left, f.offset) if f.right == axis else None
    other = f.left if f.right == axis else f.right
    return (other, 0) if isinstance(other, Axis) else None


def _mirrored(found: list[Stencil], k: int) -> bool:
    """Whether the maps, turned round along an axis, are the same ones up to signs."""
    if any(s.weight != found[0].weight or s.weight.free for s in found):
        own = [_same([s], [_turned(s, k)]) for s in found]
        return all(own)
    return _same(found, [_turned(s, k) for s in found])


def _turned(s: Stencil, k: int) -> Stencil:
    far = [o[k] for o, _ in s.taps]
    ends = min(far) + max(far)
    taps = sorted(((*o[:k], ends - o[k], *o[k + 1 :]), f) for o, f in s.taps)
    return Stencil(tuple(taps), s.weight, s.axes)


def _same(left: list[Stencil], right: list[Stencil]) -> bool:
    def keys(found: list[Stencil]) -> list[tuple[tuple[tuple[int, ...], float], ...]]:
        result = []
        for s in found:
            start = [min(o[k] for o, _ in s.taps) for k in range(len(s.taps[0][0]))]
            sign = 1.0 if s.taps[0][1] > 0 else -1.0
            moved = ((tuple(a - b for a, b in zip(o, start, strict=True)), round(sign * f, 9)) for o, f in s.taps)
            result.append(tuple(moved))
        return sorted(result)

    return keys(left) == keys(right)
