"""The greatest of affine maps as a number above all of them: its epigraph (Boyd & Vandenberghe 2004, section 4.1.3)."""

from __future__ import annotations

from ebdsl.facts.convexity import sign
from ebdsl.facts.normal import parts, split
from ebdsl.model.algebra import contract, degree
from ebdsl.model.build import add, mul, neg, sub
from ebdsl.model.domains import REAL
from ebdsl.model.ir import ZERO, Add, Apply, Axis, Fn, Get, Lit, Mul, Node, Symbol

Maps = list[tuple[Node, tuple[Axis, ...]]]
"""Affine nodes, each for all values of its axes."""


def with_heights(energy: Node, held: frozenset[Symbol]) -> tuple[Node, tuple[Symbol, ...]]:
    """The energy with ``w max_i f_i`` as the minimum of ``w t + 2 w Σ_i relu(f_i - t)`` over a new latent t, and those.

    The two are the same: below the greatest of the maps the slope in t is at most ``w - 2 w``, above it is w. Maps may
    be given by absolute values, positive parts and maxima in each other, so long as all that is greatest is affine.
    """
    kept: list[Node] = []
    heights: list[Symbol] = []
    for addend in parts(energy, held)[0]:
        part = split(addend, held)
        maps = _maps(part.core, held) if _greatest(part.core) else None
        if maps is None or sign(part.weight) not in ("nonnegative", "positive"):
            kept.append(addend)
            continue
        t = Symbol(f"height~{len(heights) + 1}", "latent", tuple(a.dim for a in part.axes), REAL)
        at = Get(t, part.axes)
        heights.append(t)
        kept.append(contract(mul(part.weight, at), part.axes))
        for node, axes in maps:
            above = mul(Lit(2.0), part.weight, Fn("relu", (sub(node, at),)))
            kept.append(contract(above, (*part.axes, *axes)))
    return (add(*kept), tuple(heights)) if heights else (energy, ())


def _greatest(core: Node) -> bool:
    return (isinstance(core, Apply) and core.function == "maximum") or (isinstance(core, Fn) and core.atom == "max")


def _maps(node: Node, held: frozenset[Symbol]) -> Maps | None:
    """The affine maps of which ``node`` is the greatest, None where it is not known to be one."""
    if not _bent(node, held):
        return [(node, ())]
    match node:
        case Fn("max", args):
            found = [_maps(a, held) for a in args]
            return None if None in found else [m for f in found if f is not None for m in f]
        case Fn("abs", (inside,)) if degree(inside, held) == 1:
            return [(inside, ()), (neg(inside), ())]
        case Fn("relu", (inside,)):
            below = _maps(inside, held)
            return None if below is None else [*below, (ZERO, ())]
        case Apply("maximum", (inner,), ()):
            below = _maps(inner.body, held)
            return None if below is None else [(n, (*inner.axes, *axes)) for n, axes in below]
        case Mul(factors):
            inner_factors = [f for f in factors if f.symbols & held]
            weight = mul(*(f for f in factors if not f.symbols & held))
            apart = len(inner_factors) == 1 and sign(weight) in ("nonnegative", "positive")
            below = _maps(inner_factors[0], held) if apart else None
            return None if below is None else [(mul(weight, n), axes) for n, axes in below]
        case Add(terms):
            bent = [t for t in terms if _bent(t, held)]
            below = _maps(bent[0], held) if len(bent) == 1 else None
            rest = add(*(t for t in terms if t not in bent))
            return None if below is None else [(add(n, rest), axes) for n, axes in below]
    return None


def _bent(node: Node, held: frozenset[Symbol]) -> bool:
    found = degree(node, held)
    return found is None or found > 1
