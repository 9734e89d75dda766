"""Convolutional sparse coding: a splitting whose quadratic step falls apart by frequency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ebdsl.facts.convolutional import Convolutional, convolutional
from ebdsl.facts.modes import operator
from ebdsl.facts.normal import through_module
from ebdsl.facts.penalties import Penalty
from ebdsl.infer.core import Decision, Problem, Refusal, Rule, register
from ebdsl.infer.rules.proximal_gradient import analyse
from ebdsl.model.ir import Symbol

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

NAME = "convolutional splitting"


@dataclass(frozen=True)
class Maps:
    form: Convolutional
    penalties: tuple[tuple[Symbol, tuple[Penalty, ...]], ...]


def consider(problem: Problem) -> Decision | Refusal:
    if len(problem.latents) > 1:
        return Refusal(NAME, "there are several latents")
    (z,) = problem.latents
    if z.domain.row.finite or not z.domain.row.convex:
        return Refusal(NAME, f"{z.domain} is not convex")
    if through_module(problem.energy, frozenset({z})):
        return Refusal(NAME, f"{z.name} goes through a learned function")
    analysed = analyse(problem)
    if isinstance(analysed, str):
        return Refusal(NAME, analysed)
    smooth, penalties = analysed
    if z.domain.kind == "real" and not penalties[z]:
        return Refusal(NAME, "nothing has a kink")
    op = operator(smooth, z)
    if op is None:
        return Refusal(NAME, f"the part without kinks is not quadratic in {z.name}")
    form = convolutional(op)
    if isinstance(form, str):
        return Refusal(NAME, f"{z.name}: {form}")
    ring = (
        "the picture goes on at its other end"
        if form.circular
        else ("pictures with ends lie on a larger ring, and a copy of the picture is cut off at them")
    )
    facts = (
        f"the part without kinks is quadratic in {z.name}: one sum of convolutions, the same for all samples",
        "in waves its second derivative has rank 1 for each frequency, so that a division solves with it",
        ring,
        f"{z.name}: {', '.join(p.kind for p in penalties[z]) or str(z.domain)}",
    )  # fmt: skip
    return Decision(
        NAME, f"min over {z.name}",
        "alternating directions (ADMM), the quadratic step by FFT and Sherman-Morrison; a weight for each sample",
        "global", "two transforms of all maps a step", facts, (),
        Maps(form, tuple((s, tuple(p)) for s, p in penalties.items())),
    )  # fmt: skip


def emit(payload: object, body: InferBody) -> None:
    assert isinstance(payload, Maps)
    body.convolutional(payload)


register(Rule(NAME, 29, "maps that are convolved and summed, with a simple penalty", consider, emit, ("min",)))
