"""Products: numbers scale, matrices multiply, stars convolve maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ebdsl.check.dims import named, report_by_chance, report_differ, same, shape_text, type_text
from ebdsl.check.scope import Env, Value
from ebdsl.diagnostics import Span
from ebdsl.model import build
from ebdsl.model.canonical import canonical
from ebdsl.model.ir import ONE, Axis, Lit, Mul, Node

Suggestion = tuple[str, tuple[Span, str]]
"""A better formula, and the edit that makes it."""


def times(*factors: Node) -> Node:
    """Product of numbers in which equal neighbours become a power: ``(y - Wz)(y - Wz)`` is a square."""
    flat: list[Node] = []
    for f in factors:
        for g in f.factors if isinstance(f, Mul) else (f,):
            if flat and not isinstance(g, Lit) and equal(flat[-1], g):
                flat[-1] = build.power(g, 2)
            else:
                flat.append(g)
    return build.mul(*flat)


def equal(a: Node, b: Node) -> bool:
    """Whether two nodes are the same up to names of bound axes and order of operands."""
    if a == b:
        return True
    if type(a) is not type(b) or a.free != b.free or a.symbols != b.symbols:
        return False
    return canonical(a) == canonical(b)


def shared(left: Value, i: int, right: Value, j: int, env: Env) -> tuple[Value, Value, Axis] | None:
    """Both values over one axis at ``i`` and ``j``, where their dimensions fit; None after an error."""
    a, b = left.axes[i], right.axes[j]
    if not same(env.ctx, a.dim, b.dim):
        return None
    report_by_chance(env, left, right, i, j)
    axis = build.fresh(named(a.dim, b.dim))
    left = left.over(tuple(axis if k == i else x for k, x in enumerate(left.axes)))
    right = right.fresh()
    right = right.over(tuple(axis if k == j else x for k, x in enumerate(right.axes)))
    return left, right, axis


def contract(left: Value, right: Value, env: Env, row: bool, better: Suggestion | None = None) -> Value | None:
    """Sum over the last axis of ``left`` and the first of ``right``."""
    i = left.rank - 1
    pair = shared(left, i, right, 0, env)
    if pair is None:
        report_differ(env, left, right, i, 0, better)
        return None
    a, b, axis = pair
    body = build.sum_over(times(a.body, b.body), (axis,))
    origins = (*(a.origin(k) for k in range(i)), *(b.origin(k) for k in range(1, b.rank)))
    return Value(body, (*a.axes[:-1], *b.axes[1:]), left.span.to(right.span), row, origins)


def elementwise(left: Value, right: Value, env: Env, divide: bool = False) -> Value | None:
    """``a ⊙ b`` and ``a / b`` of equal shapes."""
    if not fits(left, right, env):
        return None
    other = right.over(left.axes)
    body = build.div(left.body, other.body) if divide else times(left.body, other.body)
    return Value(body, left.axes, left.span.to(right.span), left.row, left.origins)


def fits(left: Value, right: Value, env: Env) -> bool:
    """Whether two values have one shape; reported where they do not."""
    if left.rank != right.rank or left.row != right.row:
        help_: tuple[str, ...] = ()
        if left.rank == right.rank == 1:
            which = right if right.row else left
            help_ = (f"transpose one of them: {env.ctx.text(which.span)} is a row",)
        env.report.add(
            "EB0203",
            f"shapes differ: {env.ctx.text(left.span)} is {type_text(left)}, "
            f"{env.ctx.text(right.span)} is {type_text(right)}",
            (left.span, type_text(left)),
            (right.span, type_text(right)),
            help=help_,
        )
        return False
    for i in range(left.rank):
        if not same(env.ctx, left.dims[i], right.dims[i]):
            report_differ(env, left, right, i, i)
            return False
        report_by_chance(env, left, right, i, i)
    return True


def scale(number: Value, value: Value) -> Value:
    """A number times anything."""
    return replace(value, body=times(number.body, value.body), span=number.span.to(value.span))


def beside(left: Value, right: Value, env: Env, dot: bool = False) -> Value | None:
    """Two tensors side by side, or with a dot between them."""
    ctx = env.ctx
    a, b = ctx.text(left.span), ctx.text(right.span)
    both = left.span.to(right.span)
    if left.rank > 2 or right.rank > 2:
        big = left if left.rank > 2 else right
        ctx.report.add(
            "EB0208",
            f"{ctx.text(big.span)} has {big.rank} axes; products are for numbers, vectors and matrices",
            (big.span, type_text(big)),
            (left.span if big is right else right.span, type_text(left if big is right else right)),
            help=f"pick a part with brackets: {ctx.text(big.span)}[k]",
        )
        return None
    if left.rank == 1 and right.rank == 1:
        if left.row and not right.row:
            return contract(left, right, env, False)
        if right.row and not left.row:
            other = right.fresh()
            return Value(
                times(left.body, other.body),
                (*left.axes, *other.axes),
                both,
                False,
                (left.origin(0), other.origin(0)),
            )
        if dot and left.row == right.row:
            return contract(replace(left, row=True), right, env, False)
        fit = same(ctx, left.dims[0], right.dims[0])
        if left.line and fit and not right.row:
            return contract(replace(left, row=True), right, env, False)
        ctx.report.add(
            "EB0207",
            f"{a} {b} is a vector next to a vector",
            (left.span, type_text(left)),
            (right.span, type_text(right)),
            help=(f"write {a}'{b} for the dot product, {a} ⊙ {b} for the product entry by entry",)
            if fit and not left.row
            else (f"write {a} {b}' for the matrix of all products",),
        )
        return None
    if left.rank == 2 and right.rank == 1 and right.row:
        ctx.report.add(
            "EB0208",
            f"{a} {b} is a matrix next to a row",
            (left.span, type_text(left)),
            (right.span, type_text(right)),
            help="a matrix multiplies a column on its right: leave the transpose away",
        )
        return None
    if left.rank == 1 and not left.row:
        fit = same(ctx, left.dims[0], right.dims[0])
        ctx.report.add(
            "EB0208",
            f"{a} {b} is a vector next to a matrix",
            (left.span, type_text(left)),
            (right.span, type_text(right)),
            help=f"transpose the vector: {a}' {b}" if fit else f"put the matrix first: {b} {a}",
            fix=(Span(left.span.end, left.span.end), "'") if fit else None,
        )
        return None
    return contract(left, right, env, left.rank == 1, _transposed(left, right, env))


def _transposed(left: Value, right: Value, env: Env) -> Suggestion | None:
    """``did you mean W' y ?`` where the other axis of the matrix fits."""
    ctx = env.ctx
    i = left.rank - 1
    if same(ctx, left.dims[i], right.dims[0]):
        return None
    a, b = ctx.text(left.span), ctx.text(right.span)
    if left.rank == 2 and same(ctx, left.dims[0], right.dims[0]):
        new = _turned(a)
        return f"did you mean {new} {b} ?", (left.span, new)
    if right.rank == 2 and same(ctx, left.dims[i], right.dims[1]):
        new = _turned(b)
        return f"did you mean {a} {new} ?", (right.span, new)
    return None


