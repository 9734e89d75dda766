"""Declarations: dimensions, constants, variables, index sets, definitions."""

from __future__ import annotations

from ebdsl.check import numbers
from ebdsl.check.domains import domain_and_shape
from ebdsl.check.laws import law_of
from ebdsl.check.report import Report
from ebdsl.check.scope import Context, IndexRange
from ebdsl.check.sizes import computed_size, extent, known_numbers, names_in, resolve
from ebdsl.check.words import key
from ebdsl.diagnostics import Source, Span
from ebdsl.model.ir import Dim, Symbol
from ebdsl.syntax import ast

Settings = dict[str, float | int]


def declare(spec: ast.Spec, source: Source, settings: Settings, report: Report) -> Context:
    """All names of a spec with their kinds; modules come after (their layers need the catalogue)."""
    ctx = Context(source, report, {})
    taken: dict[str, tuple[str, Span]] = {}
    for s in spec.statements:
        _take(s, taken, ctx)
    _dimensions(spec, settings, ctx)
    for s in spec.statements:
        name = getattr(s, "name", None)
        if isinstance(name, ast.Name) and taken.get(key(name.id), ("", None))[1] == name.span:
            ctx.declarations[key(name.id)] = s
    constants = known_numbers(ctx)
    first = [s for s in spec.statements if any(s is d for d in ctx.declarations.values())]
    for s in first:
        match s:
            case ast.ConstDecl():
                _constant(s, settings, constants, ctx)
            case ast.IndexDecl():
                _index(s, ctx)
            case ast.Define():
                ctx.definitions[key(s.name.id)] = s
    for s in first:  # an index may stand in a declaration before its own
        if isinstance(s, ast.VarDecl):
            _variable(s, constants, ctx)
    return ctx


_KINDS = {
    "observed": "an observed variable",
    "latent": "a latent variable",
    "param": "a parameter",
    "noise": "a noise variable",
}


def _kind(s: ast.Statement) -> str | None:
    match s:
        case ast.DimDecl():
            return "a dimension"
        case ast.VarDecl(role=role):
            return _KINDS[role]
        case ast.ConstDecl():
            return "a constant"
        case ast.ModuleDecl():
            return "a module"
        case ast.Define():
            return "a function"
        case ast.IndexDecl():
            return "an index"
    return None


def _take(s: ast.Statement, taken: dict[str, tuple[str, Span]], ctx: Context) -> None:
    kind = _kind(s)
    name = getattr(s, "name", None)
    if kind is None or not isinstance(name, ast.Name):
        return
    before = taken.setdefault(key(name.id), (kind, name.span))
    if before[1] != name.span:
        same = before[0] == kind
        if not same:
            ctx.broken.add(key(name.id))
        ctx.report.add(
            "EB0202",
            f"{name.id} is declared twice" if same else f"{name.id} is {before[0]} and {kind}",
            (name.span, "declared again here" if same else f"{kind} here"),
            (before[1], "first declared here" if same else f"{before[0]} here"),
            help="remove one of the two lines" if same else "rename one of the two",
        )


# --------------------------------------------------------------------------- dimensions


def _dimensions(spec: ast.Spec, settings: Settings, ctx: Context) -> None:
    """Sizes of all dimensions, declared ones first; names in brackets that nothing declares are free."""
    other = {key(s.name.id): s for s in spec.statements if _kind(s) and not isinstance(s, ast.DimDecl)}  # type: ignore[attr-defined]
    for s in spec.statements:
        if not isinstance(s, ast.DimDecl):
            continue
        k = key(s.name.id)
        if k in ctx.dims:
            continue
        ctx.dim_spans[k] = s.name.span
        ctx.used.update(key(n.id) for n in (names_in(s.size) if s.size is not None else ()))
        if isinstance(s.size, ast.Name) and key(s.size.id) in ctx.dims:
            ctx.aliases[k] = resolve(ctx, key(s.size.id))
            ctx.dims[k] = ctx.dims[ctx.aliases[k]]
            continue
        ctx.dims[k] = None
        if k in settings:
            ctx.dims[k] = int(settings[k])
        elif s.size is not None:
            ctx.dims[k] = computed_size(s.name.id, s.size, ctx)
            if ctx.dims[k] is None:
                ctx.broken.add(k)
    for s in spec.statements:
        for d in bracketed(s):
            if isinstance(d, ast.Name):
                k = key(d.id)
                if k in ctx.dims or _is_loop_index(k, other):
                    continue
                if k in other:
                    if k not in ctx.broken:
                        _not_a_dimension(d, other[k], ctx)
                    ctx.broken.add(k)
                    continue
                ctx.dim_spans[k] = d.span
                ctx.dims[k] = int(settings[k]) if k in settings else None


def _is_loop_index(k: str, other: dict[str, ast.Statement]) -> bool:
    return isinstance(other.get(k), ast.IndexDecl)


