"""Calls in formulas: definitions written out, modules, functions of the catalogue."""

from __future__ import annotations

from ebdsl.atoms import SPELLINGS
from ebdsl.check import limits
from ebdsl.check.dims import shape_text
from ebdsl.check.dispatch import lower
from ebdsl.check.functions import apply_module, call_atom, is_function, is_number_or_variable, unfold
from ebdsl.check.scope import Bound, Env, Value
from ebdsl.check.walk import everything
from ebdsl.check.words import count, key, nearest
from ebdsl.diagnostics import Span
from ebdsl.syntax import ast


@lower.register
def _(e: ast.Call, env: Env) -> Value | None:
    ctx = env.ctx
    other = unfold(e, env)
    if other is not e:
        return lower(other, env)
    if not is_function(e.func, env):
        if is_number_or_variable(e.func, env):
            ctx.report.add(
                "EB0212",
                f"{e.func} is no function, and cannot take {count(len(e.args), 'argument')}",
                (e.span, "not a call"),
                help=f"{e.func}(x) with one x is a product",
            )
        else:
            _unknown_function(e, [lower(a, env) for a in e.args], env)
            return None
        for a in e.args:
            lower(a, env)
        return None
    k = key(e.func)
    if e.keywords:
        ctx.report.add(
            "EB0225",
            f"{e.func} takes no named arguments in a formula",
            (e.keywords[0][1].span, f"{e.keywords[0][0]} = …"),
        )
        return None
    if k in ctx.definitions:
        bound = arguments(k, e, env)
        scope = None if bound is None else inside(k, bound, env)
        if scope is None:
            return None
        with env.report.called(site(e, ctx.definitions[k])):
            value = lower(ctx.definitions[k].body, scope)
        return None if value is None else value.at(e.span)
    if _log_of_bars(e, env):
        bars = e.args[0]
        assert isinstance(bars, ast.Bars)
        inner = lower(bars.body, env)
        return None if inner is None else call_atom("logabsdet", e.func_span, (inner,), e.span, env)
    values = [lower(a, env) for a in e.args]
    ctx.used.add(k)
    if k in ctx.broken or None in values:
        return None
    args = tuple(v for v in values if v is not None)
    if k in ctx.modules:
        return apply_module(ctx.modules[k], args, e.span, e.func_span, env)
    return call_atom(e.func, e.func_span, args, e.span, env)


def _log_of_bars(e: ast.Call, env: Env) -> bool:
    """``log |Λ|`` of a square matrix: nobody takes the logarithm of a sum of absolute values of one."""
    if (
        e.func not in ("log", "ln")
        or len(e.args) != 1
        or not isinstance(e.args[0], ast.Bars)
        or e.args[0].kind != "abs"
    ):
        return False
    inner = lower(e.args[0].body, env.muted())
    return inner is not None and inner.rank == 2 and inner.dims[0] == inner.dims[1]


def _unknown_function(e: ast.Call, args: list[Value | None], env: Env) -> None:
    ctx = env.ctx
    known = [d.name.id for d in ctx.definitions.values()] + [m.name for m in ctx.modules.values()] + list(SPELLINGS)
    near = nearest(e.func, known) or nearest(e.func, [s.name for s in ctx.symbols.values()])
    if key(e.func) in ctx.broken:
        return
    dims = ", ".join("R[…]" if a is None else shape_text(a.dims) for a in args) or "R[…]"
    ctx.report.add(
        "EB0201",
        f"{e.func} is not declared",
        (e.func_span, "neither a function nor a variable"),
        help=f"did you mean {near} ?"
        if near
        else f"declare it: module {e.func} : {dims} -> R[…] = mlp(128, silu), or define it: {e.func}(x) = …",
        fix=(e.func_span, near) if near else None,
    )


def site(e: ast.Expr, definition: ast.Define) -> Span | None:
    """The place of a call that puts something else in the place of the formal parameters."""
    args = e.args if isinstance(e, ast.Call) else ()
    same = all(
        isinstance(a, ast.Name) and key(a.id) == key(p.id) for p, a in zip(definition.params, args, strict=False)
    )
    return None if same else e.span


def arguments(k: str, e: ast.Call, env: Env) -> Env | None:
    """The formal parameters of a definition bound to what it is called with; None for a wrong count.

    An argument that has an error is bound to None, so that the body stays silent about it.
    """
    definition = env.ctx.definitions[k]
    if len(e.args) != len(definition.params):
        plain = bool(definition.params) and all(env.ctx.is_variable(key(p.id)) for p in definition.params)
        env.report.add(
            "EB0212",
            f"{e.func} takes {count(len(definition.params), 'argument')}, and has {len(e.args)} here",
            (e.span, count(len(e.args), "argument")),
            (definition.name.span, f"{e.func}({', '.join(p.id for p in definition.params)}) is defined here"),
            help=f"write {e.func}({', '.join(p.id for p in definition.params)})" if plain else (),
        )
        for a in e.args:
            lower(a, env)
        scope = inside(k, Env(env.ctx), env) if plain else None
        if scope is not None:
            lower(definition.body, scope)
        return None
    bound = Env(env.ctx)
    for p, a in zip(definition.params, e.args, strict=True):
        index = env.indices.get(key(a.id)) if isinstance(a, ast.Name) and key(a.id) not in env.values else None
        if index is None and isinstance(a, ast.Number) and _picks(definition.body, p.id):
            index = Bound(int(a.value))
        if index is not None:
            bound = bound.with_index(p.id, index)
            continue
        value = lower(a, env)
        if value is not None and limits.written_size(value.body, env.ctx) > limits.LARGEST_ARGUMENT:
            limits.report_large(a.span, env.ctx)
            value = None
        bound = Env(env.ctx, {**bound.values, key(p.id): value}, bound.indices)
    return bound


def _picks(body: ast.Expr, name: str) -> bool:
    """Whether a formal parameter stands in brackets or as a subscript."""
    k = key(name)
    for x in everything(body):
        if isinstance(x, ast.Index) and any(isinstance(i, ast.Name) and key(i.id) == k for i in x.items):
            return True
        if isinstance(x, ast.Name) and "_" in x.id and key(x.id.rpartition("_")[2]) == k:
            return True
    return False


def inside(k: str, bound: Env, env: Env) -> Env | None:
    """The scope of a definition's body; None where it would go round in a circle (reported once for all)."""
    env.ctx.used.add(k)
    if k in env.calls or k in env.ctx.broken:
        return None
    if not limits.count_call(env.ctx.definitions[k].name.span, env.ctx):
        return None
    return Env(bound.ctx, bound.values, bound.indices, (*env.calls, k))
