"""Functions of each entry's size or each group's norm, in the pieces that a scalar proximal operator goes through.

On a piece where ``φ'`` is convex, ``u - v + t φ'(u)`` is convex in u. So it has at most one root at which
``t φ(u) + ½ (u - v)²`` is least, the largest, and Newton's method from the right goes down to it and never past it;
where it is concave, from the left up to the smallest. With the ends of the pieces these roots are all that a minimum
can be, whether φ is concave, has jumps, or neither.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ebdsl.facts.convexity import bounds, curvature, sign
from ebdsl.facts.normal import Addend, is_smooth, normal, parts, split
from ebdsl.facts.penalties import entry_of, whole_axes
from ebdsl.facts.roots import POINT, STEP, Root, rises_in_logarithm, stationary
from ebdsl.facts.scalar import odd_derivatives, turning_points
from ebdsl.model.algebra import degree, rename, replace_symbol, transform
from ebdsl.model.build import add, lit, mul, neg, power, sub
from ebdsl.model.derivative import derivative
from ebdsl.model.domains import Domain
from ebdsl.model.ir import ONE, ZERO, Add, Apply, Axis, Fn, Get, Lit, Mul, Node, Pow, Sum, Symbol

MOST = 16
"""Pieces beyond which a function is left alone."""
BOUNDS = ("real", "nonnegative", "box")
SIZE = Get(Symbol("size", "latent", (), Domain("nonnegative")))


@dataclass(frozen=True)
class Piece:
    """``value`` of the size between the greatest of ``low`` and the least of ``high``, with two derivatives.

    ``straight``: of degree 2, so that the root is found in one step. ``turned``: its slope is concave, and not convex.
    ``root``: the closed form of the one root that can be least, in ``v`` and ``t`` as :class:`Sizes` names them.
    ``logarithmic``: its slope is convex in the logarithm of the size.
    """

    value: Node
    slope: Node
    bend: Node
    low: tuple[Node, ...] = ()
    high: tuple[Node, ...] = ()
    straight: bool = False
    turned: bool = False
    root: Root | None = None
    logarithmic: bool = False

    @property
    def way(self) -> int:
        """From where Newton's method finds the root: 1 from the right, -1 from the left, 0 from anywhere; 2 from the
        right in the logarithm."""
        return 0 if self.straight else 2 if self.logarithmic else -1 if self.turned else 1

    @property
    def rises(self) -> bool:
        """Whether its slope does not fall, so that the root is its least point."""
        return self.logarithmic or bounds(self.bend).nonnegative


@dataclass(frozen=True)
class Sizes:
    """``Σ value(z)`` over the axes ``at``, where ``value`` is even; the pieces are of ``size[at]``.

    Their roots are of ``point[at]`` and ``step[at]``: v and t. ``of_size`` is ``value`` in them. Where there are places
    ``within`` of a group's own axes, a size is the Euclidean norm of a group, and ``at`` numbers the groups.
    """

    symbol: Symbol
    size: Symbol
    at: tuple[Axis, ...]
    value: Node
    of_size: Node
    pieces: tuple[Piece, ...]
    point: Symbol
    step: Symbol
    within: tuple[int, ...] = ()

    @property
    def closed(self) -> bool:
        """Whether the proximal operator is written out: the roots have closed forms, and bounds do not add cases."""
        low, high = self.symbol.domain.row.bounds(self.symbol.domain.args)
        ends = [e for p in self.pieces for e in (*p.low, *p.high)]
        plain = high == math.inf or (low in (0.0, -high) and all(isinstance(e, Lit) for e in ends))
        return plain and all(p.root is not None for p in self.pieces)

    @property
    def counts(self) -> bool:
        """Whether it is a weight for each entry that is not 0."""
        flat = [p for p in self.pieces if p.slope == ZERO and not p.high and set(p.low) <= {ZERO}]
        zero = [p for p in self.pieces if set(p.high) == {ZERO} and p.value == ZERO]
        return len(self.pieces) == 2 and len(flat) == len(zero) == 1

    @property
    def slopes(self) -> tuple[Node, Node]:
        """The first two derivatives of ``value`` where it has them."""
        entry = Get(self.symbol, self.at)
        x = Get(Symbol("entry", "latent", (), self.symbol.domain))
        first = derivative(_put(self.value, entry, x), x.symbol, ())
        return _put(first, x, entry), _put(derivative(first, x.symbol, ()), x, entry)

    @property
    def convex(self) -> bool:
        if not self.within:
            return curvature(self.value, frozenset({self.symbol})) in ("convex", "affine")
        rises = sign(derivative(self.of_size, self.size, self.at)) in ("nonnegative", "positive")
        return rises and curvature(self.of_size, frozenset({self.size})) in ("convex", "affine")


def sizes(energy: Node, latents: tuple[Symbol, ...]) -> tuple[Node, tuple[Sizes, ...]] | str:
    """The energy as a smooth part and functions of sizes, or why it is none."""
    held = frozenset(latents)
    inside, _ = parts(energy, held)
    smooth: list[Node] = []
    entries: dict[Symbol, list[Part]] = {}
    for a in inside:
        found = _entrywise(a, held)
        if found is None and not is_smooth(a, held):
            found = _groupwise(a, held)
        if found is not None:
            entries.setdefault(found.symbol, []).append(found)
        elif is_smooth(a, held):
            smooth.append(a)
        else:
            return "a term that is not smooth holds more than one entry"
    result = []
    for z, each in entries.items():
        if z.domain.kind not in BOUNDS:
            return f"{z.domain} is more than bounds on each entry of {z.name}"
        if len({p.within for p in each}) > 1:
            return (
                f"functions of entries and of norms of groups of {z.name}, or of several groupings, have no joint prox"
            )
        if each[0].within and z.domain.kind == "box":
            return f"norms of groups of {z.name} between bounds have no scalar proximal operator"
        one = _of_size(z, each)
        if isinstance(one, str):
            return f"the penalty on {z.name} {one}"
        result.append(one)
    return add(*smooth), tuple(result)


@dataclass(frozen=True)
class Part:
    """An addend as a function of each entry, or of each group's norm; ``of_size`` is that in :data:`SIZE`."""

    symbol: Symbol
    at: tuple[Axis, ...]
    value: Node
    of_size: Node
    within: tuple[int, ...] = ()


