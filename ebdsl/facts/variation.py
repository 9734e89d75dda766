"""Energies of a sequence whose neighbours alone are tied, each pair by a price on its difference: total variation.

``Σ_t f_t(z[t]) + up_t max(z[t+1] - z[t], 0) + down_t max(z[t] - z[t+1], 0)``, with f_t quadratic, a kink at 0 and
bounds that all steps share.
"""

from __future__ import annotations

from dataclasses import dataclass

from ebdsl.facts.composite import Composite, Piece
from ebdsl.facts.convexity import sign
from ebdsl.facts.forms import flatten
from ebdsl.facts.identity import proportional
from ebdsl.facts.quadratic import Quadratic, quadratic
from ebdsl.facts.stencils import link
from ebdsl.model.algebra import expand, multiply, rename, zeroed
from ebdsl.model.build import add, fresh, mul, neg
from ebdsl.model.derivative import derivative, fresh_index
from ebdsl.model.ir import ZERO, Axis, Delta, Fn, Node, Shift, Symbol, difference


@dataclass(frozen=True)
class Variation:
    """``form``: the f_t, diagonal, over ``form.at``; ``place``: the axis of the steps. ``up`` and ``down`` are over
    ``edges``, ``form.at`` with one step less. ``below`` and ``above``: the slopes that the kink at 0 adds on either
    side, over ``form.at``.
    """

    latent: Symbol
    place: int
    form: Quadratic
    edges: tuple[Axis, ...]
    up: Node
    down: Node
    below: Node
    above: Node


def variation(parts: Composite, z: Symbol) -> Variation | str:
    """The energy as one of neighbours along an axis of ``z``, or why it is none."""
    form = quadratic(parts.smooth, z)
    if form is None or form.matrix == ZERO:
        return f"nothing is quadratic in {z.name}"
    if not form.diagonal:
        return f"the smooth part couples entries of {z.name}"
    places: set[int] = set()
    up: list[Node] = []
    down: list[Node] = []
    below: list[Node] = []
    above: list[Node] = []
    edges: tuple[Axis, ...] = ()
    for piece in parts.pieces:
        if piece.kind == "domain":
            row = z.domain.row
            if not row.convex or row.whole or row.strict:
                return f"{z.domain} is no interval for each entry"
            continue
        read = _read(piece, z)
        if isinstance(read, str):
            return read
        place, axes, weight = read
        rise: list[Node]
        fall: list[Node]
        if sign(weight) not in ("nonnegative", "positive") and piece.kind == "relu":
            if sign(weight) not in ("nonpositive", "negative"):
                return "the direction in which a step is penalised is not known"
            rise, fall = [], [neg(weight)]
        elif piece.kind == "relu":
            rise, fall = [weight], []
        else:
            rise = fall = [_size(weight)]
        if place is None:
            to = dict(zip(axes, form.at, strict=True))
            above += [rename(n, dict(to)) for n in rise]
            below += [neg(rename(n, dict(to))) for n in fall]
            continue
        places.add(place)
        if not edges:
            edges = tuple(fresh(axes[k].dim) if k == place else a for k, a in enumerate(form.at))
        to = dict(zip(axes, edges, strict=True))
        up += [rename(n, dict(to)) for n in rise]
        down += [rename(n, dict(to)) for n in fall]
    if len(places) != 1:
        return f"{z.name} is tied along several axes" if places else f"no neighbours in {z.name} are tied"
    return Variation(z, places.pop(), form, edges, add(*up), add(*down), add(*below), add(*above))


def _read(piece: Piece, z: Symbol) -> tuple[int | None, tuple[Axis, ...], Node] | str:
    """Of ``weight · (z[t+1] - z[t])`` the place of t, its axes in the latent's order and the weight; of ``weight · z``
    no place."""
    (inside,) = piece.maps
    if zeroed(inside.node, [z]) != ZERO:
        return "what is penalised does not vanish with its difference"
    at = fresh_index(z)
    taps: dict[tuple[tuple[Axis, int], ...], Node] = {}
    for term in expand(derivative(inside.node, z, at)):
        axes, factors = flatten(term)
        links = [link(a, factors) for a in at]
        if axes or None in links:
            return f"an entry of a penalised map holds more of {z.name} than two neighbours"
        rest = multiply(*(f for f in factors if not (isinstance(f, Delta | Shift) and f.free & set(at))))
        key = tuple(link for link in links if link is not None)
        taps[key] = add(taps.get(key, ZERO), rest)
    keys = sorted(taps, key=lambda key: sum(offset for _, offset in key))
    near = keys[0]
    own = tuple(a for a, _ in near)
    if len(set(own)) < len(own) or set(own) != set(piece.outer) or any(taps[k].free - set(own) for k in keys):
        return f"a penalised map is not one of each entry of {z.name}"
    if len(keys) == 1 and all(not offset for _, offset in near) and tuple(a.dim for a in own) == z.shape:
        return None, own, mul(piece.weight, taps[near])
    wide = [k for k in range(len(at)) if near[k] != keys[-1][k]]
    if len(keys) != 2 or len(wide) != 1 or tuple(a for a, _ in keys[1]) != own:
        return f"a penalised map is no difference of two neighbours in {z.name}"
    (place,) = wide
    if any(offset for _, offset in near) or keys[1][place][1] != 1:
        return f"penalised differences in {z.name} are not of next neighbours"
    short = [0 if k != place else 1 for k in range(len(at))]
    if [difference(d, a.dim) for d, a in zip(z.shape, own, strict=True)] != short:
        return f"some neighbours in {z.name} are left out"
    if proportional(taps[keys[1]], neg(taps[near])) != 1.0:
        return f"two neighbours in {z.name} have other factors"
    return place, own, mul(piece.weight, taps[keys[1]])


def _size(node: Node) -> Node:
    known = sign(node)
    if known in ("nonnegative", "positive"):
        return node
    return neg(node) if known in ("nonpositive", "negative") else Fn("abs", (node,))
