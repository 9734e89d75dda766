"""Energies of enumerated states: what tells states apart, and what is the same for all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ebdsl.emit.differences import whitened
from ebdsl.emit.economy import economical
from ebdsl.infer.rules.enumeration import Enumeration
from ebdsl.model.algebra import addends, with_batch
from ebdsl.model.build import add
from ebdsl.model.ir import BATCH, ZERO, Add, Node, Symbol


@dataclass(frozen=True)
class Parts:
    """``scores``: the states' energies, less ``common``, what is the same for all states at all parameters.

    ``roots``: symbols that stand for a root ``L`` of a parameter ``L L'``.
    """

    scores: Node
    common: Node | None
    roots: dict[Symbol, Symbol]


def state_parts(payload: Enumeration) -> Parts:
    """The energies of all states, written for many samples at once."""
    axes = frozenset(s.axis for s in payload.states)
    node, roots = whitened(with_batch(payload.energy))
    pieces = [addends(economical(a)) for a in addends(node)]
    common = [a for p in pieces for a in p if not (a.free & axes) and all(s.role != "param" for s in a.symbols)]
    if not any(BATCH in a.free for a in common) or len(common) == sum(map(len, pieces)):
        common = []
    left = [add(*(a for a in p if a not in common)) for p in pieces]
    return Parts(summed(left), add(*common) if common else None, roots)


def summed(parts: Iterable[Node]) -> Node:
    """The sum of the parts, what depends on the sample apart from what does not, and each for itself.

    The parts of a square that was multiplied out cancel: added to others first they would lose their digits.
    """
    parts = [p for p in parts if p != ZERO]
    fixed = add(*(p for p in parts if BATCH not in p.free))
    whole = [*(p for p in parts if BATCH in p.free), *([fixed] if fixed != ZERO else [])]
    return Add(tuple(whole)) if len(whole) > 1 else add(*whole)