def _turned(text: str) -> str:
    """``W`` -> ``W'`` and back."""
    return text[:-1] if text.endswith(("'", "ᵀ")) else text + "'"


def star(left: Value, right: Value, env: Env) -> Value | None:
    """``D[k] * z[k]``: convolution of maps, as large as the second (as large as the data's, where the first is)."""
    from ebdsl.check.functions import opaque

    ctx = env.ctx
    a, b = ctx.text(left.span), ctx.text(right.span)
    if left.rank != right.rank:
        matrix = left.rank == 2 and right.rank == 1
        ctx.report.add(
            "EB0208",
            f"{a} * {b} is neither a product of numbers nor a convolution of maps",
            (left.span, type_text(left)),
            (right.span, type_text(right)),
            help=f"for the product of a matrix and a vector, put them side by side: {a} {b}"
            if matrix
            else "maps have the same number of axes; pick one with brackets: D[k] * z[k]",
            fix=(Span(left.span.end, right.span.start), " ") if matrix else None,
        )
        return None
    if all(same(ctx, d, e) for d, e in zip(left.dims, right.dims, strict=True)):
        dot = f", {a}'{b} for the dot product" if left.rank == 1 else f", {a} {b} for the matrix product"
        ctx.report.add(
            "EB0220",
            f"{a} * {b}: a star between two of {shape_text(left.dims)} can be read in two ways",
            (left.span, type_text(left)),
            (right.span, type_text(right)),
            help=f"write {a} ⊙ {b} for the product entry by entry{dot}, conv({a}, {b}) for the convolution",
        )
        return None
    if _per_sample(left) and not _per_sample(right):
        left, right = right, left
    return opaque("conv", (left, right), left.span.to(right.span), env)


