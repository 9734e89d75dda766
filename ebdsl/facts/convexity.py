"""Signs and curvature by composition, as in disciplined convex programming (Grant, Boyd & Ye 2006).

Nothing is claimed that does not follow: ``"unknown"`` and ``"neither"`` mean that no proof was found.
Where a function is only defined on part of the line, as the logarithm is, the claim is for that part.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ebdsl.facts.forms import SquareForm, is_definite, square_forms
from ebdsl.facts.ranges import ANYTHING, ONE_SIDED, Range, exactly, plus, raised, times, total
from ebdsl.model.algebra import degree
from ebdsl.model.build import mul
from ebdsl.model.canonical import canonical
from ebdsl.model.ir import (
    Add,
    Apply,
    Axis,
    Delta,
    Dim,
    Fn,
    Get,
    Lit,
    Module,
    Mul,
    Node,
    Position,
    Pow,
    Recurrence,
    Shift,
    Size,
    Sum,
    Symbol,
)

if TYPE_CHECKING:
    from ebdsl.atoms.core import OpaqueAtom

FLIPPED = {"convex": "concave", "concave": "convex"}


def sign(node: Node) -> str:
    """``positive``, ``nonnegative``, ``negative``, ``nonpositive`` or ``unknown``, from domains and constants."""
    return bounds(node).sign


def bounds(node: Node) -> Range:
    """An interval that holds every value of ``node`` where the symbols are in their domains."""
    return _Facts(frozenset()).range(node)


def curvature(node: Node, symbols: frozenset[Symbol]) -> str:
    """``constant``, ``affine``, ``convex``, ``concave`` or ``neither``, in all of ``symbols`` together."""
    return _Facts(symbols).curvature(node)


class _Facts:
    """One question's answers so far. Equal nodes of one energy have equal domains, so nodes are the keys."""

    def __init__(self, symbols: frozenset[Symbol]) -> None:
        self.symbols = symbols
        self.ranges: dict[Node, Range] = {}
        self.curvatures: dict[Node, str] = {}

    # ----------------------------------------------------------------- ranges

    def range(self, node: Node) -> Range:
        if node not in self.ranges:
            self.ranges[node] = self._range(node)
        return self.ranges[node]

    def _range(self, node: Node) -> Range:
        match node:
            case Lit(value):
                return exactly(value)
            case Size(dim):
                return exactly(float(dim)) if isinstance(dim, int) else Range(1.0, math.inf, True)
            case Get(symbol, index):
                return _entry(symbol, index)
            case Delta() | Shift():
                return Range(0.0, 1.0)
            case Position(axis):
                return Range(0.0, float(axis.dim - 1) if isinstance(axis.dim, int) else math.inf)
            case Add(terms):
                return plus(*(self.range(t) for t in terms))
            case Mul():
                return self._product(node)
            case Pow(base, Lit(value)):
                return raised(self.range(base), value)
            case Pow(base, _):
                return Range(0.0, math.inf, True) if self.range(base).positive else ANYTHING
            case Fn(atom, args):
                return _of_atom(atom, tuple(self.range(a) for a in args))
            case Sum(body, axes):
                picked = _picked(body, axes)
                if picked is not None:
                    return self.range(picked)
                found = total(self.range(body), _count(axes))
                return ONE_SIDED if found.low < 0 and self._squares(node) else found
            case Apply("maximum", (arg,), _):
                return self.range(arg.body)
            case Apply(str() as name):
                return Range(*_opaque(name).range)
            case Apply(Module() as module):
                return _of_module(module)
        return ANYTHING

    def _product(self, node: Mul) -> Range:
        result = exactly(1.0)
        for base, count in _grouped(node):
            result = times(result, raised(self.range(base), count))
        if result.low < 0 and any(isinstance(f, Sum) for f in node.factors) and self._squares(node):
            return ONE_SIDED
        return result

    def _squares(self, node: Node) -> bool:
        return any(self.range(form.weight).nonnegative for form in square_forms(node))

    # ----------------------------------------------------------------- curvature

    def curvature(self, node: Node) -> str:
        if not (node.symbols & self.symbols):
            return "constant"
        if node not in self.curvatures:
            self.curvatures[node] = self._curvature(node)
        return self.curvatures[node]

    def _curvature(self, node: Node) -> str:
        match node:
            case Get():
                return "affine"
            case Add(terms):
                return _together(self.curvature(t) for t in terms)
            case Mul():
                return self._of_product(node)
            case Sum(body, _):
                found = self.curvature(body)
                return found if found != "neither" else self._of_form(node)
            case Pow(base, Lit(value)):
                return self._of_power(base, value)
            case Fn(atom, args):
                return self._of_atom(atom, args)
            case Apply(str()):
                return self._of_opaque(node)
            case Apply(Recurrence()):
                return "affine" if degree(node, frozenset(self.symbols)) == 1 else "neither"
        return "neither"

    def _of_product(self, node: Mul) -> str:
        groups = _grouped(node)
        varying = [(b, c) for b, c in groups if b.symbols & self.symbols]
        weight = exactly(1.0)
        for base, count in groups:
            if not (base.symbols & self.symbols):
                weight = times(weight, raised(self.range(base), count))
        if len(varying) == 1:
            base, count = varying[0]
            core = self.curvature(base) if count == 1 else self._of_power(base, count)
        elif len(varying) == 2:
            core = self._of_pair(varying)
        else:
            core = "neither"
        found = _scaled(core, weight)
        return found if found != "neither" else self._of_form(node)

    def _of_pair(self, varying: list[tuple[Node, float]]) -> str:
        """``x log x`` and ``x² / y`` are convex, though their factors are no guide to it."""
        for (x, p), (y, q) in (varying, varying[::-1]):
            logarithm = p == q == 1 and isinstance(y, Fn) and y.atom == "log" and canonical(y.args[0]) == canonical(x)
            if logarithm and self.curvature(x) == "affine":
                return "convex"
            if isinstance(y, Pow) and y.exponent == Lit(-1.0) and q == 1:
                y, q = y.base, -1.0
            if isinstance(x, Pow) and x.exponent == Lit(2.0) and p == 1:
                x, p = x.base, 2.0
            if p == 2 and q == -1 and self.range(y).positive:
                top, below = self.curvature(x), self.curvature(y)
                straight = top == "affine" or (top == "convex" and self.range(x).nonnegative)
                if straight and below in ("affine", "concave"):
                    return "convex"
        return "neither"

    def _of_form(self, node: Node) -> str:
        """``Σ weight A'ΛA`` is convex where A is affine and the rest is constant."""
        for form in square_forms(node):
            if self._form_is_convex(form):
                return "convex"
            if self._form_is_convex(form, below=True):
                return "concave"
        return "neither"

    def _form_is_convex(self, form: SquareForm, below: bool = False) -> bool:
        rest = form.weight.symbols.union(*(link.symbols for link in form.links))
        if rest & self.symbols or self.curvature(form.half) not in ("constant", "affine"):
            return False
        weight = self.range(form.weight)
        return weight.nonpositive if below else weight.nonnegative

    def _of_power(self, base: Node, exponent: float) -> str:
        inner, at = self.curvature(base), self.range(base)
        if exponent == 1:
            return inner
        if 0 < exponent < 1:
            if inner in ("affine", "concave"):
                return "concave"
            return "convex" if self._is_norm(base, exponent) else "neither"
        whole = float(exponent).is_integer()
        even = whole and exponent % 2 == 0
        if exponent > 1:
            if even and inner == "affine":
                return "convex"
            if inner in ("affine", "convex") and (at.nonnegative or not whole):
                return "convex" if inner == "affine" or at.nonnegative else "neither"
            if inner in ("affine", "concave") and at.nonpositive and whole:
                return "convex" if even else "concave"
            return "neither"
        if inner in ("affine", "concave") and (at.positive or not whole):
            return "convex"
        if inner in ("affine", "convex") and at.negative and whole:
            return "convex" if even else "concave"
        return "neither"

    def _is_norm(self, node: Node, exponent: float) -> bool:
        """Whether ``node`` is ``Σ |g|^q`` with q · exponent >= 1 and g affine, or convex and nonnegative."""
        orders: set[float] = set()
        return self._adds_powers(node, orders) and len(orders) == 1 and min(orders) * exponent >= 1 - 1e-12

    def _adds_powers(self, node: Node, orders: set[float]) -> bool:
        if not (node.symbols & self.symbols):
            return self.range(node).nonnegative
        if isinstance(node, Add):
            return all(self._adds_powers(t, orders) for t in node.terms)
        if isinstance(node, Mul):
            groups = _grouped(node)
            varying = [(b, c) for b, c in groups if b.symbols & self.symbols]
            constant = mul(*(b if c == 1 else Pow(b, Lit(c)) for b, c in groups if not (b.symbols & self.symbols)))
            if len(varying) == 1 and self.range(constant).nonnegative:
                base, count = varying[0]
                if self._adds_powers(base if count == 1 else Pow(base, Lit(count)), orders):
                    return True
        if isinstance(node, Sum) and self._adds_powers(node.body, orders):
            return True
        if isinstance(node, Pow) and isinstance(node.exponent, Lit) and node.exponent.value > 1:
            inner, q = self.curvature(node.base), node.exponent.value
            if (inner == "affine" and (q == 2 or self.range(node.base).nonnegative)) or (
                inner == "convex" and self.range(node.base).nonnegative
            ):
                orders.add(q)
                return True
        if isinstance(node, Mul | Sum) and any(self._form_is_convex(form) for form in square_forms(node)):
            orders.add(2.0)
            return True
        return False

    def _of_atom(self, atom: str, args: tuple[Node, ...]) -> str:
        from ebdsl.atoms import SCALARS

        row = SCALARS[atom]
        inner = [self.curvature(a) for a in args]
        at = [self.range(a) for a in args]
        if atom == "log" and self._log_convex(args[0]):
            return "convex"
        if row.curvature == "affine" and all(i in ("constant", "affine") for i in inner):
            return "affine"
        for outer in ("convex", "concave"):
            if row.curvature in (outer, "affine") and all(
                _fits(outer, i, _slope(row.monotone[k], row.curvature, row.even, at[k])) for k, i in enumerate(inner)
            ):
                return outer
        return "neither"

    def _log_convex(self, node: Node) -> bool:
        """Whether the logarithm of ``node`` is convex: sums and products of exponentials of convex functions."""
        if not (node.symbols & self.symbols):
            return self.range(node).positive
        match node:
            case Fn("exp", (inner,)):
                return self.curvature(inner) in ("affine", "convex")
            case Sum(body, _):
                return self._log_convex(body)
            case Add(terms):
                return all(self._log_convex(t) or _absent(t, self) for t in terms)
            case Mul(factors):
                return all(self._log_convex(f) or _absent(f, self) for f in factors)
            case Pow(base, Lit(value)):
                return value > 0 and self._log_convex(base)
        return False

    def _of_opaque(self, node: Apply) -> str:
        assert isinstance(node.function, str)
        row = _opaque(node.function)
        inner = [self.curvature(a.body) for a in node.args]
        varying = [k for k, i in enumerate(inner) if i != "constant"]
        if len(varying) == 1 and inner[varying[0]] == "affine":
            (k,) = varying
            if k < len(row.linear) and row.linear[k]:
                return "affine"
            body = node.args[k].body
            if row.name == "logdet":
                whole = isinstance(body, Get) and body.index[-2:] == node.args[k].axes
                return row.curvature if whole and is_definite(body) else "neither"
            return row.curvature
        if row.name == "maximum" and inner == ["convex"]:
            return "convex"
        return "neither"


