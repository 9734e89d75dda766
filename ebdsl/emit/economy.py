"""Rewriting that saves memory before anything is written."""

from __future__ import annotations

from ebdsl.model.algebra import addends, contract, freshen, multiply, transform
from ebdsl.model.build import add, lit, power
from ebdsl.model.ir import Add, Fn, Lit, Mul, Node, Pow, Sum


def economical(node: Node) -> Node:
    """Squares multiplied out where leaving them whole would make a tensor that no operand has.

    ``Σ_m (y_bm - W_mk)²`` would need a (b, m, k) array; ``Σ y² - 2 Σ y W + Σ W²`` needs matrix products. What is left
    of a small distance by rounding may be negative: under a root it counts as 0.
    """

    def leaf(n: Node) -> Node | None:
        if isinstance(n, Pow) and isinstance(n.exponent, Lit) and not n.exponent.value.is_integer():
            base = economical(n.base)
            return None if base == n.base else power(Fn("relu", (base,)), n.exponent)
        if not isinstance(n, Sum):
            return None
        body = n.body
        rest: tuple[Node, ...] = ()
        if isinstance(body, Mul):
            squares = [f for f in body.factors if isinstance(f, Pow)]
            if len(squares) != 1:
                return None
            rest = tuple(f for f in body.factors if f is not squares[0])
            body = squares[0]
        if not (isinstance(body, Pow) and body.exponent == Lit(2.0) and isinstance(body.base, Add)):
            return None
        if any(t.free == body.base.free for t in body.base.terms):
            return None

        return add(*(contract(multiply(t, *rest), n.axes) for t in addends(add(*_square(body.base.terms)))))

    return transform(node, leaf)


def _square(terms: tuple[Node, ...]) -> list[Node]:
    """The square of a sum, each cross product once."""

    out: list[Node] = []
    for k, t in enumerate(terms):
        out.append(power(t, 2) if not isinstance(t, Mul) else multiply(*(power(f, 2) for f in t.factors)))
        out += [multiply(lit(2), t, freshen(u)) for u in terms[k + 1 :]]
    return out
