"""Total variation along one axis, solved exactly by dynamic programming over slopes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ebdsl.facts.composite import composite
from ebdsl.facts.normal import through_module
from ebdsl.facts.variation import Variation, variation
from ebdsl.infer.core import Decision, Problem, Refusal, Rule, register
from ebdsl.model.algebra import degree
from ebdsl.model.ir import ZERO

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

NAME = "total variation"


def consider(problem: Problem) -> Decision | Refusal:
    if len(problem.latents) > 1:
        return Refusal(NAME, "there are several latents")
    (z,) = problem.latents
    if z.domain.row.finite or not z.shape:
        return Refusal(NAME, f"{z.name} is {'discrete' if z.shape else 'a number'}")
    endless = problem.falls_forever()
    if endless:
        return Refusal(NAME, endless)
    if through_module(problem.energy, frozenset({z})):
        return Refusal(NAME, f"{z.name} goes through a learned function")
    parts = composite(problem.energy, z)
    if isinstance(parts, str):
        return Refusal(NAME, parts)
    if not parts.pieces:
        return Refusal(NAME, "nothing has a kink")
    if degree(parts.smooth, frozenset({z})) != 2:
        return Refusal(NAME, f"the smooth part is not quadratic in {z.name}")
    if problem.curvature(parts.smooth) != "convex":
        return Refusal(NAME, f"the smooth part is not known to be convex in {z.name}")
    found = variation(parts, z)
    if isinstance(found, str):
        return Refusal(NAME, found)
    steps = z.shape[found.place]
    facts = [
        f"the smooth part is quadratic and convex in {z.name}, entry by entry",
        f"neighbours along {steps} are tied by a price on their difference alone",
    ]
    if (found.below, found.above) != (ZERO, ZERO):
        facts.append("a kink at 0 is that of every step: what lies above it is one problem, what lies below another")
    if z.domain.kind != "real":
        facts.append(f"{z.domain} is that of every step: the answer without it is cut off at its ends")
    facts.append("the residual is a duality gap: the energy lies above its minimum by no more")
    algorithm = (
        f"dynamic programming along {steps}: the slope of what all earlier steps cost is cut off at the prices, and "
        "read back (Johnson 2013)"
    )
    return Decision(NAME, f"min over {z.name}", algorithm, "global", f"linear in {steps}", tuple(facts), (), found)


def emit(payload: object, body: InferBody) -> None:
    assert isinstance(payload, Variation)
    body.variation(payload)


register(Rule(NAME, 38, "neighbours tied by prices on their difference", consider, emit, ("min",)))
