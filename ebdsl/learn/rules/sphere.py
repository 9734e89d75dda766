"""A quadratic on spheres, or without linear part among orthonormal matrices: eigenvectors tell the global minimum.

``½ w'Q w + b'w`` with ``‖w‖ = 1`` is least where ``(Q + λ) w = -b`` with ``λ >= -min eig Q``, convex or not (Gander,
Golub & von Matt 1989; Moré & Sorensen 1983). ``½ tr W'Q W`` with ``W'W = I`` is least on the lowest
eigenvectors (Fan 1949).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ebdsl.facts.orthonormal import bound_places, gram_places
from ebdsl.facts.quadratic import Quadratic, quadratic
from ebdsl.infer.core import Decision, Refusal
from ebdsl.learn.core import Block, Rule, register
from ebdsl.model.ir import ZERO

if TYPE_CHECKING:
    from ebdsl.emit.updates import LearnBody

NAME = "eigenvectors"


@dataclass(frozen=True)
class Spheres:
    """``form`` couples along ``place`` alone. ``count``: the place of orthonormal vectors, None for spheres."""

    form: Quadratic
    place: int
    count: int | None

    @property
    def apart(self) -> tuple[int, ...]:
        """Places along which the problem falls apart, each with a curvature of its own."""
        return self.form.varies if self.count is None else ()


def consider(block: Block) -> Decision | Refusal:
    w = block.symbol
    if not w.domain.row.level or w.domain.row.bounds(w.domain.args)[0] == 0:
        return Refusal(NAME, f"{w.name} is neither on a sphere nor orthonormal")
    form = quadratic(block.total, w)
    if form is None:
        return Refusal(NAME, f"the energy is not quadratic in {w.name}")
    if len(form.coupled) != 1:
        return Refusal(NAME, f"the energy does not couple {w.name} along one axis")
    (place,) = form.coupled
    n = len(w.shape)
    cost = "one pass over the data and one eigendecomposition"
    facts = (f"the energy is quadratic in {w.name}", f"{w.domain} binds the axis that it couples: convex or not")
    if gram_places(w):
        count = 2 * n - 3 - place
        if place not in gram_places(w) or n != 2 or count in form.varies or form.linear != ZERO:
            return Refusal(NAME, "eigenvectors want one matrix for all of the orthonormal ones, and no linear part")
        how = "lowest eigenvectors of a summed moment"
        return Decision(NAME, f"learn {w.name}", how, "global", cost, facts, (), Spheres(form, place, count))
    if bound_places(w) != (place,):
        return Refusal(NAME, f"{w.domain} binds other entries than the energy couples")
    how = "secular equation in the eigenvectors of the curvature, vector by vector"
    return Decision(NAME, f"learn {w.name}", how, "global", cost, facts, (), Spheres(form, place, None))


def emit(payload: object, body: LearnBody) -> None:
    assert isinstance(payload, Spheres)
    body.sphere_block(payload)


register(Rule(NAME, 19, "a quadratic on spheres", consider, emit, streams=True))
