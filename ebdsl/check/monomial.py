"""Weights as a number times powers: what cancels in ``1/β · β E`` cancels here."""

from __future__ import annotations

from dataclasses import dataclass

from ebdsl.model import build
from ebdsl.model.ir import Get, Lit, Mul, Node, Pow


@dataclass(frozen=True)
class Monomial:
    """``number · Π base^exponent``."""

    number: float
    powers: tuple[tuple[Node, float], ...] = ()

    @property
    def bases(self) -> frozenset[Node]:
        return frozenset(b for b, _ in self.powers)

    def __mul__(self, other: Monomial) -> Monomial:
        powers = dict(self.powers)
        for base, p in other.powers:
            powers[base] = powers.get(base, 0.0) + p
        return Monomial(self.number * other.number, tuple((b, p) for b, p in powers.items() if p))

    def __pow__(self, exponent: float) -> Monomial:
        return Monomial(self.number**exponent, tuple((b, p * exponent) for b, p in self.powers))

    @property
    def node(self) -> Node:
        return build.mul(Lit(self.number), *(build.power(b, p) for b, p in self.powers))

    @property
    def sign(self) -> int | None:
        """+1 or -1 where constants and even powers tell, 0 for zero, None where nothing does."""
        sign = (self.number > 0) - (self.number < 0)
        for base, p in self.powers:
            if p % 2 == 0:
                continue
            symbol = base.symbol if isinstance(base, Get) else None
            if symbol is not None and symbol.value is not None:
                sign *= (symbol.value > 0) - (symbol.value < 0)
            elif symbol is None or symbol.domain.kind not in ("positive",):
                return None
        return sign


def monomial(node: Node) -> Monomial:
    """A product's factors collected; a sum is one factor."""
    match node:
        case Lit(value):
            return Monomial(value)
        case Mul(factors):
            result = Monomial(1.0)
            for f in factors:
                result = result * monomial(f)
            return result
        case Pow(base, Lit(exponent)):
            inner = monomial(base)
            if inner.number > 0 and (float(exponent).is_integer() or (len(inner.powers) <= 1 and _folds(inner))):
                return inner**exponent
            return Monomial(1.0, ((base, exponent),))
    return Monomial(1.0, ((node, 1.0),))


def _folds(inner: Monomial) -> bool:
    """Whether the power of a power is one power: that of an even one, as in ``(x^2)^0.3``, is of ``|x|``."""
    return all(p % 2 != 0 or (isinstance(b, Get) and b.symbol.domain.row.bounds(b.symbol.domain.args)[0] >= 0)
               for b, p in inner.powers)  # fmt: skip
