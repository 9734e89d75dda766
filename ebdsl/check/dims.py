"""Dimensions: when two are one, and how shapes are told to people."""

from __future__ import annotations

from ebdsl.check.scope import Context, Env, Value
from ebdsl.model.ir import Dim


def size(ctx: Context, dim: Dim) -> int | None:
    """Extent of a dimension, None where the data has still to tell."""
    return dim if isinstance(dim, int) else ctx.dims.get(dim)


def same(ctx: Context, a: Dim, b: Dim) -> bool:
    """One name, or one known size."""
    return a == b or (size(ctx, a) is not None and size(ctx, a) == size(ctx, b))


def by_chance(ctx: Context, a: Dim, b: Dim) -> bool:
    """Two names whose sizes happen to agree."""
    return isinstance(a, str) and isinstance(b, str) and a != b and same(ctx, a, b)


def better(a: Dim, b: Dim) -> Dim:
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
    from ebdsl.check.words import key

    k = key(name)
    if k in ctx.modules:
        m = ctx.modules[k]
        return f"{m.name} : {', '.join(map(shape_text, m.inputs))} -> {shape_text(m.output)}"
    symbol = ctx.symbols[k]
    written = f"{symbol.domain.kind}[{', '.join(map(str, symbol.shape))}]"
    return f"{symbol.name} : {written if symbol.domain.kind in ('onehot', 'simplex') else shape_text(symbol.shape)}"


def report_by_chance(env: Env, left: Value, right: Value, i: int, j: int) -> None:
    """The lint for two names of one size that a formula takes for equal."""
    a, b = left.dims[i], right.dims[j]
    if by_chance(env.ctx, a, b):
        env.report.add(
            "EB0407",
            f"{a} and {b} are both {size(env.ctx, a)}, and this formula takes them for one dimension",
            (left.span, f"{type_text(left)}"),
            (right.span, f"{type_text(right)}{why(env, right, j)}"),
            help=f"use one name, or say that they are equal: dim {b} = {a}",
        )


def report_differ(env: Env, left: Value, right: Value, i: int, j: int, *helps: str) -> None:
    """EB0203, with the dimension that is easiest to mend as the suggestion."""
    ctx = env.ctx
    fix = None
    suggestions = list(helps)
    if not suggestions:
        for value, k, other, n in ((right, j, left, i), (left, i, right, j)):
            origin = value.origin(k)
            if origin is None or origin.dim_span is None or other.dims[n] == value.dims[k]:
                continue
            if fix is not None and uses(ctx, value.dims[k]) >= uses(ctx, other.dims[n]):
                continue
            wanted = str(other.dims[n])
            before = declared_source(ctx, origin.name)
            at = origin.dim_span
            start = before.start
            text = ctx.source.text
            new = text[start : at.start] + wanted + text[at.end : before.end]
            fix = (at, wanted)
            suggestions = [f"did you mean {' '.join(new.split())} ?"]
    ctx.report.add(
        "EB0203",
        f"dimensions differ: {ctx.text(left.span)} is {type_text(left)}, {ctx.text(right.span)} is {type_text(right)}",
        (left.span, f"{type_text(left)}{why(env, left, i)}"),
        (right.span, f"{type_text(right)}{why(env, right, j)}"),
        help=tuple(suggestions),
        fix=fix,
    )


def uses(ctx: Context, dim: Dim) -> int:
    """How many declarations speak of a dimension."""
    shapes = [s.shape for s in ctx.symbols.values()]
    shapes += [s for m in ctx.modules.values() for s in (*m.inputs, m.output)]
    return sum(dim in s for s in shapes) + 100 * (isinstance(dim, str) and ctx.dims.get(dim) is not None)


def declared_source(ctx: Context, name: str):  # type: ignore[no-untyped-def]
    """The span of ``W : R[M, N]`` in a declaration."""
    from ebdsl.check.words import key
    from ebdsl.syntax import ast

    s = ctx.declarations[key(name)]
    if isinstance(s, ast.VarDecl) and s.type is not None:
        return s.name.span.to(s.type.span)
    if isinstance(s, ast.ModuleDecl) and s.output is not None:
        return s.name.span.to(s.output.span)
    return s.span