def _entrywise(addend: Node, latents: frozenset[Symbol]) -> Part | None:
    """An addend as a function of one entry, summed over all, and no quadratic."""
    held = addend.symbols & latents
    if len(held) != 1 or (degree(addend, held) or 3) <= 2:
        return None
    (z,) = held
    part: Addend = split(addend, held)
    gets = {n for n in _walk(part.core) if isinstance(n, Get) and n.symbol == z}
    if len(gets) != 1 or any(isinstance(n, Sum | Apply) and z in n.symbols for n in _walk(part.core)):
        return None
    (entry,) = gets
    at = whole_axes(entry, part.axes) if isinstance(entry, Get) else None
    node = mul(part.weight, part.core)
    if at is None or any(s.per_sample and s != z for s in node.symbols):
        return None
    return Part(z, at, node, replace_symbol(node, z, lambda index: SIZE))


def _groupwise(addend: Node, latents: frozenset[Symbol]) -> Part | None:
    """An addend as a function of one sum of squares ``Σ (c z)²``, summed over groups that hold each entry once."""
    held = addend.symbols & latents
    if len(held) != 1 or (degree(addend, held) or 3) <= 2:
        return None
    (z,) = held
    part: Addend = split(addend, held)
    squares = {n for n in _walk(part.core) if isinstance(n, Sum) and z in n.symbols}
    if len(squares) != 1:
        return None
    (square,) = squares
    assert isinstance(square, Sum)
    scale, core = split(square.body, held).weight, split(square.body, held).core
    if not (isinstance(core, Pow) and core.exponent == Lit(2.0)):
        return None
    entry, inside = entry_of(core.base, z)
    at = whole_axes(entry, (*part.axes, *square.axes)) if entry is not None else None
    norm = mul(scale, power(inside, 2), power(SIZE, 2))
    of_size = normal(_put(mul(part.weight, part.core), square, norm))
    alone = z in of_size.symbols or any(a in of_size.free for a in square.axes)
    if at is None or alone or any(s.per_sample and s != SIZE.symbol for s in of_size.symbols):
        return None
    within = tuple(k for k, a in enumerate(at) if a in square.axes)
    groups = tuple(a for a in at if a not in square.axes)
    return Part(z, groups, mul(part.weight, part.core), of_size, within)


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for c in node.children:
        yield from _walk(c)


