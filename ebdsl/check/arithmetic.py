"""Sums, products, powers, transposes, bars and brackets in formulas."""

from __future__ import annotations

import math

from ebdsl.check import brackets, norms, products
from ebdsl.check.dispatch import lower
from ebdsl.check.functions import unfold
from ebdsl.check.scope import Env, Value
from ebdsl.diagnostics import Span
from ebdsl.model import build
from ebdsl.model.ir import Lit, Pow
from ebdsl.syntax import ast


@lower.register
def _(e: ast.Derivative, env: Env) -> Value | None:
    env.report.add("EB0230", "derivatives in a formula have their place and come later", (e.span, "a derivative"))
    return None


@lower.register
def _(e: ast.Number, env: Env) -> Value | None:
    return finite(Value(build.lit(e.value), (), e.span), env)


def finite(value: Value, env: Env) -> Value | None:
    """``value``; None, and a finding, for a number that no computer holds."""
    match value.body:
        case Lit(number):
            good = math.isfinite(number)
        case Pow(Lit(0.0), Lit(exponent)):
            good = exponent >= 0
        case _:
            good = True
    if not good:
        env.report.add(
            "EB0216", f"{env.ctx.text(value.span)} has no finite value", (value.span, "this has no finite value")
        )
        return None
    return value


@lower.register
def _(e: ast.Negate, env: Env) -> Value | None:
    value = lower(e.body, env)
    return None if value is None else Value(build.neg(value.body), value.axes, e.span, value.row, value.origins)


@lower.register
def _(e: ast.Sum, env: Env) -> Value | None:
    values = [(sign, lower(t, env)) for sign, t in e.terms]
    tensors = [v for _, v in values if v is not None and not v.scalar]
    good = all(v is not None for _, v in values)
    for t in tensors[1:]:
        good = products.fits(tensors[0], t, env) and good
    if not good:
        return None
    first = tensors[0].fresh() if tensors else None
    axes = first.axes if first else ()
    bodies = [(s, v.body if v.scalar else v.over(axes).body) for s, v in values if v is not None]
    body = build.add(*(b if s > 0 else build.neg(b) for s, b in bodies))
    return Value(body, axes, e.span, bool(first and first.row), first.origins if first else ())


@lower.register
def _(e: ast.Product, env: Env) -> Value | None:
    factors: list[tuple[str, ast.Expr]] = []
    for op, f in e.factors:
        other = unfold(f, env)
        if other is not f and isinstance(other, ast.Product):
            if op == "/":
                products.report_ambiguous(
                    env, e.span, factors[-1][1].span, other.factors[0][1].span, other.factors[1][1].span
                )
                return None
            factors += [(op, other.factors[0][1]), *other.factors[1:]]
        else:
            factors.append((op, f))
    if _tight(factors, e.span, env):
        return None
    values = [(op, lower(f, env)) for op, f in factors]
    known = [(op, v) for op, v in values if v is not None]
    if len(known) < len(values):
        return None
    zero = next((v for op, v in known if op == "/" and v.body == Lit(0.0)), None)
    if zero is not None:
        env.report.add("EB0216", f"{env.ctx.text(e.span)} has no finite value", (zero.span, "this is 0"))
        return None
    return products.product(known, e.span, env)


def _tight(factors: list[tuple[str, ast.Expr]], span: Span, env: Env) -> bool:
    """``1/2σ``: reported, since half of its readers take it for 1/(2σ)."""
    for k in range(1, len(factors) - 1):
        (op, divisor), (after, following) = factors[k], factors[k + 1]
        if op != "/" or after != "":
            continue
        base = following.base if isinstance(following, ast.Power) else following
        fraction = divisor.span == factors[k - 1][1].span  # ½ is one sign
        touching = divisor.span.end == following.span.start and not fraction
        if touching and isinstance(base, ast.Name) and isinstance(divisor, ast.Number | ast.Name | ast.Power):
            products.report_ambiguous(env, span, factors[k - 1][1].span, divisor.span, following.span)
            return True
    return False


@lower.register
def _(e: ast.Transpose, env: Env) -> Value | None:
    other = unfold(e, env)
    if other is not e:
        return lower(other, env)
    value = lower(e.base, env)
    if value is None:
        return None
    if value.rank > 2:
        env.report.add(
            "EB0208",
            f"{env.ctx.text(e.base.span)} has {value.rank} axes, and no transpose",
            (e.span, "transposed here"),
            help="pick a matrix out of it with brackets",
        )
        return None
    row = not value.row if value.rank == 1 else False
    return Value(value.body, value.axes[::-1], e.span, row, value.origins[::-1])


@lower.register
def _(e: ast.Power, env: Env) -> Value | None:
    other = unfold(e, env)
    if other is not e:
        return lower(other, env)
    base, exponent = lower(e.base, env), lower(e.exponent, env)
    value = None if base is None or exponent is None else norms.power(base, exponent, e.span, env)
    return None if value is None else finite(value, env)


@lower.register
def _(e: ast.Bars, env: Env) -> Value | None:
    value = lower(e.body, env)
    return None if value is None else norms.bars(e, value, env)


@lower.register
def _(e: ast.Index, env: Env) -> Value | None:
    other = unfold(e, env)
    if other is not e:
        return lower(other, env)
    value = lower(e.base, env)
    return None if value is None else brackets.brackets(value, e.items, e.span, env)
