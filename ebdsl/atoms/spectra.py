"""Norms of a matrix's singular values, and what they are differentiated to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ebdsl.atoms.core import OpaqueAtom, ShapeError, register
from ebdsl.atoms.opaque import contracted
from ebdsl.atoms.shapes import show
from ebdsl.model.build import fresh
from ebdsl.model.ir import Apply, Axis, Dim, Tensor

if TYPE_CHECKING:
    import numpy as np
else:
    from ebdsl.lazy import numpy as np

Index = tuple[Axis | int, ...]


def _matrix(name: str, whole: bool = False) -> Any:
    def shape(a: tuple[Dim, ...]) -> tuple[Dim, ...]:
        if len(a) != 2:
            raise ShapeError(f"{name} takes a matrix, and this is {show(a)}")
        return a if whole else ()

    return shape


def _slope(name: str) -> Any:
    """The derivative of a norm: the matrix of its own singular vectors."""

    def slope(args: tuple[Tensor, ...], index: Index) -> tuple[Tensor, ...]:
        own = tuple(fresh(a.dim) for a in args[0].axes)
        return (Tensor(Apply(name, args, own), own),)

    return slope


def _drawn(rng: Any) -> tuple[Any, ...]:
    return (rng.standard_normal((3, 4)),)


def _numpy_polar(a: np.ndarray) -> np.ndarray:
    u, _, v = np.linalg.svd(a, full_matrices=False)
    return u @ v


def _numpy_leading(a: np.ndarray) -> np.ndarray:
    u, _, v = np.linalg.svd(a, full_matrices=False)
    return np.outer(u[:, 0], v[0])


def _norm(name: str, spellings: tuple[str, ...], doc: str, latex: str, order: str, slope: str) -> OpaqueAtom:
    return OpaqueAtom(
        name=name,
        spellings=spellings,
        doc=doc,
        latex=latex,
        arity=1,
        shape=_matrix(f"the {name} norm"),
        torch=f"torch.linalg.matrix_norm({{0}}, {order})",
        numpy=lambda a: np.linalg.norm(a, "nuc" if name == "nuclear" else 2),
        example=_drawn,
        derivative=_slope(slope),
        vjp=contracted(_slope(slope)),
        linear=(False,),
        curvature="convex",
        range=(0.0, math.inf),
        smooth=False,
    )


def _of_norm(name: str, doc: str, latex: str, torch: str, numpy: Any) -> OpaqueAtom:
    """A subgradient of a norm; its own derivative is left to autograd."""
    return OpaqueAtom(
        name=name,
        spellings=(name,),
        doc=doc,
        latex=latex,
        arity=1,
        shape=_matrix(name, whole=True),
        torch=torch,
        numpy=numpy,
        example=_drawn,
        linear=(False,),
        needs=(name,),
        range=(-1.0, 1.0),
        smooth=False,
    )


register(
    _norm(
        "nuclear", ("nuclear", "norm_nuc"), "the nuclear norm of a matrix, the sum of its singular values",
        r"\|{0}\|_*", '"nuc"', "polar_factor",
    )
)  # fmt: skip
register(
    _norm(
        "spectral", ("spectral", "norm_op"), "the spectral norm of a matrix, its greatest singular value",
        r"\|{0}\|_{{\mathrm{{op}}}}", "2", "leading_pair",
    )
)  # fmt: skip
register(
    _of_norm(
        "polar_factor", "U V' of the singular value decomposition U S V'", r"\mathrm{{polar}}({0})",
        "polar_factor({0})", _numpy_polar,
    )
)  # fmt: skip
register(
    _of_norm(
        "leading_pair", "u v' of the first singular vectors", r"\mathrm{{lead}}({0})", "leading_pair({0})",
        _numpy_leading,
    )
)  # fmt: skip
