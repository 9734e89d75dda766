"""Straight pieces of affine maps beside what is smooth and convex: an interior point method, a factor for each sample.

A step factors one matrix for each sample. Where all share one factor splitting takes more steps, and quicker ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ebdsl.facts.composite import Piece, with_bounds, with_huber
from ebdsl.facts.heights import with_heights
from ebdsl.facts.normal import defined_everywhere
from ebdsl.facts.second import Second, second
from ebdsl.infer.core import Decision, Problem, Refusal, Rule, register
from ebdsl.infer.kinks import GAP, STRAIGHT, no_quadratic, not_convex, not_straight, smooth_part, taken_apart
from ebdsl.model.ir import Node, Symbol

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

NAME = "interior point"
MANY = "interior points"
LIMITS = {True: 512, False: 256}
"""Entries up to which a factor a step is affordable, of one large sample and of each of many."""


@dataclass(frozen=True)
class Interior:
    """``second``: the second derivative of ``smooth`` where that is no quadratic.

    ``heights``: latents besides, each of which stands for the greatest of some maps.
    """

    latents: tuple[Symbol, ...]
    smooth: Node
    pieces: tuple[Piece, ...]
    second: Second | None
    heights: tuple[Symbol, ...] = ()


def consider(problem: Problem) -> Decision | Refusal:
    name, limit, names = NAME if problem.single else MANY, LIMITS[problem.single], problem.names
    asked, latents = problem, problem.latents
    heights: tuple[Symbol, ...] = ()
    if not problem.single:
        energy, heights = with_heights(problem.energy, frozenset(latents))
        problem = replace(problem, energy=energy, latents=(*latents, *heights))
    held = frozenset(problem.latents)
    for z in problem.latents:
        if z.domain.kind not in ("real", "nonnegative", "positive", "box"):
            return Refusal(name, f"{z.name} is constrained to {z.domain}")
    size = problem.elements()
    if (size or 0) > limit or (size is None and any(len(z.shape) > 1 for z in problem.latents)):
        return Refusal(name, f"{names} may have more than {limit} entries: their factor would be large")
    found = taken_apart(problem)
    if isinstance(found, str):
        return Refusal(name, found)
    found = with_huber(found, held)
    pieces = with_bounds(found.pieces)
    if not any(p.kind in STRAIGHT for p in pieces):
        return Refusal(name, "nothing has a kink")
    why = not_straight(pieces, "huber", "least", "most")
    if why:
        return Refusal(name, why)
    why = no_quadratic(problem, found.smooth)
    curved = second(found.smooth, problem.latents) if why else None
    if why and (curved is None or problem.single or not defined_everywhere(found.smooth, frozenset())):
        return Refusal(name, why)
    why = not_convex(problem, found.smooth)
    if why:
        return Refusal(name, why)
    greatest = ", greatest entries" * bool(heights)
    facts = (
        smooth_part(asked, found.smooth),
        f"the rest are absolute values{greatest} and positive parts of linear maps of {names}",
        *["a greatest entry is a number that lies above all of them"] * bool(heights),
        GAP,
    )
    return Decision(
        name, f"min over {names}",
        "primal-dual interior point (Mehrotra's predictor and corrector; one factor a step, in float64)", "global",
        "n² for each kink a step, some twenty steps", facts, (),
        Interior(latents, found.smooth, pieces, curved, heights),
    )  # fmt: skip


def emit(payload: object, body: InferBody) -> None:
    assert isinstance(payload, Interior)
    body.interior(payload)


register(Rule(NAME, 35, "kinks of linear maps, of one large sample", consider, emit, ("min",), single=True))
register(Rule(MANY, 45, "kinks of linear maps, a factor for each sample", consider, emit, ("min",)))
