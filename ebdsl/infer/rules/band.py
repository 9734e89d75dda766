"""Quadratics along time: neighbours alone are coupled, and are eliminated in order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ebdsl.facts.bands import Band, band
from ebdsl.facts.convexity import curvature
from ebdsl.facts.modes import COSINE, operator, tried
from ebdsl.infer.core import Decision, Problem, Refusal, Rule, register

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

NAME = "banded solve"
WIDE = 64  # entries of a step above which iterations by a gradient are quicker than a factor of each step
FEW = 64  # entries below which one dense factor is quicker than steps in order


def consider(problem: Problem) -> Decision | Refusal:
    for s in problem.latents:
        if s.domain.kind != "real":
            return Refusal(NAME, f"{s.name} is constrained to {s.domain}")
        if not s.shape:
            return Refusal(NAME, f"{s.name} is a number")
    found = band(problem.energy, problem.latents)
    if isinstance(found, str):
        return Refusal(NAME, found)
    if len(problem.latents) == 1 and not found.width:
        return Refusal(NAME, f"no axis along which only near entries are coupled was found in {problem.names}")
    elements = problem.elements()
    if len(problem.latents) == 1 and elements is not None and elements <= FEW:
        return Refusal(NAME, f"{problem.names} has {elements} entries: one dense factor is quicker")
    if curvature(problem.energy, frozenset(problem.latents)) != "convex":
        return Refusal(NAME, f"the energy is not known to be convex in {problem.names}")
    wide = _wide(problem, found)
    if wide:
        return Refusal(NAME, wide)
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


def _wide(problem: Problem, found: Band) -> str | None:
    """Why one step is too much to factor: a row of a picture, which is coupled to near entries along both axes."""
    if len(problem.latents) > 1:
        return None
    op = operator(problem.energy, problem.latents[0])
    if op is None or tried(op).count(COSINE) < 2:
        return None
    (shape, place) = op.symbol.shape, found.places[0]
    sizes = [problem.model.size(d) for k, d in enumerate(shape) if k != place]
    if None not in sizes and found.width * math.prod(s or 0 for s in sizes) <= WIDE:
        return None
    return f"near entries are coupled along several axes: a step along {found.steps} is as wide as the others are long"


def emit(payload: object, body: InferBody) -> None:
    assert isinstance(payload, Band)
    body.band(payload)


register(Rule(NAME, 18, "a quadratic along time is solved step by step", consider, emit, ("min",)))
