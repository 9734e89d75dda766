"""Where ``t φ(u) + ½ (u - v)²`` is least on a piece, as a root of a polynomial that is read off the slope of φ.

A slope that is a ratio of sums of powers makes ``u - v + t φ'(u) = 0`` a polynomial equation in a root ``s`` of u, with
``u = s^m``. Of degree 1 to 3, and of the form ``s⁴ + q s + r``, its largest root has a closed form. So have counts,
caps, MCP and SCAD (degree 1), ``log(ε + u)``, ``u^{3/2}`` and ``u³`` (2), ``√u`` (Xu, Chang, Xu & Zhang 2012),
``u^{4/3}`` and ``u/(ε + u)`` (3), and ``u^{2/3}`` (Cao, Sun & Xu 2013).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from ebdsl.facts.convexity import bounds
from ebdsl.model.build import add, mul, neg
from ebdsl.model.domains import Domain
from ebdsl.model.ir import ONE, ZERO, Add, Get, Lit, Mul, Node, Pow, Symbol

POINT = Get(Symbol("v", "latent", (), Domain("real")))
STEP = Get(Symbol("t", "latent", (), Domain("nonnegative")))

Powers = dict[Fraction, Node]
"""A sum of powers of the size: exponents and what is in front."""
Below = dict[tuple[tuple[Fraction, Node], ...], int]
"""Sums of powers that something is divided by, and how often."""


@dataclass(frozen=True)
class Root:
    """``s^power``, where s is the largest root of the polynomial with these coefficients, from ``s^0`` upwards.

    The coefficients are nodes of :data:`POINT`, :data:`STEP` and weights; the last one is positive, or of a quadratic
    never negative.
    """

    coefficients: tuple[Node, ...]
    power: int = 1

    @property
    def degree(self) -> int:
        return len(self.coefficients) - 1


def stationary(slope: Node, size: Get) -> Root | None:
    """The largest ``u > 0`` with ``u - v + t slope(u) = 0``, where there is a closed form."""
    found = ratio(slope, size)
    if found is None:
        return None
    top, bottom = found[0], _whole(found[1])
    below = [bounds(c) for c in bottom.values()]
    if not (all(b.nonnegative for b in below) and any(b.positive for b in below)):
        return None
    equation = _sum(_product({Fraction(1): ONE, Fraction(0): neg(POINT)}, bottom), _product({Fraction(0): STEP}, top))
    least = min(equation)
    whole = math.lcm(*(e.denominator for e in equation))
    places = {int((e - least) * whole): c for e, c in equation.items()}
    degree = max(places)
    coefficients = tuple(places.get(k, ZERO) for k in range(degree + 1))
    last = bounds(coefficients[-1])
    known = degree <= 3 or (degree == 4 and set(places) <= {0, 1, 4})
    signed = degree == 1 or last.positive or (degree == 2 and last.nonnegative)
    return Root(coefficients, whole) if known and degree and signed else None


def rises_in_logarithm(slope: Node, size: Get) -> bool:
    """Whether a slope is a sum of powers with nothing negative in front: convex and rising in ``log u``, or falling."""
    found = ratio(slope, size)
    return found is not None and not found[1] and all(bounds(c).nonnegative and e >= 0 for e, c in found[0].items())


def ratio(node: Node, size: Get) -> tuple[Powers, Below] | None:
    """A function of the size as a sum of its powers over a product of such sums."""
    if size.symbol not in node.symbols:
        return {Fraction(0): node}, {}
    if node == size:
        return {Fraction(1): ONE}, {}
    match node:
        case Add(terms):
            found = [ratio(t, size) for t in terms]
            each = [f for f in found if f is not None]
            if len(each) < len(found):
                return None
            below = {k: max(b.get(k, 0) for _, b in each) for k in dict.fromkeys(k for _, b in each for k in b)}
            total: Powers = {}
            for top, own in each:
                total = _sum(total, _product(top, _whole({k: n - own.get(k, 0) for k, n in below.items()})))
            return total, below
        case Mul(factors):
            top, below = {Fraction(0): ONE}, {}
            for f in factors:
                one = ratio(f, size)
                if one is None:
                    return None
                top = _product(top, one[0])
                below = {k: below.get(k, 0) + one[1].get(k, 0) for k in (*below, *one[1])}
            return top, below
        case Pow(base, Lit(value)):
            exponent = Fraction(value).limit_denominator(1000)
            if abs(float(exponent) - value) > 1e-12:
                return None
            if base == size:
                return {exponent: ONE}, {}
            one = ratio(base, size)
            if one is None or exponent.denominator > 1 or abs(exponent) > 4:
                return None
            top, below = one
            times = abs(exponent.numerator)
            if exponent > 0:
                return _whole({tuple(top.items()): times}), {k: n * times for k, n in below.items()}
            return _whole({k: n * times for k, n in below.items()}), {tuple(top.items()): times}
    return None


def _whole(factors: Below) -> Powers:
    """The product of sums of powers, each so many times."""
    found: Powers = {Fraction(0): ONE}
    for key, count in factors.items():
        for _ in range(count):
            found = _product(found, dict(key))
    return found


def _sum(a: Powers, b: Powers) -> Powers:
    return {e: c for e in (*a, *b) if (c := add(a.get(e, ZERO), b.get(e, ZERO))) != ZERO}


def _product(a: Powers, b: Powers) -> Powers:
    found: Powers = {}
    for e, c in a.items():
        for f, d in b.items():
            found[e + f] = add(found.get(e + f, ZERO), mul(c, d))
    return {e: c for e, c in found.items() if c != ZERO}


__all__ = ["POINT", "STEP", "Root", "ratio", "rises_in_logarithm", "stationary"]
