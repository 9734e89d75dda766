"""Energies ``S(z) + Σ_i R_i(K_i z + c_i)``: what is smooth, and simple penalties of affine maps of a latent."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ebdsl.facts.convexity import sign
from ebdsl.facts.gauges import GAUGES, gauge
from ebdsl.facts.normal import is_smooth, parts, split
from ebdsl.model.algebra import contract, degree, factors_of, freshen, rename, transform
from ebdsl.model.build import add, fresh, mul, neg, power, sub
from ebdsl.model.ir import Add, Apply, Axis, Fn, Get, Lit, Node, Pow, Sum, Symbol


@dataclass(frozen=True)
class Kind:
    """``noun``: what there are of it; ``words``: its proximal operator."""

    noun: str
    words: str


KINDS = {
    "abs": Kind("absolute values", "soft threshold"),
    "relu": Kind("positive parts", "one-sided threshold"),
    "domain": Kind("a constraint", "projection"),
} | {k: Kind(g.noun, g.words) for k, g in GAUGES.items()}


@dataclass(frozen=True)
class Map:
    """``node``, affine in the latent, over the piece's outer axes and its own ``within``."""

    node: Node
    within: tuple[Axis, ...]


@dataclass(frozen=True)
class Piece:
    """``Σ_outer weight · f(maps)``: ``f`` is the absolute value (``abs``), the positive part (``relu``), a row of
    ``GAUGES`` of all maps over all of their axes ``within``, or says that the map lies in the latent's ``domain``.
    """

    kind: str
    outer: tuple[Axis, ...]
    maps: tuple[Map, ...]
    weight: Node

    def is_copy_of(self, symbol: Symbol) -> bool:
        """Whether the piece is about the entries of ``symbol`` as they are, each once."""
        (first, *more) = self.maps
        at = (*self.outer, *first.within)
        return not more and first.node == Get(symbol, at) and tuple(a.dim for a in at) == symbol.shape


@dataclass(frozen=True)
class Composite:
    smooth: Node
    pieces: tuple[Piece, ...]


def composite(energy: Node, *symbols: Symbol) -> Composite | str:
    """The energy as smooth part and pieces in all of the symbols together, or why it is not of this form."""
    held = frozenset(symbols)
    names = ", ".join(s.name for s in symbols)
    smooth: list[Node] = []
    pieces: list[Piece] = []
    for a in parts(_one_sided(energy, held), held)[0]:
        if is_smooth(a, held):
            smooth.append(a)
            continue
        piece = _piece(a, held)
        if isinstance(piece, str):
            return f"a term with kinks in {names} is no simple penalty of a linear map: {piece}"
        if sign(piece.weight) not in ("nonnegative", "positive"):
            return f"the weight of a penalty on {names} is not known to be nonnegative"
        pieces.append(shared(piece))
    for symbol in (s for s in symbols if s.domain.kind != "real"):
        at = tuple(fresh(d) for d in symbol.shape)
        pieces.append(Piece("domain", at, (Map(Get(symbol, at), ()),), Lit(1.0)))
    return Composite(add(*smooth), tuple(pieces))


def shared(piece: Piece) -> Piece:
    """The same with a weight that all samples share: ``w f(m)`` is ``f(w m)``."""
    if not any(s.per_sample for s in piece.weight.symbols):
        return piece
    maps = tuple(Map(mul(piece.weight, m.node), m.within) for m in piece.maps)
    return Piece(piece.kind, piece.outer, maps, Lit(1.0))


