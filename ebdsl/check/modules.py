"""Modules: layers looked up in the catalogue, shapes passed along the chain."""

from __future__ import annotations

from ebdsl.atoms import ShapeError
from ebdsl.atoms.core import LAYER_SPELLINGS, LayerAtom
from ebdsl.check import numbers
from ebdsl.check.dims import same, shape_text, size
from ebdsl.check.domains import shape_of
from ebdsl.check.scope import Context
from ebdsl.check.sizes import known_numbers
from ebdsl.check.words import key, nearest
from ebdsl.model.ir import Dim, Layer, Module
from ebdsl.syntax import ast

Argument = float | int | str
Shape = tuple[Dim, ...]
Stage = tuple[Layer, LayerAtom, ast.Expr]


def declare_module(s: ast.ModuleDecl, ctx: Context, allow_python: bool) -> None:
    """Put a module into the tables, or its name among the broken ones."""
    module = _module(s, ctx, allow_python)
    if module is None:
        ctx.broken.add(key(s.name.id))
    else:
        ctx.modules[key(s.name.id)] = module


def _module(s: ast.ModuleDecl, ctx: Context, allow_python: bool) -> Module | None:
    name = s.name.id
    if s.output is None or not s.inputs or not s.body:
        typed = s.output is not None and bool(s.inputs)
        missing = "how it is built" if typed else "what goes in and what comes out"
        written = (
            ctx.text(s.name.span.to(s.output.span)) if typed and s.output is not None else f"{name} : R[M] -> R[N]"
        )
        ctx.report.add(
            "EB0218",
            f"{name} does not say {missing}",
            (s.name.span, "not all is said"),
            help=f"for example: module {written} = mlp(128, silu)",
        )
        return None
    inputs = [_shape(t, name, ctx) for t in s.inputs]
    output = _shape(s.output, name, ctx)
    stages = [_stage(e, ctx, allow_python) for e in s.body]
    if output is None or None in inputs or None in stages:
        return None
    shapes = tuple(i for i in inputs if i is not None)
    known = [x for x in stages if x is not None]
    if not _chain(name, s, shapes, output, known, ctx):
        return None
    return Module(name, shapes, output, tuple(layer for layer, _, _ in known), s.name.span)


def _shape(t: ast.TypeExpr, name: str, ctx: Context) -> tuple[Dim, ...] | None:
    from ebdsl.check.domains import spellings

    row = spellings().get(t.name)
    if row is None or row.name != "real" or t.args:
        ctx.report.add(
            "EB0204",
            f"{name} takes and gives real numbers: {t.name} is not R",
            (t.span, "not R"),
            help="write R[N]; the domain belongs to the variable that goes in",
        )
        return None
    return shape_of(t, ctx)


# --------------------------------------------------------------------------- stages


def _stage(e: ast.Expr, ctx: Context, allow_python: bool) -> Stage | None:
    match e:
        case ast.Name(span, name):
            func, func_span = name, span
            args: tuple[ast.Expr, ...] = ()
            keywords: tuple[tuple[str, ast.Expr], ...] = ()
        case ast.Call(_, func, func_span, args, keywords):
            pass
        case _:
            ctx.report.add(
                "EB0217",
                "a module is a chain of layers",
                (e.span, "not a layer"),
                help="for example linear >> tanh >> linear",
            )
            return None
    row = LAYER_SPELLINGS.get(func)
    if row is None:
        near = nearest(func, LAYER_SPELLINGS)
        ctx.report.add(
            "EB0217",
            f"there is no layer {func}",
            (func_span, "not a layer"),
            help=f"did you mean {near} ?"
            if near
            else "layers are linear, mlp, conv, and functions of one number such as tanh, relu, sh",
            fix=(func_span, near) if near else None,
        )
        return None
    if row.foreign and not allow_python:
        ctx.report.add(
            "EB0219",
            "this spec wants to run Python code of its own, which is not allowed",
            (e.span, "a class of the user's"),
            help="if you trust it, say so: --allow-python",
        )
        return None
    known = known_numbers(ctx)
    values = [_argument(a, known, ctx) for a in args]
    named = [(k, _argument(v, known, ctx), v.span) for k, v in keywords]
    for k, _, span in named:
        if "*" not in row.keywords and k not in row.keywords:
            near = nearest(k, row.keywords)
            can = f"{func} can take {', '.join(row.keywords)}" if row.keywords else f"{func} takes no named arguments"
            ctx.report.add(
                "EB0217",
                f"{func} has no setting {k}",
                (span, f"{k} = …"),
                help=f"did you mean {near} ?" if near else can,
            )
            return None
    if any(v is None for v in values) or any(v is None for _, v, _ in named):
        return None
    pairs = tuple((k, v) for k, v, _ in named if v is not None)
    return Layer(row.name, tuple(v for v in values if v is not None), pairs), row, e


