"""Facts of a function of one number, found by algebra.

A claim is made where it is proved: by composition (:mod:`ebdsl.facts.convexity`), by sympy's assumptions, or by
counting the real roots of a polynomial (Sturm), where the second derivative is rational in x or in exp(x). What is
not proved is ``"unknown"``, ``"neither"``, None or an infinite bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from ebdsl.atoms import SCALARS
from ebdsl.facts.convexity import bounds, curvature
from ebdsl.facts.curve import Curve, curve_of
from ebdsl.facts.ranges import Range
from ebdsl.model.algebra import transform
from ebdsl.model.domains import Domain
from ebdsl.model.ir import Add, Fn, Get, Lit, Mul, Node, Pow, Size, Symbol

INF = math.inf


@dataclass(frozen=True)
class ScalarFacts:
    """What is known of f on its variable's domain.

    ``low`` and ``high`` bound its values, ``sign`` and ``curvature`` are as in :mod:`ebdsl.facts.convexity`.
    ``smooth``: it is known to be differentiable. ``lipschitz`` bounds the size of its second derivative.
    ``minimiser``: a point where it is least. ``prox``: the text, over the tensors ``v`` and ``t``, of
    ``argmin_x t f(x) + ½(x - v)²`` on the domain.
    """

    sign: str = "unknown"
    low: float = -INF
    high: float = INF
    curvature: str = "neither"
    smooth: bool = False
    lipschitz: float | None = None
    minimiser: float | None = None
    prox: str | None = None


UNKNOWN = ScalarFacts()


def facts_of(node: Node, variable: Get) -> ScalarFacts:
    """The facts of ``node`` as a function of ``variable``, an entry of a symbol; its domain gives the interval.

    Constants with a value count as numbers. Anything else besides the variable makes all unknown.
    """
    function, low, high = _function(node, variable)
    return _facts(function, low, high) if _is_scalar(function, _variable(low, high)) else UNKNOWN


def odd_derivatives(node: Node, variable: Get) -> tuple[bool, bool]:
    """Whether the first and the third derivative in ``variable`` are known to be nonnegative on its domain."""
    import sympy as sp

    function, low, high = _function(node, variable)
    curve = curve_of(function, low, high) if _is_scalar(function, _variable(low, high)) else None
    if curve is None:
        return False, False
    third = sp.diff(curve.second, curve.x)
    return curve.range_of(curve.first).nonnegative, curve.range_of(third).nonnegative


def turning_points(node: Node, variable: Get) -> list[tuple[float, float, bool]]:
    """Where the first derivative is convex or concave: intervals of the domain, and whether it is concave there.

    Of functions whose third derivative is a ratio of polynomials in x or exp(x), of which all roots are known.
    """
    import sympy as sp

    function, low, high = _function(node, variable)
    curve = curve_of(function, low, high) if _is_scalar(function, _variable(low, high)) else None
    if curve is None:
        return []
    third = sp.diff(curve.second, curve.x)
    ratio = curve.ratio(third)
    if ratio is None or ratio.has_root(ratio.bottom):
        return []
    ends = [low, *sorted(curve.zeros(third)), high]
    inside = [(a + b) / 2 if b < INF else a + 1 for a, b in pairwise(ends)]
    return [(a, b, bool(third.subs(curve.x, m) < 0)) for (a, b), m in zip(pairwise(ends), inside, strict=True)]


def _function(node: Node, variable: Get) -> tuple[Node, float, float]:
    """``node`` with constants as numbers, of a variable of its own, and the ends of that one's domain."""
    row = variable.symbol.domain.row
    low, high = row.bounds(variable.symbol.domain.args)
    x = _variable(low, high)

    def leaf(n: Node) -> Node | None:
        if n == variable:
            return x
        if isinstance(n, Get) and n.symbol.value is not None and not n.index:
            return Lit(n.symbol.value)
        if isinstance(n, Size) and isinstance(n.dim, int):
            return Lit(float(n.dim))
        return None

    return transform(node, leaf), low, high


def _variable(low: float, high: float) -> Get:
    finite = math.isfinite(low) and math.isfinite(high)
    domain = Domain("box", (low, high)) if finite else Domain("nonnegative" if low >= 0 else "real")
    return Get(Symbol("x", "latent", (), domain))


def _is_scalar(node: Node, x: Get) -> bool:
    if node == x or isinstance(node, Lit):
        return True
    return isinstance(node, Add | Mul | Pow | Fn) and all(_is_scalar(c, x) for c in node.children)


@lru_cache(maxsize=512)
def _facts(f: Node, low: float, high: float) -> ScalarFacts:
    x = _variable(low, high).symbol
    kind = curvature(f, frozenset({x}))
    smooth = _is_smooth(f)
    curve = curve_of(f, low, high) if smooth else None
    second = curve.range_of(curve.second) if curve else Range()
    if kind == "neither" and (second.nonnegative or second.nonpositive):
        kind = "convex" if second.nonnegative else "concave"
    least = _minimiser(f, kind, curve, low, high)
    values = _both(bounds(f), curve.range_of(curve.value) if curve else Range())
    if least is not None:
        at = _value(f, least)
        values = _both(values, Range(at - 1e-12 * max(1.0, abs(at)), INF))  # the minimiser is a rounded number
    steepest = min(max(abs(second.low), abs(second.high)), _steepest(f))
    return ScalarFacts(
        sign=values.sign,
        low=values.low,
        high=values.high,
        curvature=kind,
        smooth=smooth,
        lipschitz=steepest if steepest < INF else None,
        minimiser=least,
        prox=_prox(f, kind, curve, low, high),
    )


