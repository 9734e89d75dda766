"""Functions of tensors that stay one: determinants, inverse, greatest entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ebdsl.atoms.core import OpaqueAtom, ShapeError, TensorAtom, register
from ebdsl.atoms.shapes import at_least, show
from ebdsl.model.algebra import contract, delta, multiply
from ebdsl.model.build import fresh, lit, neg
from ebdsl.model.ir import ZERO, Apply, Axis, Dim, Node, Tensor

if TYPE_CHECKING:
    import numpy as np
else:
    from ebdsl.lazy import numpy as np

Index = tuple[Axis | int, ...]


def _own(x: Tensor) -> tuple[Axis, ...]:
    return tuple(fresh(a.dim) for a in x.axes)


def _square(name: str, matrix: bool = False) -> Callable[..., tuple[Dim, ...]]:
    def shape(a: tuple[Dim, ...]) -> tuple[Dim, ...]:
        if len(a) != 2 or a[0] != a[1]:
            raise ShapeError(f"{name} takes a square matrix, and this is {show(a)}")
        return a if matrix else ()

    return shape


def _inverse(a: Tensor, i: Axis | int, j: Axis | int) -> Node:
    return Apply("inverse", (a,), (i, j))


def _logdet_slope(args: tuple[Tensor, ...], index: Index) -> tuple[Tensor, ...]:
    i, j = _own(args[0])
    return (Tensor(_inverse(args[0], j, i), (i, j)),)


def _det_slope(args: tuple[Tensor, ...], index: Index) -> tuple[Tensor, ...]:
    i, j = _own(args[0])
    return (Tensor(multiply(Apply("det", args), _inverse(args[0], j, i)), (i, j)),)


def _inverse_slope(args: tuple[Tensor, ...], index: Index) -> tuple[Tensor, ...]:
    i, j = _own(args[0])
    return (Tensor(neg(multiply(_inverse(args[0], index[0], i), _inverse(args[0], j, index[1]))), (i, j)),)


def contracted(slope: Callable[..., tuple[Tensor, ...]]) -> Callable[..., tuple[Tensor, ...]]:
    """The gradient that a written-out derivative gives: the cotangent times it, summed over the value's axes."""

    def vjp(args: tuple[Tensor, ...], cotangent: Tensor) -> tuple[Tensor, ...]:
        parts = slope(args, cotangent.axes)
        return tuple(Tensor(contract(multiply(cotangent.body, p.body), cotangent.axes), p.axes) for p in parts)

    return vjp


def _definite(rng: Any) -> tuple[Any, ...]:
    a = rng.standard_normal((3, 3))
    return (a @ a.T + 0.3 * np.eye(3),)


def _invertible(rng: Any) -> tuple[Any, ...]:
    return (rng.standard_normal((3, 3)) + 2 * np.eye(3),)


def _numpy_logdet(a: np.ndarray) -> float:
    sign, value = np.linalg.slogdet(a)
    return float(value) if sign > 0 else float("nan")


register(
    OpaqueAtom(
        name="logdet",
        spellings=("logdet", "log det"),
        doc="the logarithm of the determinant",
        latex=r"\log\det {0}",
        arity=1,
        shape=_square("log det"),
        torch="torch.logdet({0})",
        numpy=_numpy_logdet,
        example=_definite,
        derivative=_logdet_slope,
        vjp=contracted(_logdet_slope),
        linear=(False,),
        curvature="concave",
    )
)

register(
    OpaqueAtom(
        name="logabsdet",
        spellings=("logabsdet",),
        doc="the logarithm of the absolute value of the determinant",
        latex=r"\log|\det {0}|",
        arity=1,
        shape=_square("log |det|"),
        torch="torch.linalg.slogdet({0}).logabsdet",
        numpy=lambda a: float(np.linalg.slogdet(a)[1]),
        example=_invertible,
        derivative=_logdet_slope,
        vjp=contracted(_logdet_slope),
        linear=(False,),
    )
)

register(
    OpaqueAtom(
        name="det",
        spellings=("det",),
        doc="the determinant",
        latex=r"\det {0}",
        arity=1,
        shape=_square("det"),
        torch="torch.linalg.det({0})",
        numpy=lambda a: float(np.linalg.det(a)),
        example=_invertible,
        derivative=_det_slope,
        vjp=contracted(_det_slope),
        linear=(False,),
    )
)

register(
    OpaqueAtom(
        name="inverse",
        spellings=("inverse", "inv"),
        doc="the inverse matrix",
        latex=r"{0}^{{-1}}",
        arity=1,
        shape=_square("inverse", matrix=True),
        torch="torch.linalg.inv({0})",
        numpy=lambda a: np.linalg.inv(a),
        example=_invertible,
        derivative=_inverse_slope,
        vjp=contracted(_inverse_slope),
        linear=(False,),
    )
)

# --------------------------------------------------------------------------- greatest entry


def _reduced(a: tuple[Dim, ...]) -> tuple[Dim, ...]:
    if not a:
        raise ShapeError("maximum takes a vector, and this is a number")
    return a[:-1]


def _maximum_slope(args: tuple[Tensor, ...], index: Index) -> tuple[Tensor, ...]:
    own = _own(args[0])
    there = multiply(*(delta(i, j) for i, j in zip(index, own[:-1], strict=True)))
    return (Tensor(multiply(there, Apply("onehot_argmax", args, own)), own),)


def _no_slope(args: tuple[Tensor, ...], index: Index) -> tuple[Tensor, ...]:
    return tuple(Tensor(ZERO, _own(a)) for a in args)


register(
    OpaqueAtom(
        name="maximum",
        spellings=("maximum",),
        doc="the greatest entry along the last axis",
        latex=r"\max {0}",
        arity=1,
        shape=_reduced,
        torch="torch.amax({0}, dim=-1)",
        numpy=lambda a: np.max(a, axis=-1),
        example=lambda rng: (rng.standard_normal((3, 4)),),
        derivative=_maximum_slope,
        vjp=contracted(_maximum_slope),
        linear=(False,),
        curvature="convex",
        smooth=False,
    )
)

register(
    OpaqueAtom(
        name="onehot_argmax",
        spellings=("onehot_argmax",),
        doc="1 at the greatest entry along the last axis (the first of several), else 0",
        latex=r"e_{{\arg\max {0}}}",
        arity=1,
        shape=lambda a: (*_reduced(a), a[-1]),
        torch="F.one_hot(torch.argmax({0}, dim=-1), ({0}).shape[-1]).to(({0}).dtype)",
        numpy=lambda a: np.eye(a.shape[-1])[np.argmax(a, axis=-1)],
        example=lambda rng: (rng.standard_normal((3, 4)),),
        derivative=_no_slope,
        vjp=contracted(_no_slope),
        linear=(False,),
        range=(0.0, 1.0),
        smooth=False,
    )
)


def _minimum(x: Tensor) -> Tensor:
    at_least("minimum", x, 1)
    inner = Tensor(multiply(lit(-1), x.body), x.axes)
    own = _own(x)[:-1]
    return Tensor(neg(Apply("maximum", (inner,), own)), own)


register(
    TensorAtom(
        name="minimum",
        spellings=("minimum",),
        doc="the least entry along the last axis",
        latex=r"\min {0}",
        arity=1,
        lower=_minimum,
        numpy=lambda x: np.min(x, axis=-1),
        example=lambda rng: (rng.standard_normal((3, 4)),),
    )
)