def _per_sample(value: Value) -> bool:
    return any(s.per_sample for s in value.body.symbols)


def chain(values: Sequence[Value], env: Env) -> Value | None:
    """Tensors side by side: from the right, so that vectors are met first, or from the left where a row starts."""
    if values[0].row and values[-1].rank == 2:
        result: Value | None = values[0]
        for value in values[1:]:
            result = join(result, value, "", env)
        return result
    result = values[-1]
    for value in reversed(values[:-1]):
        result = join(value, result, "", env)
    return result


def join(left: Value | None, right: Value | None, op: str, env: Env) -> Value | None:
    """Two tensors (or numbers, that a chain came to) with an operator between them; None where either is."""
    if left is None or right is None:
        return None
    if left.scalar and op != "/":
        return scale(left, right)
    if right.scalar:
        number = replace(right, body=build.power(right.body, -1)) if op == "/" else right
        return replace(left, body=times(number.body, left.body), span=left.span.to(right.span))
    match op:
        case "⊙":
            return elementwise(left, right, env)
        case "/" if left.scalar:
            report_divisor(right, env)
            return None
        case "/":
            return elementwise(left, right, env, divide=True)
        case "*":
            return star(left, right, env)
    return beside(left, right, env, dot=op == "·")


def product(factors: Sequence[tuple[str, Value]], span: Span, env: Env) -> Value | None:
    """A flat product: numbers come to the front, then what stands side by side, then the operators from the left."""
    numbers: list[Node] = []
    groups: list[tuple[str, list[Value]]] = []
    waiting = ""  # the operator before a number that the next tensor stands beside: a ⊙ 2 b
    for op, value in factors:
        if value.scalar:
            numbers.append(build.power(value.body, -1) if op == "/" else value.body)
            waiting = op if op in ("⊙", "*", "·") and groups else waiting
            continue
        op, waiting = op or waiting, ""
        if op or not groups:
            groups.append((op, [value]))
        else:
            groups[-1][1].append(value)
    number = Value(times(*numbers) if numbers else ONE, (), span)
    if not groups:
        return number
    if groups[0][0] == "/":
        report_divisor(groups[0][1][0], env)
        return None
    result: Value | None = None
    for k, (op, values) in enumerate(groups):
        if op == "/" and len(values) > 1:
            report_ambiguous(env, span, groups[k - 1][1][-1].span, values[0].span, values[1].span)
            return None
        part = chain(values, env)
        result = part if k == 0 else join(result, part, op, env)
        if result is None:
            return None
    assert result is not None
    return replace(result, body=times(number.body, result.body), span=span)


def report_divisor(value: Value, env: Env) -> None:
    env.report.add(
        "EB0208",
        f"a number is divided by {env.ctx.text(value.span)}, which is {type_text(value)}",
        (value.span, type_text(value)),
        help="division is by a number, or entry by entry between equal shapes",
    )


def report_ambiguous(env: Env, span: Span, left: Span, divisor: Span, beside: Span) -> None:
    a, b, c = (env.ctx.text(s) for s in (left, divisor, beside))
    env.report.add(
        "EB0221",
        f"{env.ctx.text(left.to(beside))} can be read in two ways",
        (span, "what is divided by what?"),
        help=f"write ({a}/{b}) {c}, or {a}/({b} {c})",
    )