def _of_size(z: Symbol, parts: list[Part]) -> Sizes | str:
    at, within = parts[0].at, parts[0].within
    low, _ = z.domain.row.bounds(z.domain.args)
    renamed: list[dict[Axis, Axis | int]] = [dict(zip(p.at, at, strict=True)) for p in parts]
    value = add(*(rename(p.value, to) for p, to in zip(parts, renamed, strict=True)))
    of_size = add(*(rename(p.of_size, to) for p, to in zip(parts, renamed, strict=True)))
    if low < 0 and not within and _parity(value, z) != "even":
        return "is no function of sizes alone"
    of_size = _without_signs(of_size)
    found = _pieces(of_size, (), ())
    if isinstance(found, str):
        return found
    if all(p.value == ZERO for p in found):
        return "is none"
    shape = tuple(d for k, d in enumerate(z.shape) if k not in within)
    size = Symbol(f"{z.name}_size", "latent", shape, Domain("nonnegative"))
    signed = Domain("nonnegative" if low < 0 or within else "real")  # of what has a sign its size is looked at
    point, step = Symbol(f"{z.name}_point", "latent", shape, signed), replace(size, name=f"{z.name}_step")
    entries = {SIZE.symbol: size, POINT.symbol: point, STEP.symbol: step}

    def at_entry(node: Node) -> Node:
        for scalar, own in entries.items():
            node = replace_symbol(node, scalar, lambda index, own=own: Get(own, at))  # type: ignore[misc]
        return node

    pieces = tuple(
        replace(
            p, value=at_entry(p.value), slope=at_entry(p.slope), bend=at_entry(p.bend),
            root=p.root and replace(p.root, coefficients=tuple(map(at_entry, p.root.coefficients))),
        )
        for p in found
    )  # fmt: skip
    return Sizes(z, size, at, value, at_entry(of_size), pieces, point, step, within)


def _parity(node: Node, z: Symbol) -> str | None:
    """``even`` or ``odd`` in z where the form shows it."""
    from ebdsl.atoms import SCALARS

    if z not in node.symbols:
        return "even"
    match node:
        case Get():
            return "odd"
        case Mul(factors):
            each = [_parity(f, z) for f in factors]
            return None if None in each else "odd" if each.count("odd") % 2 else "even"
        case Pow(base, Lit(exponent)):
            inner = _parity(base, z)
            return "even" if inner == "odd" and exponent % 2 == 0 else inner if exponent.is_integer() else _only(inner)
        case Fn(atom, args):
            inners = [_parity(a, z) for a in args]
            if len(args) == 1 and inners == ["odd"]:
                return "even" if SCALARS[atom].even else "odd" if atom == "sign" else None
            return "even" if all(i == "even" for i in inners) else None
    kinds = {_parity(c, z) for c in node.children}
    return kinds.pop() if len(kinds) == 1 else None


def _only(inner: str | None) -> str | None:
    return "even" if inner == "even" else None


