"""``W[:, k]``, ``D[k]``, ``z[0]`` and ``W_k``: picking entries."""

from __future__ import annotations

from dataclasses import replace
from math import inf

from ebdsl.check import shifts
from ebdsl.check.dims import report_by_chance, same, shape_text, size, type_text
from ebdsl.check.ranges import report_two_axes
from ebdsl.check.scope import Bound, Env, Value
from ebdsl.check.shifts import Use
from ebdsl.check.sizes import names_in
from ebdsl.check.words import count, key
from ebdsl.diagnostics import Span
from ebdsl.model import algebra
from ebdsl.model.deltas import shift
from ebdsl.model.ir import Axis, Dim, Get, Position, difference, shorter
from ebdsl.syntax import ast


def pick(value: Value, chosen: dict[int, Bound], span: Span) -> Value:
    """The entries at the chosen positions; the other axes stay whole."""
    value = value.fresh()
    whole: dict[Axis, Axis | int] = {}
    body = value.body
    for p, b in chosen.items():
        axis = value.axes[p]
        past = difference(axis.dim, b.at.dim) if isinstance(b.at, Axis) else 0
        if isinstance(b.at, int) or (not b.first and not past):
            whole[axis] = b.at
        else:
            body = algebra.contract(algebra.multiply(shift(b.at, axis, b.first), body), (axis,))
    body = algebra.rename(body, whole)
    kept = [p for p in range(value.rank) if p not in chosen]
    origins = tuple(value.origin(p) for p in kept)
    return Value(body, tuple(value.axes[p] for p in kept), span, False, origins, value.rank == 2 and kept == [1])


def subscript(base: Value, names: tuple[str, ...], e: ast.Name, env: Env) -> Value | None:
    """``W_k``: k picks the axis that it runs over."""
    bounds = [env.indices[key(n)] for n in names]
    if len(names) > 1:
        items = tuple(ast.Name(e.span, n) for n in names)
        return brackets(base, items, e.span, env)
    bound = bounds[0]
    if isinstance(bound.at, int):
        upper = names[0].upper()
        fits = [p for p, d in enumerate(base.dims) if base.rank == 1 or d == upper]
    else:
        dim = bound.at.dim
        fits = (
            [p for p, d in enumerate(base.dims) if d == dim]
            or [p for p, d in enumerate(base.dims) if difference(d, dim) is not None and not isinstance(d, int)]
            or [p for p, d in enumerate(base.dims) if same(env.ctx, d, dim)]
        )
    if len(fits) == 1:
        return pick(base.fresh(), {fits[0]: bound}, e.span)
    if len(fits) > 1 or isinstance(bound.at, int):
        report_two_axes(ast.Name(e.span, names[0]), Use(base.dims, e.span), env)
    else:
        env.report.add(
            "EB0209",
            f"{names[0]} runs over {dim}, and {env.ctx.text(e.span).rsplit('_', 1)[0]} is {type_text(base)}",
            (e.span, f"no axis of {dim} here"),
            help=_other_range(names[0], dim, base, env),
        )
    return None


def _other_range(index: str, dim: Dim, base: Value, env: Env) -> str:
    """What to do where an index runs over none of the axes."""
    free = [d for d in base.dims if isinstance(d, str) and size(env.ctx, d) is None]
    if isinstance(dim, int) and len(free) >= 1:
        likely = index.upper() if index.upper() in free else free[0]
        return f"if {index} runs over {likely}, give it that size: dim {likely} = {dim}"
    return "pick the axis with brackets, or give its dimension that name"


def brackets(base: Value, items: tuple[ast.Expr, ...], span: Span, env: Env) -> Value | None:
    """``base[items]``: by position; what is left out stays whole."""
    ctx = env.ctx
    if len(items) > base.rank:
        ctx.report.add(
            "EB0211",
            f"{count(len(items), 'entry', 'entries')} in the brackets, and {type_text(base)} has "
            + (count(base.rank, "axis", "axes") if base.rank else "no axes"),
            (items[base.rank].span, "one too many"),
            (base.span, f"{ctx.text(base.span)} is {type_text(base)}"),
        )
        return None
    chosen: dict[int, Bound] = {}
    value = base.fresh()
    for position, item in enumerate(items):
        if isinstance(item, ast.Slice):
            continue
        bound = _position(item, position, base, env)
        if bound is None:
            return None
        chosen[position] = bound
    return pick(value, chosen, span)


