"""Absolute values and positive parts of affine maps beside a quadratic, of one large sample: an interior point method.

A step factors one matrix with a row for each entry. For many samples splitting shares its one factor instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ebdsl.facts.composite import Piece, composite
from ebdsl.infer.core import Decision, Problem, Refusal, Rule, register
from ebdsl.model.algebra import degree
from ebdsl.model.ir import Node, Symbol

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

NAME = "interior point"
LIMIT = 512


@dataclass(frozen=True)
class Interior:
    latents: tuple[Symbol, ...]
    smooth: Node
    pieces: tuple[Piece, ...]


def consider(problem: Problem) -> Decision | Refusal:
    for z in problem.latents:
        if z.domain.kind != "real":
            return Refusal(NAME, f"{z.name} is constrained to {z.domain}")
    size = problem.elements()
    if (size or 0) > LIMIT or (size is None and any(len(z.shape) > 1 for z in problem.latents)):
        return Refusal(NAME, f"{problem.names} may have more than {LIMIT} entries: their factor would be large")
    found = composite(problem.energy, *problem.latents)
    if isinstance(found, str):
        return Refusal(NAME, found)
    if not found.pieces:
        return Refusal(NAME, "nothing has a kink")
    other = next((p.kind for p in found.pieces if p.kind not in ("abs", "relu")), None)
    if other is not None:
        return Refusal(NAME, f"a penalty is neither an absolute value nor a positive part: {other}")
    order = degree(found.smooth, frozenset(problem.latents))
    if order is None or order > 2:
        return Refusal(NAME, f"the smooth part is not quadratic in {problem.names}")
    if problem.curvature(found.smooth) not in ("convex", "affine", "constant"):
        return Refusal(NAME, f"the smooth part is not known to be convex in {problem.names}")
    endless = problem.falls_forever()
    if endless:
        return Refusal(NAME, endless)
    facts = (
        f"the smooth part is quadratic and convex in {problem.names}",
        f"the rest are absolute values and positive parts of linear maps of {problem.names}",
        "the residual is a duality gap",
    )
    return Decision(
        NAME, f"min over {problem.names}",
        "primal-dual interior point (Mehrotra's predictor and corrector; one factor a step, in float64)", "global",
        "n² for each kink a step, some twenty steps", facts, (), Interior(problem.latents, found.smooth, found.pieces),
    )  # fmt: skip


def emit(payload: object, body: InferBody) -> None:
    assert isinstance(payload, Interior)
    body.interior(payload)


register(Rule(NAME, 35, "kinks of linear maps, of one large sample", consider, emit, ("min",), single=True))
