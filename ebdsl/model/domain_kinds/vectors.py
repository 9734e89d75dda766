"""Domains of vectors, along the last axis: simplex, sphere, ball."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ebdsl.model.domains import DomainKind, register

if TYPE_CHECKING:
    import numpy as np

    from ebdsl.model.ir import Dim
else:
    from ebdsl.lazy import numpy as np


def _is_simplex(x: np.ndarray, args: tuple[float, ...], tol: float) -> bool:
    return bool((x >= -tol).all() and (np.abs(x.sum(-1) - 1) <= tol).all())


register(
    DomainKind(
        name="simplex",
        spellings=("simplex",),
        doc="entries at least 0 that add up to 1, along the last axis",
        latex=r"\Delta^{{{dims}}}",
        convex=True,
        min_ndim=1,
        whole=1,
        bounded=True,
        project="project_simplex",
        torch="project_simplex({x})",
        contains=_is_simplex,
        sample=lambda rng, shape, args: rng.dirichlet(np.ones(shape[-1]), size=shape[:-1]),
        bounds=lambda args: (0.0, 1.0),
        centre="torch.full({shape}, 1.0 / {n}, {options})",
        draw="draw_simplex({shape}, {options})",
        within=("nonnegative", "ball"),
    )
)


def _direction(rng: np.random.Generator, shape: tuple[int, ...], axis: int | tuple[int, ...] = -1) -> np.ndarray:
    x = rng.standard_normal(shape)
    return x / np.sqrt((x**2).sum(axis, keepdims=True))


register(
    DomainKind(
        name="sphere",
        spellings=("sphere", "unit"),
        doc="norm 1 along the last axis",
        latex=r"\{{x \in \mathbb{{R}}^{{{dims}}} : \|x\| = 1\}}",
        convex=False,
        min_ndim=1,
        whole=1,
        bounded=True,
        level=True,
        project="project_sphere",
        torch="project_sphere({x})",
        contains=lambda x, args, tol: bool((np.abs(np.linalg.norm(x, axis=-1) - 1) <= tol).all()),
        sample=lambda rng, shape, args: _direction(rng, shape),
        bounds=lambda args: (-1.0, 1.0),
        centre="torch.full({shape}, {n}**-0.5, {options})",
        draw="draw_sphere({shape}, {options})",
        within=("ball",),
    )
)


def _radius_complaint(args: tuple[float, ...], shape: tuple[Dim, ...]) -> str | None:
    return None if args[0] > 0 else f"the radius {args[0]:g} is not greater than 0"


register(
    DomainKind(
        name="ball",
        spellings=("ball",),
        doc="norm at most r (1 if not said) along the last axis",
        latex=r"\{{x \in \mathbb{{R}}^{{{dims}}} : \|x\| \le {0}\}}",
        convex=True,
        nargs=1,
        defaults=(1.0,),
        min_ndim=1,
        whole=1,
        bounded=True,
        project="project_ball",
        torch="project_ball({x}, {0})",
        contains=lambda x, args, tol: bool((np.linalg.norm(x, axis=-1) <= args[0] + tol).all()),
        sample=lambda rng, shape, args: (
            args[0] * _direction(rng, shape) * rng.uniform(size=(*shape[:-1], 1)) ** (1 / shape[-1])
        ),
        complaint=_radius_complaint,
        bounds=lambda args: (-args[0], args[0]),
        draw="draw_ball({shape}, {0}, {options})",
    )
)

register(
    DomainKind(
        name="unit rows",
        spellings=("unit rows",),
        doc="every row has norm 1",
        latex=r"\{{W \in \mathbb{{R}}^{{{dims}}} : \|W_{{i\cdot}}\| = 1\}}",
        convex=False,
        min_ndim=2,
        whole=1,
        bounded=True,
        level=True,
        project="project_sphere",
        torch="project_sphere({x})",
        contains=lambda x, args, tol: bool((np.abs(np.linalg.norm(x, axis=-1) - 1) <= tol).all()),
        sample=lambda rng, shape, args: _direction(rng, shape),
        bounds=lambda args: (-1.0, 1.0),
        centre="torch.full({shape}, {n}**-0.5, {options})",
        draw="draw_sphere({shape}, {options})",
        within=("ball", "sphere"),
    )
)

register(
    DomainKind(
        name="unit columns",
        spellings=("unit columns",),
        doc="every column has norm 1",
        latex=r"\{{W \in \mathbb{{R}}^{{{dims}}} : \|W_{{\cdot j}}\| = 1\}}",
        convex=False,
        min_ndim=2,
        whole=1,
        axis=-2,
        bounded=True,
        level=True,
        project="normalise_columns",
        torch="normalise_columns({x})",
        contains=lambda x, args, tol: bool((np.abs(np.linalg.norm(x, axis=-2) - 1) <= tol).all()),
        sample=lambda rng, shape, args: _direction(rng, shape, -2),
        bounds=lambda args: (-1.0, 1.0),
        centre="torch.full({shape}, {n}**-0.5, {options})",
        draw="draw_unit_columns({shape}, {options})",
        within=("ball columns",),
    )
)

register(
    DomainKind(
        name="ball columns",
        spellings=("ball columns", "bounded columns"),
        doc="every column has norm at most 1",
        latex=r"\{{W \in \mathbb{{R}}^{{{dims}}} : \|W_{{\cdot j}}\| \le 1\}}",
        convex=True,
        min_ndim=2,
        whole=1,
        axis=-2,
        bounded=True,
        project="project_ball_columns",
        torch="project_ball_columns({x})",
        contains=lambda x, args, tol: bool((np.linalg.norm(x, axis=-2) <= 1 + tol).all()),
        sample=lambda rng, shape, args: (
            _direction(rng, shape, -2) * rng.uniform(size=(*shape[:-2], 1, shape[-1])) ** (1 / shape[-2])
        ),
        bounds=lambda args: (-1.0, 1.0),
        draw="draw_unit_columns({shape}, {options})",
    )
)


def _filter_norms(x: np.ndarray) -> np.ndarray:
    return np.sqrt((x.reshape(len(x), -1) ** 2).sum(-1))


register(
    DomainKind(
        name="unit filters",
        spellings=("unit filters",),
        doc="norm 1 over all axes but the first",
        latex=r"\{{D \in \mathbb{{R}}^{{{dims}}} : \|D_k\| = 1\}}",
        convex=False,
        min_ndim=2,
        whole=-1,
        bounded=True,
        level=True,
        project="normalise_filters",
        torch="normalise_filters({x}, {ndim})",
        contains=lambda x, args, tol: bool((np.abs(_filter_norms(x) - 1) <= tol).all()),
        sample=lambda rng, shape, args: _direction(rng, shape, tuple(range(1, len(shape)))),
        bounds=lambda args: (-1.0, 1.0),
        centre="torch.full({shape}, {n}**-0.5, {options})",
        draw="draw_unit_filters({shape}, {options})",
    )
)
