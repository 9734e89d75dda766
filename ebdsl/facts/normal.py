"""The form in which facts are read: roots as powers, logarithms of factors apart, weights in front."""

from __future__ import annotations

from dataclasses import dataclass

from ebdsl.model.algebra import addends, contract, factors_of, multiply, transform, varying
from ebdsl.model.build import add, lit, mul, neg, power
from ebdsl.model.ir import ONE, ZERO, Apply, Axis, Fn, Get, Lit, Module, Mul, Node, Pow, Recurrence, Sum, Symbol
from ebdsl.model.like_terms import apart

_POWERS = {"sqrt": 0.5, "square": 2.0, "reciprocal": -1.0}


def normal(node: Node) -> Node:
    """One form for all spellings: ``sqrt`` and its like as powers, ``log(a b²)`` as ``log a + 2 log b``,
    ``√(λ² x)`` as ``λ √x``, ``√x²`` as ``|x|``, ``(x/2)²`` as ``x²/4``, ``1 / exp x`` as ``exp(-x)``, ``max(0, x)`` as
    ``relu(x)``, a power of ``relu(|x| - c)`` as one each of ``relu(x - c)`` and ``relu(-x - c)``, each where it holds.
    """

    def leaf(n: Node) -> Node | None:
        if isinstance(n, Fn) and n.atom in _POWERS:
            return _root(normal(n.args[0]), _POWERS[n.atom])
        if isinstance(n, Fn) and n.atom == "log":
            return _logarithm(normal(n.args[0]))
        if isinstance(n, Mul):
            return _entropy(n)
        if isinstance(n, Pow) and isinstance(n.exponent, Lit):
            if isinstance(n.base, Fn) and n.base.atom == "exp":
                return Fn("exp", (mul(n.exponent, normal(n.base.args[0])),))
            whole = n.exponent.value.is_integer()
            return _whole_power(n.base, n.exponent.value) if whole else _root(normal(n.base), n.exponent.value)
        if isinstance(n, Fn) and n.atom == "max" and ZERO in n.args:
            return Fn("relu", tuple(normal(a) for a in n.args if a != ZERO)[:1] or (ZERO,))
        if isinstance(n, Fn) and n.atom == "abs" and isinstance(n.args[0], Mul):
            weight, rest = apart(normal(n.args[0]))
            return None if weight == ONE else mul(_size(weight), Fn("abs", (rest,)))
        return None

    return transform(node, leaf)


def _whole_power(base: Node, exponent: float) -> Node | None:
    """The numbers in a base in front of its power, dead zones as two powers; None where there are none."""
    zone = _dead_zone(base, exponent)
    if zone is not None:
        return zone
    weight, rest = apart(normal(base)) if isinstance(base, Mul) else (ONE, base)
    return None if weight == ONE else mul(power(weight, exponent), power(rest, exponent))


def _size(weight: Node) -> Node:
    if isinstance(weight, Lit):
        return lit(abs(weight.value))
    return weight if _never_negative(weight) else Fn("abs", (weight,))


def _dead_zone(base: Node, exponent: float) -> Node | None:
    """``relu(w |x| - c) ** exponent`` as two powers without a kink at 0; None for anything else."""
    from ebdsl.facts.convexity import sign

    if isinstance(base, Fn) and base.atom == "max" and ZERO in base.args:
        base = normal(base)
    if not (isinstance(base, Fn) and base.atom == "relu" and exponent >= 2):
        return None
    terms = addends(normal(base.args[0]))
    sizes = [t for t in terms if any(_is_size(f) for f in factors_of(t))]
    rest = add(*(t for t in terms if t not in sizes))
    if len(sizes) != 1 or sign(rest) not in ("nonpositive", "negative"):
        return None
    (size,) = (f for f in factors_of(sizes[0]) if _is_size(f))
    assert isinstance(size, Fn)
    weight = mul(*(f for f in factors_of(sizes[0]) if f is not size))
    if not _never_negative(weight):
        return None
    at = mul(weight, size.args[0])
    return add(*(power(Fn("relu", (add(side, rest),)), exponent) for side in (at, neg(at))))


def _is_size(node: Node) -> bool:
    return isinstance(node, Fn) and node.atom == "abs"


def _entropy(node: Mul) -> Node | None:
    """``x log x`` as one function, which is 0 at 0; None where there is none."""
    for k, f in enumerate(node.factors):
        if isinstance(f, Fn) and f.atom == "log" and f.args[0] in node.factors:
            at = node.factors.index(f.args[0])
            rest = [normal(g) for i, g in enumerate(node.factors) if i not in (k, at)]
            return mul(*rest, Fn("xlogx", (normal(f.args[0]),)))
    return None


def _root(base: Node, exponent: float) -> Node:
    """``base ** exponent`` with what is never negative pulled out, and even powers inside undone."""
    if exponent.is_integer():
        return power(base, exponent)
    if isinstance(base, Mul):
        apart = [f for f in base.factors if _never_negative(f)]
        rest = mul(*(f for f in base.factors if f not in apart))
        return mul(*(_root(f, exponent) for f in apart), *([power(rest, exponent)] if rest != ONE else []))
    if isinstance(base, Pow) and isinstance(base.exponent, Lit) and base.exponent.value > 0:
        inner, whole = base.base, base.exponent.value
        if whole % 2 == 0 and not _never_negative(inner):
            inner = Fn("abs", (inner,))
        return power(inner, whole * exponent)
    return power(base, exponent)


