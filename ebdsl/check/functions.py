"""Calls: definitions are written out, modules applied, atoms looked up; the rest is a product."""

from __future__ import annotations

from dataclasses import replace

from ebdsl.atoms import SPELLINGS, ShapeError
from ebdsl.atoms.core import OpaqueAtom, ScalarAtom, TensorAtom
from ebdsl.atoms.fold import apply_scalar
from ebdsl.check.dims import report_by_chance, report_differ, same, shape_text, size, type_text
from ebdsl.check.scope import Env, Origin, Value
from ebdsl.check.words import count, key
from ebdsl.diagnostics import Span
from ebdsl.model import build
from ebdsl.model.ir import Apply, Axis, Dim, Module, Tensor
from ebdsl.syntax import ast


def is_function(name: str, env: Env) -> bool:
    """Whether ``name(…)`` is a call: local names come first, then definitions, modules, and the catalogue."""
    k = key(name)
    if k in env.values or k in env.indices or env.ctx.is_variable(k) or k in env.ctx.dims:
        return False
    return k in env.ctx.definitions or k in env.ctx.modules or name in SPELLINGS or k in SPELLINGS


def is_number_or_variable(name: str, env: Env) -> bool:
    """Whether ``name(…)`` is a product."""
    from ebdsl.check import subscripts

    k = key(name)
    ctx = env.ctx
    if k in ctx.definitions and not ctx.definitions[k].params and k not in env.values:
        return True
    known = k in env.values or k in env.indices or ctx.is_variable(k) or k in ctx.dims or k in ("π", "pi")
    return known or (not is_function(name, env) and subscripts.split(name, env, set(env.indices)) is not None)


def unfold(e: ast.Expr, env: Env) -> ast.Expr:
    """``λ(a + b)^2`` as the product that it is: λ, and the power of (a + b)."""
    call = e
    while isinstance(call, ast.Power | ast.Transpose | ast.Index):
        call = call.base
    if not isinstance(call, ast.Call) or not is_number_or_variable(call.func, env):
        return e
    if len(call.args) != 1 or call.keywords:
        return e
    inner = _around(e, call, call.args[0])
    return ast.Product(e.span, (("", ast.Name(call.func_span, call.func)), ("", inner)))


def _around(e: ast.Expr, call: ast.Call, argument: ast.Expr) -> ast.Expr:
    if e is call:
        return argument
    assert isinstance(e, ast.Power | ast.Transpose | ast.Index)
    return replace(e, span=Span(call.func_span.end, e.span.end), base=_around(e.base, call, argument))


# --------------------------------------------------------------------------- modules


def apply_module(module: Module, args: tuple[Value, ...], span: Span, func_span: Span, env: Env) -> Value | None:
    """``Enc(y)``: an application whose entries run over the module's output."""
    ctx = env.ctx
    if len(args) != len(module.inputs):
        ctx.report.add(
            "EB0212",
            f"{module.name} takes {count(len(module.inputs), 'argument')}, and has {len(args)} here",
            (span, f"{count(len(args), 'argument')}"),
            (module.span or span, "declared here"),
        )
        return None
    good = True
    fitted: list[Tensor] = []
    for a, shape in zip(args, module.inputs, strict=True):
        dims = tuple(shape)
        if len(dims) != a.rank or a.row:
            ctx.report.add(
                "EB0203",
                f"{module.name} takes {shape_text(dims)}, and {ctx.text(a.span)} is {type_text(a)}",
                (a.span, type_text(a)),
                (module.span or func_span, f"{module.name} takes {shape_text(dims)}"),
            )
            good = False
            continue
        wanted = Value(a.body, tuple(Axis(f"#{k}", d) for k, d in enumerate(dims)), func_span, False)
        wanted = replace(wanted, origins=tuple(Origin(module.name, s) for s in input_spans(env, module, shape)))
        for k in range(a.rank):
            if not same(ctx, a.dims[k], dims[k]):
                report_differ(env, a, wanted, k, k)
                good = False
                break
            report_by_chance(env, a, wanted, k, k)
        fitted.append(a.fresh().tensor)
    if not good:
        return None
    axes = tuple(build.fresh(d) for d in module.output)
    spans = output_spans(env, module)
    origins = tuple(Origin(module.name, s) for s in spans)
    return Value(Apply(module, tuple(fitted), axes), axes, span, False, origins)


