"""The fused loops of a plan: :class:`Loop` for each payload of an iterative rule."""

from __future__ import annotations

from dataclasses import replace

from ebdsl.infer.loops.core import Call, Carried, Choose, Let, Loop, Prox, Statement, loop_of
from ebdsl.infer.loops.quadratic import coordinate_steps, proximal_steps, splitting
from ebdsl.infer.loops.smooth import proximal_gradient
from ebdsl.infer.named import Named
from ebdsl.infer.rules.proximal_gradient import Proximal


@loop_of.register
def _(payload: Proximal) -> Loop | None:
    if payload.kind == "once":
        return None
    if payload.form is not None and payload.gram and payload.together is None:
        ((_, penalties),) = payload.penalties
        if payload.split and not payload.rows:  # rows are samples to the eager kernel alone
            found = splitting(payload.form, penalties)
            return found if payload.finish else replace(found, first=0)
        return proximal_steps(payload.form, penalties, "quadratic_proximal_gradient", "restart")
    loop = proximal_gradient(payload.smooth, payload.penalties, payload.quadratic)
    if loop is None or not payload.gram:
        return loop
    return replace(loop, kernel="quadratic_splitting" if payload.split else "quadratic_proximal_gradient")


@loop_of.register
def _(payload: Named) -> Loop | None:
    form, row = payload.proximal.form, payload.chosen.algorithm
    assert form is not None
    ((_, penalties),) = payload.proximal.penalties
    if row.kind == "coordinate":
        loop = coordinate_steps(form, penalties)
    else:
        loop = proximal_steps(form, penalties, "proximal_steps", "fista" if row.momentum else "none")
    kernel = "UnrolledEncoder" if row.learned else loop.kernel
    steps = payload.chosen.steps
    if steps is None:
        return replace(loop, kernel=kernel)
    count = steps + (row.kind == "proximal")  # a first pass
    return replace(loop, kernel=kernel, fixed=count, every=max(k for k in range(1, 33) if count % k == 0))


__all__ = ["Call", "Carried", "Choose", "Let", "Loop", "Prox", "Statement", "loop_of"]
