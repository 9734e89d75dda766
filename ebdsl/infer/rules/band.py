"""Quadratics along time: neighbours alone are coupled, and are eliminated in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ebdsl.facts.bands import Band, band
from ebdsl.facts.convexity import curvature
from ebdsl.infer.core import Decision, Problem, Refusal, Rule, register

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

NAME = "banded solve"
FEW = 64  # entries below which one dense factor is quicker than steps in order


def consider(problem: Problem) -> Decision | Refusal:
    if problem.kind != "min":
        return Refusal(NAME, f"{problem.names} is averaged over, not minimised")
    for s in problem.latents:
        if s.domain.kind != "real":
            return Refusal(NAME, f"{s.name} is constrained to {s.domain}")
        if not s.shape:
            return Refusal(NAME, f"{s.name} is a number")
    found = band(problem.energy, problem.latents)
    if isinstance(found, str):
        return Refusal(NAME, found)
    if len(problem.latents) == 1 and not found.width:
        return Refusal(NAME, f"{problem.names} has no axis along which only near entries are coupled")
    elements = problem.elements()
    if len(problem.latents) == 1 and elements is not None and elements <= FEW:
        return Refusal(NAME, f"{problem.names} has {elements} entries: one dense factor is quicker")
    if curvature(problem.energy, frozenset(problem.latents)) != "convex":
        return Refusal(NAME, f"the energy is not known to be convex in {problem.names}")
    facts = [
        f"the energy is quadratic and convex in {problem.names}",
        f"along {found.steps}, entries more than {found.width} apart are not coupled",
    ]
    if found.shared:
        facts.append("its second derivative is the same for all samples")
    tridiagonal = "block tridiagonal Cholesky" if found.width else "a Cholesky factor for each step"
    how = "each step eliminated into the next, then back (a Kalman smoother, a Riccati recursion)"
    algorithm = f"set the gradient to zero: {tridiagonal} along {found.steps}, {how}"
    return Decision(
        NAME, f"min over {problem.names}", algorithm, "global",
        f"linear in {found.steps}, cubic in the size of {max(found.width, 1)} step{'s' * (found.width > 1)}",
        tuple(facts), (), found,
    )  # fmt: skip


def emit(payload: object, body: InferBody) -> None:
    assert isinstance(payload, Band)
    body.band(payload)


register(Rule(NAME, 18, "a quadratic along time is solved step by step", consider, emit))
