"""Norms of groups and greatest entries: convex functions with ``f(c x) = c f(x)`` whose proximal operator is known."""

from __future__ import annotations

from dataclasses import dataclass

from ebdsl.model.ir import Apply, Axis, Fn, Node


@dataclass(frozen=True)
class Gauge:
    """``prox(v, t, axes)``: a runtime function over the axes of a group. ``value``: text of torch, those axes last.

    ``matrix``: a group is a matrix and has two axes; else they are as good as one. ``noun``: what there are of it.
    """

    noun: str
    words: str
    prox: str
    value: str
    matrix: bool = False


GAUGES = {
    "group": Gauge(
        "norms of groups", "group soft threshold", "group_soft_threshold", "torch.linalg.vector_norm({x}, dim=-1)"
    ),
    "max": Gauge("greatest entries", "cut of the greatest entries", "prox_maximum", "{x}.amax(-1)"),
    "inf": Gauge("greatest sizes", "cut of the greatest sizes", "prox_norm_inf", "{x}.abs().amax(-1)"),
    "longest": Gauge(
        "longest rows",
        "cut of the longest rows",
        "prox_longest",
        "torch.linalg.vector_norm({x}, dim=-1).amax(-1)",
        True,
    ),
    "nuclear": Gauge(
        "nuclear norms",
        "soft threshold of singular values",
        "prox_nuclear",
        "torch.linalg.matrix_norm({x}, 'nuc')",
        True,
    ),
    "spectral": Gauge(
        "spectral norms", "cut of singular values", "prox_spectral", "torch.linalg.matrix_norm({x}, 2)", True
    ),
}


def gauge(core: Node) -> tuple[str, Node, tuple[Axis, ...]] | None:
    """Kind, inside and axes of a greatest entry or of a norm of singular values; None for anything else.

    A maximum of maxima is one over all axes, and one of absolute values is ``inf``.
    """
    if not isinstance(core, Apply) or core.function not in ("maximum", "nuclear", "spectral"):
        return None
    (inside,) = core.args
    if core.function != "maximum":
        return str(core.function), inside.body, inside.axes
    body, axes = inside.body, inside.axes[-1:]
    if inside.axes != axes:
        return None
    if isinstance(body, Apply) and body.function == "maximum":
        found = gauge(body)
        return None if found is None else (found[0], found[1], (*axes, *found[2]))
    if isinstance(body, Fn) and body.atom == "abs":
        return "inf", body.args[0], axes
    return "max", body, axes
