"""Logarithms of sums of exponentials, as functions that do not overflow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ebdsl.emit.text import tuple_text
from ebdsl.emit.values import Value, aligned, is_number, number, union
from ebdsl.facts.convexity import sign
from ebdsl.model.build import add, mul
from ebdsl.model.ir import ONE, Add, Axis, Fn, Lit, Mul, Node, Sum

if TYPE_CHECKING:
    from ebdsl.emit.tensors import Scope


def log_of_sum(scope: Scope, node: Node) -> Value | None:
    """The logarithm of ``node`` where that holds exponentials in its addends; None where it holds none."""
    match node:
        case Fn("exp", (a,)):
            return scope.emit(a)
        case Mul(factors):
            powers = [f for f in factors if isinstance(f, Fn) and f.atom == "exp"]
            rest = mul(*(f for f in factors if f not in powers))
            if powers and _never_negative(rest):
                return scope.emit(add(*(p.args[0] for p in powers), *([] if rest == ONE else [Fn("log", (rest,))])))
        case Sum(body, axes):
            value = log_of_sum(scope, body)
            return None if value is None or not set(axes) <= set(value.axes) else _over(value, axes)
        case Add(terms) if all(_never_negative(t) for t in terms):
            found = [log_of_sum(scope, t) for t in terms]
            if any(v is not None for v in found):
                return _together(scope, [v or _log(scope, t) for v, t in zip(found, terms, strict=True)])
    return None


def _over(value: Value, axes: tuple[Axis, ...]) -> Value:
    places = sorted(value.axes.index(a) for a in axes)
    over = str(places[0]) if len(places) == 1 else tuple_text([str(p) for p in places])
    return Value(f"torch.logsumexp({value.code}, {over})", tuple(a for a in value.axes if a not in axes))


def _together(scope: Scope, values: list[Value]) -> Value:
    total = values[0]
    for v in values[1:]:
        axes = union(total.axes, v.axes)
        left, right = (scope.constant(x) if is_number(x.code) else aligned(x, axes) for x in (total, v))
        total = Value(f"torch.logaddexp({left}, {right})", axes)
    return total


def _log(scope: Scope, node: Node) -> Value:
    return Value(number(math.log(node.value))) if isinstance(node, Lit) else scope.emit(Fn("log", (node,)))


def _never_negative(node: Node) -> bool:
    return sign(node) in ("nonnegative", "positive")


def inverse_root(base: Node) -> str:
    """The method that takes ``base^(-½)``: where a norm is 0 it is finite, so that the slope of the norm there is 0."""
    return "clamp_min(1e-30).rsqrt()" if isinstance(base, Sum) and sign(base) != "positive" else "rsqrt()"