def _both(a: Range, b: Range) -> Range:
    return Range(max(a.low, b.low), min(a.high, b.high), a.nonzero or b.nonzero)


def _is_smooth(node: Node) -> bool:
    match node:
        case Fn(atom, args):
            return SCALARS[atom].smooth and all(map(_is_smooth, args))
        case Pow(base, Lit(value)):
            whole = value >= 0 and float(value).is_integer()
            return _is_smooth(base) and (whole or value > 1 or bounds(base).nonzero)
        case Pow():
            return False
    return all(map(_is_smooth, node.children))


def _steepest(f: Node) -> float:
    """A bound of the second derivative from those of the atoms: ``f(a x + b)`` has a² times that of f."""
    match f:
        case Add(terms):
            return sum(map(_steepest, terms))
        case Mul((Lit(value), *rest)) if len(rest) == 1:
            return abs(value) * _steepest(rest[0])
        case Fn(atom, (arg,)) if SCALARS[atom].lipschitz is not None and curvature(arg, f.symbols) == "affine":
            return float(SCALARS[atom].lipschitz or 0.0) * (_value(arg, 1.0) - _value(arg, 0.0)) ** 2
    return 0.0 if curvature(f, f.symbols) in ("constant", "affine") else INF


def _value(f: Node, at: float) -> float:
    from ebdsl.model.reference import evaluate

    return float(evaluate(f, dict.fromkeys(f.symbols, at)))


# --------------------------------------------------------------------------- minimiser, prox


def _minimiser(f: Node, kind: str, curve: Curve | None, low: float, high: float) -> float | None:
    if kind not in ("convex", "affine"):
        return None
    if low <= 0 <= high and _parity(f) == "even" and math.isfinite(_value(f, 0.0)):
        return 0.0
    found = [x for x in (curve.zeros(curve.first) if curve else ()) if math.isfinite(_value(f, x))]
    if found:
        return found[0]
    if curve is None or not curve.is_rational(curve.first):
        return None
    slope = curve.range_of(curve.first)
    end = low if slope.nonnegative else high if slope.nonpositive else INF
    return end if math.isfinite(end) and math.isfinite(_value(f, end)) else None


def _parity(node: Node) -> str | None:
    """``even`` or ``odd`` where the form shows it."""
    match node:
        case Lit():
            return "even"
        case Get():
            return "odd"
        case Add(terms):
            kinds = {_parity(t) for t in terms}
            return kinds.pop() if len(kinds) == 1 else None
        case Mul(factors):
            each = [_parity(f) for f in factors]
            return None if None in each else "odd" if each.count("odd") % 2 else "even"
        case Pow(base, Lit(value)) if float(value).is_integer():
            inner = _parity(base)
            return "even" if inner == "odd" and value % 2 == 0 else inner
        case Fn(atom, (arg,)):
            inner = _parity(arg)
            return "even" if inner == "even" or (inner == "odd" and SCALARS[atom].even) else None
    return "even" if not node.symbols else None


def _prox(f: Node, kind: str, curve: Curve | None, low: float, high: float) -> str | None:
    """Of a convex ``a |x| + b x² + c x + d``, or where ``t f'(x) + x = v`` is a quadratic equation in x."""
    if kind not in ("convex", "affine", "constant"):
        return None
    text = _prox_of_kinked(f) or (curve.prox() if curve else None)
    if text is None:
        return None
    ends = [f"min={low!r}"] * math.isfinite(low) + [f"max={high!r}"] * math.isfinite(high)
    return f"({text}).clamp({', '.join(ends)})" if ends else text  # exact for a convex function of one number


def _prox_of_kinked(f: Node) -> str | None:
    weight, rest = 0.0, []
    for term in f.terms if isinstance(f, Add) else (f,):
        scale, core = _scaled(term)
        if isinstance(core, Fn) and core.atom == "abs" and isinstance(core.args[0], Get):
            weight += scale
        else:
            rest.append(term)
    square, slope = 0.0, 0.0
    for term in rest:
        scale, core = _scaled(term)
        if isinstance(core, Get):
            slope += scale
        elif isinstance(core, Pow) and isinstance(core.base, Get) and core.exponent == Lit(2.0):
            square += scale
        elif core.symbols:
            return None
    if weight <= 0 or square < 0:
        return None
    moved = f"v - t * {slope!r}" if slope else "v"
    shrunk = f"torch.sign({moved}) * torch.relu(torch.abs({moved}) - t * {weight!r})"
    return f"{shrunk} / (1 + t * {2 * square!r})" if square else shrunk


def _scaled(term: Node) -> tuple[float, Node]:
    if isinstance(term, Mul) and len(term.factors) == 2 and isinstance(term.factors[0], Lit):
        return term.factors[0].value, term.factors[1]
    return 1.0, term
