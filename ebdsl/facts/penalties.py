"""Penalties whose proximal operator is known: matched by their algebra, combined where that is exact."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from ebdsl.facts.convexity import sign
from ebdsl.facts.gauges import gauge
from ebdsl.facts.normal import split
from ebdsl.model.algebra import rename
from ebdsl.model.build import add, mul
from ebdsl.model.ir import ONE, Axis, Fn, Get, Lit, Mul, Node, Pow, Sum, Symbol


@dataclass(frozen=True)
class Penalty:
    """``l1``: ``Σ weight |z|``; ``entropy``: ``Σ weight z log z``; else ``Σ weight f(z_g)`` with ``f`` a row of
    ``GAUGES``, ``group`` the Euclidean norm. ``within``: the places of a group's own axes.

    ``weight`` is over the axes ``at`` (those of the symbol, without ``within`` ones for a group).
    """

    kind: str
    symbol: Symbol
    weight: Node
    at: tuple[Axis, ...]
    within: tuple[int, ...] = ()


def match(addend: Node, symbol: Symbol) -> Penalty | str:
    """The penalty that an addend is, or why it is none."""
    part = split(addend, frozenset({symbol}))
    core, axes, weight = part.core, part.axes, part.weight
    if isinstance(core, Fn) and core.atom == "abs":
        entry, scale = entry_of(core.args[0], symbol)
        if entry is None:
            return f"the absolute value is not of entries of {symbol.name} alone"
        at = whole_axes(entry, axes)
        if at is None:
            return f"it does not hold each entry of {symbol.name} once"
        weight = mul(weight, _absolute(scale))
        return _signed(Penalty("l1", symbol, weight, at))
    if isinstance(core, Fn) and core.atom == "xlogx":
        (z,) = core.args
        at = whole_axes(z, axes) if isinstance(z, Get) and z.symbol == symbol else None
        if at is None:
            return f"it is not the entropy of the entries of {symbol.name}"
        return _signed(Penalty("entropy", symbol, weight, at))
    if isinstance(core, Pow) and core.exponent == Lit(0.5):
        inner = core.base
        if isinstance(inner, Sum):
            body, within = inner.body, inner.axes
        else:
            body, within = inner, ()
        scale = ONE
        if isinstance(body, Mul):
            squares = [f for f in body.factors if symbol in f.symbols]
            rest = mul(*(f for f in body.factors if symbol not in f.symbols))
            if len(squares) != 1 or rest.free or rest.symbols - {s for s in rest.symbols if s.role == "const"}:
                return "the weights inside the root differ"
            body, scale = squares[0], Pow(rest, Lit(0.5))
        if not (isinstance(body, Pow) and body.exponent == Lit(2.0)):
            return f"the root is not of a sum of squares of entries of {symbol.name}"
        entry, inside = entry_of(body.base, symbol)
        if entry is None:
            return f"the norm is not of entries of {symbol.name} alone"
        at = whole_axes(entry, (*axes, *within))
        if at is None:
            return f"groups of {symbol.name} overlap or leave entries out"
        places = tuple(k for k, a in enumerate(at) if a in within)
        if any(a in weight.free for a in within):
            return "the weight differs inside a group"
        return _signed(Penalty("group", symbol, mul(weight, scale, _absolute(inside)), at, places))
    found = gauge(core)
    if found is not None:
        kind, body, within = found
        entry, inside = entry_of(body, symbol)
        if entry is None:
            return f"it is not of entries of {symbol.name} alone"
        at = whole_axes(entry, (*axes, *within))
        if at is None:
            return f"groups of {symbol.name} overlap or leave entries out"
        if any(a in weight.free or a in inside.free for a in within):
            return "the weight differs inside a group"
        if kind == "max" and sign(inside) not in ("nonnegative", "positive"):
            return "what it is the greatest of is not known to grow with the entries"
        if kind == "max" and symbol.domain.row.bounds(symbol.domain.args)[0] >= 0:
            kind = "inf"  # the same there, and the sizes' operator keeps signs
        places = tuple(k for k, a in enumerate(at) if a in within)
        return _signed(Penalty(kind, symbol, mul(weight, _absolute(inside)), at, places))
    return "it is none of those that are known"


def is_entropy(node: Node, symbols: frozenset[Symbol]) -> bool:
    """Whether an addend is ``Σ weight z log z``: smooth where it is defined, with a slope that has no end at 0."""
    held = node.symbols & symbols
    found = match(node, *held) if len(held) == 1 else ""
    return isinstance(found, Penalty) and found.kind == "entropy"


def _signed(p: Penalty) -> Penalty | str:
    if sign(p.weight) not in ("nonnegative", "positive"):
        return "its weight is not known to be nonnegative"
    return p


def entry_of(node: Node, symbol: Symbol) -> tuple[Get | None, Node]:
    """``node`` as ``scale · symbol[index]``."""
    if isinstance(node, Get) and node.symbol == symbol:
        return node, ONE
    if isinstance(node, Mul):
        gets = [f for f in node.factors if isinstance(f, Get) and f.symbol == symbol]
        rest = [f for f in node.factors if symbol not in f.symbols]
        if len(gets) == 1 and len(rest) == len(node.factors) - 1:
            return gets[0], mul(*rest)
    return None, ONE


def _absolute(node: Node) -> Node:
    if isinstance(node, Lit):
        return Lit(abs(node.value))
    return node if sign(node) in ("nonnegative", "positive") else Fn("abs", (node,))


def whole_axes(entry: Get, axes: tuple[Axis, ...]) -> tuple[Axis, ...] | None:
    """The entry's axes if the sum runs over each exactly once and over nothing else."""
    at = tuple(i for i in entry.index if isinstance(i, Axis))
    if len(at) != len(entry.index) or len(set(at)) != len(at) or set(at) != set(axes) or len(axes) != len(at):
        return None
    if any(a.dim != d for a, d in zip(at, entry.symbol.shape, strict=True)):
        return None
    return at


