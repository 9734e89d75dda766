"""The lint on ``Σ_i ||y - W_i z_i||²`` with one-hot z (MODELS.md, E2)."""

from __future__ import annotations

from ebdsl.check.lower import lower
from ebdsl.check.scope import Context, Env
from ebdsl.check.walk import everything, mapped
from ebdsl.check.words import key
from ebdsl.diagnostics import Span
from ebdsl.model.ir import Add, Axis, Get, Lit, Mul, Node, Pow, Sum, Symbol
from ebdsl.model.model import Model
from ebdsl.syntax import ast
from ebdsl.syntax.show import show


def lint_prototypes(model: Model, ctx: Context) -> None:
    """EB0404, with the sum taken inside the norm as the fix."""
    for t in model.terms:
        z = _literal_sum(t.node)
        if z is None:
            continue
        better = _inside(t.span, z, ctx)
        ctx.report.add(
            "EB0404",
            "this energy is not minimal at your prototypes: each one that is not chosen adds the square of the data",
            (t.span, f"summed over every member of the one-hot {z.name}"),
            *(((z.span, "one-hot"),) if z.span else ()),
            help=f"did you mean {better} ?"
            if better
            else f"sum inside the norm: with one-hot {z.name}, W {z.name} is a column",
            fix=(t.span, better) if better else None,
        )


def _literal_sum(node: Node) -> Symbol | None:
    """The one-hot z of ``Σ_i (y - W_i z_i)²``: summed over i outside the square, with a part free of i inside."""
    if isinstance(node, Mul):
        sums = [f for f in node.factors if isinstance(f, Sum)]
        return _literal_sum(sums[0]) if len(sums) == 1 else None
    if not (isinstance(node, Sum) and isinstance(node.body, Pow) and node.body.exponent == Lit(2.0)):
        return None
    residual = node.body.base
    if not isinstance(residual, Add):
        return None
    for axis in node.axes:
        chosen = [t for t in residual.terms if axis in t.free]
        free = [t for t in residual.terms if axis not in t.free and any(s.role == "observed" for s in t.symbols)]
        found = [z for t in chosen if (z := _picked(t, axis)) is not None]
        if free and len(chosen) == 1 and found:
            return found[0]
    return None


def _picked(node: Node, axis: Axis) -> Symbol | None:
    """The one-hot latent that a product holds at the index ``axis``."""
    for f in node.factors if isinstance(node, Mul) else (node,):
        if (
            isinstance(f, Get)
            and f.symbol.domain.kind == "onehot"
            and f.symbol.role == "latent"
            and f.index[-1] == axis
        ):
            return f.symbol
    return None


def _inside(span: Span, z: Symbol, ctx: Context) -> str | None:
    """``||y - W z||^2`` for ``Σ_i ||y - W_i z_i||^2``, where that has a type."""
    sums = [
        e
        for d in ctx.definitions.values()
        for e in everything(d.body)
        if isinstance(e, ast.BigOp) and e.kind == "sum" and e.span == span and len(e.names) == 1
    ]
    if not sums:
        return None
    index = sums[0].names[0].id
    for transpose in (False, True):

        def whole(e: ast.Expr, transpose: bool = transpose) -> ast.Expr | None:
            base = _base(e, index)
            if base is None:
                return None
            symbol = ctx.symbols.get(key(base))
            name = ast.Name(e.span, base)
            return ast.Transpose(e.span, name) if transpose and symbol is not None and len(symbol.shape) == 2 else name

        candidate = mapped(sums[0].body, whole)
        env = Env(ctx.muted())
        value = lower(candidate, env)
        if value is not None and value.scalar and not env.report.has_errors:
            return show(candidate)
    return None


def _base(e: ast.Expr, index: str) -> str | None:
    """``W`` of ``W_i``, ``W[:, i]`` and ``W[i]``."""
    if isinstance(e, ast.Name) and e.id.endswith(f"_{index}"):
        return e.id[: -len(index) - 1]
    if isinstance(e, ast.Index) and isinstance(e.base, ast.Name):
        others = [i for i in e.items if not isinstance(i, ast.Slice)]
        if len(others) == 1 and isinstance(others[0], ast.Name) and others[0].id == index:
            return e.base.id
    return None
