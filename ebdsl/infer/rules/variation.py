"""Total variation along one axis, solved exactly by dynamic programming over slopes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ebdsl.facts.variation import Variation, variation
from ebdsl.infer.core import Decision, Problem, Refusal, Rule, register
from ebdsl.infer.kinks import GAP, no_quadratic, not_convex, not_straight, smooth_part, taken_apart
from ebdsl.model.algebra import degree
from ebdsl.model.ir import ZERO

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

NAME = "total variation"


def consider(problem: Problem) -> Decision | Refusal:
    if len(problem.latents) > 1:
        return Refusal(NAME, "there are several latents")
    (z,) = problem.latents
    if not z.shape:
        return Refusal(NAME, f"{z.name} is a number")
    parts = taken_apart(problem)
    if isinstance(parts, str):
        return Refusal(NAME, parts)
    why = (
        no_quadratic(problem, parts.smooth)
        or not_convex(problem, parts.smooth)
        or not_straight(parts.pieces, "domain")
        or ("" if degree(parts.smooth, frozenset({z})) == 2 else f"the smooth part is not quadratic in {z.name}")
    )
    if why:
        return Refusal(NAME, why)
    found = variation(parts, z)
    if isinstance(found, str):
        return Refusal(NAME, found)
    steps = z.shape[found.place]
    facts = [
        f"{smooth_part(problem, parts.smooth)}, entry by entry",
        f"neighbours along {steps} are tied by a price on their difference alone",
    ]
    if (found.below, found.above) != (ZERO, ZERO):
        facts.append("a kink at 0 is that of every step: what lies above it is one problem, what lies below another")
    if z.domain.kind != "real":
        facts.append(f"{z.domain} is that of every step: the answer without it is cut off at its ends")
    facts.append(GAP)
    algorithm = (
        f"dynamic programming along {steps}: the slope of what all earlier steps cost is cut off at the prices, and "
        "read back (Johnson 2013)"
    )
    return Decision(NAME, f"min over {z.name}", algorithm, "global", f"linear in {steps}", tuple(facts), (), found)


def emit(payload: object, body: InferBody) -> None:
    assert isinstance(payload, Variation)
    body.variation(payload)


register(Rule(NAME, 38, "neighbours tied by prices on their difference", consider, emit, ("min",)))
