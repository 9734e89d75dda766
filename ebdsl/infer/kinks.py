"""What every rule on kinks of linear maps asks of an energy, in the words in which all of them refuse."""

from __future__ import annotations

from ebdsl.facts.composite import KINDS, Composite, Piece, composite
from ebdsl.facts.normal import through_module
from ebdsl.infer.core import Problem
from ebdsl.model.algebra import degree
from ebdsl.model.ir import Node

STRAIGHT = ("abs", "relu")
GAP = "the residual is a duality gap: the energy lies above its minimum by no more"
WEAK_GAP = "where the smooth part does not curve, the gap is to points no further away than the answer is from 0"


def taken_apart(problem: Problem) -> Composite | str:
    """The energy as a smooth part and simple penalties of linear maps of the latents, or why it does not come apart."""
    discrete = next((z for z in problem.latents if z.domain.row.finite), None)
    if discrete is not None:
        return f"{discrete.name} is discrete"
    endless = problem.falls_forever()
    if endless:
        return endless
    if through_module(problem.energy, frozenset(problem.latents)):
        return problem.says("goes", "go") + " through a learned function"
    found = composite(problem.energy, *problem.latents)
    return "nothing has a kink" if isinstance(found, Composite) and not found.pieces else found


def no_quadratic(problem: Problem, smooth: Node) -> str | None:
    """Why the smooth part is no quadratic, a linear function or nothing at all."""
    order = degree(smooth, frozenset(problem.latents))
    return f"the smooth part is not quadratic in {problem.names}" if order is None or order > 2 else None


def not_convex(problem: Problem, smooth: Node) -> str | None:
    known = problem.curvature(smooth) in ("convex", "affine", "constant")
    return None if known else f"the smooth part is not known to be convex in {problem.names}"


def not_straight(pieces: tuple[Piece, ...], *more: str) -> str | None:
    """Why the penalties are not made of straight pieces; those of the kinds ``more`` are taken too."""
    other = next((p.kind for p in pieces if p.kind not in (*STRAIGHT, *more)), None)
    return f"a penalty is not straight: {KINDS[other].noun}" if other is not None else None


def smooth_part(problem: Problem, smooth: Node) -> str:
    """What is known of it, as a fact."""
    order = degree(smooth, frozenset(problem.latents))
    if order == 0:
        return f"there is no smooth part: all that holds {problem.names} has kinks"
    what = {1: "linear", 2: "quadratic and convex"}.get(order or 0, "smooth and convex")
    return f"the part without kinks is {what} in {problem.names}"
