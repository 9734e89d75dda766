"""Symbolic derivatives in index notation: ``d/dz_j Σ_m r_m²`` is ``Σ_m 2 r_m (-W_mj)``.

The chain rule is applied to scalars, and each ``z_n`` differentiates to ``δ_nj``, which the sums
take up; what comes out is the expression that one would write by hand.
"""

from __future__ import annotations

from ebdsl.model import build
from ebdsl.model.algebra import contract, factors_of, freshen, multiply, rename, replace_symbol
from ebdsl.model.build import add, lit, mul, power
from ebdsl.model.deltas import delta
from ebdsl.model.domains import REAL
from ebdsl.model.ir import (
    ZERO,
    Add,
    Apply,
    Axis,
    Fn,
    Get,
    Lit,
    Mul,
    Node,
    Pow,
    Sum,
    Symbol,
    Tensor,
)


class NoDerivative(Exception):
    """The node holds a module, or a function whose derivative is not known: autograd's work."""


def derivative(node: Node, symbol: Symbol, at: tuple[Axis, ...]) -> Node:
    """``d node / d symbol[at]``, a node with the axes ``at`` free besides those of ``node``.

    Raises :class:`NoDerivative` where the symbol goes through a module. Where a function is not
    differentiable, a subgradient is meant (that of the atom's row).
    """
    memo: dict[Node, Node] = {}

    def d(n: Node) -> Node:
        if symbol not in n.symbols:
            return ZERO
        if n not in memo:
            memo[n] = go(n)
        return memo[n]

    def go(n: Node) -> Node:
        match n:
            case Get(_, index):
                return multiply(*(delta(i, j) for i, j in zip(index, at, strict=True)))
            case Add(terms):
                return add(*(d(t) for t in terms))
            case Mul(factors):
                return add(
                    *(
                        multiply(d(f), *factors[:k], *factors[k + 1 :])
                        for k, f in enumerate(factors)
                        if symbol in f.symbols
                    )
                )
            case Pow(base, Lit(value)):
                return multiply(lit(value), power(base, value - 1), d(base))
            case Pow(base, exponent):
                from ebdsl.model.build import fn

                through_base = multiply(exponent, Pow(base, add(exponent, lit(-1))), d(base))
                through_exponent = multiply(n, fn("log", base), d(exponent))
                return add(through_base, through_exponent)
            case Fn("log", (inside,)) if has_exponential(inside):
                return _of_log(n, inside, symbol, at)
            case Fn(atom, args):
                from ebdsl.atoms import SCALARS

                outer = SCALARS[atom].derivative(args)
                return add(*(multiply(o, d(a)) for o, a in zip(outer, args, strict=True) if symbol in a.symbols))
            case Sum(body, axes):
                return contract(d(body), axes)
            case Apply(function, args, index):
                return _through(function, args, index)
        raise NoDerivative(type(n).__name__)

    def _through(function: object, args: tuple[Tensor, ...], index: tuple[Axis | int, ...]) -> Node:
        if not isinstance(function, str):
            raise NoDerivative(str(getattr(function, "name", function)))
        from ebdsl.atoms import OPAQUES

        rule = OPAQUES[function].derivative
        if rule is None:
            raise NoDerivative(function)
        parts = []
        for outer, arg in zip(rule(args, index), args, strict=True):
            if symbol not in arg.symbols:
                continue
            # outer: Tensor over fresh axes of the argument; the argument's entry at the same place
            inner = rename(arg.body, dict(zip(arg.axes, outer.axes, strict=True)))
            parts.append(contract(multiply(outer.body, d(inner)), outer.axes))
        return add(*parts)

    return d(node)


def has_exponential(node: Node) -> bool:
    """Whether an addend of the node has an exponential as a factor."""
    match node:
        case Add(parts) | Mul(parts):
            return any(has_exponential(p) for p in parts)
        case Sum(body, _):
            return has_exponential(body)
    return isinstance(node, Fn) and node.atom == "exp"


def _of_log(log: Node, inside: Node, symbol: Symbol, at: tuple[Axis, ...]) -> Node:
    """The derivative of ``log S`` as that of ``S exp(-L)``, with ``L = log S`` held fixed.

    So ``S = Σ exp(a)`` gives shares ``exp(a - L)``, which do not overflow where ``exp(a) / S`` does.
    """
    free = tuple(sorted(inside.free, key=lambda a: a.name))
    held = Symbol(build.fresh(1, "log").name, "const", tuple(a.dim for a in free), REAL)
    found = derivative(_divided(inside, Get(held, free)), symbol, at)
    return replace_symbol(found, held, lambda index: rename(freshen(log), dict(zip(free, index, strict=True))))


def _divided(node: Node, log: Node) -> Node:
    """``node exp(-log)``, the exponentials of a product made one."""
    match node:
        case Add(terms):
            return add(*(_divided(t, log) for t in terms))
        case Sum(body, axes):
            return contract(_divided(body, log), axes)
    factors = factors_of(node)
    sums = [f for f in factors if not isinstance(f, Fn) and has_exponential(f)]
    if sums:  # into one factor is enough
        return multiply(_divided(sums[0], log), *(f for f in factors if f is not sums[0]))
    powers = [f for f in factors if isinstance(f, Fn) and f.atom == "exp"]
    rest = [f for f in factors if f not in powers]
    return multiply(*rest, Fn("exp", (add(*(p.args[0] for p in powers), mul(lit(-1), log)),)))


def fresh_index(symbol: Symbol, batch: bool = False) -> tuple[Axis, ...]:
    """Axes to differentiate at: one for each axis of the symbol, after the sample's where asked."""
    from ebdsl.model.ir import BATCH

    own = tuple(build.fresh(dim, "j") for dim in symbol.shape)
    return (BATCH, *own) if batch else own


__all__ = ["NoDerivative", "derivative", "fresh_index", "mul"]
