"""Convolution of maps and what its derivatives are made of.

With ``c = (k - 1) // 2`` on every axis and zeros outside: ``conv(K, x)[p] = Σ_q K[q] x[p - q + c]``, as
``scipy.signal.convolve(x, K, mode="same")``. Several maps are free axes: ``Σ_k D[k] * z[k]``.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from ebdsl.atoms.core import OpaqueAtom, ShapeError, register
from ebdsl.atoms.shapes import show
from ebdsl.model.build import fresh
from ebdsl.model.ir import ZERO, Apply, Axis, Dim, Tensor

if TYPE_CHECKING:
    import numpy as np
else:
    from ebdsl.lazy import numpy as np


def _fresh(x: Tensor) -> tuple[Axis, ...]:
    return tuple(fresh(a.dim) for a in x.axes)


def _apply(name: str, args: tuple[Tensor, ...], like: Tensor) -> Tensor:
    own = _fresh(like)
    return Tensor(Apply(name, args, own), own)


def _same_rank(name: str, kernel: tuple[Dim, ...], x: tuple[Dim, ...]) -> tuple[Dim, ...]:
    if not x or len(kernel) != len(x):
        raise ShapeError(
            f"{name} takes a kernel and a map with as many axes, and these are {show(kernel)} and {show(x)}"
        )
    if len(x) > 3:
        raise ShapeError(f"{name} takes maps with up to 3 axes, and this is {show(x)}")
    return x


def _kernel_shape(x: tuple[Dim, ...], g: tuple[Dim, ...], kernel: tuple[Dim, ...]) -> tuple[Dim, ...]:
    _same_rank("a convolution", kernel, x)
    _same_rank("a convolution", kernel, g)
    return kernel


def _entries(shape: tuple[int, ...]) -> itertools.product[tuple[int, ...]]:
    return itertools.product(*map(range, shape))


def _centre(kernel: np.ndarray) -> tuple[int, ...]:
    return tuple((k - 1) // 2 for k in kernel.shape)


def _moved(x: np.ndarray, by: tuple[int, ...]) -> np.ndarray:
    """``y[p] = x[p + by]``, zero outside."""
    y = np.zeros_like(x)
    to = tuple(slice(max(0, -b), max(0, min(n, n - b))) for b, n in zip(by, x.shape, strict=True))
    source = tuple(slice(max(0, b), max(0, min(n, n + b))) for b, n in zip(by, x.shape, strict=True))
    y[to] = x[source]
    return y


def _conv(kernel: np.ndarray, x: np.ndarray) -> np.ndarray:
    c = _centre(kernel)
    y = np.zeros_like(x)
    for q in _entries(kernel.shape):
        y = y + kernel[q] * _moved(x, tuple(ci - qi for ci, qi in zip(c, q, strict=True)))
    return y


def _correlate(kernel: np.ndarray, x: np.ndarray) -> np.ndarray:
    c = _centre(kernel)
    y = np.zeros_like(x)
    for q in _entries(kernel.shape):
        y = y + kernel[q] * _moved(x, tuple(qi - ci for ci, qi in zip(c, q, strict=True)))
    return y


def _kernel_gradient(x: np.ndarray, g: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    c = _centre(kernel)
    y = np.zeros_like(kernel)
    for q in _entries(kernel.shape):
        y[q] = (g * _moved(x, tuple(ci - qi for ci, qi in zip(c, q, strict=True)))).sum()
    return y


def _example(rng: Any) -> tuple[Any, ...]:
    return rng.standard_normal((3, 2)), rng.standard_normal((5, 4))


def _maps(rng: Any) -> tuple[Any, ...]:
    return rng.standard_normal((5, 4)), rng.standard_normal((5, 4))


register(
    OpaqueAtom(
        name="conv",
        spellings=("conv",),
        doc="a map convolved with a kernel (the first), of the map's size, with zeros outside",
        latex=r"{0} * {1}",
        arity=2,
        shape=lambda kernel, x: _same_rank("a convolution", kernel, x),
        torch="convolve({0}, {1}, {ndim})",
        numpy=_conv,
        example=_example,
        vjp=lambda args, g: (
            _apply("kernel_gradient", (args[1], g, args[0]), args[0]),
            _apply("correlate", (args[0], g), args[1]),
        ),
        linear=(True, True),
        needs=("convolve",),
    )
)

register(
    OpaqueAtom(
        name="correlate",
        spellings=("correlate",),
        doc="a map correlated with a kernel (the first): the adjoint of conv",
        latex=r"{0} \star {1}",
        arity=2,
        shape=lambda kernel, x: _same_rank("a correlation", kernel, x),
        torch="correlate({0}, {1}, {ndim})",
        numpy=_correlate,
        example=_example,
        vjp=lambda args, g: (
            _apply("kernel_gradient", (g, args[1], args[0]), args[0]),
            _apply("conv", (args[0], g), args[1]),
        ),
        linear=(True, True),
        needs=("correlate",),
    )
)

register(
    OpaqueAtom(
        name="kernel_gradient",
        spellings=("kernel_gradient",),
        doc="Σ_p g[p] x[p - q + c] of maps x and g for all q of a kernel (the third, of which the shape counts)",
        latex=r"\partial_{{{2}}} \langle {1}, {2} * {0} \rangle",
        arity=3,
        shape=_kernel_shape,
        torch="kernel_gradient({0}, {1}, {2}, {ndim})",
        numpy=_kernel_gradient,
        example=lambda rng: (*_maps(rng), rng.standard_normal((3, 2))),
        vjp=lambda args, h: (
            _apply("correlate", (h, args[1]), args[0]),
            _apply("conv", (h, args[0]), args[1]),
            Tensor(ZERO, _fresh(args[2])),
        ),
        linear=(True, True, False),
        needs=("kernel_gradient",),
    )
)
