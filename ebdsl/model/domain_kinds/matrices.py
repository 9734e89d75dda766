"""Domains of matrices, over the last two axes: orthonormal, positive definite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ebdsl.model.domains import DomainKind, register

if TYPE_CHECKING:
    import numpy as np

    from ebdsl.model.ir import Dim
else:
    from ebdsl.lazy import numpy as np


def _defect(x: np.ndarray, rows: bool) -> float:
    gram = x @ x.swapaxes(-1, -2) if rows else x.swapaxes(-1, -2) @ x
    return float(np.abs(gram - np.eye(gram.shape[-1])).max())


def _polar(rng: np.random.Generator, shape: tuple[int, ...], args: tuple[float, ...]) -> np.ndarray:
    u, _, v = np.linalg.svd(rng.standard_normal(shape), full_matrices=False)
    return u @ v


def _too_wide(args: tuple[float, ...], shape: tuple[Dim, ...]) -> str | None:
    m, n = shape[-2:]
    if isinstance(m, int) and isinstance(n, int) and n > m:
        return f"{n} columns of length {m} cannot be orthonormal"
    return None


def _too_tall(args: tuple[float, ...], shape: tuple[Dim, ...]) -> str | None:
    m, n = shape[-2:]
    if isinstance(m, int) and isinstance(n, int) and m > n:
        return f"{m} rows of length {n} cannot be orthonormal"
    return None


register(
    DomainKind(
        name="orthonormal",
        spellings=("orthonormal", "orthogonal"),
        doc="rows orthonormal (columns, where there are more rows than columns)",
        latex=r"\{{W \in \mathbb{{R}}^{{{dims}}} : W \text{{ orthonormal}}\}}",
        convex=False,
        min_ndim=2,
        whole=2,
        bounded=True,
        level=True,
        project="project_orthonormal",
        torch="project_orthonormal({x})",
        contains=lambda x, args, tol: _defect(x, rows=x.shape[-2] <= x.shape[-1]) <= tol,
        sample=_polar,
        bounds=lambda args: (-1.0, 1.0),
        centre="identity({shape}, {options})",
        draw="draw_orthonormal({shape}, {options})",
    )
)

register(
    DomainKind(
        name="orthonormal columns",
        spellings=("orthonormal columns",),
        doc="columns of norm 1, at right angles",
        latex=r"\{{W \in \mathbb{{R}}^{{{dims}}} : W^\top W = I\}}",
        convex=False,
        min_ndim=2,
        whole=2,
        bounded=True,
        level=True,
        gram=-2,
        project="project_orthonormal",
        torch="project_orthonormal({x})",
        contains=lambda x, args, tol: _defect(x, rows=False) <= tol,
        sample=_polar,
        complaint=_too_wide,
        bounds=lambda args: (-1.0, 1.0),
        centre="identity({shape}, {options})",
        draw="draw_orthonormal({shape}, {options})",
        within=("orthonormal", "unit columns", "ball columns"),
    )
)

register(
    DomainKind(
        name="orthonormal rows",
        spellings=("orthonormal rows",),
        doc="rows of norm 1, at right angles",
        latex=r"\{{W \in \mathbb{{R}}^{{{dims}}} : W W^\top = I\}}",
        convex=False,
        min_ndim=2,
        whole=2,
        bounded=True,
        level=True,
        gram=-1,
        project="project_orthonormal",
        torch="project_orthonormal({x})",
        contains=lambda x, args, tol: _defect(x, rows=True) <= tol,
        sample=_polar,
        complaint=_too_tall,
        bounds=lambda args: (-1.0, 1.0),
        centre="identity({shape}, {options})",
        draw="draw_orthonormal({shape}, {options})",
        within=("orthonormal", "unit rows"),
    )
)


def _not_square(args: tuple[float, ...], shape: tuple[Dim, ...]) -> str | None:
    m, n = shape[-2:]
    return None if m == n else f"a positive definite matrix is square, and this one is {m} × {n}"


def _is_definite(x: np.ndarray, args: tuple[float, ...], tol: float) -> bool:
    transposed = x.swapaxes(-1, -2)
    return bool((np.abs(x - transposed) <= tol).all() and (np.linalg.eigvalsh((x + transposed) / 2) > -tol).all())


def _definite(rng: np.random.Generator, shape: tuple[int, ...], args: tuple[float, ...]) -> np.ndarray:
    a = rng.standard_normal(shape)
    return a @ a.swapaxes(-1, -2) / shape[-1] + 0.1 * np.eye(shape[-1])


register(
    DomainKind(
        name="positive definite",
        spellings=("positive definite", "psd", "positive-definite"),
        doc="symmetric with positive eigenvalues (kept at least 1e-6), over the last two axes",
        latex=r"\mathbb{{S}}_{{++}}^{{{dims}}}",
        convex=True,
        min_ndim=2,
        whole=2,
        project="project_psd",
        torch="project_psd({x})",
        contains=_is_definite,
        sample=_definite,
        complaint=_not_square,
        definite=True,
        centre="identity({shape}, {options})",
        draw="identity({shape}, {options})",
    )
)
