"""Convolution of maps and what its derivatives are made of.

With ``c = (k - 1) // 2`` on every axis and zeros outside: ``conv(K, x)[p] = Σ_q K[q] x[p - q + c]``, as
``scipy.signal.convolve(x, K, mode="same")``. Several maps are free axes: ``Σ_k D[k] * z[k]``. The ``circular`` rows
have the map go on at its other end instead of zeros.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
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


def _moved(x: np.ndarray, by: tuple[int, ...]) -> np.ndarray:
    """``y[p] = x[p + by]``, zero outside."""
    y = np.zeros_like(x)
    to = tuple(slice(max(0, -b), max(0, min(n, n - b))) for b, n in zip(by, x.shape, strict=True))
    source = tuple(slice(max(0, b), max(0, min(n, n + b))) for b, n in zip(by, x.shape, strict=True))
    y[to] = x[source]
    return y


def _circled(x: np.ndarray, by: tuple[int, ...]) -> np.ndarray:
    """``y[p] = x[p + by]``, which goes on at the other end."""
    return np.roll(x, tuple(-b for b in by), tuple(range(x.ndim)))


Moved = Callable[[Any, tuple[int, ...]], Any]


def _steps(q: tuple[int, ...], kernel: np.ndarray, sign: int) -> tuple[int, ...]:
    return tuple(sign * ((k - 1) // 2 - qi) for k, qi in zip(kernel.shape, q, strict=True))


def _sum_of_moved(sign: int, moved: Moved) -> Callable[[Any, Any], Any]:
    """``Σ_q K[q] x[p ± (c - q)]``."""

    def apply(kernel: np.ndarray, x: np.ndarray) -> np.ndarray:
        y = np.zeros_like(x)
        for q in itertools.product(*map(range, kernel.shape)):
            y = y + kernel[q] * moved(x, _steps(q, kernel, sign))
        return y

    return apply


def _of_kernel(moved: Moved) -> Callable[[Any, Any, Any], Any]:
    def apply(x: np.ndarray, g: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        y = np.zeros_like(kernel)
        for q in itertools.product(*map(range, kernel.shape)):
            y[q] = (g * moved(x, _steps(q, kernel, 1))).sum()
        return y

    return apply


def _example(rng: Any) -> tuple[Any, ...]:
    return rng.standard_normal((3, 2)), rng.standard_normal((5, 4))


def _maps(rng: Any) -> tuple[Any, ...]:
    return rng.standard_normal((5, 4)), rng.standard_normal((5, 4))


def _register(circular: bool) -> None:
    """A convolution, its adjoint in the map and its adjoint in the kernel: each one's adjoints are the others."""
    before, sign, moved = ("circular_", r"\circledast", _circled) if circular else ("", "*", _moved)
    outside = "that goes on at its other end" if circular else "with zeros outside"
    conv, correlate, of_kernel = f"{before}conv", f"{before}correlate", f"{before}kernel_gradient"
    register(
        OpaqueAtom(
            name=conv,
            spellings=(conv, "cconv") if circular else (conv,),
            doc=f"a map convolved with a kernel (the first), of the map's size, {outside}",
            latex=f"{{0}} {sign} {{1}}",
            arity=2,
            shape=lambda kernel, x: _same_rank("a convolution", kernel, x),
            torch=f"{before}convolve({{0}}, {{1}}, {{ndim}})",
            numpy=_sum_of_moved(1, moved),
            example=_example,
            vjp=lambda args, g: (
                _apply(of_kernel, (args[1], g, args[0]), args[0]),
                _apply(correlate, (args[0], g), args[1]),
            ),
            linear=(True, True),
            needs=(f"{before}convolve",),
        )
    )
    register(
        OpaqueAtom(
            name=correlate,
            spellings=(correlate,),
            doc=f"a map correlated with a kernel (the first): the adjoint of {conv}",
            latex=r"{0} \star {1}",
            arity=2,
            shape=lambda kernel, x: _same_rank("a correlation", kernel, x),
            torch=f"{correlate}({{0}}, {{1}}, {{ndim}})",
            numpy=_sum_of_moved(-1, moved),
            example=_example,
            vjp=lambda args, g: (
                _apply(of_kernel, (g, args[1], args[0]), args[0]),
                _apply(conv, (args[0], g), args[1]),
            ),
            linear=(True, True),
            needs=(correlate,),
        )
    )
    register(
        OpaqueAtom(
            name=of_kernel,
            spellings=(of_kernel,),
            doc="Σ_p g[p] x[p - q + c] of maps x and g for all q of a kernel (the third, of which the shape counts)"
            + ", x going on at its other end" * circular,
            latex=f"\\partial_{{{{{{2}}}}}} \\langle {{1}}, {{2}} {sign} {{0}} \\rangle",
            arity=3,
            shape=_kernel_shape,
            torch=f"{of_kernel}({{0}}, {{1}}, {{2}}, {{ndim}})",
            numpy=_of_kernel(moved),
            example=lambda rng: (*_maps(rng), rng.standard_normal((3, 2))),
            vjp=lambda args, h: (
                _apply(correlate, (h, args[1]), args[0]),
                _apply(conv, (h, args[0]), args[1]),
                Tensor(ZERO, _fresh(args[2])),
            ),
            linear=(True, True, False),
            needs=(of_kernel,),
        )
    )


_register(circular=False)
_register(circular=True)