# --------------------------------------------------------------------------- pieces


def _entry(symbol: Symbol, index: tuple[Axis | int, ...]) -> Range:
    if symbol.value is not None:
        return exactly(symbol.value)
    row = symbol.domain.row
    if row.definite and len(index) >= 2 and index[-1] == index[-2]:
        return Range(0.0, math.inf, True)
    low, high = row.bounds(symbol.domain.args)
    return Range(low, high, row.strict or low > 0 or high < 0)


def _picked(body: Node, axes: tuple[Axis, ...]) -> Node | None:
    """``f`` of ``Σ_j shift(t, j) f(j)``: the sum is over one entry."""
    if not isinstance(body, Mul) or len(axes) != 1:
        return None
    shifts = [f for f in body.factors if isinstance(f, Shift) and f.right == axes[0]]
    return mul(*(f for f in body.factors if f is not shifts[0])) if len(shifts) == 1 else None


def _count(axes: tuple[Axis, ...]) -> int | None:
    sizes: list[Dim] = [a.dim for a in axes]
    return math.prod(s for s in sizes if isinstance(s, int)) if all(isinstance(s, int) for s in sizes) else None


def _grouped(node: Mul) -> list[tuple[Node, float]]:
    """The factors with how often each occurs, so that ``x x`` is seen as a square."""
    found: dict[Node, tuple[Node, int]] = {}
    for f in node.factors:
        key = canonical(f)
        found[key] = (f, found[key][1] + 1 if key in found else 1)
    return [(f, float(n)) for f, n in found.values()]


