"""Functions of tensors entry by entry that are made of others: roots, squares, Huber's loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ebdsl.atoms.core import ShapeError, TensorAtom, register
from ebdsl.atoms.shapes import a_matrix
from ebdsl.model.build import div, fn, mul, neg, power
from ebdsl.model.ir import Tensor

if TYPE_CHECKING:
    import numpy as np
else:
    from ebdsl.lazy import numpy as np


def _sqrt(x: Tensor) -> Tensor:
    return Tensor(power(x.body, 0.5), x.axes)


register(
    TensorAtom(
        name="sqrt",
        spellings=("sqrt", "√"),
        doc="the square root, entry by entry",
        latex=r"\sqrt{{{0}}}",
        arity=1,
        lower=_sqrt,
        numpy=lambda x: np.sqrt(x),
        example=lambda rng: (rng.uniform(0.1, 3.0, (2, 3)),),
    )
)
register(
    TensorAtom(
        name="square",
        spellings=("square",),
        doc="the square, entry by entry",
        latex=r"{0}^2",
        arity=1,
        lower=lambda x: Tensor(power(x.body, 2), x.axes),
        numpy=lambda x: x**2,
        example=a_matrix,
    )
)
register(
    TensorAtom(
        name="logsigmoid",
        spellings=("logsigmoid",),
        doc="the logarithm of the logistic function, entry by entry",
        latex=r"\log\sigma({0})",
        arity=1,
        lower=lambda x: Tensor(neg(fn("softplus", neg(x.body))), x.axes),
        numpy=lambda x: -np.logaddexp(0.0, -x),
        example=a_matrix,
    )
)


def _clip(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    if low.axes or high.axes:
        raise ShapeError("the ends of clip are numbers")
    return Tensor(fn("min", fn("max", x.body, low.body), high.body), x.axes)


register(
    TensorAtom(
        name="clip",
        spellings=("clip", "clamp"),
        doc="x kept between two numbers",
        latex=r"[{0}]_{{{1}}}^{{{2}}}",
        arity=3,
        lower=_clip,
        numpy=lambda x, low, high: np.clip(x, low, high),
        example=lambda rng: (rng.standard_normal(9), -0.5, 0.7),
    )
)


def _numpy_huber(x: np.ndarray, delta: float = 1.0) -> np.ndarray:
    size = np.abs(x)
    return np.where(size <= delta, x**2 / 2, delta * (size - delta / 2))


def _huber(x: Tensor, delta: Tensor | None = None) -> Tensor:
    if delta is None:
        return Tensor(fn("huber1", x.body), x.axes)
    if delta.axes:
        raise ShapeError("the width of huber is a number")
    return Tensor(mul(power(delta.body, 2), fn("huber1", div(x.body, delta.body))), x.axes)


register(
    TensorAtom(
        name="huber",
        spellings=("huber",),
        doc="½x² where |x| <= δ (1 if not said), else δ(|x| - ½δ), entry by entry",
        latex=r"\mathrm{{huber}}({0})",
        arity=2,
        lower=_huber,
        numpy=_numpy_huber,
        example=lambda rng: (2 * rng.standard_normal(9), 0.7),
        optional=1,
    )
)
