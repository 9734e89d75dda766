"""What the index of a sum runs over: said in the sum, declared, or found from its uses."""

from __future__ import annotations

from collections.abc import Iterator

from ebdsl.check import shifts, subscripts
from ebdsl.check.dims import named, same, shape_text, size
from ebdsl.check.dispatch import lower
from ebdsl.check.scope import Bound, Context, Env
from ebdsl.check.shifts import Use, longer
from ebdsl.check.sizes import extent, resolve
from ebdsl.check.walk import children, everything
from ebdsl.check.words import key
from ebdsl.model.build import fresh
from ebdsl.model.ir import Axis, Dim, Part
from ebdsl.syntax import ast


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
    picks = list(uses(body, name.id, env.muted()))
    declared = ctx.indices.get(k)
    says = declared.low if declared is not None and declared.low <= 1 else None
    if limits is not None:
        found = extent(*limits, ctx)
    elif k in ctx.broken or (k not in ctx.indices and not picks and _holds_broken(body, ctx)):
        return None
    elif k in ctx.indices:
        ctx.used.add(k)
        found = ctx.indices[k].dim, ctx.indices[k].low
    else:
        dim = None if any(u.offset for u in picks) or _differ(picks, ctx) else _infer(name, picks, env)
        found = None if dim is None else (dim, 0)
    whole = declared is None or (says is not None and any(declared.dim in u.dims for u in picks))
    if limits is None and whole and (any(u.offset for u in picks) or (declared is None and _differ(picks, ctx))):
        return _where_all_exist(name, picks, says or 0, env)
    if found is None:
        return None
    dim, low = found
    sure = _sure(picks, dim, env)
    first: int | None = 0
    if any(u.offset or longer(ctx, u.dims[0], dim) for u in sure):
        first = shifts.first_entry(name, dim, low, sure, says, env)
    return None if first is None else env.with_index(name.id, Bound(_axis(name, dim), low, first))


def _holds_broken(body: ast.Expr, ctx: Context) -> bool:
    """Whether something in it has an error that has been reported."""
    names = [key(e.id) for e in everything(body) if isinstance(e, ast.Name)]
    return any(n in ctx.broken or n.rpartition("_")[0] in ctx.broken for n in names)


def _differ(picks: list[Use], ctx: Context) -> bool:
    """Whether what is picked from is of one axis and longer by a known number, as T+1 states with T actions are."""
    dims = [u.dims[0] for u in picks if len(u.dims) == 1]
    return (
        bool(dims)
        and all(longer(ctx, d, dims[0]) is not None for d in dims)
        and any(longer(ctx, d, dims[0]) for d in dims)
    )


def _axis(name: ast.Name, dim: Dim) -> Axis:
    return fresh(dim, name.id.replace("~", ""))


def _sure(picks: list[Use], dim: Dim, env: Env) -> list[Use]:
    """The uses of which it is known along which axis they pick: one that compares with ``dim``."""
    found = []
    for u in picks:
        fits = [d for d in u.dims if longer(env.ctx, d, dim) is not None] if len(u.dims) > 1 else list(u.dims)
        if len(fits) == 1:
            found.append(Use((fits[0],), u.span, u.offset))
    return found


def _where_all_exist(name: ast.Name, picks: list[Use], low: int, env: Env) -> Env | None:
    """The index over all values for which ``s[t-1]``, ``s[t]`` and ``s[t+1]`` have an entry."""
    ctx = env.ctx
    known = [u for u in picks if len(u.dims) == 1]
    sure = _sure(picks, known[0].dims[0], env) if known else []
    found = shifts.stretch(sure, ctx) if sure else None
    if found is None:
        _infer(name, picks, env)  # says that nothing tells, or that axes differ
        return None
    dim, start = found
    shown = ", ".join(dict.fromkeys(ctx.text(u.span) for u in sure if u.offset or _differ(sure, ctx)))
    n = size(ctx, dim)
    if n is not None and n < 1:
        shifts.report_outside(name, next((u for u in sure if u.offset), sure[0]), env, short=True)
        return None
    from_ = start + low
    exist = "exist" if ", " in shown else "exists"
    ctx.notes.setdefault(f"{name.id} runs from {from_} to {_last(dim, from_)}, where {shown} {exist}")
    return env.with_index(name.id, Bound(_axis(name, dim), from_, start))


def _last(dim: Dim, low: int) -> str:
    """The last value of an index, as text: ``T-2``."""
    if isinstance(dim, int):
        return str(dim + low - 1)
    whole, less = (dim.whole, dim.less) if isinstance(dim, Part) else (dim, 0)
    past = low - 1 - less
    return f"{whole}{past:+d}" if past else whole


def _infer(name: ast.Name, found: list[Use], env: Env) -> Dim | None:
    ctx = env.ctx
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
                picked = shifts.shifted(item, {k}, env.ctx)
                if picked is not None and picked[1] == int(picked[1]):
                    shape = _shape(base, env)
                    if shape and position < len(shape):
                        yield Use((shape[position],), expr.span, int(picked[1]))
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
    tables = (env.values, env.indices, ctx.symbols, ctx.states, ctx.modules, ctx.definitions, ctx.dims)
    return any(k in t for t in tables)


def _shape(base: ast.Expr, env: Env) -> tuple[Dim, ...] | None:
    value = lower(base, env)
    return None if value is None else value.dims
