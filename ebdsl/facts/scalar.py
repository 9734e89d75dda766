"""Facts of a function of one number, found by algebra: the only module that knows sympy, which it imports when asked.

A claim is made where it is proved: by composition (:mod:`ebdsl.facts.convexity`), by sympy's assumptions, or by
counting the real roots of a polynomial (Sturm), where the second derivative is rational in x or in exp(x). What is
not proved is ``"unknown"``, ``"neither"``, None or an infinite bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ebdsl.atoms import SCALARS
from ebdsl.facts.convexity import bounds, curvature
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

    function = transform(node, leaf)
    return _facts(function, low, high) if _is_scalar(function, x) else UNKNOWN


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
    curve = _curve(f, low, high) if smooth else None
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


def _minimiser(f: Node, kind: str, curve: _Curve | None, low: float, high: float) -> float | None:
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


def _prox(f: Node, kind: str, curve: _Curve | None, low: float, high: float) -> str | None:
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


# --------------------------------------------------------------------------- sympy


def to_sympy(node: Node, x: Any) -> Any:
    """A function of one variable as a sympy expression in the symbol ``x``; numbers become exact fractions.

    Raises ``ValueError`` for an atom that has no sympy form.
    """
    import sympy as sp

    match node:
        case Lit(value) if math.isfinite(value):
            return sp.Rational(repr(value))
        case Get():
            return x
        case Add(terms):
            return sp.Add(*(to_sympy(t, x) for t in terms))
        case Mul(factors):
            return sp.Mul(*(to_sympy(f, x) for f in factors))
        case Pow(base, exponent):
            return sp.Pow(to_sympy(base, x), to_sympy(exponent, x))
        case Fn(atom, args):
            form = SCALARS[atom].sympy
            if form is not None:
                return form(sp, *(to_sympy(a, x) for a in args))
    raise ValueError("there is no sympy form of this")


def _curve(f: Node, low: float, high: float) -> _Curve | None:
    import sympy as sp

    x = sp.Symbol("x", real=True, nonnegative=True) if low >= 0 else sp.Symbol("x", real=True)
    try:
        value = to_sympy(f, x)
    except ValueError:
        return None
    first = sp.diff(value, x)
    return _Curve(x, low, high, value, first, sp.diff(first, x))


@dataclass(frozen=True)
class _Ratio:
    """A rational function ``top / bottom`` of u on ``(low, high)``; ``back`` gives x."""

    top: Any
    bottom: Any
    low: float
    high: float
    back: Callable[[float], float]

    @property
    def ends(self) -> tuple[Any, Any]:
        import sympy as sp

        low, high = (sp.Rational(repr(e)) if math.isfinite(e) else None for e in (self.low, self.high))
        return low, high

    def has_root(self, polynomial: Any) -> bool:
        """Whether there is one strictly between the ends (Sturm)."""
        if polynomial.degree() < 1:
            return bool(polynomial.is_zero)
        at_ends = sum(1 for e in set(self.ends) if e is not None and polynomial.eval(e) == 0)
        return bool(polynomial.sqf_part().count_roots(*self.ends) > at_ends)

    def sign(self) -> int | None:
        """1 where the ratio is never negative, -1 where it is never positive, None where it changes sign. Exact."""
        import sympy as sp

        product = self.top * self.bottom
        if product.is_zero:
            return 1
        odd = sp.Poly(1, product.gen)
        for factor, multiplicity in product.factor_list()[1]:
            if multiplicity % 2:
                odd *= factor
        if self.has_root(odd):
            return None
        low, high = self.ends
        start = low if low is not None else (high - 1000 if high is not None else sp.Integer(0))
        for k in range(1, product.degree() + 3):  # a point that is no root
            step = sp.Rational(k, product.degree() + 3) * ((high - start) if high is not None else 1)
            value = product.eval(start + step)
            if value != 0:
                return 1 if value > 0 else -1
        return None

    def limits(self) -> Range:
        """The range: extreme values at roots of the derivative and at the ends, rounded outwards."""
        if self.has_root(self.bottom):
            return Range()
        slope = self.top.diff() * self.bottom - self.top * self.bottom.diff()
        low, high = self.ends
        inside = [r for r in _roots(slope) if (low is None or r > low) and (high is None or r < high)]
        values = [(v, 0.0) for end in (self.low, self.high) for v in self.at(end)]
        for root in inside:
            (value,) = self.at(root if root.is_Rational else root.evalf(30))
            values.append((value, 0.0 if root.is_Rational else 1e-12 * max(1.0, abs(value))))
        sign = self.sign()
        least, most = min(v - slack for v, slack in values), max(v + slack for v, slack in values)
        return Range(max(least, 0.0) if sign == 1 else least, min(most, 0.0) if sign == -1 else most)

    def at(self, u: Any) -> tuple[float, ...]:
        """The value at u, or what it may tend to there."""
        import sympy as sp

        if not isinstance(u, float) or math.isfinite(u):
            point = sp.Rational(repr(u)) if isinstance(u, float) else u
            top, bottom = (p.eval(point) for p in (self.top, self.bottom))
            return (float(top / bottom),) if bottom != 0 else (-INF, INF)
        excess = self.top.degree() - self.bottom.degree()
        if self.top.is_zero or excess < 0:
            return (0.0,)
        ratio = float(self.top.LC() / self.bottom.LC())
        if excess == 0:
            return (ratio,)
        return (math.copysign(INF, ratio) * (-1 if u < 0 and excess % 2 else 1),)


@dataclass(frozen=True)
class _Curve:
    """A smooth function on an interval, with its derivatives, in sympy."""

    x: Any
    low: float
    high: float
    value: Any
    first: Any
    second: Any

    def ratio(self, expression: Any) -> _Ratio | None:
        """The expression as a rational function of x or of exp(x), where it is one of a low degree."""
        import sympy as sp

        u = sp.Symbol("u", real=True)
        in_exp = expression.rewrite(sp.exp).replace(
            lambda e: isinstance(e, sp.exp) and (e.args[0] / self.x).is_Integer, lambda e: u ** (e.args[0] / self.x)
        )
        for replaced, low, high, back in (
            (expression.subs(self.x, u), self.low, self.high, float),
            (in_exp, _exp(self.low), _exp(self.high), lambda v: math.log(v) if v > 0 else -INF),
        ):
            if replaced.free_symbols <= {u} and replaced.is_rational_function(u):
                top, bottom = (sp.Poly(p, u) for p in sp.fraction(sp.cancel(sp.together(replaced))))
                exact = all(p.domain.is_QQ or p.domain.is_ZZ for p in (top, bottom))
                if exact and top.degree() + bottom.degree() <= 24:
                    return _Ratio(top, bottom, low, high, back)
        return None

    def is_rational(self, expression: Any) -> bool:
        return self.ratio(expression) is not None

    def range_of(self, expression: Any) -> Range:
        """An interval that holds the expression's values."""
        import sympy as sp

        ratio = self.ratio(expression)
        if ratio is not None:
            return ratio.limits()
        simple = sp.simplify(expression) if sp.count_ops(expression) < 80 else expression
        if simple.is_nonnegative:
            return Range(0.0, INF)
        return Range(-INF, 0.0) if simple.is_nonpositive else Range()

    def zeros(self, expression: Any) -> list[float]:
        """Where a rational expression is 0 in the interval."""
        ratio = self.ratio(expression)
        if ratio is None or ratio.top.is_zero or not ratio.has_root(ratio.top):
            return []
        inside = [float(r.evalf(20)) for r in _roots(ratio.top)]
        return [ratio.back(r) for r in inside if ratio.low < r < ratio.high]

    def prox(self) -> str | None:
        """``t f'(x) + x = v`` solved where it is a quadratic equation; the root is told by trying."""
        import sympy as sp

        v, t = sp.Symbol("v", real=True), sp.Symbol("t", positive=True)
        equation = sp.numer(sp.together(t * self.first + self.x - v))
        if not equation.is_polynomial(self.x) or sp.degree(equation, self.x) > 2:
            return None
        for root in sp.roots(sp.Poly(equation, self.x)):
            if all(self._is_prox(root, v, t, a, b) for a in (-3.0, -0.4, 0.3, 2.5) for b in (0.1, 1.5)):
                numbers = {p: p.evalf() for p in root.atoms(sp.Pow) if p.is_number}
                return str(sp.sstr(root.xreplace(numbers))).replace("sqrt(", "torch.sqrt(")
        return None

    def _is_prox(self, root: Any, v: Any, t: Any, at: float, step: float) -> bool:
        """Whether a root lies where f is defined, on its interval or beyond, and is least there."""
        import sympy as sp

        x = complex(root.subs({v: at, t: step}))
        if abs(x.imag) > 1e-12:
            return False

        def whole(p: float) -> float:
            value = sp.N(self.value.subs(self.x, p))
            return step * float(value) + (p - at) ** 2 / 2 if value.is_real else INF

        here = whole(x.real)
        return math.isfinite(here) and all(here <= whole(x.real + d) + 1e-12 for d in (-1.0, -1e-3, 1e-3, 1.0))


def _exp(x: float) -> float:
    return 0.0 if x == -INF else math.exp(x) if x < 700 else INF


def _roots(polynomial: Any) -> list[Any]:
    """The real roots, as sympy's exact numbers."""
    return list(polynomial.sqf_part().real_roots()) if polynomial.degree() > 0 else []