def with_bounds(pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
    """Intervals as pieces: ``least`` says that its map is never negative, ``most`` that it is never positive."""
    result = []
    for p in pieces:
        if p.kind != "domain":
            result.append(p)
            continue
        (m,) = p.maps
        assert isinstance(m.node, Get)
        row = m.node.symbol.domain.row
        low, high = row.bounds(m.node.symbol.domain.args)
        for kind, end in (("least", max(low, 1e-6) if row.strict else low), ("most", high)):
            if math.isfinite(end):
                result.append(Piece(kind, p.outer, (Map(sub(m.node, Lit(end)), ()),), Lit(1.0)))
    return tuple(result)


def with_huber(found: Composite, held: frozenset[Symbol]) -> Composite:
    """Huber's function of affine maps as pieces too: a quadratic between two straight ones."""
    smooth, pieces = [], list(found.pieces)
    for a in parts(found.smooth, held)[0]:
        part, core = split(a, held), split(a, held).core
        known = isinstance(core, Fn) and core.atom == "huber1" and sign(part.weight) in ("nonnegative", "positive")
        if known and isinstance(core, Fn) and degree(core.args[0], held) == 1:
            pieces.append(Piece("huber", part.axes, (Map(core.args[0], ()),), part.weight))
        else:
            smooth.append(a)
    return Composite(add(*smooth), tuple(pieces))


def _one_sided(energy: Node, held: frozenset[Symbol]) -> Node:
    """``max(a, b)`` of what is linear as ``b + max(a - b, 0)``, ``min`` likewise; ``relu(|a| - c)``, c at least 0, as
    ``relu(a - c) + relu(-a - c)``.
    """

    def leaf(n: Node) -> Node | None:
        if isinstance(n, Fn) and n.atom == "relu" and n.symbols & held:
            return _dead_zone(n, held)
        if not (isinstance(n, Fn) and n.atom in ("max", "min") and n.symbols & held):
            return None
        degrees = [degree(a, held) for a in n.args]
        if any(d is None or d > 1 for d in degrees):
            return None
        first, second = n.args
        if n.atom == "max":
            return add(second, Fn("relu", (sub(first, second),)))
        return sub(second, Fn("relu", (sub(second, first),)))

    return transform(energy, leaf)


def _dead_zone(n: Fn, held: frozenset[Symbol]) -> Node | None:
    inside, rest = parts(n.args[0], held)
    if len(inside) != 1 or sign(add(*rest)) not in ("nonpositive", "negative"):
        return None
    part = split(inside[0], held)
    core = part.core
    if not isinstance(core, Fn) or core.atom != "abs" or part.axes or degree(core.args[0], held) != 1:
        return None
    if sign(part.weight) not in ("nonnegative", "positive"):
        return None
    at = mul(part.weight, core.args[0])
    return add(Fn("relu", (add(at, *rest),)), Fn("relu", (add(neg(at), *rest),)))


def _piece(addend: Node, held: frozenset[Symbol]) -> Piece | str:
    names = ", ".join(sorted(s.name for s in held))
    part = split(addend, held)
    core, axes, weight = part.core, part.axes, part.weight
    if isinstance(core, Fn) and core.atom in ("abs", "relu"):
        (inside,) = core.args
        if degree(inside, held) != 1:
            return f"what stands in it is not linear in {names}"
        return Piece(core.atom, axes, (Map(inside, ()),), weight)
    if isinstance(core, Pow) and core.exponent == Lit(0.5):
        maps = []
        for square in core.base.terms if isinstance(core.base, Add) else (core.base,):
            square_map = _square(square, held)
            if square_map is None:
                return f"the root is not of a sum of squares of what is linear in {names}"
            maps.append(square_map)
        if any(a in weight.free for m in maps for a in m.within):
            return "the weight differs inside a norm"
        return Piece("group", axes, tuple(maps), weight)
    rows = _longest(core, held)
    if rows is not None:
        return Piece("longest", axes, (rows,), weight)
    found = gauge(core)
    if found is not None:
        kind, inside, within = found
        if degree(inside, held) != 1:
            return f"what stands in it is not linear in {names}"
        return Piece(kind, axes, (Map(inside, within),), weight)
    return "it is neither an absolute value, nor a positive part, nor a norm"


def _longest(core: Node, held: frozenset[Symbol]) -> Map | None:
    """The rows of which ``max_i √(Σ_k (affine)²)`` is the greatest norm."""
    if not (isinstance(core, Apply) and core.function == "maximum" and len(core.args[0].axes) == 1):
        return None
    root, outer = core.args[0].body, core.args[0].axes
    if not (isinstance(root, Pow) and root.exponent == Lit(0.5)):
        return None
    found = _square(root.base, held)
    return None if found is None or len(found.within) != 1 else Map(found.node, (*outer, *found.within))


def _square(node: Node, held: frozenset[Symbol]) -> Map | None:
    """``Σ_within weight · (affine)²`` as the map ``√weight · affine``; a constant is the map itself."""
    body, within = (node.body, node.axes) if isinstance(node, Sum) else (node, ())
    factors = factors_of(body)
    weight = mul(*(f for f in factors if not f.symbols & held))
    inside = [f for f in factors if f.symbols & held]
    if sign(weight) not in ("nonnegative", "positive"):
        return None
    if not inside:
        return Map(power(weight, 0.5), within)
    (first, *more) = inside
    if isinstance(first, Sum) and not more and not within:
        found = _square(first, held)
        return None if found is None else Map(mul(power(weight, 0.5), found.node), found.within)
    if more or not (isinstance(first, Pow) and first.exponent == Lit(2.0)):
        return None
    if degree(first.base, held) != 1:
        return None
    return Map(mul(power(weight, 0.5) if weight != Lit(1.0) else weight, first.base), within)


def squares(pieces: tuple[Piece, ...]) -> Node:
    """``½ Σ (K z + c)²`` over all entries of all maps: its second derivative is ``K'K``."""
    return add(*(_half_square(p, m, Lit(1.0)) for p in pieces for m in p.maps))


def weighted_squares(pieces: tuple[Piece, ...], weights: tuple[Symbol, ...]) -> Node:
    """The same of pieces of one map each, with a symbol's entry before each square."""
    return add(*(_half_square(p, p.maps[0], Get(w, p.outer)) for p, w in zip(pieces, weights, strict=True)))


def _half_square(piece: Piece, m: Map, weight: Node) -> Node:
    renamed = {a: fresh(a.dim) for a in (*piece.outer, *m.within)}
    body, weight = (freshen(rename(n, dict(renamed))) for n in (m.node, weight))
    return contract(mul(Lit(0.5), weight, power(body, 2)), tuple(renamed.values()))
