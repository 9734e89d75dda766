"""Linear systems in index notation: which axes are coupled decides whether to divide, or what to solve."""

from __future__ import annotations

from collections.abc import Sequence

from ebdsl.emit.tensors import Scope
from ebdsl.emit.values import Value, aligned, bracket
from ebdsl.facts.convexity import sign
from ebdsl.facts.quadratic import Quadratic
from ebdsl.model.algebra import with_batch
from ebdsl.model.build import mul, neg, power
from ebdsl.model.ir import BATCH, Axis, Node


def solve_code(scope: Scope, form: Quadratic, per_sample: bool, keep: str | None = None) -> str:
    """Text of the minimiser over ``form.at`` (after the sample's axis for a latent).

    ``keep`` is the text of the old value: entries that nothing determines (zero curvature) stay as they are; without
    one they are 0.
    """
    linear = with_batch(form.linear) if per_sample else form.linear
    matrix = with_batch(form.matrix) if per_sample else form.matrix
    batch: tuple[Axis, ...] = (BATCH,) if per_sample else ()
    whole = (*batch, *form.at)
    if form.diagonal:
        if not scope.is_tensor(matrix) or sign(matrix) == "positive":
            return scope.tensor(mul(neg(linear), power(matrix, -1)), whole).code
        scope.count(linear, matrix)
        top = scope.assign("linear", scope.tensor(linear, whole))
        bottom = scope.assign("curvature", scope.emit(matrix))
        bottom_text = aligned(Value(bottom.code, bottom.axes), whole)
        return f"torch.where({bottom_text} > 0, -{top.code} / {bottom_text}, {keep or 0.0})"
    scope.imports.add("solve_symmetric")
    varying = [a for k, a in enumerate(form.at) if k in form.varies]
    shared = BATCH not in matrix.free
    lead = ([] if shared or not per_sample else [BATCH]) + varying
    coupled = [form.at[k] for k in form.coupled]
    twins = [form.twin[k] for k in form.coupled]
    rest = [a for a in whole if a not in lead and a not in coupled]
    if not lead and len(coupled) == 1:
        left = scope.assign("matrix", Value(symmetric_code(scope, matrix, (coupled[0], twins[0]))))
    else:
        left = scope.assign("matrix", scope.tensor(matrix, (*lead, *coupled, *twins)))
    right_axes = (*lead, *coupled, *rest)
    right = scope.tensor(neg(linear), right_axes)
    simple = len(coupled) == 1 and len(rest) == 1
    if simple:
        solved: Value = Value(f"solve_symmetric({left.code}, {right.code})", right_axes)
    else:
        sizes = [scope.dim(a.dim) for a in lead]
        n = count_text(scope, coupled)
        r = count_text(scope, rest)
        head = "".join(s + ", " for s in sizes)
        flat_left = left.code if len(coupled) == 1 else f"{left.code}.reshape({head}{n}, {n})"
        whole_sizes = ", ".join(scope.dim(a.dim) for a in right_axes)
        solved = Value(
            f"solve_symmetric({flat_left}, {right.atom}.reshape({head}{n}, {r})).reshape({whole_sizes})", right_axes
        )
    return aligned(solved, whole)


def count_text(scope: Scope, axes: Sequence[Axis]) -> str:
    """How many entries a tensor with these axes has."""
    return " * ".join(bracket(scope.dim(a.dim)) for a in axes) or "1"


def symmetric_code(scope: Scope, matrix: Node, pair: tuple[Axis, Axis]) -> str:
    """The text of a symmetric ``(n, n)`` matrix over a pair of axes, in whichever order comes without a transpose."""
    value = scope.emit(matrix)
    return value.code if set(value.axes) == set(pair) else scope.tensor(matrix, pair).code
