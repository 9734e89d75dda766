"""What the index of a sum runs over: said in the sum, declared, or found from its uses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ebdsl.check import subscripts
from ebdsl.check.dims import named, same, shape_text
from ebdsl.check.dispatch import lower
from ebdsl.check.scope import Bound, Env
from ebdsl.check.sizes import extent, resolve
from ebdsl.check.walk import children
from ebdsl.check.words import key
from ebdsl.diagnostics import Span
from ebdsl.model.build import fresh
from ebdsl.model.ir import Dim
from ebdsl.syntax import ast


@dataclass(frozen=True)
class Use:
    """A place where an index picks: the dimensions it may run over, one where brackets say which."""

    dims: tuple[Dim, ...]
    span: Span


def bind(name: ast.Name, limits: tuple[ast.Expr, ast.Expr] | None, body: ast.Expr, env: Env) -> Env | None:
    """``env`` with the index of a sum bound to an axis; None after an error."""
    ctx = env.ctx
    k = key(name.id)
    for table, kind in ((ctx.symbols, "a variable"), (ctx.modules, "a module"), (ctx.definitions, "a function")):
        if k in table:
            ctx.report.add(
                "EB0202",
                f"{name.id} is {kind}, and the index of a sum here",
                (name.span, "an index here"),
                (ctx.declarations[k].name.span, f"{kind} here"),  # type: ignore[attr-defined]
                help="give the index a letter of its own",
            )
            return None
    if limits is not None:
        found = extent(*limits, ctx)
        if found is None:
            return None
        dim, low = found
    elif k in ctx.broken:
        return None
    elif k in ctx.indices:
        ctx.used.add(k)
        dim, low = ctx.indices[k].dim, ctx.indices[k].low
    else:
        inferred = _infer(name, body, env)
        if inferred is None:
            return None
        dim, low = inferred, 0
    return env.with_index(name.id, Bound(fresh(dim, name.id.replace("~", "")), low))


def _infer(name: ast.Name, body: ast.Expr, env: Env) -> Dim | None:
    ctx = env.ctx
    found = list(uses(body, name.id, env.muted()))
    sure = [u for u in found if len(u.dims) == 1]
    open_ = [u for u in found if len(u.dims) > 1]
    if not sure and open_:
        common = [d for d in open_[0].dims if all(any(same(ctx, d, e) for e in u.dims) for u in open_)]
        upper = resolve(ctx, key(name.id.upper()))
        common = [d for d in common if d == upper] or list(dict.fromkeys(common))
        if len(common) == 1:
            return common[0]
        report_two_axes(name, open_[0], env)
        return None
    if not sure:
        ctx.report.add(
            "EB0209",
            f"nothing tells what {name.id} runs over",
            (name.span, f"{name.id} picks nothing in the sum"),
            help=f"say it: index {name.id} in 1..{name.id.upper()}, or use it: z[{name.id}], W[:, {name.id}]",
        )
        return None
    dim = sure[0].dims[0]
    for u in sure[1:]:
        if not same(ctx, dim, u.dims[0]):
            ctx.report.add(
                "EB0209",
                f"{name.id} runs over two dimensions: {sure[0].dims[0]} and {u.dims[0]}",
                (u.span, f"{name.id} runs over {u.dims[0]} here"),
                (sure[0].span, f"over {sure[0].dims[0]} here"),
                help="use two indices, or give the two dimensions one name",
            )
            return None
        dim = named(dim, u.dims[0])
    return dim


def report_two_axes(name: ast.Name, use: Use, env: Env) -> None:
    text = env.ctx.text(use.span)
    base = text.rsplit("_", 1)[0]
    env.report.add(
        "EB0210",
        f"{name.id} fits more than one axis of {base} : {shape_text(use.dims)}",
        (use.span, "which axis?"),
        help=tuple(
            f"{what}: {base}[{', '.join(name.id if i == j else ':' for j in range(len(use.dims)))}]"
            for i, what in enumerate(_axes_in_words(len(use.dims)))
        ),
    )


def _axes_in_words(rank: int) -> tuple[str, ...]:
    return ("a row", "a column") if rank == 2 else tuple(f"along axis {i + 1}" for i in range(rank))


def uses(expr: ast.Expr, name: str, env: Env) -> Iterator[Use]:
    """Where the index ``name`` picks in ``expr``; calls of macros are looked into. ``env`` is muted."""
    k = key(name)
    match expr:
        case ast.BigOp(_, _, names) if any(key(n.id) == k for n in names):
            return
        case ast.Name(span, id):
            parts = subscripts.split(id, env, {k, *env.indices})
            if parts is not None and k in map(key, parts[1]) and not known(id, env):
                shape = _shape(ast.Name(span, parts[0]), env)
                if shape and len(parts[1]) == 1:
                    yield Use(shape, span)
                elif shape and len(parts[1]) <= len(shape):
                    yield Use((shape[[key(p) for p in parts[1]].index(k)],), span)
            return
        case ast.Index(_, base, items):
            for position, item in enumerate(items):
                if isinstance(item, ast.Name) and key(item.id) == k:
                    shape = _shape(base, env)
                    if shape and position < len(shape):
                        yield Use((shape[position],), expr.span)
        case ast.Call(_, func, _, args, _) if key(func) in env.ctx.definitions and key(func) not in env.calls:
            yield from _through_call(key(func), args, k, env)
    for c in children(expr):
        yield from uses(c, name, env)


def _through_call(func: str, args: tuple[ast.Expr, ...], k: str, env: Env) -> Iterator[Use]:
    definition = env.ctx.definitions[func]
    if len(definition.params) != len(args):
        return
    inner = Env(env.ctx, calls=(*env.calls, func))
    formals = []
    for p, a in zip(definition.params, args, strict=True):
        if isinstance(a, ast.Name) and key(a.id) == k:
            formals.append(p.id)
        elif isinstance(a, ast.Name) and key(a.id) in env.indices:
            inner = inner.with_index(p.id, env.indices[key(a.id)])
        else:
            value = lower(a, env)
            if value is not None:
                inner = Env(inner.ctx, {**inner.values, key(p.id): value}, inner.indices, inner.calls)
    for f in formals:
        yield from uses(definition.body, f, inner)


def known(name: str, env: Env) -> bool:
    """Whether a name with its underscore is one of its own."""
    k = key(name)
    ctx = env.ctx
    return any(k in t for t in (env.values, env.indices, ctx.symbols, ctx.modules, ctx.definitions, ctx.dims))


def _shape(base: ast.Expr, env: Env) -> tuple[Dim, ...] | None:
    value = lower(base, env)
    return None if value is None else value.dims
