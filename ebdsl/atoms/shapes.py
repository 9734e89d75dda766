"""What rows over tensors share: shapes in a user's words, axes brought together, examples to check a row with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ebdsl.atoms.core import ShapeError
from ebdsl.model.algebra import rename
from ebdsl.model.build import fresh
from ebdsl.model.ir import Axis, Dim, Lit, Node, Tensor

if TYPE_CHECKING:
    import numpy as np
else:
    from ebdsl.lazy import numpy as np


def show(shape: tuple[Dim, ...]) -> str:
    """A shape as a spec writes it."""
    return f"R[{', '.join(map(str, shape))}]" if shape else "a number"


def number(x: Tensor, what: str) -> float:
    """The value of an argument that must be a literal number."""
    if x.axes or not isinstance(x.body, Lit):
        raise ShapeError(f"{what} is a number that is written out, like 2")
    return x.body.value


def apart(*args: Tensor) -> tuple[Tensor, ...]:
    """The arguments with axes of their own each, so that they can stand in one expression."""
    seen: set[Axis] = set()
    result = []
    for x in args:
        if seen & set(x.axes):
            new = {a: fresh(a.dim) for a in x.axes}
            x = Tensor(rename(x.body, dict(new)), tuple(new.values()))
        seen |= set(x.axes)
        result.append(x)
    return tuple(result)


def aligned(name: str, x: Tensor, y: Tensor) -> tuple[Node, Node, tuple[Axis, ...]]:
    """Two tensors of one shape over the same axes; a number goes with every shape."""
    if not x.axes or not y.axes:
        return x.body, y.body, x.axes or y.axes
    if x.shape != y.shape:
        raise ShapeError(f"{name} needs two of the same shape, and these are {show(x.shape)} and {show(y.shape)}")
    return x.body, rename(y.body, dict(zip(y.axes, x.axes, strict=True))), x.axes


def at_least(name: str, x: Tensor, ndim: int) -> None:
    if len(x.axes) < ndim:
        wanted = {1: "a vector", 2: "a matrix"}[ndim]
        raise ShapeError(f"{name} takes {wanted}, and this is {show(x.shape)}")


def scalar(node: Node) -> Tensor:
    return Tensor(node, ())


def a_matrix(rng: Any) -> tuple[Any, ...]:
    return (rng.standard_normal((2, 3)),)


def two_matrices(rng: Any) -> tuple[Any, ...]:
    return rng.standard_normal((2, 3)), rng.standard_normal((2, 3))


def a_distribution(rng: Any) -> tuple[Any, ...]:
    return (rng.dirichlet(np.ones(4)),)


def two_distributions(rng: Any) -> tuple[Any, ...]:
    return rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(4))
