"""Domains of single entries: the line, half-lines, intervals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ebdsl.model.domains import DomainKind, register

if TYPE_CHECKING:
    import numpy as np

    from ebdsl.model.ir import Dim
else:
    from ebdsl.lazy import numpy as np

INF = math.inf

register(
    DomainKind(
        name="real",
        spellings=("R", "ℝ"),
        doc="any real number",
        latex=r"\mathbb{{R}}^{{{dims}}}",
        convex=True,
        contains=lambda x, args, tol: bool(np.isfinite(x).all()),
        sample=lambda rng, shape, args: rng.standard_normal(shape),
    )
)

register(
    DomainKind(
        name="nonnegative",
        spellings=("nonnegative", ">= 0", "R+"),
        doc="every entry at least 0",
        latex=r"\mathbb{{R}}_{{\ge 0}}^{{{dims}}}",
        convex=True,
        project="project_nonnegative",
        torch="project_nonnegative({x})",
        contains=lambda x, args, tol: bool((x >= -tol).all()),
        sample=lambda rng, shape, args: np.abs(rng.standard_normal(shape)),
        bounds=lambda args: (0.0, INF),
        draw="draw_nonnegative({shape}, {options})",
    )
)

register(
    DomainKind(
        name="positive",
        spellings=("positive", "> 0"),
        doc="every entry greater than 0 (kept at least 1e-6)",
        latex=r"\mathbb{{R}}_{{> 0}}^{{{dims}}}",
        convex=True,
        project="project_positive",
        torch="project_positive({x})",
        contains=lambda x, args, tol: bool((x > -tol).all()),
        sample=lambda rng, shape, args: np.abs(rng.standard_normal(shape)) + 0.05,
        bounds=lambda args: (0.0, INF),
        strict=True,
        centre="torch.ones({shape}, {options})",
        draw="draw_positive({shape}, {options})",
        within=("nonnegative",),
    )
)


def _box_complaint(args: tuple[float, ...], shape: tuple[Dim, ...]) -> str | None:
    low, high = args
    if math.isinf(low) or math.isinf(high):
        return "the ends of a box are finite; write >= 0 for what is only bounded below"
    return None if low <= high else f"the lower end {low:g} is greater than the upper end {high:g}"


register(
    DomainKind(
        name="box",
        spellings=("box",),
        doc="every entry between a and b",
        latex=r"[{0}, {1}]^{{{dims}}}",
        convex=True,
        nargs=2,
        bounded=True,
        project="project_box",
        torch="project_box({x}, {0}, {1})",
        contains=lambda x, args, tol: bool(((x >= args[0] - tol) & (x <= args[1] + tol)).all()),
        sample=lambda rng, shape, args: rng.uniform(args[0], args[1], shape),
        complaint=_box_complaint,
        bounds=lambda args: (args[0], args[1]),
        centre="torch.full({shape}, ({0} + {1}) / 2, {options})",
        draw="draw_uniform({shape}, {0}, {1}, {options})",
    )
)
