"""The syntax tree: what was written, with the span of every part. Nothing is resolved here."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from ebdsl.diagnostics import Span

# --------------------------------------------------------------------------- expressions


@dataclass(frozen=True)
class Expr:
    span: Span


@dataclass(frozen=True)
class Number(Expr):
    """``2``, ``0.5``, ``1e-3``; ``text`` is the spelling. ``½`` is the product ``1/2``."""

    value: float
    text: str


@dataclass(frozen=True)
class Text(Expr):
    """A quoted string, as a setting's value."""

    value: str


@dataclass(frozen=True)
class Name(Expr):
    """An identifier in its one spelling: ``lambda``, ``Wₖ`` and ``y_hat`` are ``λ``, ``W_k`` and ``ŷ``.

    ``W_k`` is one name; the checker may split it. Words of the language (settings, keywords of a call)
    are ASCII. ``∞`` is the name ``inf``.
    """

    id: str


@dataclass(frozen=True)
class Call(Expr):
    """``f(a, b, key = c)``. ``f(a)`` may turn out to be a product: the checker decides."""

    func: str
    func_span: Span
    args: tuple[Expr, ...]
    keywords: tuple[tuple[str, Expr], ...] = ()


@dataclass(frozen=True)
class Slice(Expr):
    """``:`` inside brackets."""


@dataclass(frozen=True)
class Index(Expr):
    """``base[i, :, 0]``."""

    base: Expr
    items: tuple[Expr, ...]


@dataclass(frozen=True)
class Transpose(Expr):
    """``base'`` or ``baseᵀ`` or ``base^T``."""

    base: Expr


@dataclass(frozen=True)
class Negate(Expr):
    body: Expr


@dataclass(frozen=True)
class Sum(Expr):
    """``a + b - c``, flat: pairs of sign (+1 or -1) and term."""

    terms: tuple[tuple[int, Expr], ...]


@dataclass(frozen=True)
class Product(Expr):
    """Flat product: pairs of operator and factor; the first operator is ``""``.

    Operators: ``""`` juxtaposition, ``"*"`` (product of numbers, convolution of maps),
    ``"⊙"`` elementwise (ASCII ``.*``), ``"·"`` dot product, ``"/"``.
    """

    factors: tuple[tuple[str, Expr], ...]


@dataclass(frozen=True)
class Power(Expr):
    """``base^exponent``, also ``base²``."""

    base: Expr
    exponent: Expr


@dataclass(frozen=True)
class Bars(Expr):
    """``|x|`` (kind ``"abs"``) or ``||x||`` (kind ``"norm"``); ``order`` of ``||x||_1`` or None."""

    kind: str
    body: Expr
    order: str | None = None


@dataclass(frozen=True)
class Relation(Expr):
    """``left op right`` with op in ``<= >= < > =``: constraints and index ranges only."""

    left: Expr
    op: str
    right: Expr


@dataclass(frozen=True)
class BigOp(Expr):
    """``Σ_k body``, ``min_z body``, ``softmin_z[β] body``, ``∫ body dz``, ``E_u[body]``.

    ``kind``: ``sum prod mean min max argmin argmax softmin integral expect``.
    ``names`` are the bound indices or variables; ``ranges`` an optional (low, high) each.
    """

    kind: str
    names: tuple[Name, ...]
    body: Expr
    beta: Expr | None = None
    ranges: tuple[tuple[Expr, Expr] | None, ...] = ()


@dataclass(frozen=True)
class Derivative(Expr):
    """``∂f/∂x``: has its place in the tree; the checker says that it is not there yet."""

    of: Expr
    by: Expr


# --------------------------------------------------------------------------- types


@dataclass(frozen=True)
class TypeExpr:
    """``R[M, N]``, ``onehot[K]``, ``{0,1}[N]``, ``simplex[K]``, ``box(0, 1)``, ``unit columns``, ``>= 0``.

    ``name`` is the domain's spelling in ASCII (``R``, ``onehot``, ``{0,1}``, ``unit columns``,
    ``>= 0``); ``dims`` what stands in brackets, ``args`` what stands in parentheses.
    """

    span: Span
    name: str
    dims: tuple[Expr, ...] = ()
    args: tuple[Expr, ...] = ()


# --------------------------------------------------------------------------- statements


@dataclass(frozen=True)
class Statement:
    span: Span


@dataclass(frozen=True)
class ModelName(Statement):
    name: str


@dataclass(frozen=True)
class DimDecl(Statement):
    """``dim M = 144, N``: one entry each, size None where the data binds it."""

    name: Name
    size: Expr | None


@dataclass(frozen=True)
class IndexDecl(Statement):
    """``index k in 1..K`` or ``time t in 0..T``."""

    name: Name
    low: Expr
    high: Expr
    time: bool = False


