"""Samples that a step sees once more, where states' energies differ by what is linear in the data: what changes is
looked at (``runtime/members.py``)."""

from __future__ import annotations

from dataclasses import dataclass

from ebdsl.emit.answers import enumeration
from ebdsl.emit.context import Context
from ebdsl.emit.scores import linear_scores
from ebdsl.emit.text import template
from ebdsl.learn.sums import Held
from ebdsl.model.algebra import contract, multiply
from ebdsl.model.canonical import signature
from ebdsl.model.ir import BATCH, Axis, Get, Node


@dataclass(frozen=True)
class Again:
    """The names of the variable with what scores hold besides the data, and of the sums that the energy is made of."""

    constants: str
    scores: tuple[str, str, str, str]
    unpacked: str
    members: str
    moments: str


def again(c: Context, passing: dict[str, Held], constants: str) -> Again | None:
    """What the methods need; None where each step has to look at all samples."""
    states, found = enumeration(c), linear_scores(c)
    if states is None or found is None or len(c.model.terms) != 1 or c.plan.weights is None or len(c.observed) != 1:
        return None
    if states.kind != "min" or states.states[0].table is not None or any(_learned(h) for h in passing.values()):
        return None
    (y,), k, d = c.observed, Axis("k", c.plan.weights.shape[0]), Axis("d", c.observed[0].shape[0])
    weights = Get(c.plan.weights, (BATCH, k))
    members = _key(passing, contract(weights, (BATCH,)), (k,))
    moments = _key(passing, contract(multiply(weights, Get(y, (BATCH, d))), (BATCH,)), (k, d))
    if members is None or moments is None:
        return None
    c.runtime |= {"Members", "same_tensors", "remembered"}
    return Again(constants, found.texts, found.unpacked, members, moments)


def again_lines(c: Context, a: Again) -> list[str]:
    """The method ``collect_again``."""
    slopes, offset, alpha, scale = a.scores
    return template(
        f'''
        def collect_again(self, {c.like}: Tensor, {a.constants}: tuple[Tensor, ...]) -> None:
            """As ``collect_tile`` for all samples, where the last step saw the same ones: what changes is looked at."""
            {a.unpacked} = {a.constants}
            offset = {offset}
            if self.members is None:
                self.members = Members({c.like})
            state = self.members.lowest({slopes}, offset, {alpha}, {scale})
            sums = self.members.settle(state, self.add_sums)
            energy = {a.members} @ offset.double() + {alpha} * ({a.moments} * {slopes}.double()).sum()
            self.add(self.energies, "energy", energy)
            for name, value in sums.items():
                self.add(self.sums, name, value.to({c.like}.dtype))
        '''
    )


def _learned(h: Held) -> bool:
    return any(s.role == "param" for s in h.node.symbols)


def _key(passing: dict[str, Held], node: Node, axes: tuple[Axis, ...]) -> str | None:
    """The text of that sum over the samples, with its axes in this order."""
    wanted, order = signature(node)
    for key, h in passing.items():
        if signature(h.node)[0] == wanted:
            return f'sums["{key}"]' + ("" if order == axes else ".T")
    return None
