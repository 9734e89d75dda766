"""Energies that fall as a latent grows, and end nowhere."""

from __future__ import annotations

import math

from ebdsl.facts.convexity import bounds, sign
from ebdsl.facts.normal import normal, split
from ebdsl.model.algebra import addends
from ebdsl.model.ir import Add, Fn, Get, Lit, Mul, Node, Pow, Sum, Symbol


def falls_without_end(energy: Node, z: Symbol) -> bool:
    """Whether no addend rises with the entries of z, which may grow, and the logarithm of one has a price below 0."""
    if z.domain.row.finite or z.domain.row.whole or z.domain.row.bounds(z.domain.args)[1] < math.inf:
        return False
    held = [a for a in addends(normal(energy)) if z in a.symbols]
    return any(_sinks(a, z) for a in held) and all(direction(a, z) in (-1, 0) for a in held)


def direction(node: Node, z: Symbol) -> int | None:
    """1 where the node never falls as entries of z grow, -1 where it never rises, 0 without z, None where unknown."""
    if z not in node.symbols:
        return 0
    match node:
        case Get():
            return 1
        case Sum(body, _):
            return direction(body, z)
        case Add(terms):
            found = {direction(t, z) for t in terms} - {0}
            return found.pop() if len(found) == 1 else None
        case Mul(factors):
            inside = [f for f in factors if z in f.symbols]
            signs = [sign(f) for f in factors if z not in f.symbols]
            if len(inside) > 1 or "unknown" in signs:
                return None
            return _turned(direction(inside[0], z), sum(s in ("negative", "nonpositive") for s in signs) % 2 == 1)
        case Pow(base, Lit(value)) if bounds(base).nonnegative:
            return _turned(direction(base, z), value < 0)
        case Fn(atom, (inside,)):
            from ebdsl.atoms import SCALARS

            slope = SCALARS[atom].monotone[0]
            known = slope in ("increasing", "decreasing")
            return _turned(direction(inside, z), slope == "decreasing") if known else None
    return None


def _turned(found: int | None, turned: bool) -> int | None:
    return -found if turned and found is not None else found


def _sinks(addend: Node, z: Symbol) -> bool:
    """``-w log(v z + c)`` with w and v greater than 0."""
    part = split(addend, frozenset({z}))
    if not (isinstance(part.core, Fn) and part.core.atom == "log" and sign(part.weight) == "negative"):
        return False
    terms = [split(t, frozenset({z})) for t in addends(part.core.args[0]) if z in t.symbols]
    return all(isinstance(t.core, Get) and not t.axes and sign(t.weight) == "positive" for t in terms)
