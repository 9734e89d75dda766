"""``s[t+1]``, ``s[-1]``, ``s[T-1]``: positions that are computed, and what a sum's index then runs over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ebdsl.check import numbers
from ebdsl.check.dims import size
from ebdsl.check.report import Report
from ebdsl.check.scope import Context, Env
from ebdsl.check.sizes import known_numbers, resolve
from ebdsl.check.words import key
from ebdsl.diagnostics import Span
from ebdsl.model.ir import Dim, difference, shorter
from ebdsl.syntax import ast


@dataclass(frozen=True)
class Use:
    """A place where an index picks: the dimensions it may run over, one where brackets say which. ``offset``: the 1 of
    ``s[t+1]``."""

    dims: tuple[Dim, ...]
    span: Span
    offset: int = 0


def longer(ctx: Context, a: Dim, b: Dim) -> int | None:
    """By how many entries ``a`` is longer than ``b``, as far as names and sizes tell."""
    symbolic = difference(a, b)
    if symbolic is not None:
        return symbolic
    m, n = size(ctx, a), size(ctx, b)
    return None if m is None or n is None else m - n


def parts(item: ast.Expr) -> tuple[tuple[int, ast.Expr], ...]:
    """The signed addends of a position."""
    match item:
        case ast.Sum(_, terms):
            return tuple((sign * s, e) for sign, t in terms for s, e in parts(t))
        case ast.Negate(_, body):
            return tuple((-s, e) for s, e in parts(body))
    return ((1, item),)


def shifted(item: ast.Expr, names: set[str], ctx: Context) -> tuple[ast.Name, float] | None:
    """``t + 1`` as the index and its offset, for the one of ``names`` that stands alone in it; else None."""
    terms = parts(item)
    own = [(s, e) for s, e in terms if isinstance(e, ast.Name) and key(e.id) in names]
    rest = [(s, e) for s, e in terms if not (isinstance(e, ast.Name) and key(e.id) in names)]
    if len(own) != 1 or own[0][0] != 1:
        return None
    offset = 0.0
    for sign, e in rest:
        value = numbers.evaluate(e, known_numbers(ctx), Report(), "EB0233", "the shift")
        if value is None:
            return None
        offset += sign * value
    name = own[0][1]
    assert isinstance(name, ast.Name)
    return name, offset


def fixed(item: ast.Expr, dim: Dim, ctx: Context) -> float | None:
    """The position that a formula of numbers and sizes is, from the end where it is negative or ``T-1``; else None.

    A position past the end comes out as the size of the axis.
    """
    known = ctx.dims.keys() - ctx.broken
    whole = [(s, e) for s, e in parts(item) if isinstance(e, ast.Name) and key(e.id) in known]
    at = 0.0
    for sign, e in parts(item):
        if (sign, e) in whole and len(whole) == 1:
            continue
        value = numbers.evaluate(e, known_numbers(ctx), Report(), "EB0211", "the position")
        if value is None:
            return None
        at += sign * value
    if len(whole) != 1:
        return at
    sign, name = whole[0]
    assert isinstance(name, ast.Name)
    ctx.used.add(key(name.id))
    past = longer(ctx, resolve(ctx, key(name.id)), dim)
    return None if past is None or sign != 1 else at + past if at + past < 0 else float("inf")


# --------------------------------------------------------------------------- ranges


def stretch(uses: Sequence[Use], ctx: Context) -> tuple[Dim, int] | None:
    """How many values an index has, and the first, such that all entries exist; None where axes do not compare."""
    base = uses[0].dims[0]
    start = max(0, *(-u.offset for u in uses)) if len(uses) > 1 else max(0, -uses[0].offset)
    ends = []
    for u in uses:
        more = longer(ctx, u.dims[0], base)
        if more is None:
            return None
        ends.append(more - u.offset)
    return shorter(base, start - min(ends)), start


def fits(count: Dim, first: int, uses: Sequence[Use], ctx: Context) -> Use | None:
    """The first use that leaves its axis where the index picks the entries from ``first`` on; None where all stay."""
    for u in uses:
        rest = longer(ctx, u.dims[0], count)
        if rest is not None and not 0 <= first + u.offset <= rest:
            return u
    return None


def first_entry(name: ast.Name, count: Dim, low: int, uses: Sequence[Use], says: int | None, env: Env) -> int | None:
    """The entry that the first value ``low`` picks, since a range may count from 0 or from 1; None after an error.

    A range that leaves the axis when counted from 0 counts from 1, as 1..T does. ``says``: what a declaration says.
    """
    ctx = env.ctx
    from_zero, from_one = fits(count, low, uses, ctx), fits(count, low - 1, uses, ctx) if low else uses[0]
    if from_zero is None and from_one is None:
        if says is not None:
            return low - says
        u = uses[0]
        ctx.report.add(
            "EB0234",
            f"does {name.id} count from 0 or from 1? Both fit {ctx.text(u.span)}",
            (name.span, f"{low} is the first entry, or the one after it"),
            help=(
                f"declare it: index {name.id} in 0..{shorter(u.dims[0], 1)} counts from 0",
                f"or index {name.id} in 1..{u.dims[0]}, which counts from 1",
            ),
        )
        return None
    if from_zero is None:
        return low
    if from_one is None:
        return low - 1
    left = from_one if low else from_zero
    report_outside(name, left, env)
    return None


def report_outside(name: ast.Name, use: Use, env: Env, short: bool = False) -> None:
    """EB0232; ``short`` where no range would do."""
    text = env.ctx.text(use.span)
    env.report.add(
        "EB0232",
        f"{text} leaves its axis: not all of its entries exist in the range of {name.id}",
        (use.span, f"an axis of {use.dims[0]}, entries 0 to {shorter(use.dims[0], 1)}"),
        (name.span, f"{name.id} goes too far"),
        help=f"the axis is too short for {text}"
        if short
        else f"Σ_{name.id} without a range takes those {name.id} for which all entries exist",
    )