ENTRYWISE = ("l1", "entropy")
"""Kinds that are sums over entries."""

RADIAL = {"ball": -1, "ball columns": -2}
"""Domains whose projection only shortens vectors along this axis."""


def combine(symbol: Symbol, penalties: list[Penalty]) -> str | None:
    """Why the penalties and the domain of ``symbol`` have no joint operator here; None where they have.

    The operator of a sum is the composition of operators, entries first, then groups from the inside out, then the
    domain, where each leaves the subgradients of those before it (Yu, On decomposing the proximal map, NIPS 2013,
    theorem 1). What shortens a vector does: norms of nested groups compose (Jenatton et al., JMLR 12, 2011), so do an
    entrywise operator followed by them (sparse group lasso: Friedman et al. 2010) and a ball. To cut sizes at a level
    keeps signs and what is 0. A function of one entry on an interval is clipped; on a simplex absolute values are
    linear and shift the point, as they do beside an entropy, whose entries are positive.
    """
    domain, row = symbol.domain.kind, symbol.domain.row
    groups = groups_of(penalties)
    for (kind, inner), (outer_kind, outer) in pairwise(groups):
        shortens = outer_kind == "group"
        if not (set(inner) < set(outer) or (shortens and inner == outer)):
            return f"groups of {symbol.name} that cross each other have no joint proximal operator"
        if not shortens and not kind == outer_kind == "inf":
            return f"{kind} inside of {outer_kind} has no simple proximal operator"
    if groups and any(p.kind == "entropy" for p in penalties):
        return f"an entropy beside groups of {symbol.name} has no simple proximal operator"
    mixed = [kind for kind, _ in groups if kind not in ("group", "inf")]
    if mixed and (domain == "nonnegative" or any(p.kind == "l1" for p in penalties)):
        return f"{mixed[0]} beside what acts on each entry of {symbol.name} has no simple proximal operator"
    if domain == "real" or not penalties:
        return None if domain == "real" or row.project else f"there is no projection onto {symbol.domain}"
    if domain == "nonnegative":
        return None
    if row.convex and row.whole == 0 and row.project:
        return f"a norm of groups on {symbol.domain} has no simple proximal operator" if groups else None
    if domain in RADIAL:
        along = len(symbol.shape) + RADIAL[domain]
        if all(set(g) == {along} for _, g in groups):
            return None
        return f"the groups of {symbol.name} are not those that {symbol.domain} bounds"
    if domain in ("simplex", "positive") and not groups:
        return None
    kinds = " + ".join(sorted({p.kind for p in penalties}))
    return f"{kinds} on a {domain} has no simple proximal operator"


def groups_of(penalties: list[Penalty]) -> list[tuple[str, tuple[int, ...]]]:
    """What functions of groups are among ``penalties``, with the places of a group's own axes, smaller groups first."""
    found = {(p.kind, tuple(sorted(p.within))) for p in penalties if p.kind not in ENTRYWISE}
    return sorted(found, key=lambda f: (len(f[1]), f[1], f[0] == "group"))


def merged(penalties: list[Penalty], at: tuple[Axis, ...]) -> Node | None:
    """The weights of penalties added up, over the axes ``at``."""
    weights = [rename(p.weight, dict(zip(p.at, at, strict=True))) for p in penalties]
    return add(*weights) if weights else None
