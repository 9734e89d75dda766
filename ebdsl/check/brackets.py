"""``W[:, k]``, ``D[k]``, ``z[0]`` and ``W_k``: picking entries."""

from __future__ import annotations

from ebdsl.check.dims import report_by_chance, same, shape_text, size, type_text
from ebdsl.check.ranges import Use, report_two_axes
from ebdsl.check.scope import Bound, Env, Value
from ebdsl.check.words import count, key
from ebdsl.diagnostics import Span
from ebdsl.model import algebra
from ebdsl.model.ir import Axis, Dim, Position
from ebdsl.syntax import ast


def pick(value: Value, chosen: dict[int, Bound], span: Span) -> Value:
    """The entries at the chosen positions; the other axes stay whole."""
    body = algebra.rename(value.body, {value.axes[p]: b.at for p, b in chosen.items()})
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
        fits = [p for p, d in enumerate(base.dims) if d == dim] or [
            p for p, d in enumerate(base.dims) if same(env.ctx, d, dim)
        ]
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
    if isinstance(item, ast.Number):
        n = size(ctx, dim)
        if item.value != int(item.value) or (n is not None and item.value >= n):
            ctx.report.add(
                "EB0211",
                f"{text} has entries 0 to {n - 1} there, and none at {item.text}"
                if n
                else f"{item.text} is not a position",
                (item.span, "outside" if n else "positions are whole numbers"),
                (base.span, f"{type_text(base)}"),
            )
            return None
        return Bound(int(item.value))
    if isinstance(item, ast.Name):
        bound = env.indices.get(key(item.id))
        if bound is not None:
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
    ctx.report.add(
        "EB0230" if isinstance(item, ast.Sum | ast.Product) else "EB0211",
        "computed positions (such as k+1) come later"
        if isinstance(item, ast.Sum | ast.Product)
        else "brackets take an index, a number or a colon",
        (item.span, "computed here" if isinstance(item, ast.Sum | ast.Product) else "none of these"),
    )
    return None
