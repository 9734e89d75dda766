"""Dot and outer products, trace, diagonal, transpose, in index notation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ebdsl.atoms.core import ShapeError, TensorAtom, register
from ebdsl.atoms.shapes import a_matrix, aligned, apart, at_least, scalar, show, two_matrices
from ebdsl.model.algebra import contract, delta, multiply, rename
from ebdsl.model.build import fresh
from ebdsl.model.ir import Tensor

if TYPE_CHECKING:
    import numpy as np
else:
    from ebdsl.lazy import numpy as np


def _dot(x: Tensor, y: Tensor) -> Tensor:
    left, right, axes = aligned("dot", *apart(x, y))
    return scalar(contract(multiply(left, right), axes))


def _outer(x: Tensor, y: Tensor) -> Tensor:
    x, y = apart(x, y)
    return Tensor(multiply(x.body, y.body), (*x.axes, *y.axes))


def _trace(x: Tensor) -> Tensor:
    at_least("trace", x, 2)
    *lead, i, j = x.axes
    if i.dim != j.dim:
        raise ShapeError(f"trace takes a square matrix, and this is {show(x.shape)}")
    return Tensor(contract(rename(x.body, {j: i}), (i,)), tuple(lead))


def _diag(x: Tensor) -> Tensor:
    at_least("diag", x, 1)
    if len(x.axes) == 1:
        (i,) = x.axes
        j = fresh(i.dim)
        return Tensor(multiply(x.body, delta(i, j)), (i, j))
    *lead, i, j = x.axes
    if i.dim != j.dim:
        raise ShapeError(f"diag takes a vector or a square matrix, and this is {show(x.shape)}")
    return Tensor(rename(x.body, {j: i}), (*lead, i))


def _transpose(x: Tensor) -> Tensor:
    if len(x.axes) < 2:
        return x
    *lead, i, j = x.axes
    return Tensor(x.body, (*lead, j, i))


register(
    TensorAtom(
        name="dot",
        spellings=("dot", "inner"),
        doc="the sum of products of entries",
        latex=r"\langle {0}, {1} \rangle",
        arity=2,
        lower=_dot,
        numpy=lambda x, y: np.sum(x * y),
        example=two_matrices,
    )
)
register(
    TensorAtom(
        name="outer",
        spellings=("outer",),
        doc="all products of an entry and an entry",
        latex=r"{0} \otimes {1}",
        arity=2,
        lower=_outer,
        numpy=lambda x, y: np.multiply.outer(x, y),
        example=lambda rng: (rng.standard_normal(3), rng.standard_normal(2)),
    )
)
register(
    TensorAtom(
        name="trace",
        spellings=("trace", "tr", "Tr"),
        doc="the sum of the diagonal",
        latex=r"\mathrm{{tr}}\,{0}",
        arity=1,
        lower=_trace,
        numpy=lambda x: np.trace(x, axis1=-2, axis2=-1),
        example=lambda rng: (rng.standard_normal((3, 3)),),
    )
)
register(
    TensorAtom(
        name="diag",
        spellings=("diag",),
        doc="a vector's diagonal matrix, or a matrix's diagonal",
        latex=r"\mathrm{{diag}}({0})",
        arity=1,
        lower=_diag,
        numpy=lambda x: np.diag(x),
        example=lambda rng: (rng.standard_normal(3),),
    )
)
register(
    TensorAtom(
        name="transpose",
        spellings=("transpose",),
        doc="the last two axes exchanged",
        latex=r"{0}^\top",
        arity=1,
        lower=_transpose,
        numpy=lambda x: np.swapaxes(x, -1, -2),
        example=a_matrix,
    )
)
