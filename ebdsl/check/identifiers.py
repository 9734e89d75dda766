"""Names in formulas: variables, dimensions, definitions, subscripted entries, and what is undeclared."""

from __future__ import annotations

from ebdsl.atoms import SPELLINGS
from ebdsl.check import brackets, subscripts
from ebdsl.check.calls import inside
from ebdsl.check.dispatch import lower
from ebdsl.check.numbers import PI
from ebdsl.check.scope import Bound, Env, Origin, Value
from ebdsl.check.words import key, nearest
from ebdsl.diagnostics import Span
from ebdsl.model import build
from ebdsl.model.ir import Axis, Lit, Position, Size
from ebdsl.syntax import ast


@lower.register
def _(e: ast.Name, env: Env) -> Value | None:
    ctx = env.ctx
    k = key(e.id)
    if k in env.values:
        value = env.values[k]
        return None if value is None else value.at(e.span)
    if k in env.indices:
        return _position(env.indices[k], e.span)
    ctx.used.add(k)
    if k in ctx.broken:
        return None
    if k in ctx.states:
        return ctx.states[k].fresh().at(e.span)
    if k in ctx.symbols:
        return symbol(k, e.span, env)
    if k in ctx.definitions:
        return _defined(k, e, env)
    if k in ctx.modules:
        ctx.report.add(
            "EB0214",
            f"{e.id} is a module, and stands without what it is applied to",
            (e.span, "applied to what?"),
            help=f"write {e.id}({', '.join('…' for _ in ctx.modules[k].inputs)})",
        )
        return None
    if k in ctx.dims:
        dim = ctx.aliases.get(k, k)
        return Value(Size(dim), (), e.span)
    if k in ctx.indices:
        ctx.report.add(
            "EB0211",
            f"{e.id} is an index, and has a value inside a sum alone",
            (e.span, "no sum around it"),
            help=f"write Σ_{e.id} before it",
        )
        return None
    parts = subscripts.split(e.id, env, set(env.indices))
    if parts is not None:
        base = lower(ast.Name(e.span, parts[0]), env)
        return None if base is None else brackets.subscript(base, parts[1], e, env)
    if k in PI:
        return Value(Lit(3.141592653589793), (), e.span)
    if e.id in SPELLINGS:
        ctx.report.add(
            "EB0214",
            f"{e.id} is a function, and stands without what it is applied to",
            (e.span, "applied to what?"),
            help=f"write {e.id}(…)",
        )
        return None
    if e.id == "I":
        ctx.report.add(
            "EB0230",
            "the identity matrix comes later",
            (e.span, "a matrix that nothing declares"),
            help="for W'W = I, say that W is orthonormal: param W : R[M, N], orthonormal columns",
        )
        return None
    undeclared(e.id, e.span, env)
    return None


def symbol(k: str, span: Span, env: Env) -> Value:
    """A declared variable over fresh axes."""
    s = env.ctx.symbols[k]
    t = build.tensor(s)
    declaration = env.ctx.declarations.get(k)
    dims = declaration.type.dims if isinstance(declaration, ast.VarDecl) and declaration.type else ()
    origins = tuple(Origin(s.name, d.span) for d in dims)
    return Value(t.body, t.axes, span, False, origins)


def _position(bound: Bound, span: Span) -> Value:
    body = Position(bound.at) if isinstance(bound.at, Axis) else Lit(float(bound.at))
    return Value(build.add(body, Lit(float(bound.low))), (), span)


RUN_TOGETHER = ("softmin", "argmin", "min", "max", "sum")
"""Operators that want an underscore: ``minz`` is ``min_z``."""


def undeclared(name: str, span: Span, env: Env) -> None:
    """EB0201, with what the name may have meant."""
    ctx = env.ctx
    local = [*env.values, *env.indices]
    known = [*local, *(s.name for s in ctx.symbols.values()), *ctx.states, *(m.name for m in ctx.modules.values())]
    known += [d.name.id for d in ctx.definitions.values()] + list(ctx.dims)
    near = nearest(name, known)
    base, _, tail = name.rpartition("_")
    helps: tuple[str, ...]
    fix = None
    run = next(
        (p for p in RUN_TOGETHER if name.startswith(p) and key(name[len(p) :]) in {*ctx.symbols, *ctx.dims}), None
    )
    if run:
        near = f"{run}_{name[len(run) :]}"
    if near:
        helps, fix = (f"did you mean {near} ?",), (span, near)
    elif base and tail.isdigit() and key(base) in ctx.symbols:
        helps = (f"the entries of {base} are {base}[0], {base}[1], …",)
    elif base and key(base) in ctx.symbols:
        helps = (f"if {tail} is an index: Σ_{tail} around it; else declare {name}",)
    elif name in ("α", "β", "γ", "λ", "μ", "τ", "σ", "ε", "η", "ρ"):
        helps = (f"declare it: const {name} = 0.5, or learn it: param {name} : R",)
    else:
        helps = (f"declare it: observed {name} : R[…], latent, param, or const {name} = …",)
    ctx.report.add("EB0201", f"{name} is not declared", (span, "nothing declares it"), help=helps, fix=fix)


def _defined(k: str, e: ast.Name, env: Env) -> Value | None:
    definition = env.ctx.definitions[k]
    free = [p for p in definition.params if not env.ctx.is_variable(key(p.id))]
    if free:
        env.report.add(
            "EB0214",
            f"{e.id} is a function, and stands without its arguments",
            (e.span, "no arguments"),
            (definition.name.span, f"{e.id}({', '.join(p.id for p in definition.params)}) is defined here"),
        )
        return None
    inner = inside(k, Env(env.ctx, calls=env.calls), env)
    value = None if inner is None else lower(definition.body, inner)
    return None if value is None else value.at(e.span)
