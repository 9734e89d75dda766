"""Sizes of dimensions and ranges of indices, from the formulas that say them."""

from __future__ import annotations

from ebdsl.check import numbers
from ebdsl.check.scope import Context
from ebdsl.check.walk import everything
from ebdsl.check.words import key
from ebdsl.diagnostics import Span
from ebdsl.model.ir import Dim, Part
from ebdsl.syntax import ast


def resolve(ctx: Context, name: str) -> str:
    """The name that a dimension's aliases (``dim P = N``) stand for."""
    return ctx.aliases.get(name, name)


def known_numbers(ctx: Context) -> dict[str, float | None]:
    """Constants, and dimensions with a size; None for those whose own error was reported."""
    known: dict[str, float | None] = {k: n for k, n in ctx.dims.items() if n is not None or k in ctx.broken}
    return known | {k: s.value for k, s in ctx.symbols.items() if s.role == "const"}


def names_in(expr: ast.Expr) -> list[ast.Name]:
    """Every name of a formula."""
    return [e for e in everything(expr) if isinstance(e, ast.Name)]


def computed_size(name: str, expr: ast.Expr, ctx: Context) -> int | None:
    """The size that a formula of numbers and dimensions gives; None after an error."""
    free = [e for e in names_in(expr) if key(e.id) in ctx.dims and ctx.dims[key(e.id)] is None]
    if any(key(e.id) in ctx.broken for e in free):
        return None
    if free:
        ctx.report.add(
            "EB0215",
            f"the size of {name} needs the size of {free[0].id}, which only the data tells",
            (free[0].span, "no size yet"),
            (ctx.dim_spans[key(free[0].id)], "declared without a size"),
            help=f"give it a size: dim {free[0].id} = 144",
        )
        return None
    value = numbers.evaluate(expr, known_numbers(ctx), ctx.report, "EB0215", f"the size of {name}")
    return whole(name, value, expr.span, ctx)


def whole(name: str, value: float | None, span: Span, ctx: Context) -> int | None:
    """A value as a size; None after an error."""
    if value is None:
        return None
    if value != int(value) or value < 1:
        ctx.report.add(
            "EB0215",
            f"the size of {name} is {value:g}; a dimension is a whole number above zero",
            (span, f"{value:g}"),
        )
        return None
    return int(value)


def dimension(d: ast.Expr, ctx: Context, stretch: bool = False) -> Dim | None:
    """What stands in the brackets of a type: a name, or a size. None after an error.

    ``stretch``: whether it may be that of a stretch, ``T-1``, whose size the data tells.
    """
    if isinstance(d, ast.Name):
        k = key(d.id)
        if k in ctx.indices:
            ctx.report.add(
                "EB0230",
                f"variables that are indexed by {d.id} in their type come later",
                (d.span, "an index here"),
                help="name the dimension that the index runs over",
            )
            return None
        ctx.used.add(k)
        return resolve(ctx, k) if k in ctx.dims else None
    if isinstance(d, ast.Number):
        return whole("this dimension", d.value, d.span, ctx)
    if isinstance(d, ast.Slice):
        ctx.report.add("EB0215", "a dimension needs a name or a size", (d.span, "neither"))
        return None
    for n in names_in(d):
        ctx.used.add(key(n.id))
    named = _end(d, ctx) if stretch else None
    if named is not None and named[1] < 0 and named[0] not in ctx.broken:
        count = ctx.dims[named[0]]
        if count is None or count + named[1] > 0:
            return Part(named[0], -named[1])
    return computed_size("this dimension", d, ctx)


def extent(low: ast.Expr, high: ast.Expr, ctx: Context, time: bool = False) -> tuple[Dim, int] | None:
    """The dimension that ``low..high`` runs over, and the first number. None after an error.

    A ``time`` ``0..T`` has one point more than T steps.
    """
    start = numbers.evaluate(low, known_numbers(ctx), ctx.report, "EB0209", "the start of the range")
    if start is None:
        return None
    if start != int(start) or start < 0:
        ctx.report.add("EB0209", f"the range starts at {start:g}; ranges start at 0 or above", (low.span, f"{start:g}"))
        return None
    if isinstance(high, ast.Name) and key(high.id) not in ctx.dims and key(high.id) not in ctx.symbols:
        ctx.dims[key(high.id)] = None
        ctx.dim_spans[key(high.id)] = high.span
    for n in names_in(high):
        ctx.used.add(key(n.id))
    named = _end(high, ctx)
    if named is not None:
        name, past = named
        less = int(start) - 1 - past
        count = ctx.dims[name]
        if (less >= 0 or time) and (count is None or count > less):
            return (Part(name, less) if less else name), int(start)
        if count is None:
            ctx.report.add(
                "EB0209",
                f"the range needs the size of {name}, which only the data tells",
                (high.span, "no size yet"),
                help=f"end it at {name}-1 where it counts from 0, at {name} where it counts from 1",
            )
            return None
    for n in names_in(high):
        if key(n.id) in ctx.dims and ctx.dims[key(n.id)] is None:
            ctx.report.add(
                "EB0209",
                f"the range needs the size of {n.id}, which only the data tells",
                (n.span, "no size yet"),
                help=f"count from 1: 1..{n.id}",
            )
            return None
    end = numbers.evaluate(high, known_numbers(ctx), ctx.report, "EB0209", "the end of the range")
    if end is None:
        return None
    steps = end - start + 1
    if steps != int(steps) or steps < 1:
        ctx.report.add("EB0209", f"the range {start:g}..{end:g} holds no whole steps", (low.span.to(high.span), "here"))
        return None
    return int(steps), int(start)


def _end(high: ast.Expr, ctx: Context) -> tuple[str, int] | None:
    """``T`` and ``T - 1`` as a dimension and what is added to it; None for any other formula."""
    terms = high.terms if isinstance(high, ast.Sum) else ((1, high),)
    names = [e for sign, e in terms if isinstance(e, ast.Name) and sign == 1 and key(e.id) in ctx.dims]
    rest = [(sign, e) for sign, e in terms if not (len(names) == 1 and e is names[0])]
    if len(names) != 1 or not all(isinstance(e, ast.Number) and e.value == int(e.value) for _, e in rest):
        return None
    past = sum(sign * int(e.value) for sign, e in rest if isinstance(e, ast.Number))
    return resolve(ctx, key(names[0].id)), past