def bracketed(s: ast.Statement) -> tuple[ast.Expr, ...]:
    match s:
        case ast.VarDecl(type=t) if t is not None:
            return t.dims
        case ast.ModuleDecl(inputs=inputs, output=output):
            return tuple(d for t in (*inputs, *((output,) if output else ())) for d in t.dims)
    return ()


def _not_a_dimension(d: ast.Name, s: ast.Statement, ctx: Context) -> None:
    span = s.name.span  # type: ignore[attr-defined]
    if isinstance(s, ast.ConstDecl):
        word = ctx.source.text.rfind("const", 0, span.start)
        fix = (
            (Span(word, word + 5), "dim") if word >= 0 and not ctx.source.text[word + 5 : span.start].strip() else None
        )
        ctx.report.add(
            "EB0202",
            f"{d.id} is a constant, and a dimension here",
            (d.span, "a dimension here"),
            (span, "a constant here"),
            help=f"declare it as a dimension; in formulas it is a number all the same: dim {d.id} = "
            f"{ctx.text(s.value.span)}",
            fix=fix,
        )
    else:
        ctx.report.add(
            "EB0202",
            f"{d.id} is {_kind(s)}, and a dimension here",
            (d.span, "a dimension here"),
            (span, f"{_kind(s)} here"),
            help="rename one of the two",
        )


# --------------------------------------------------------------------------- constants, variables, indices


def _constant(s: ast.ConstDecl, settings: Settings, known: dict[str, float | None], ctx: Context) -> None:
    from ebdsl.model.domains import REAL

    k = key(s.name.id)
    value: float | None
    if (s.type is not None and (s.type.dims or s.type.name not in ("R", "ℝ"))) or isinstance(s.value, ast.Text):
        ctx.report.add(
            "EB0216",
            f"{s.name.id} is an array; constants are numbers in this version",
            (s.type.span if s.type else s.value.span, "not a number"),
            help=f"if it comes with the data: observed {s.name.id} : R[…]; if it is learned: param {s.name.id} : R[…]",
        )
        value = None
    elif k in settings:
        for n in names_in(s.value):
            ctx.used.add(key(n.id))
        value = float(settings[k])
    else:
        for n in names_in(s.value):
            ctx.used.add(key(n.id))
        value = numbers.evaluate(s.value, known, ctx.report, "EB0216", f"the constant {s.name.id}")
    known[k] = value
    if value is None:
        ctx.broken.add(k)
    ctx.symbols[k] = Symbol(s.name.id, "const", (), REAL, s.name.span, value)


def _variable(s: ast.VarDecl, known: dict[str, float | None], ctx: Context) -> None:
    from ebdsl.model.domains import REAL

    k = key(s.name.id)
    along: list[Dim] = []
    for d in s.subscripts:
        if isinstance(d, ast.Name) and key(d.id) in ctx.indices:
            ctx.used.add(key(d.id))
            along.append(ctx.indices[key(d.id)].dim)
        elif not (isinstance(d, ast.Name) and key(d.id) in ctx.broken):
            ctx.report.add(
                "EB0240",
                f"{s.name.id}[{ctx.text(d.span)}] is declared, and {ctx.text(d.span)} is no index",
                (d.span, "not declared as an index"),
                help=(
                    f"declare it: time {ctx.text(d.span)} in 0..T"
                    if isinstance(d, ast.Name)
                    else f"a variable for each step is {s.role} {s.name.id}[t] : R[…]",
                    f"or make it an axis of the variable: {s.role} {s.name.id} : R[T, N]",
                ),
            )
            ctx.broken.add(k)
    if s.type is None:
        ctx.report.add(
            "EB0205",
            f"{s.name.id} has no type",
            (s.name.span, "what is it?"),
            help=f"say where it lies: {s.role} {s.name.id} : R[N]; a number is {s.name.id} : R",
        )
        ctx.broken.add(k)
        ctx.symbols[k] = Symbol(s.name.id, s.role, (), REAL, s.name.span)
        return
    found = domain_and_shape(s, known, ctx)
    if found is None:
        ctx.broken.add(k)
        ctx.symbols[k] = Symbol(s.name.id, s.role, (), REAL, s.name.span)
        return
    domain, shape = found
    if s.role == "noise" or s.law is not None:
        law = law_of(s, domain, known, ctx)
        if law is None:
            ctx.broken.add(k)
        else:
            ctx.laws[s.name.id] = law
    ctx.symbols[k] = Symbol(s.name.id, s.role, (*along, *shape), domain, s.name.span)


def _index(s: ast.IndexDecl, ctx: Context) -> None:
    k = key(s.name.id)
    found = extent(s.low, s.high, ctx, s.time)
    if found is None:
        ctx.broken.add(k)
        return
    dim, low = found
    ctx.indices[k] = IndexRange(dim, low, s.name.span)