def _opaque(name: str) -> OpaqueAtom:
    from ebdsl.atoms import OPAQUES

    return OPAQUES[name]


def _of_module(module: Module) -> Range:
    """What its last layer gives, where that is an activation."""
    from ebdsl.atoms import SCALARS

    last = str(module.layers[-1].name)
    return _of_atom(last, (ANYTHING,)) if last in SCALARS and SCALARS[last].arity == 1 else ANYTHING


def _of_atom(atom: str, args: tuple[Range, ...]) -> Range:
    """Of a scalar atom: its row's range, cut down where it is monotone."""
    import numpy as np

    from ebdsl.atoms import SCALARS

    row = SCALARS[atom]
    low, high = row.range
    inside = [(min(max(a.low, lo), hi), max(min(a.high, hi), lo)) for a, (lo, hi) in zip(args, row.domain, strict=True)]
    with np.errstate(all="ignore"):
        if row.even and row.curvature == "convex":
            (a, b) = inside[0]
            near = 0.0 if a <= 0 <= b else min(abs(a), abs(b))
            ends: tuple[tuple[float, ...], tuple[float, ...]] = ((near,), (max(abs(a), abs(b)),))
        elif all(m in ("increasing", "decreasing") for m in row.monotone):
            up = [m == "increasing" for m in row.monotone]
            ends = (
                tuple(i[0] if u else i[1] for i, u in zip(inside, up, strict=True)),
                tuple(i[1] if u else i[0] for i, u in zip(inside, up, strict=True)),
            )
        else:
            return Range(low, high, row.positive or low > 0)
        at = [float(row.numpy(*map(np.float64, e))) for e in ends]
    if not math.isnan(at[0]):
        low = max(low, at[0])
    if not math.isnan(at[1]):
        high = min(high, at[1])
    return Range(low, high, row.positive or low > 0 or high < 0)