def _logarithm(inside: Node) -> Node:
    """``log`` with the positive factors and powers inside apart."""
    if isinstance(inside, Fn) and inside.atom == "cosh":  # one function that is convex and does not overflow
        return Fn("logcosh", inside.args)
    if isinstance(inside, Mul) and all(_never_negative(f) for f in inside.factors):
        return add(*(_logarithm(f) for f in inside.factors))
    if isinstance(inside, Pow) and isinstance(inside.exponent, Lit) and _never_negative(inside.base):
        return mul(inside.exponent, _logarithm(inside.base))
    return Fn("log", (inside,))


def _never_negative(node: Node) -> bool:
    from ebdsl.facts.convexity import sign

    return sign(node) in ("nonnegative", "positive")


@dataclass(frozen=True)
class Addend:
    """``Σ_axes weight · core``, where ``weight`` does not hold the symbols asked about."""

    weight: Node
    axes: tuple[Axis, ...]
    core: Node

    @property
    def node(self) -> Node:
        return contract(multiply(self.weight, self.core), self.axes)


def split(node: Node, symbols: frozenset[Symbol]) -> Addend:
    """Weight, sum and core of one addend with respect to ``symbols``."""
    axes: tuple[Axis, ...] = ()
    weight: list[Node] = []
    while True:
        if isinstance(node, Sum):
            axes, node = (*axes, *node.axes), node.body
            continue
        if isinstance(node, Mul):
            inside = [f for f in node.factors if f.symbols & symbols]
            weight += [f for f in node.factors if not (f.symbols & symbols)]
            if len(inside) == 1:
                node = inside[0]
                if isinstance(node, Sum | Mul):
                    continue
                return Addend(mul(*weight), axes, node)
            return Addend(mul(*weight), axes, mul(*inside))
        return Addend(mul(*weight), axes, node)


def parts(node: Node, symbols: frozenset[Symbol]) -> tuple[tuple[Node, ...], tuple[Node, ...]]:
    """The addends that hold one of ``symbols``, and those that do not."""
    all_ = addends(normal(node))
    return tuple(a for a in all_ if a.symbols & symbols), tuple(a for a in all_ if not (a.symbols & symbols))


def is_smooth(node: Node, symbols: frozenset[Symbol]) -> bool:
    """Whether the node is differentiable in ``symbols`` wherever it is defined."""
    if not (node.symbols & symbols):
        return True
    match node:
        case Fn(atom, args):
            from ebdsl.atoms import SCALARS

            return SCALARS[atom].smooth and all(is_smooth(a, symbols) for a in args)
        case Pow(base, Lit(value)):
            whole = value == int(value) and value >= 0
            if isinstance(base, Fn) and base.atom == "relu" and value >= 2:  # its kink is where it is 0
                base = base.args[0]
            return is_smooth(base, symbols) and (whole or _bounded_away(base) or (value < 0 and _positive(base)))
        case Apply(str() as name):
            from ebdsl.atoms import OPAQUES

            return OPAQUES[name].smooth and all(is_smooth(c, symbols) for c in node.children)
        case Apply(Recurrence() as function, args, _):
            varies = varying(function, args, symbols)
            if not all(is_smooth(b, varies) for b in function.bodies):
                return False
    return all(is_smooth(c, symbols) for c in node.children)


def _positive(node: Node) -> bool:
    from ebdsl.facts.convexity import sign

    return sign(node) == "positive"


def _bounded_away(node: Node) -> bool:
    """A sum with a positive literal and squares: ``ε + Σ x²`` never reaches zero."""
    from ebdsl.model.ir import Add

    if isinstance(node, Add):
        from ebdsl.facts.convexity import sign

        signs = [sign(t) for t in node.terms]
        return "positive" in signs and all(s in ("positive", "nonnegative") for s in signs)
    return False


def defined_everywhere(node: Node, symbols: frozenset[Symbol]) -> bool:
    """Whether the node has a value for all real values of ``symbols``, in their domains or not: ``log z`` has not."""
    from ebdsl.atoms import SCALARS
    from ebdsl.facts.convexity import bounds
    from ebdsl.model.algebra import replace_symbol
    from ebdsl.model.domains import REAL

    for s in symbols:
        free = Symbol(f"{s.name}~", s.role, s.shape, REAL)
        node = replace_symbol(node, s, lambda index, free=free: Get(free, index))  # type: ignore[misc]

    def go(n: Node) -> bool:
        match n:
            case Fn(atom, args):
                inside = [bounds(a) for a in args]
                ends = zip(inside, SCALARS[atom].domain, strict=True)
                if any(b.low < low or b.high > high for b, (low, high) in ends):
                    return False
            case Pow(base, Lit(value)):
                if (value < 0 and not bounds(base).positive) or (value != int(value) and not bounds(base).nonnegative):
                    return False
            case Pow(base, _) if not bounds(base).positive:
                return False
            case Apply("logdet" | "logabsdet" | "inverse", _, _):
                return False
        return all(go(c) for c in n.children if any(s.name.endswith("~") for s in c.symbols))

    return go(node)


def through_module(node: Node, symbols: frozenset[Symbol]) -> bool:
    """Whether one of ``symbols`` reaches the node through a module."""
    if isinstance(node, Apply) and isinstance(node.function, Module):
        return bool(node.symbols & symbols)
    if isinstance(node, Apply) and isinstance(node.function, Recurrence) and node.symbols & symbols:
        varies = varying(node.function, node.args, symbols)
        return any(through_module(b, varies) for b in node.function.bodies) or any(
            through_module(a, symbols) for a in node.args
        )
    return any(through_module(c, symbols) for c in node.children)


__all__ = ["ONE", "Addend", "Get", "defined_everywhere", "is_smooth", "normal", "parts", "split", "through_module"]
