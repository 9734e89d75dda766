"""Numbers that are known when a spec is checked: constants, sizes, arguments of domains."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from ebdsl.check.report import Report
from ebdsl.check.words import key, nearest
from ebdsl.syntax import ast

FUNCTIONS: dict[str, Callable[[float], float]] = {
    "sqrt": math.sqrt,
    "√": math.sqrt,
    "exp": math.exp,
    "log": math.log,
    "ln": math.log,
    "abs": abs,
}
PI = frozenset({"π", "pi"})


class NotANumber(Exception):
    """Raised inside this file: the expression has no value now; the finding is in the report."""


def evaluate(expr: ast.Expr, known: Mapping[str, float | None], report: Report, code: str, what: str) -> float | None:
    """The value of a formula of numbers and of names in ``known``; None where the reason was reported as ``code``.

    A name that is in ``known`` with the value None is one whose own error was reported.
    """
    try:
        value = _value(expr, known, report, code, what)
    except NotANumber:
        return None
    except (ZeroDivisionError, ValueError, OverflowError):
        report.add(code, f"{what} has no finite value", (expr.span, "this has no finite value"))
        return None
    if not isinstance(value, float | int) or not math.isfinite(value):
        report.add(code, f"{what} has no finite value", (expr.span, "this has no finite value"))
        return None
    return value


def _value(expr: ast.Expr, known: Mapping[str, float | None], report: Report, code: str, what: str) -> float:
    def go(e: ast.Expr) -> float:
        return _value(e, known, report, code, what)

    match expr:
        case ast.Number(_, value):
            return value
        case ast.Name(span, name):
            k = key(name)
            if k in known:
                value_of = known[k]
                if value_of is None:
                    raise NotANumber
                return value_of
            if k in PI:
                return math.pi
            if k in ("∞", "inf", "infinity"):
                return math.inf
            near = nearest(name, known)
            report.add(
                code,
                f"{what} needs the value of {name}, which has none here",
                (span, "not a constant"),
                help=(f"did you mean {near} ?",)
                if near
                else ("use numbers, and constants that stand above this line",),
                fix=(span, near) if near else None,
            )
            raise NotANumber
        case ast.Negate(_, body):
            return -go(body)
        case ast.Sum(_, terms):
            return sum(sign * go(t) for sign, t in terms)
        case ast.Product(_, factors) if all(op != "⊙" for op, _ in factors):
            result = 1.0
            for op, f in factors:
                result = result / go(f) if op == "/" else result * go(f)
            return result
        case ast.Power(_, base, exponent):
            result = go(base) ** go(exponent)
            if isinstance(result, complex):
                raise ValueError
            return result
        case ast.Bars(_, "abs", body):
            return abs(go(body))
        case ast.Call(_, func, _, (argument,), ()) if func in FUNCTIONS:
            return FUNCTIONS[func](go(argument))
        case ast.Call(_, func, func_span, (argument,), ()) if key(func) in known:
            return go(ast.Name(func_span, func)) * go(argument)
    report.add(code, f"{what} must be a number, or a formula of numbers", (expr.span, "this is not a number"))
    raise NotANumber