def _together(parts: Iterable[str]) -> str:
    """The curvature of a sum."""
    kinds = set(parts) - {"constant"}
    if not kinds:
        return "constant"
    if kinds == {"affine"}:
        return "affine"
    if kinds <= {"affine", "convex"}:
        return "convex"
    return "concave" if kinds <= {"affine", "concave"} else "neither"


def _scaled(kind: str, weight: Range) -> str:
    """The curvature of ``weight · f``."""
    if kind in ("constant", "affine") or (kind in FLIPPED and weight.nonnegative):
        return kind
    return FLIPPED.get(kind, "neither") if weight.nonpositive else "neither"


def _slope(monotone: str, kind: str, even: bool, at: Range) -> str:
    """Whether an atom increases or decreases where its argument lies."""
    if monotone == "neither" and even and kind in FLIPPED:
        if at.nonnegative:
            return "increasing" if kind == "convex" else "decreasing"
        if at.nonpositive:
            return "decreasing" if kind == "convex" else "increasing"
    return monotone


def _fits(outer: str, inner: str, slope: str) -> bool:
    """The composition rule for one argument."""
    if inner in ("constant", "affine"):
        return True
    return (inner == outer and slope == "increasing") or (inner == FLIPPED[outer] and slope == "decreasing")


def _absent(node: Node, facts: _Facts) -> bool:
    """A constant that may vanish in a sum or a product of what is log-convex."""
    return not (node.symbols & facts.symbols) and facts.range(node).nonnegative
