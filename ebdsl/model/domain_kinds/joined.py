"""Two constraints at once, where the nearest point of both is known exactly: entries at least 0, and a norm.

For a ball, clamp, then shrink. For a norm of 1, clamp, then normalise; what has no positive entry goes to the axis
of its greatest one (Bauschke, Bui & Wang, "Projecting onto the intersection of a cone and a sphere", 2018).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ebdsl.model.domain_kinds import entrywise, vectors
from ebdsl.model.domains import DOMAINS, DomainKind, register

if TYPE_CHECKING:
    import numpy as np
else:
    from ebdsl.lazy import numpy as np

assert entrywise and vectors  # their rows come first


def _nonnegative(base: DomainKind, project: str, torch: str, draw: str) -> DomainKind:
    contains, sample, bounds = base.contains, base.sample, base.bounds
    assert contains is not None and sample is not None
    return replace(
        base,
        name=f"nonnegative {base.name}",
        spellings=(f"nonnegative {base.spellings[0]}",),
        doc=f"entries at least 0, and {base.doc}",
        latex=base.latex + r" \cap \mathbb{{R}}_{{\ge 0}}",
        project=project,
        torch=torch,
        draw=draw,
        contains=lambda x, args, tol: bool((x >= -tol).all()) and contains(x, args, tol),
        sample=lambda rng, shape, args: np.abs(sample(rng, shape, args)),
        bounds=lambda args: (0.0, bounds(args)[1]),
        within=("nonnegative", base.name),
        joins=("nonnegative", base.name),
    )


for _name, _project, _torch, _draw in (
    ("sphere", "nonnegative_unit", "nonnegative_unit({x}, -1)", "draw_sphere({shape}, {options})"),
    ("unit rows", "nonnegative_unit", "nonnegative_unit({x}, -1)", "draw_sphere({shape}, {options})"),
    ("unit columns", "nonnegative_unit", "nonnegative_unit({x}, -2)", "draw_unit_columns({shape}, {options})"),
    (
        "unit filters",
        "nonnegative_filters",
        "nonnegative_filters({x}, {ndim})",
        "draw_unit_filters({shape}, {options})",
    ),
    ("ball", "project_ball", "project_ball(project_nonnegative({x}), {0})", "draw_ball({shape}, {0}, {options})"),
    (
        "ball columns",
        "project_ball_columns",
        "project_ball_columns(project_nonnegative({x}))",
        "draw_unit_columns({shape}, {options})",
    ),
):
    register(_nonnegative(DOMAINS[_name], _project, _torch, f"{_draw}.abs()"))
