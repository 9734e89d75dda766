"""From syntax tree to index notation: one function for each kind of expression."""

from __future__ import annotations

from functools import singledispatch

from ebdsl.atoms import SPELLINGS
from ebdsl.check import brackets, limits, norms, products, subscripts
from ebdsl.check.dims import shape_text
from ebdsl.check.functions import apply_module, call_atom, is_function, is_number_or_variable, unfold
from ebdsl.check.numbers import PI
from ebdsl.check.scope import Bound, Env, Origin, Value
from ebdsl.check.words import count, key, nearest
from ebdsl.diagnostics import Span
from ebdsl.model import build
from ebdsl.model.ir import Axis, Lit, Position, Size
from ebdsl.syntax import ast


@singledispatch
def lower(e: ast.Expr, env: Env) -> Value | None:
    """The value of an expression; None where its error has been reported."""
    what = {ast.Text: "quoted text", ast.Slice: "a colon", ast.Relation: "a comparison"}.get(type(e), "this")
    env.report.add("EB0225", f"{what} cannot stand in a formula", (e.span, what))
    return None


@lower.register
def _(e: ast.Derivative, env: Env) -> Value | None:
    env.report.add("EB0230", "derivatives in a formula have their place and come later", (e.span, "a derivative"))
    return None


@lower.register
def _(e: ast.Number, env: Env) -> Value | None:
    return Value(build.lit(e.value), (), e.span)


# --------------------------------------------------------------------------- names


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
    known = [*local, *(s.name for s in ctx.symbols.values()), *(m.name for m in ctx.modules.values())]
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
    free = [p for p in definition.params if key(p.id) not in env.ctx.symbols]
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


def inside(k: str, bound: Env, env: Env) -> Env | None:
    """The scope of a definition's body; None where it would go round in a circle (reported once for all)."""
    env.ctx.used.add(k)
    if k in env.calls or k in env.ctx.broken:
        return None
    if not limits.count_call(env.ctx.definitions[k].name.span, env.ctx):
        return None
    return Env(bound.ctx, bound.values, bound.indices, (*env.calls, k))


# --------------------------------------------------------------------------- calls


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
        plain = bool(definition.params) and all(key(p.id) in env.ctx.symbols for p in definition.params)
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
    from ebdsl.check.walk import everything

    k = key(name)
    for x in everything(body):
        if isinstance(x, ast.Index) and any(isinstance(i, ast.Name) and key(i.id) == k for i in x.items):
            return True
        if isinstance(x, ast.Name) and "_" in x.id and key(x.id.rpartition("_")[2]) == k:
            return True
    return False


# --------------------------------------------------------------------------- algebra


@lower.register
def _(e: ast.Negate, env: Env) -> Value | None:
    value = lower(e.body, env)
    return None if value is None else Value(build.neg(value.body), value.axes, e.span, value.row, value.origins)


@lower.register
def _(e: ast.Sum, env: Env) -> Value | None:
    values = [(sign, lower(t, env)) for sign, t in e.terms]
    tensors = [v for _, v in values if v is not None and not v.scalar]
    good = all(v is not None for _, v in values)
    for t in tensors[1:]:
        good = products.fits(tensors[0], t, env) and good
    if not good:
        return None
    first = tensors[0].fresh() if tensors else None
    axes = first.axes if first else ()
    bodies = [(s, v.body if v.scalar else v.over(axes).body) for s, v in values if v is not None]
    body = build.add(*(b if s > 0 else build.neg(b) for s, b in bodies))
    return Value(body, axes, e.span, bool(first and first.row), first.origins if first else ())


@lower.register
def _(e: ast.Product, env: Env) -> Value | None:
    factors: list[tuple[str, ast.Expr]] = []
    for op, f in e.factors:
        other = unfold(f, env)
        if other is not f and isinstance(other, ast.Product):
            if op == "/":
                products.report_ambiguous(
                    env, e.span, factors[-1][1].span, other.factors[0][1].span, other.factors[1][1].span
                )
                return None
            factors += [(op, other.factors[0][1]), *other.factors[1:]]
        else:
            factors.append((op, f))
    if _tight(factors, e.span, env):
        return None
    values = [(op, lower(f, env)) for op, f in factors]
    known = [(op, v) for op, v in values if v is not None]
    if len(known) < len(values):
        return None
    return products.product(known, e.span, env)


def _tight(factors: list[tuple[str, ast.Expr]], span: Span, env: Env) -> bool:
    """``1/2σ``: reported, since half of its readers take it for 1/(2σ)."""
    for k in range(1, len(factors) - 1):
        (op, divisor), (after, following) = factors[k], factors[k + 1]
        if op != "/" or after != "":
            continue
        base = following.base if isinstance(following, ast.Power) else following
        fraction = divisor.span == factors[k - 1][1].span  # ½ is one sign
        touching = divisor.span.end == following.span.start and not fraction
        if touching and isinstance(base, ast.Name) and isinstance(divisor, ast.Number | ast.Name | ast.Power):
            products.report_ambiguous(env, span, factors[k - 1][1].span, divisor.span, following.span)
            return True
    return False


@lower.register
def _(e: ast.Transpose, env: Env) -> Value | None:
    other = unfold(e, env)
    if other is not e:
        return lower(other, env)
    value = lower(e.base, env)
    if value is None:
        return None
    if value.rank > 2:
        env.report.add(
            "EB0208",
            f"{env.ctx.text(e.base.span)} has {value.rank} axes, and no transpose",
            (e.span, "transposed here"),
            help="pick a matrix out of it with brackets",
        )
        return None
    row = not value.row if value.rank == 1 else False
    return Value(value.body, value.axes[::-1], e.span, row, value.origins[::-1])


@lower.register
def _(e: ast.Power, env: Env) -> Value | None:
    other = unfold(e, env)
    if other is not e:
        return lower(other, env)
    base, exponent = lower(e.base, env), lower(e.exponent, env)
    return None if base is None or exponent is None else norms.power(base, exponent, e.span, env)


@lower.register
def _(e: ast.Bars, env: Env) -> Value | None:
    value = lower(e.body, env)
    return None if value is None else norms.bars(e, value, env)


@lower.register
def _(e: ast.Index, env: Env) -> Value | None:
    other = unfold(e, env)
    if other is not e:
        return lower(other, env)
    value = lower(e.base, env)
    return None if value is None else brackets.brackets(value, e.items, e.span, env)


# --------------------------------------------------------------------------- big operators


@lower.register
def _(e: ast.BigOp, env: Env) -> Value | None:
    from ebdsl.check.bigops import bigop

    return bigop(e, env)