def _without_signs(node: Node) -> Node:
    """Absolute values and positive parts of what is never negative undone, its sign as a step."""

    def leaf(n: Node) -> Node | None:
        if isinstance(n, Fn) and n.atom in ("abs", "relu", "sign"):
            inner = _without_signs(n.args[0])
            if sign(inner) in ("nonnegative", "positive"):
                return Fn("step", (inner,)) if n.atom == "sign" else inner
        return None

    return transform(node, leaf)


# --------------------------------------------------------------------------- pieces


def _of_huber(args: tuple[Node, ...]) -> list[tuple[Node, tuple[Node, ...]]]:
    (x,) = args
    middle = mul(lit(0.5), power(x, 2))
    return [
        (middle, (sub(x, ONE), sub(neg(ONE), x))),
        (add(x, lit(-0.5)), (sub(ONE, x),)),
        (sub(lit(-0.5), x), (add(x, ONE),)),
    ]


KINKS: dict[str, Callable[[tuple[Node, ...]], list[tuple[Node, tuple[Node, ...]]]]] = {
    "abs": lambda a: [(neg(a[0]), (a[0],)), (a[0], (neg(a[0]),))],
    "relu": lambda a: [(ZERO, (a[0],)), (a[0], (neg(a[0]),))],
    "step": lambda a: [(ZERO, (a[0],)), (ONE, (neg(a[0]),))],
    "min": lambda a: [(a[0], (sub(a[0], a[1]),)), (a[1], (sub(a[1], a[0]),))],
    "max": lambda a: [(a[0], (sub(a[1], a[0]),)), (a[1], (sub(a[0], a[1]),))],
    "huber1": _of_huber,
}
"""What an atom is in each of its pieces, and what is not positive there."""


def _pieces(value: Node, low: tuple[Node, ...], high: tuple[Node, ...]) -> list[Piece] | str:
    """The pieces of a function of :data:`SIZE`: the innermost atom with a kink is taken apart, and so on."""
    kink = _innermost(value)
    if kink is None:
        return _smooth_piece(value, low, high)
    if kink.atom == "step" and not _rises(value, kink):
        return "jumps down, so that a least value need not exist"
    found: list[Piece] = []
    for branch, conditions in KINKS[kink.atom](kink.args):
        ends = _ends(conditions)
        if isinstance(ends, str):
            return ends
        if ends is None:
            continue
        new = _put(value, kink, branch)
        inner = _pieces(new, tuple(dict.fromkeys((*low, *ends[0]))), tuple(dict.fromkeys((*high, *ends[1]))))
        if isinstance(inner, str):
            return inner
        found += inner
        if len(found) > MOST:
            return f"has more than {MOST} pieces"
    return found


def _innermost(node: Node) -> Fn | None:
    for c in node.children:
        inner = _innermost(c)
        if inner is not None:
            return inner
    return node if isinstance(node, Fn) and node.atom in KINKS and SIZE.symbol in node.symbols else None


def _put(node: Node, old: Node, new: Node) -> Node:
    return transform(node, lambda n: new if n == old else None)


def _rises(value: Node, kink: Node) -> bool:
    """Whether the value is known to rise with one of its atoms."""
    stand_in = Get(Symbol("kink", "latent", (), Domain("box", (0.0, 1.0))))
    slope = derivative(_put(value, kink, stand_in), stand_in.symbol, ())
    return sign(slope) in ("nonnegative", "positive")


