"""Linear where the constraint holds: the nearest point to a summed moment.

On a sphere ``‖w‖²`` is a number, and so is ``tr W S W'`` for orthonormal columns. Where no more of a quadratic is left
than ``<C, W>``, its minimum is the point nearest to ``-C``, as all points have the same norm: a normalised sum
(spherical K-means, Dhillon & Modha 2001), or the polar factor (the Procrustes problem, Schönemann 1966).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ebdsl.facts.orthonormal import bound_places, gram_places
from ebdsl.facts.quadratic import Quadratic, quadratic
from ebdsl.infer.core import Decision, Refusal
from ebdsl.learn.core import Block, Rule, register
from ebdsl.model.algebra import expand
from ebdsl.model.ir import ZERO, Node, Symbol

if TYPE_CHECKING:
    from ebdsl.emit.updates import LearnBody

NAME = "projected moment"


@dataclass(frozen=True)
class Moment:
    """``whole.linear`` is the moment: the rest of the form is constant on the domain. ``bound``: places that are tied.

    ``apart``: places along which the problem falls apart.
    """

    whole: Quadratic
    bound: tuple[int, ...]

    @property
    def apart(self) -> tuple[int, ...]:
        return tuple(k for k in self.whole.separable if k not in self.bound)


def consider(block: Block) -> Decision | Refusal:
    w = block.symbol
    if not w.domain.row.level:
        return Refusal(NAME, f"{w.name} does not lie where all points have the same norm")
    form = quadratic(block.total, w)
    if form is None:
        return Refusal(NAME, f"the energy is not quadratic in {w.name}")
    left = next((a for a in expand(block.total) if w in a.symbols and not _constant(a, w)), None)
    if left is not None:
        return Refusal(NAME, f"a part that is quadratic in {w.name} is not constant for {w.domain}")
    facts = [f"all {w.domain} matrices or vectors have the same norm: best is what is nearest to minus the slope"]
    if form.matrix != ZERO:
        facts.insert(0, f"what is quadratic in {w.name} is constant for {w.domain}")
    how = "polar factor of a summed moment (Procrustes)" if w.domain.row.whole == 2 else "normalised sum"
    return Decision(
        NAME, f"learn {w.name}", how, "global", "one pass over the data", tuple(facts), (),
        Moment(form, bound_places(w)),
    )  # fmt: skip


def _constant(addend: Node, w: Symbol) -> bool:
    """Whether one addend is linear in ``w``, or the same at all points of its domain."""
    form = quadratic(addend, w)
    if form is None:
        return False
    if form.matrix == ZERO:
        return True
    n = len(w.shape)
    if gram_places(w):
        within = [(p, 2 * n - 3 - p) for p in gram_places(w)]
        return any(p in form.separable and p not in form.varies and set(form.coupled) <= {o} for p, o in within)
    return form.diagonal and not set(bound_places(w)) & set(form.varies)


def emit(payload: object, body: LearnBody) -> None:
    assert isinstance(payload, Moment)
    body.moment_block(payload)


register(Rule(NAME, 18, "linear on a set of one norm", consider, emit, streams=True))
