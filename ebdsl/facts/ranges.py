"""Intervals that numbers lie in, and their arithmetic: from them come signs."""

from __future__ import annotations

import math
from dataclasses import dataclass

INF = math.inf


@dataclass(frozen=True)
class Range:
    """All values lie in ``[low, high]``; ``nonzero``: none of them is 0."""

    low: float = -INF
    high: float = INF
    nonzero: bool = False

    @property
    def nonnegative(self) -> bool:
        return self.low >= 0

    @property
    def nonpositive(self) -> bool:
        return self.high <= 0

    @property
    def positive(self) -> bool:
        return self.low > 0 or (self.low >= 0 and self.nonzero)

    @property
    def negative(self) -> bool:
        return self.high < 0 or (self.high <= 0 and self.nonzero)

    @property
    def sign(self) -> str:
        if self.positive:
            return "positive"
        if self.nonnegative:
            return "nonnegative"
        if self.negative:
            return "negative"
        return "nonpositive" if self.nonpositive else "unknown"


ANYTHING = Range()
ONE_SIDED = Range(0.0, INF)


def exactly(value: float) -> Range:
    return Range(value, value, value != 0)


def plus(*parts: Range) -> Range:
    """Of a sum."""
    low, high = sum(p.low for p in parts), sum(p.high for p in parts)
    one_sided = all(p.nonnegative for p in parts) or all(p.nonpositive for p in parts)
    return Range(low, high, low > 0 or high < 0 or (one_sided and any(p.positive or p.negative for p in parts)))


def times(x: Range, y: Range) -> Range:
    """Of a product."""
    ends = [0.0 if a == 0 or b == 0 else a * b for a in (x.low, x.high) for b in (y.low, y.high)]
    return Range(min(ends), max(ends), x.nonzero and y.nonzero)


def total(body: Range, count: int | None) -> Range:
    """Of a sum of ``count`` values, at least one where the count is not known."""
    if count is not None:
        low, high = times(body, exactly(float(count))).low, times(body, exactly(float(count))).high
    else:
        low, high = (body.low if body.low >= 0 else -INF), (body.high if body.high <= 0 else INF)
    return Range(low, high, (body.positive or body.negative) and count != 0)


def raised(base: Range, exponent: float) -> Range:
    """Of a power with a fixed exponent, where it is defined."""
    if exponent == 0:
        return exactly(1.0)
    whole = float(exponent).is_integer()
    if not whole:  # only defined for a base that is not negative
        base = Range(max(base.low, 0.0), max(base.high, 0.0), base.nonzero)
    if exponent < 0:
        return _reciprocal(raised(base, -exponent))
    if whole and exponent % 2 == 0:
        near = 0.0 if base.low <= 0 <= base.high else min(abs(base.low), abs(base.high))
        far = max(abs(base.low), abs(base.high))
        return Range(_power(near, exponent), _power(far, exponent), base.nonzero)
    return Range(_power(base.low, exponent), _power(base.high, exponent), base.nonzero)


def _power(x: float, exponent: float) -> float:
    try:
        return math.copysign(abs(x) ** exponent, x) if exponent % 2 else abs(x) ** exponent
    except OverflowError:
        return math.copysign(INF, x) if exponent % 2 else INF


def _reciprocal(x: Range) -> Range:
    """Of 1 / x where x is not 0."""
    if x.low < 0 < x.high:
        return Range(nonzero=True)
    if x.nonnegative:
        return Range(0.0 if x.high == INF else 1 / x.high if x.high else INF, 1 / x.low if x.low else INF, True)
    return Range(1 / x.low if x.low != -INF else -0.0, 1 / x.high if x.high else -INF, True)