def _position(item: ast.Expr, position: int, base: Value, env: Env) -> Bound | None:
    ctx = env.ctx
    dim = base.dims[position]
    text = ctx.text(base.span)
    picked = shifts.shifted(item, set(env.indices), ctx)
    if picked is not None and not isinstance(item, ast.Name):
        return _shifted(item, *picked, position, base, env)
    at = None if picked is not None else shifts.fixed(item, dim, ctx)
    if at is not None:
        return _fixed(item, at, position, base, env)
    if isinstance(item, ast.Name):
        bound = env.indices.get(key(item.id))
        if bound is not None:
            if isinstance(bound.at, Axis) and (bound.first or shifts.longer(ctx, dim, bound.at.dim)):
                return _shifted(item, item, 0.0, position, base, env)
            if isinstance(bound.at, Axis) and not same(ctx, bound.at.dim, dim):
                ctx.report.add(
                    "EB0209",
                    f"{item.id} runs over {bound.at.dim}, and this axis of {text} is {dim}",
                    (item.span, f"{item.id} runs over {bound.at.dim}"),
                    (base.span, f"{text} is {shape_text(base.dims)}"),
                    help="use another index, or give the two dimensions one name",
                )
                return None
            if isinstance(bound.at, Axis):
                index = Value(Position(bound.at), (bound.at,), item.span)
                report_by_chance(env, base, index, position, 0)
            return bound
        known = key(item.id) in ctx.indices
        ctx.report.add(
            "EB0211",
            f"{item.id} is not bound: an index has a value inside a sum alone"
            if known or len(item.id) == 1
            else f"{item.id} is not an index",
            (item.span, "no sum around it"),
            help=f"write Σ_{item.id} before it, or : for the whole axis",
        )
        return None
    if isinstance(item, ast.Sum | ast.Product | ast.Negate | ast.Power):
        ctx.report.add(
            "EB0233",
            f"{ctx.text(item.span)} is not an index with a whole number added to it",
            (item.span, "computed here"),
            help="positions are k, k+1, k-2, numbers, and T-1 or -1 for the last",
        )
    else:
        ctx.report.add("EB0211", "brackets take an index, a number or a colon", (item.span, "none of these"))
    return None


def _fixed(item: ast.Expr, at: float, position: int, base: Value, env: Env) -> Bound | None:
    """A position that is a number: from 0, or from the end where it is negative."""
    ctx = env.ctx
    n = size(ctx, base.dims[position])
    text = ctx.text(item.span)
    if at != at // 1 or at == inf or (n is not None and not -n <= at < n):
        last = str(n - 1) if n else str(shorter(base.dims[position], 1))
        outside = at == at // 1 or at == inf
        ctx.report.add(
            "EB0211",
            f"{ctx.text(base.span)} has entries 0 to {last} there, and none at {text}"
            if outside
            else f"{text} is not a position",
            (item.span, "outside" if outside else "positions are whole numbers"),
            (base.span, f"{type_text(base)}"),
            help=f"the first entry is 0, and the last is {last} or -1" if at == inf else (),
        )
        return None
    return Bound(int(at))


def _shifted(item: ast.Expr, name: ast.Name, offset: float, position: int, base: Value, env: Env) -> Bound | None:
    """``s[t+1]``: the entry that many places from that of t."""
    ctx = env.ctx
    ctx.used.update(key(n.id) for n in names_in(item))
    bound = env.indices[key(name.id)]
    dim = base.dims[position]
    if offset != int(offset):
        ctx.report.add(
            "EB0233",
            f"{ctx.text(item.span)} lies between two entries: a shift is a whole number",
            (item.span, f"{offset:+g}"),
        )
        return None
    if not isinstance(item, ast.Name) and _choice(base, position):
        ctx.report.add(
            "EB0235",
            f"the values of {ctx.text(base.span)} have no order: none comes after {name.id}",
            (item.span, "a shift"),
            (base.span, "a choice among values"),
            help="shift along an axis of time or of space; two choices are compared by their product",
        )
        return None
    first = bound.first + int(offset)
    if isinstance(bound.at, int):
        return _fixed(item, bound.at + offset, position, base, env) if bound.at + offset >= 0 else None
    rest = shifts.longer(ctx, dim, bound.at.dim)
    if rest is None:
        ctx.report.add(
            "EB0209",
            f"{name.id} runs over {bound.at.dim}, and this axis of {ctx.text(base.span)} is {dim}",
            (item.span, f"{name.id} runs over {bound.at.dim}"),
            (base.span, f"{ctx.text(base.span)} is {shape_text(base.dims)}"),
            help="use another index, or give the two dimensions one name",
        )
        return None
    if not 0 <= first <= rest:
        shifts.report_outside(name, Use((dim,), base.span.to(item.span)), env)
        return None
    return replace(bound, first=first)


def _choice(base: Value, position: int) -> bool:
    """Whether an axis numbers the values of a one-hot choice."""
    body = base.body
    return isinstance(body, Get) and body.symbol.domain.kind == "onehot" and body.index[-1] == base.axes[position]
