"""Smooth functions of one number in sympy: the only module that knows it, and imports it when asked.

Ranges are found where a function is rational in x or in exp(x): exact in sign, by counting real roots (Sturm).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ebdsl.atoms import SCALARS
from ebdsl.facts.ranges import Range
from ebdsl.model.ir import Add, Fn, Get, Lit, Mul, Node, Pow

INF = math.inf


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


def curve_of(f: Node, low: float, high: float) -> Curve | None:
    import sympy as sp

    x = sp.Symbol("x", real=True, nonnegative=True) if low >= 0 else sp.Symbol("x", real=True)
    try:
        value = to_sympy(f, x)
    except ValueError:
        return None
    first = sp.diff(value, x)
    return Curve(x, low, high, value, first, sp.diff(first, x))


@dataclass(frozen=True)
class Ratio:
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
class Curve:
    """A smooth function on an interval, with its derivatives, in sympy."""

    x: Any
    low: float
    high: float
    value: Any
    first: Any
    second: Any

    def ratio(self, expression: Any) -> Ratio | None:
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
                    return Ratio(top, bottom, low, high, back)
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
