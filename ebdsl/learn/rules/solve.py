"""A quadratic in a block: normal equations if it is free, slice by slice if each slice is constrained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ebdsl.facts.orthonormal import bound_places
from ebdsl.facts.quadratic import Quadratic, not_quadratic, quadratic
from ebdsl.infer.core import Decision, Refusal
from ebdsl.learn.core import Block, Rule, register
from ebdsl.model.ir import ZERO

if TYPE_CHECKING:
    from ebdsl.emit.updates import LearnBody

SOLVE, SLICES = "normal equations", "exact slices"


@dataclass(frozen=True)
class Solve:
    form: Quadratic

    @property
    def apart(self) -> tuple[int, ...]:
        """Places along which the problem falls apart, each with a curvature of its own."""
        return self.form.varies


def _form(block: Block, name: str) -> Quadratic | Refusal:
    form = quadratic(block.total, block.symbol)
    if form is None:
        return Refusal(name, not_quadratic(block.total, block.symbol))
    if not block.convex:
        return Refusal(name, f"the energy is not known to be convex in {block.symbol.name}")
    if form.matrix == ZERO:
        return Refusal(name, f"the energy is linear in {block.symbol.name}: there is no curvature to solve with")
    return form


def consider_solve(block: Block) -> Decision | Refusal:
    w = block.symbol
    form = _form(block, SOLVE)
    if isinstance(form, Refusal):
        return form
    if w.domain.kind != "real":
        return Refusal(SOLVE, f"{w.name} is constrained: {w.domain}")
    if form.diagonal:
        how, cost = "weighted mean, entry by entry", "one pass over the data"
    else:
        how, cost = "least squares from summed statistics", "one pass over the data and one solve"
    return Decision(
        SOLVE, f"learn {w.name}", how, "global", cost, (f"the energy is quadratic in {w.name}",), (), Solve(form)
    )


def consider_slices(block: Block) -> Decision | Refusal:
    w = block.symbol
    form = _form(block, SLICES)
    if isinstance(form, Refusal):
        return form
    row = w.domain.row
    if row.project is None or row.finite:
        return Refusal(SLICES, f"there is no projection onto {w.domain}")
    if form.diagonal and not set(bound_places(w)) & set(form.varies):
        facts = (
            f"the energy is quadratic in {w.name} and couples no entries",
            f"over what {w.domain} binds its curvature is one number: the point nearest to the free minimum is best",
        )
        how = "weighted mean, entry by entry, then projection" if form.varies else "mean, then projection"
        return Decision(
            SLICES,
            f"learn {w.name}",
            f"{how} onto {w.domain}",
            "global",
            "one pass over the data",
            facts,
            (),
            Solve(form),
        )
    if len(form.coupled) != 1 or form.varies:
        return Refusal(SLICES, f"{w.name} does not fall into slices with a common curvature")
    (place,) = form.coupled
    if row.whole > 1 or (row.whole == 1 and place == len(w.shape) + row.axis):
        return Refusal(SLICES, f"{w.domain} ties together what the energy couples")
    facts = (f"the energy is quadratic in {w.name}", f"{w.domain} binds each slice of {w.name} alone")
    return Decision(
        SLICES, f"learn {w.name}", "each slice is minimised exactly in turn, from running statistics", "local",
        "n² a slice", facts, (), Solve(form),
    )  # fmt: skip


def emit_solve(payload: object, body: LearnBody) -> None:
    assert isinstance(payload, Solve)
    body.solve_block(payload.form)


def emit_slices(payload: object, body: LearnBody) -> None:
    assert isinstance(payload, Solve)
    body.slice_block(payload.form)


register(Rule(SOLVE, 20, "a free block with a quadratic energy", consider_solve, emit_solve, streams=True))
register(
    Rule(
        SLICES, 30, "a block of constrained slices with a quadratic energy", consider_slices, emit_slices, streams=True
    )
)