def input_spans(env: Env, module: Module, shape: tuple[Dim, ...]) -> tuple[Span | None, ...]:
    s = env.ctx.declarations.get(key(module.name))
    assert isinstance(s, ast.ModuleDecl)
    position = module.inputs.index(shape)
    return tuple(d.span for d in s.inputs[position].dims)


def output_spans(env: Env, module: Module) -> tuple[Span | None, ...]:
    s = env.ctx.declarations.get(key(module.name))
    assert isinstance(s, ast.ModuleDecl)
    return tuple(d.span for d in s.output.dims) if s.output else ()


# --------------------------------------------------------------------------- the catalogue


def call_atom(name: str, name_span: Span, args: tuple[Value, ...], span: Span, env: Env) -> Value | None:
    """A function of the catalogue applied to values."""
    atom = SPELLINGS.get(name) or SPELLINGS.get(key(name))
    if atom is None:
        env.report.add("EB0230", f"{name} comes later", (name_span, "not there yet"))
        return None
    least = atom.arity - (atom.optional if isinstance(atom, TensorAtom) else 0)
    if not least <= len(args) <= atom.arity:
        wanted = count(atom.arity, "argument") if least == atom.arity else f"{least} or {atom.arity} arguments"
        env.report.add(
            "EB0212",
            f"{name} takes {wanted}, and has {len(args)} here",
            (span, count(len(args), "argument")),
            help=atom.doc,
        )
        return None
    if isinstance(atom, ScalarAtom):
        return _entrywise(atom, args, span, env)
    if isinstance(atom, TensorAtom):
        return _tensor(atom, args, span, env)
    return opaque(atom.name, args, span, env)


def _entrywise(atom: ScalarAtom, args: tuple[Value, ...], span: Span, env: Env) -> Value | None:
    from ebdsl.check.products import fits

    tensors = [a for a in args if not a.scalar]
    if not tensors:
        return Value(apply_scalar(atom.name, *(a.body for a in args)), (), span)
    first = tensors[0].fresh()
    if not all(fits(tensors[0], t, env) for t in tensors[1:]):
        return None
    bodies = [a.body if a.scalar else first.body if a is tensors[0] else a.over(first.axes).body for a in args]
    return replace(first, body=apply_scalar(atom.name, *bodies), span=span)


def _tensor(atom: TensorAtom, args: tuple[Value, ...], span: Span, env: Env) -> Value | None:
    try:
        result = atom.lower(*(a.fresh().tensor for a in args))
    except ShapeError as first:
        sized = tuple(_sized(a, env) for a in args)
        try:
            result = atom.lower(*(a.fresh().tensor for a in sized))
        except ShapeError:
            _misfit(atom, args, span, str(first), env)
            return None
    return Value(result.body, result.axes, span, False, _origins(result.axes, args))


def opaque(name: str, args: tuple[Value, ...], span: Span, env: Env) -> Value | None:
    """A tensor function that stays one: ``conv``, ``logdet``."""
    from ebdsl.atoms import OPAQUES

    atom = OPAQUES.get(name)
    if atom is None:
        env.report.add("EB0230", f"{name} comes later", (span, "not there yet"))
        return None
    try:
        shape = atom.shape(*(a.dims for a in args))
    except ShapeError as first:
        try:
            shape = atom.shape(*(_sized(a, env).dims for a in args))
        except ShapeError:
            _misfit(atom, args, span, str(first), env)
            return None
    axes = tuple(build.fresh(d) for d in shape)
    fresh = [a.fresh() for a in args]
    return Value(Apply(name, tuple(a.tensor for a in fresh), axes), axes, span, False, _origins(axes, args))


def _origins(axes: tuple[Axis, ...], args: tuple[Value, ...]) -> tuple[Origin | None, ...]:
    known = {d: a.origin(k) for a in reversed(args) for k, d in enumerate(a.dims)}
    return tuple(known.get(a.dim) for a in axes)


def _sized(value: Value, env: Env) -> Value:
    """The value over dimensions that are sizes where they are known, so that 144 and M = 144 fit."""
    dims = {d: n if (n := size(env.ctx, d)) is not None else d for d in value.dims}
    return value.over(tuple(build.fresh(dims[d]) for d in value.dims))


def _misfit(atom: TensorAtom | OpaqueAtom, args: tuple[Value, ...], span: Span, said: str, env: Env) -> None:
    env.report.add(
        "EB0224",
        said or f"{atom.name} does not take {' and '.join(map(type_text, args))}",
        *((a.span, type_text(a)) for a in args),
        help=atom.doc,
    )
