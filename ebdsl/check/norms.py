"""Bars and powers."""

from __future__ import annotations

from dataclasses import replace

from ebdsl.atoms.fold import apply_scalar
from ebdsl.check.dims import type_text
from ebdsl.check.functions import call_atom
from ebdsl.check.scope import Env, Value
from ebdsl.diagnostics import Span
from ebdsl.model import build
from ebdsl.model.ir import Get, Lit, Node, Pow
from ebdsl.model.like_terms import apart
from ebdsl.syntax import ast

ORDERS = {None: "2", "2": "2", "1": "1", "0": "0", "inf": "inf", "∞": "inf", "F": "2", "*": "nuclear", "op": "spectral"}


def bars(e: ast.Bars, value: Value, env: Env) -> Value | None:
    """``|x|``: absolute value, or sum of absolute values; ``||x||`` and its orders: a norm over all axes."""
    if e.kind == "abs":
        if value.scalar:
            return Value(apply_scalar("abs", value.body), (), e.span)
        if value.rank >= 2 and not _map(value):
            text = env.ctx.inner(value.span)
            square = value.rank == 2 and value.dims[0] == value.dims[1]
            helps = [f"for the sum of absolute values: ||{text}||_1"]
            if square:
                helps.append(f"for the logarithm of the determinant: logdet({text})")
            else:
                helps.append(f"for the Frobenius norm: ||{text}||")
            env.report.add(
                "EB0223",
                f"|{text}| can be read in two ways: {text} is {type_text(value)}",
                (e.span, "bars around a matrix" if value.rank == 2 else f"bars around {value.rank} axes"),
                help=tuple(helps),
                fix=(e.span, f"||{text}||_1") if not square else None,
            )
            return None
        return _sum(apply_scalar("abs", value.body), value, e.span)
    if e.order in ("2,1", "21", "2, 1") and value.rank >= 2:
        return call_atom("groupnorm", e.span, (value,), e.span, env)
    order = ORDERS.get(e.order)
    if order is None:
        env.report.add(
            "EB0223",
            f"there is no norm of order {e.order}",
            (e.span, f"order {e.order}"),
            help="norms are ||x|| (Euclidean), ||x||_1, ||x||_inf, ||Z||_{2,1} over the rows of a matrix, "
            "||Z||_* and ||Z||_op of its singular values; ||x||_0 counts entries that are not 0",
        )
        return None
    if order == "0":
        return call_atom("norm0", e.span, (value,), e.span, env)
    if order == "1":
        return _sum(apply_scalar("abs", value.body), value, e.span)
    if order == "inf":
        return call_atom("norm_inf", e.span, (value,), e.span, env)
    if order in ("nuclear", "spectral"):
        return call_atom(order, e.span, (value,), e.span, env)
    if value.scalar:
        return Value(apply_scalar("abs", value.body), (), e.span)
    return replace(_sum(build.power(value.body, 2), value, e.span), body=root(_sum_body(value)))


def root(node: Node) -> Node:
    return Pow(node, Lit(0.5))


def _sum_body(value: Value) -> Node:
    return build.sum_over(build.power(value.body, 2), value.axes)


def _sum(body: Node, value: Value, span: Span) -> Value:
    return Value(build.sum_over(body, value.axes), (), span)


def _map(value: Value) -> bool:
    """Whether bars around two axes and more can only be a sum: a map of codes, no matrix with a determinant."""
    _, body = apart(value.body)
    plain = isinstance(body, Get) and body.symbol.per_sample
    return plain or (any(s.per_sample for s in body.symbols) and len(set(value.dims)) == value.rank)


def power(base: Value, exponent: Value, span: Span, env: Env) -> Value | None:
    """``x^p``: of a number, or of a vector entry by entry; a squared norm is its sum of squares."""
    text = env.ctx.text(base.span)
    if not exponent.scalar:
        env.report.add(
            "EB0222",
            f"the exponent {env.ctx.text(exponent.span)} is {type_text(exponent)}",
            (exponent.span, "not a number"),
            help="exponents are numbers; for a transpose write W' or Wᵀ",
        )
        return None
    if base.rank >= 2:
        square = base.rank == 2 and base.dims[0] == base.dims[1]
        helps = [f"for the powers of the entries: {text} ⊙ {text}", f"for the sum of squares: ||{text}||^2"]
        if square and exponent.body == Lit(-1.0):
            helps = [f"for the inverse: inverse({text})"]
        elif square:
            helps.insert(0, f"for the matrix product: {text} {text}")
        env.report.add(
            "EB0222",
            f"{text} is {type_text(base)}, and has no power",
            (span, "a power of a matrix"),
            help=tuple(helps),
        )
        return None
    p = exponent.body
    inner = base.body
    # a root is never negative, so (s^½)^p is s^(p/2) for every p
    if (
        isinstance(inner, Pow)
        and isinstance(inner.exponent, Lit)
        and inner.exponent.value == 0.5
        and isinstance(p, Lit)
    ):
        return replace(base, body=build.power(inner.base, 0.5 * p.value), span=span)
    return replace(base, body=build.power(inner, p), span=span)
