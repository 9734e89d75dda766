"""Sums, means and norms, in index notation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ebdsl.atoms.core import ShapeError, TensorAtom, register
from ebdsl.atoms.fold import apply_scalar
from ebdsl.atoms.shapes import a_matrix, at_least, number, scalar
from ebdsl.model.algebra import contract, rename
from ebdsl.model.build import div, fn, fresh, lit, mul, power, sub
from ebdsl.model.ir import Apply, Axis, Node, Size, Tensor

if TYPE_CHECKING:
    import numpy as np
else:
    from ebdsl.lazy import numpy as np


def _count(axes: tuple[Axis, ...]) -> Node:
    """The number of entries."""
    return mul(*(lit(a.dim) if isinstance(a.dim, int) else Size(a.dim) for a in axes))


def _sum(x: Tensor) -> Tensor:
    return scalar(contract(x.body, x.axes))


def _mean(x: Tensor) -> Tensor:
    return scalar(div(contract(x.body, x.axes), _count(x.axes)))


def _var(x: Tensor) -> Tensor:
    other = tuple(fresh(a.dim) for a in x.axes)
    middle = div(contract(rename(x.body, dict(zip(x.axes, other, strict=True))), other), _count(x.axes))
    return _mean(Tensor(power(sub(x.body, middle), 2), x.axes))


def _sumsq(x: Tensor) -> Tensor:
    return scalar(contract(power(x.body, 2), x.axes))


def _norm(x: Tensor, order: Tensor | None = None) -> Tensor:
    p = 2.0 if order is None else number(order, "the order of a norm")
    if p == 2:
        return _abs(x) if not x.axes else scalar(power(_sumsq(x).body, 0.5))
    if p == 1:
        return _norm1(x)
    if p == math.inf:
        return _norm_inf(x)
    if p < 1:
        raise ShapeError(f"the order of a norm is at least 1, and this is {p:g}")
    return scalar(power(contract(power(fn("abs", x.body), p), x.axes), 1 / p))


def _abs(x: Tensor) -> Tensor:
    return Tensor(apply_scalar("abs", x.body), x.axes)


def _norm1(x: Tensor) -> Tensor:
    return scalar(contract(apply_scalar("abs", x.body), x.axes))


def _norm0(x: Tensor) -> Tensor:
    return scalar(contract(fn("step", apply_scalar("abs", x.body)), x.axes))


def _norm_inf(x: Tensor) -> Tensor:
    body: Node = apply_scalar("abs", x.body)
    for a in reversed(x.axes):
        body = Apply("maximum", (Tensor(body, (a,)),), ())
    return scalar(body)


def _groupnorm(x: Tensor, size: Tensor | None = None) -> Tensor:
    at_least("groupnorm", x, 1)
    last = x.axes[-1].dim
    if size is not None:
        wanted = number(size, "the size of the groups")
        if last != wanted:
            whole = f"R[{last // int(wanted)}, {wanted:g}]" if isinstance(last, int) else f"R[G, {wanted:g}]"
            raise ShapeError(
                f"the groups are the last axis, which has {last} entries here, not {wanted:g}; "
                f"declare the variable as {whole}"
            )
    return scalar(contract(power(contract(power(x.body, 2), x.axes[-1:]), 0.5), x.axes[:-1]))


register(
    TensorAtom(
        name="sum",
        spellings=("sum",),
        doc="the sum of all entries",
        latex=r"\sum {0}",
        arity=1,
        lower=_sum,
        numpy=lambda x: np.sum(x),
        example=a_matrix,
    )
)
register(
    TensorAtom(
        name="mean",
        spellings=("mean",),
        doc="the mean of all entries",
        latex=r"\mathrm{{mean}}({0})",
        arity=1,
        lower=_mean,
        numpy=lambda x: np.mean(x),
        example=a_matrix,
    )
)
register(
    TensorAtom(
        name="var",
        spellings=("var",),
        doc="the variance of all entries",
        latex=r"\mathrm{{var}}({0})",
        arity=1,
        lower=_var,
        numpy=lambda x: np.var(x),
        example=a_matrix,
    )
)
register(
    TensorAtom(
        name="sumsq",
        spellings=("sumsq",),
        doc="the sum of squares of all entries",
        latex=r"\|{0}\|^2",
        arity=1,
        lower=_sumsq,
        numpy=lambda x: np.sum(x**2),
        example=a_matrix,
    )
)
register(
    TensorAtom(
        name="norm",
        spellings=("norm",),
        doc="the Euclidean norm of all entries, or the norm of order p",
        latex=r"\|{0}\|",
        arity=2,
        lower=_norm,
        numpy=lambda x, p=2.0: np.sum(np.abs(x) ** p) ** (1 / p),
        example=lambda rng: (rng.standard_normal((2, 3)), 3.0),
        optional=1,
    )
)
register(
    TensorAtom(
        name="norm1",
        spellings=("norm1",),
        doc="the sum of absolute values",
        latex=r"\|{0}\|_1",
        arity=1,
        lower=_norm1,
        numpy=lambda x: np.sum(np.abs(x)),
        example=a_matrix,
    )
)
register(
    TensorAtom(
        name="norm0",
        spellings=("norm0",),
        doc="the number of entries that are not 0",
        latex=r"\|{0}\|_0",
        arity=1,
        lower=_norm0,
        numpy=lambda x: float(np.count_nonzero(x)),
        example=lambda rng: (rng.standard_normal((2, 3)) * (rng.random((2, 3)) < 0.5),),
    )
)
register(
    TensorAtom(
        name="norminf",
        spellings=("norminf", "norm_inf"),
        doc="the greatest absolute value",
        latex=r"\|{0}\|_\infty",
        arity=1,
        lower=_norm_inf,
        numpy=lambda x: np.max(np.abs(x)),
        example=a_matrix,
    )
)
register(
    TensorAtom(
        name="groupnorm",
        spellings=("groupnorm", "norm21"),
        doc="the sum of the Euclidean norms of the rows (along the last axis)",
        latex=r"\|{0}\|_{{2,1}}",
        arity=2,
        lower=_groupnorm,
        numpy=lambda x, size=None: np.sum(np.linalg.norm(x, axis=-1)),
        example=lambda rng: (rng.standard_normal((4, 3)), 3.0),
        optional=1,
    )
)
