"""A softmin over few continuous latents of any energy: an integral by quadrature, where the probability is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ebdsl.infer.core import Decision, Problem, Refusal, Rule, register
from ebdsl.infer.posterior import Weighted, points_of
from ebdsl.model.build import fresh
from ebdsl.model.ir import Axis, Node, Symbol

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

NAME = "quadrature"
PANELS = {1: 64, 2: 8, 3: 4}
"""Panels a side, by the number of dimensions; each has eight nodes of Gauss and Legendre a side."""
ORDER = 8
ACCURACY = {1: 1e-6, 2: 1e-4, 3: 1e-3}
"""Of the integral, by the number of dimensions: panels move until what it may be off is less."""
KINDS = ("real", "nonnegative", "positive", "box")


@dataclass(frozen=True)
class Quadrature(Weighted):
    """``energy`` over ``axis``, the nodes; ``nodes`` holds a symbol for each latent, with that axis first."""

    latents: tuple[Symbol, ...]
    energy: Node
    beta: Node | None
    axis: Axis
    nodes: tuple[Symbol, ...]
    weights: Symbol
    size: int


def consider(problem: Problem) -> Decision | Refusal:
    for s in problem.latents:
        if s.domain.row.finite:
            return Refusal(NAME, f"{s.name} takes finitely many values")
        if s.domain.kind not in KINDS:
            return Refusal(NAME, f"there is no grid over {s.domain}")
    size = problem.elements()
    if size is None or size not in PANELS:
        many = f"{size} numbers" if size is not None else "a size that the data tells"
        return Refusal(NAME, problem.says("has", "have") + f" {many}: a grid fills at most three")
    endless = problem.falls_forever()
    if endless:
        return Refusal(NAME, endless)
    count = (PANELS[size] * ORDER) ** size
    axis = fresh(count, "s")
    nodes, weights = points_of(problem.latents, count)
    bare = Quadrature(problem.latents, problem.energy, problem.beta, axis, nodes, weights, size)
    payload = replace(bare, energy=bare.at_nodes(problem.energy))
    dims = f"{size} dimension{'s' * (size > 1)}"
    facts = (
        problem.says("has", "have") + f" {dims}: a grid can fill the box in which exp(-β E) is not negligible",
        f"box and panels are found for each sample, until the integral is known to {ACCURACY[size]:g} of itself",
    )
    algorithm = f"quadrature of Gauss and Legendre, {PANELS[size]} panels of {ORDER} nodes a side"
    return Decision(
        NAME, f"softmin over {problem.names}", algorithm, "approximate", f"{count:,} energies, several times", facts,
        (), payload,
    )  # fmt: skip


def emit(payload: object, body: InferBody) -> None:
    assert isinstance(payload, Quadrature)
    body.quadrature(payload)


register(Rule(NAME, 60, "an integral over at most three dimensions, on a grid", consider, emit, ("softmin",)))