@dataclass(frozen=True)
class VarDecl(Statement):
    """``latent z : R[N], >= 0``. One declaration for each name. ``role`` in
    ``observed latent param noise``; ``subscripts`` those of ``a[t]``; ``law`` that of noise."""

    role: str
    name: Name
    type: TypeExpr | None
    constraints: tuple[TypeExpr, ...] = ()
    subscripts: tuple[Expr, ...] = ()
    law: Expr | None = None


@dataclass(frozen=True)
class ConstDecl(Statement):
    """``const λ = 0.5`` or ``const w : R[N] = file("w.npy")``."""

    name: Name
    value: Expr
    type: TypeExpr | None = None


@dataclass(frozen=True)
class ModuleDecl(Statement):
    """``module Enc : R[144] -> R[256] = linear >> sh``; ``body`` None is a fault for the checker.

    ``body`` holds the layers in order: each a Name, a Call or a Product of scalars.
    """

    name: Name
    inputs: tuple[TypeExpr, ...]
    output: TypeExpr | None
    body: tuple[Expr, ...] | None


@dataclass(frozen=True)
class Define(Statement):
    """``E(y, z) = …``: an energy, a free energy or a helper function."""

    name: Name
    params: tuple[Name, ...]
    body: Expr


@dataclass(frozen=True)
class Equation(Statement):
    """``s[t+1] = f(s[t], a[t])``: a recurrence."""

    left: Expr
    right: Expr


@dataclass(frozen=True)
class InferBy(Statement):
    """``infer z by Enc`` and ``plan a by min_a E``."""

    latent: Name
    by: Expr
    verb: str = "infer"


@dataclass(frozen=True)
class Setting(Statement):
    """A line of the ``train`` block: ``epochs 10`` or ``data patches(natural, size = 12)``.

    ``children`` are the lines indented under it.
    """

    key: Name
    value: Expr | None
    children: tuple[Setting, ...] = ()


@dataclass(frozen=True)
class Train(Statement):
    settings: tuple[Setting, ...]


@dataclass(frozen=True)
class Spec:
    """A whole file, in source order."""

    statements: tuple[Statement, ...]
    name: str | None = None
    comments: tuple[tuple[Span, str], ...] = field(default=())


# --------------------------------------------------------------------------- walking


def children(node: Expr | TypeExpr) -> tuple[Expr, ...]:
    """The expressions right under a node, in source order."""
    match node:
        case Call(args=args, keywords=keywords):
            return (*args, *(value for _, value in keywords))
        case Index(base=base, items=items):
            return (base, *items)
        case Transpose(base=base):
            return (base,)
        case Negate(body=body) | Bars(body=body):
            return (body,)
        case Sum(terms=pairs) | Product(factors=pairs):
            return tuple(expr for _, expr in pairs)
        case Power(base=base, exponent=exponent):
            return (base, exponent)
        case Relation(left=left, right=right):
            return (left, right)
        case BigOp(body=body, beta=beta, ranges=ranges):
            limits = tuple(limit for pair in ranges if pair for limit in pair)
            return (*limits, *([beta] if beta else []), body)
        case Derivative(of=of, by=by):
            return (of, by)
        case TypeExpr(dims=dims, args=args):
            return (*dims, *args)
    return ()


def expressions(statement: Statement) -> tuple[Expr, ...]:
    """The outermost expressions of a statement, those of its domains included; a block's too."""
    match statement:
        case DimDecl(size=size):
            return (size,) if size else ()
        case IndexDecl(low=low, high=high):
            return (low, high)
        case VarDecl(type=kind, constraints=constraints, subscripts=subscripts, law=law):
            domains = (*([kind] if kind else []), *constraints)
            return (*subscripts, *(e for d in domains for e in children(d)), *([law] if law else []))
        case ConstDecl(value=value, type=kind):
            return (*(children(kind) if kind else ()), value)
        case ModuleDecl(inputs=inputs, output=output, body=body):
            domains = (*inputs, *([output] if output else []))
            return (*(e for d in domains for e in children(d)), *(body or ()))
        case Define(body=body):
            return (body,)
        case Equation(left=left, right=right):
            return (left, right)
        case InferBy(by=by):
            return (by,)
        case Setting(value=value, children=inner):
            return (*([value] if value else []), *(e for s in inner for e in expressions(s)))
        case Train(settings=settings):
            return tuple(e for s in settings for e in expressions(s))
    return ()


_NOWHERE = Span(0, 0)


def bare(node: Any) -> Any:
    """The same tree with every span emptied, and without comments: equal for texts that mean the same."""
    if isinstance(node, Span):
        return _NOWHERE
    if isinstance(node, tuple):
        return tuple(bare(part) for part in node)
    if isinstance(node, Spec):
        return Spec(bare(node.statements), node.name)
    if is_dataclass(node) and not isinstance(node, type):
        return replace(node, **{f.name: bare(getattr(node, f.name)) for f in fields(node)})
    return node
