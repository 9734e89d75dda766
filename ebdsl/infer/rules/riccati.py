"""Quadratics in what states follow from: the Riccati recursion of linear-quadratic control."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ebdsl.facts.controlled import Controlled, controlled
from ebdsl.facts.convexity import curvature
from ebdsl.infer.core import Decision, Problem, Refusal, Rule, register

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

NAME = "Riccati recursion"


def consider(problem: Problem) -> Decision | Refusal:
    for s in problem.latents:
        if s.domain.kind != "real":
            return Refusal(NAME, f"{s.name} is constrained to {s.domain}")
    found = controlled(problem.energy, problem.latents)
    if isinstance(found, str):
        return Refusal(NAME, found)
    if curvature(problem.energy, frozenset(problem.latents)) != "convex":
        return Refusal(NAME, f"the energy is not known to be convex in {problem.names}")
    states = ", ".join(f.state.name for f in found.follows)
    facts = [f"the states follow linearly: {'; '.join(f.text for f in found.follows)}",
             f"the energy is quadratic and convex in {problem.names} and in the states {states}"]  # fmt: skip
    if found.band.width:
        facts.append(f"along {found.band.steps}, entries more than {found.band.width} apart are not coupled")
    if found.shared:
        facts.append("energy and recurrence have the same matrices for all samples: one recursion serves them")
    return Decision(
        NAME, f"min over {problem.names}",
        "linear-quadratic control by dynamic programming: a Riccati recursion backwards, "
        "then the states forwards, each choice a linear function of them",
        "global", f"linear in {found.band.steps}, cubic in the states and choices of a step", tuple(facts), (), found,
    )  # fmt: skip


def emit(payload: object, body: InferBody) -> None:
    assert isinstance(payload, Controlled)
    body.riccati(payload)


register(
    Rule(
        NAME, 17, "a quadratic whose states follow linearly is solved by dynamic programming", consider, emit, ("min",)
    )
)
