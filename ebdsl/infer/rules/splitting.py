"""Penalties of linear maps of a latent: the map gets a copy of its own, and the two agree in the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ebdsl.facts.composite import KINDS, Composite, composite, squares
from ebdsl.facts.convexity import sign
from ebdsl.facts.normal import through_module
from ebdsl.facts.quadratic import Quadratic, quadratic
from ebdsl.infer.core import Decision, Problem, Refusal, Rule, register
from ebdsl.infer.rules import interior
from ebdsl.model.algebra import degree
from ebdsl.model.derivative import NoDerivative, derivative, fresh_index
from ebdsl.model.ir import ZERO, Node, Symbol

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

NAME = "splitting"
DENSE_LIMIT = 1024


@dataclass(frozen=True)
class Splitting:
    """``kind``: how the step in the latent is made. ``diagonal``: entry by entry; ``factor``: in one basis for all
    samples, in which both second derivatives are diagonal; ``gradient``: by products with the maps alone. ``strong``:
    the smooth part is known to curve in every direction.
    """

    latent: Symbol
    parts: Composite
    smooth: Quadratic | None
    maps: Quadratic | None
    kind: str
    strong: bool


def consider(problem: Problem) -> Decision | Refusal:
    if problem.kind != "min":
        return Refusal(NAME, f"{problem.names} is averaged over, not minimised")
    if len(problem.latents) > 1:
        return Refusal(NAME, "there are several latents")
    (z,) = problem.latents
    held = frozenset({z})
    if z.domain.row.finite:
        return Refusal(NAME, f"{z.name} is discrete")
    if not z.domain.row.convex or (z.domain.kind != "real" and not z.domain.row.project):
        return Refusal(NAME, f"{z.domain} is not convex")
    endless = problem.falls_forever()
    if endless:
        return Refusal(NAME, endless)
    if through_module(problem.energy, held):
        return Refusal(NAME, f"{z.name} goes through a learned function")
    found = composite(problem.energy, z)
    if isinstance(found, str):
        return Refusal(NAME, found)
    if not found.pieces:
        return Refusal(NAME, "there is no penalty to split off")
    order = degree(found.smooth, held)
    if order is None or order > 2:
        return Refusal(NAME, f"the smooth part is not quadratic in {z.name}")
    if problem.curvature(found.smooth) not in ("convex", "affine", "constant"):
        return Refusal(NAME, f"the smooth part is not known to be convex in {z.name}")
    try:
        for node in (found.smooth, *(m.node for p in found.pieces for m in p.maps)):
            derivative(node, z, fresh_index(z))
    except NoDerivative:
        return Refusal(NAME, f"{z.name} goes through steps that have no transpose written out")
    smooth, maps = quadratic(found.smooth, z), quadratic(squares(found.pieces), z)
    kind = _kind(problem, smooth, maps)
    if kind == "gradient" and isinstance(interior.consider(problem), Decision):
        return Refusal(
            NAME, f"no factor serves all samples, and {problem.elements()} numbers are few enough for one each"
        )
    greatest = (order or 0) < 2 and any(p.kind in ("max", "inf") for p in found.pieces)
    if greatest and isinstance(interior.consider(problem), Decision):
        return Refusal(NAME, "nothing curves, and greatest entries have no kinks of their own to end at")
    strong = smooth is not None and smooth.diagonal and smooth.shared and _positive(smooth.matrix)
    names = " and ".join(dict.fromkeys(KINDS[p.kind] for p in found.pieces))
    facts = [
        f"the smooth part is quadratic and convex in {z.name}",
        f"the rest is simple in linear maps of {z.name}: {names}",
        "the residual is a duality gap: the energy lies above its minimum by no more",
    ]
    if kind == "gradient":
        algorithm = f"primal-dual splitting (Condat-Vũ, Chambolle-Pock; {names}; steps from the norms of the maps)"
        cost = "a gradient and both ways through the maps a step"
        facts.append("no factor for the step in the latent: its system is large, or differs from sample to sample")
    else:
        how = "entry by entry" if kind == "diagonal" else "by one factor for all samples"
        algorithm = f"alternating directions (ADMM: {names}; the latent {how}; a weight for each sample)"
        cost = "both ways through the maps a step" + ("" if kind == "diagonal" else ", and n²")
    if not strong:
        facts.append(
            "where the smooth part does not curve, the gap is to points no further away than the answer is from 0"
        )
    payload = Splitting(z, found, smooth, maps, kind, strong)
    return Decision(NAME, f"min over {z.name}", algorithm, "global", cost, tuple(facts), (), payload)


def _positive(node: Node) -> bool:
    return sign(node) == "positive"


def _kind(problem: Problem, smooth: Quadratic | None, maps: Quadratic | None) -> str:
    (z,) = problem.latents
    if maps is None or maps.matrix == ZERO or not maps.shared or (smooth is not None and not smooth.shared):
        return "gradient"
    if maps.diagonal and (smooth is None or smooth.diagonal) and _positive(maps.matrix):
        return "diagonal"
    size = problem.elements()
    small = size <= DENSE_LIMIT if size is not None else len(z.shape) <= 1
    return "factor" if small else "gradient"


def emit(payload: object, body: InferBody) -> None:
    assert isinstance(payload, Splitting)
    body.splitting(payload)


register(Rule(NAME, 40, "penalties of linear maps: a copy of each map, brought to agree", consider, emit))
