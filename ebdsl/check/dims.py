"""Dimensions: when two are one, and how shapes are told to people."""

from __future__ import annotations

from ebdsl.check.scope import Context, Env, Value
from ebdsl.check.words import key
from ebdsl.diagnostics import Span
from ebdsl.model.ir import Dim, extent
from ebdsl.syntax import ast


def size(ctx: Context, dim: Dim) -> int | None:
    """Extent of a dimension, None where the data has still to tell."""
    return extent(dim, ctx.dims)


def same(ctx: Context, a: Dim, b: Dim) -> bool:
    """One name, or one known size."""
    return a == b or (size(ctx, a) is not None and size(ctx, a) == size(ctx, b))


def by_chance(ctx: Context, a: Dim, b: Dim) -> bool:
    """Two names whose sizes happen to agree."""
    return isinstance(a, str) and isinstance(b, str) and a != b and same(ctx, a, b)


def named(a: Dim, b: Dim) -> Dim:
    """Of two dimensions that are one, the one that has a name."""
    return b if isinstance(a, int) and isinstance(b, str) else a


def shape_text(dims: tuple[Dim, ...]) -> str:
    """``R[M, N]``, ``R`` for a number."""
    return f"R[{', '.join(map(str, dims))}]" if dims else "R"


def type_text(value: Value) -> str:
    """What a value is, for a message."""
    if value.scalar:
        return "a number"
    return f"a row of {shape_text(value.dims)}" if value.row else shape_text(value.dims)


def why(env: Env, value: Value, position: int) -> str:
    """``, because W : R[P, N] (line 6)``, where the axis comes from a declaration other than the value itself."""
    origin = value.origin(position)
    if origin is None or origin.name == env.ctx.text(value.span) or origin.dim_span is None:
        return ""
    return f", because {declared(env.ctx, origin.name)} (line {env.ctx.line(origin.dim_span)})"


def declared(ctx: Context, name: str) -> str:
    """``W : R[M, N]``, ``Enc : R[M] -> R[N]``: a declaration's type as text."""
    k = key(name)
    if k in ctx.modules:
        m = ctx.modules[k]
        return f"{m.name} : {', '.join(map(shape_text, m.inputs))} -> {shape_text(m.output)}"
    symbol = ctx.symbols[k]
    written = f"{symbol.domain.kind}[{', '.join(map(str, symbol.shape))}]"
    return f"{symbol.name} : {written if symbol.domain.kind in ('onehot', 'simplex') else shape_text(symbol.shape)}"


def report_by_chance(env: Env, left: Value, right: Value, i: int, j: int) -> None:
    """The lint for two names of one size that a formula takes for equal: once for each pair."""
    ctx = env.ctx
    a, b = left.dims[i], right.dims[j]
    if not by_chance(ctx, a, b):
        return
    first, second = sorted((str(a), str(b)), key=lambda d: ctx.dim_spans[d])
    said = f"{first} and {second} are both {size(ctx, a)}, and this formula takes them for one dimension"
    if any(d.message == said for d in ctx.report.found.values()):
        return
    ctx.report.add(
        "EB0407",
        said,
        (left.span, f"{type_text(left)}"),
        (right.span, f"{type_text(right)}{why(env, right, j)}"),
        help=f"use one name, or say that they are equal: dim {second} = {first}",
    )


def report_differ(
    env: Env, left: Value, right: Value, i: int, j: int, better: tuple[str, tuple[Span, str]] | None = None
) -> None:
    """EB0203 for axis ``i`` of one value and ``j`` of the other, with ``better`` or the easiest mend as the help."""
    ctx = env.ctx
    found = better or declared_alike(env, left, right, i, j)
    a, b = ctx.text(left.span), ctx.text(right.span)
    if left.rank == 2 and i == 1 and j == 0:  # a product: what must agree is inside
        labels = f"{type_text(left)}: {left.dims[1]} columns", f"{type_text(right)}: {right.dims[0]} entries"
        labels = labels if right.rank == 1 else (labels[0], f"{type_text(right)}: {right.dims[0]} rows")
        message = f"dimensions differ in the product {a} {b}: {left.dims[1]} is not {right.dims[0]}"
    else:
        labels = f"{type_text(left)}{why(env, left, i)}", f"{type_text(right)}{why(env, right, j)}"
        message = f"dimensions differ: {a} is {type_text(left)}, {b} is {type_text(right)}"
    ctx.report.add(
        "EB0203",
        message,
        (left.span, labels[0]),
        (right.span, labels[1]),
        help=found[0] if found else (),
        fix=found[1] if found else None,
    )


def declared_alike(env: Env, left: Value, right: Value, i: int, j: int) -> tuple[str, tuple[Span, str]] | None:
    """``did you mean W : R[M, N] ?``: of the two dimensions, the one that fewer declarations speak of is changed."""
    ctx = env.ctx
    best: tuple[str, tuple[Span, str]] | None = None
    fewest = 0
    for value, k, other, n in ((right, j, left, i), (left, i, right, j)):
        origin = value.origin(k)
        if origin is None or origin.dim_span is None:
            continue
        count = uses(ctx, value.dims[k])
        if best is not None and count >= fewest:
            continue
        fewest = count
        wanted = str(other.dims[n])
        before, at = declared_source(ctx, origin.name), origin.dim_span
        text = ctx.source.text
        new = text[before.start : at.start] + wanted + text[at.end : before.end]
        best = f"did you mean {' '.join(new.split())} ?", (at, wanted)
    return best


def uses(ctx: Context, dim: Dim) -> int:
    """How many declarations speak of a dimension."""
    shapes = [s.shape for s in ctx.symbols.values()]
    shapes += [s for m in ctx.modules.values() for s in (*m.inputs, m.output)]
    return sum(dim in s for s in shapes) + 100 * (isinstance(dim, str) and ctx.dims.get(dim) is not None)


def declared_source(ctx: Context, name: str) -> Span:
    """The span of ``W : R[M, N]`` in a declaration."""
    s = ctx.declarations[key(name)]
    if isinstance(s, ast.VarDecl) and s.type is not None:
        return s.name.span.to(s.type.span)
    if isinstance(s, ast.ModuleDecl) and s.output is not None:
        return s.name.span.to(s.output.span)
    return s.span