def _argument(e: ast.Expr, known: dict[str, float | None], ctx: Context) -> Argument | None:
    """A number, a dimension's size, a word or a text."""
    if isinstance(e, ast.Text):
        return e.value
    if isinstance(e, ast.Name) and key(e.id) not in known and key(e.id) not in ctx.dims:
        return e.id
    free = isinstance(e, ast.Name) and key(e.id) in ctx.dims and ctx.dims[key(e.id)] is None
    if free:
        assert isinstance(e, ast.Name)
        ctx.report.add(
            "EB0217",
            f"the size of {e.id} is not known here: only the data tells it",
            (e.span, "no size yet"),
            help=f"give it one: dim {e.id} = 64; the last layer takes the declared output without being told",
        )
        return None
    if isinstance(e, ast.Name):
        ctx.used.add(key(e.id))
    value = numbers.evaluate(e, known, ctx.report, "EB0217", "an argument of a layer")
    return int(value) if value is not None and value == int(value) else value


# --------------------------------------------------------------------------- shapes along the chain


def _chain(
    name: str,
    s: ast.ModuleDecl,
    inputs: tuple[Shape, ...],
    output: Shape,
    stages: list[Stage],
    ctx: Context,
) -> bool:
    shape = joined(name, s, inputs, ctx)
    if shape is None:
        return False
    last = max((k for k, (_, row, _) in enumerate(stages) if row.sets_shape), default=None)
    for k, (layer, row, e) in enumerate(stages):
        try:
            shape = row.shape(shape, output if k == last else None, layer.args, layer.keywords)
        except ShapeError as problem:
            said = str(problem) or f"{layer.name} does not fit here"
            ctx.report.add(
                "EB0217",
                f"{name}: {said}",
                (e.span, f"{shape_text(shape)} comes in here"),
                help=row.doc,
            )
            return False
    if len(shape) != len(output) or not all(same(ctx, a, b) for a, b in zip(shape, output, strict=True)):
        assert s.output is not None
        ctx.report.add(
            "EB0217",
            f"{name} gives {shape_text(shape)}, and {shape_text(output)} is declared",
            (stages[-1][2].span, f"gives {shape_text(shape)}"),
            (s.output.span, f"{shape_text(output)} declared here"),
            help="end with a layer that sets the shape: … >> linear"
            if last is None or last < len(stages) - 1
            else "leave the size out of the last layer: it takes the declared one",
        )
        return False
    return True


def joined(name: str, s: ast.ModuleDecl, inputs: tuple[Shape, ...], ctx: Context) -> tuple[Dim, ...] | None:
    """The shape that the first layer gets: several inputs stand one after the other along the first axis."""
    if len(inputs) == 1:
        return inputs[0]
    if any(len(i) != 1 for i in inputs):
        maps = {i[1:] for i in inputs}
        if len(maps) > 1 or () in inputs:
            bad = next(t for t, i in zip(s.inputs, inputs, strict=True) if i != inputs[0] or i == ())
            ctx.report.add(
                "EB0217",
                f"{name}: several inputs are put one after the other, and these have different shapes",
                (bad.span, shape_text(shape_of(bad, ctx) or ())),
                help="use vectors: a number is R[1]",
            )
            return None
    return (total([i[0] for i in inputs], ctx), *inputs[0][1:])


def total(dims: list[Dim], ctx: Context) -> Dim:
    """The sum of dimensions: a number where all are known, else their sum as a text."""
    sizes = [size(ctx, d) for d in dims]
    if all(n is not None for n in sizes):
        return sum(n for n in sizes if n is not None)
    return " + ".join(map(str, dims))
