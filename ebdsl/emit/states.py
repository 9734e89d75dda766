"""Energies of enumerated states: what tells states apart, and what is the same for all."""

from __future__ import annotations

from ebdsl.emit.economy import economical
from ebdsl.infer.rules.enumeration import Enumeration
from ebdsl.model.algebra import addends, with_batch
from ebdsl.model.build import add
from ebdsl.model.ir import BATCH, Node


def state_parts(payload: Enumeration) -> tuple[Node, Node | None]:
    """The states' energies, and apart from them what is the same for all states at all parameters."""
    axes = frozenset(s.axis for s in payload.states)
    node = economical(with_batch(payload.energy))
    pieces = addends(node)
    common = [a for a in pieces if not (a.free & axes) and all(s.role != "param" for s in a.symbols)]
    if not any(BATCH in a.free for a in common) or len(common) == len(pieces):
        return with_batch(payload.energy), None
    return add(*(a for a in pieces if a not in common)), add(*common)
