"""Domains with finitely many points: what enumeration is made for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ebdsl.model.domains import DomainKind, register

if TYPE_CHECKING:
    import numpy as np
else:
    from ebdsl.lazy import numpy as np


def _is_onehot(x: np.ndarray, args: tuple[float, ...], tol: float) -> bool:
    zero, one = np.abs(x) <= tol, np.abs(x - 1) <= tol
    return bool((zero | one).all() and (one.sum(-1) == 1).all())


register(
    DomainKind(
        name="onehot",
        spellings=("onehot", "one-hot"),
        doc="one entry 1 and the others 0, along the last axis",
        latex=r"\{{e_1, \dots, e_{{{dims}}}\}}",
        convex=False,
        finite=True,
        min_ndim=1,
        whole=1,
        bounded=True,
        project="project_onehot",
        torch="project_onehot({x})",
        contains=_is_onehot,
        sample=lambda rng, shape, args: np.eye(shape[-1])[rng.integers(shape[-1], size=shape[:-1])],
        bounds=lambda args: (0.0, 1.0),
        centre="first_onehot({shape}, {options})",
        draw="draw_onehot({shape}, {options})",
        points=lambda shape: np.eye(shape[-1]),
        points_torch="torch.eye({n}, {options})",
        within=("nonnegative", "simplex", "sphere", "binary"),
    )
)

register(
    DomainKind(
        name="binary",
        spellings=("{0,1}", "binary"),
        doc="every entry 0 or 1",
        latex=r"\{{0, 1\}}^{{{dims}}}",
        convex=False,
        finite=True,
        bounded=True,
        project="project_binary",
        torch="project_binary({x})",
        contains=lambda x, args, tol: bool(((np.abs(x) <= tol) | (np.abs(x - 1) <= tol)).all()),
        sample=lambda rng, shape, args: rng.integers(2, size=shape).astype(float),
        bounds=lambda args: (0.0, 1.0),
        draw="draw_binary({shape}, {options})",
        points=lambda shape: np.array([0.0, 1.0]),
        points_torch="torch.tensor([0.0, 1.0], {options})",
        within=("nonnegative",),
    )
)

register(
    DomainKind(
        name="spin",
        spellings=("{-1,1}", "spin"),
        doc="every entry -1 or 1",
        latex=r"\{{-1, 1\}}^{{{dims}}}",
        convex=False,
        finite=True,
        bounded=True,
        project="project_spin",
        torch="project_spin({x})",
        contains=lambda x, args, tol: bool((np.abs(np.abs(x) - 1) <= tol).all()),
        sample=lambda rng, shape, args: 2.0 * rng.integers(2, size=shape) - 1.0,
        bounds=lambda args: (-1.0, 1.0),
        centre="torch.ones({shape}, {options})",
        draw="draw_spin({shape}, {options})",
        points=lambda shape: np.array([-1.0, 1.0]),
        points_torch="torch.tensor([-1.0, 1.0], {options})",
    )
)