def _ends(conditions: tuple[Node, ...]) -> tuple[tuple[Node, ...], tuple[Node, ...]] | str | None:
    """Lower and upper ends of where ``c <= 0`` for all of the conditions; None where that is nowhere."""
    low: list[Node] = []
    high: list[Node] = []
    for c in conditions:
        base, root = _of_power(c)
        if degree(base, frozenset({SIZE.symbol})) not in (0, 1):
            return "has a kink where something curved changes sign"
        steep, level = derivative(base, SIZE.symbol, ()), replace_symbol(base, SIZE.symbol, lambda index: ZERO)
        if steep == ZERO:
            if bounds(level).positive:
                return None
            if not bounds(level).nonpositive:
                return "has pieces that are not known to be apart"
            continue
        end = mul(neg(level), power(steep, -1))
        if bounds(steep).positive:
            if bounds(end).negative:
                return None
            high.append(ZERO if bounds(end).nonpositive else power(end, root))
        elif bounds(steep).negative:
            if not bounds(end).nonpositive:
                low.append(power(end, root))
        else:
            return "has kinks whose order is not known"
    return tuple(low), tuple(high)


def _of_power(condition: Node) -> tuple[Node, float]:
    """A condition on ``size^p`` as one on that number, and ``1/p``."""
    powers = {n for n in _walk(condition) if isinstance(n, Pow) and n.base == SIZE and isinstance(n.exponent, Lit)}
    if len(powers) == 1:
        (found,) = powers
        assert isinstance(found, Pow) and isinstance(found.exponent, Lit)
        changed = _put(condition, found, SIZE)
        if found.exponent.value > 0 and _put(condition, found, ONE).symbols.isdisjoint({SIZE.symbol}):
            return changed, 1 / found.exponent.value
    return condition, 1.0


def _smooth_piece(value: Node, low: tuple[Node, ...], high: tuple[Node, ...]) -> list[Piece] | str:
    u = frozenset({SIZE.symbol})
    if not is_smooth(value, u) and not _powers(value):
        return "has a kink that is not known"
    slope = derivative(value, SIZE.symbol, ())
    bend = derivative(slope, SIZE.symbol, ())
    root = stationary(slope, SIZE)
    straight = SIZE.symbol not in bend.symbols
    if straight:
        if not high and (bounds(bend).low < 0 or (bend == ZERO and not _not_falling(slope))):
            return "is not known to be bounded below"
        return [Piece(value, slope, bend, low, high, True, root=root)]
    if rises_in_logarithm(slope, SIZE):
        return [Piece(value, slope, bend, low, high, root=root, logarithmic=True)]
    rises = sign(slope) in ("nonnegative", "positive") or curvature(value, u) == "concave"
    bent = curvature(slope, u) in ("convex", "affine")
    if not (rises and bent):
        first, third = odd_derivatives(value, SIZE)
        rises, bent = rises or first, bent or third
    turns = [] if bent else turning_points(value, SIZE)
    if not bent and not turns:
        return "has a slope that is not known to be convex in the size, nor in pieces"
    if bounds(value).low == -math.inf:
        return "is not known to be bounded below"
    if not high and not rises:
        return "is not known to rise with the size"
    if not bent:
        return [
            Piece(value, slope, bend, (*low, lit(a)) if a else low, (*high, lit(b)) if b < math.inf else high,
                  turned=turned)
            for a, b, turned in turns
        ]  # fmt: skip
    return [Piece(value, slope, bend, low, high, root=root)]


def _not_falling(slope: Node) -> bool:
    """Whether a slope is at least 0, but for the last digits of the numbers that it is the difference of."""
    terms = [bounds(t) for t in (slope.terms if isinstance(slope, Add) else (slope,))]
    size = max(max(abs(b.low), abs(b.high)) for b in terms)
    return bounds(slope).nonnegative or (size < math.inf and bounds(slope).low >= -1e-12 * size)


def _powers(node: Node) -> bool:
    """Whether all that is not smooth is a power of something never negative, smooth but at 0."""
    u = frozenset({SIZE.symbol})
    if is_smooth(node, u):
        return True
    if isinstance(node, Pow) and isinstance(node.exponent, Lit):
        return bounds(node.base).nonnegative and _powers(node.base)
    if isinstance(node, Fn):
        return False
    return all(_powers(c) for c in node.children)
