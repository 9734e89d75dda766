"""Free blocks in which the energy is quadratic together: one system, where in turn they would go down slowly.

Weights and an offset, loadings and a mean, one regression for each state with its own offset: given data far from 0
each alone can hardly move while the other stays.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ebdsl.facts.quadratic import Quadratic, has_delta, quadratic, without_deltas
from ebdsl.infer.core import Decision, Refusal
from ebdsl.learn.core import Block, Rule, register
from ebdsl.learn.program import linked
from ebdsl.model.algebra import degree, expand, rename, zeroed
from ebdsl.model.build import add
from ebdsl.model.derivative import NoDerivative, derivative, fresh_index
from ebdsl.model.ir import ZERO, Axis, Node, Symbol

if TYPE_CHECKING:
    from ebdsl.emit.updates import LearnBody

NAME = "joint normal equations"
LARGEST = 2048
"""Rows of a system at most, where sizes are known."""


@dataclass(frozen=True)
class Joint:
    """``blocks[i][j]`` (``j <= i``) over ``lead``, ``coupled[i]`` and ``twin[j]``; ``linear[i]`` over ``at[i]``.

    ``lead``: axes that all symbols have and along which the system falls apart, with a matrix of its own for each
    entry; ``rest``: those along which all share one matrix.
    """

    symbols: tuple[Symbol, ...]
    at: tuple[tuple[Axis, ...], ...]
    lead: tuple[Axis, ...]
    rest: tuple[Axis, ...]
    coupled: tuple[tuple[Axis, ...], ...]
    twin: tuple[tuple[Axis, ...], ...]
    blocks: tuple[tuple[Node, ...], ...]
    linear: tuple[Node, ...]


@dataclass(frozen=True)
class Together:
    """``form``: of ``form.symbol`` alone, which a state is fitted with."""

    form: Quadratic
    joint: Joint

    @property
    def apart(self) -> tuple[int, ...]:
        """Places along which the block alone falls apart, each with a curvature of its own."""
        return self.form.varies


def consider(block: Block) -> Decision | Refusal:
    w = block.symbol
    if w.domain.kind != "real":
        return Refusal(NAME, f"{w.name} is constrained: {w.domain}")
    form = quadratic(block.total, w)
    if form is None or form.matrix == ZERO:
        return Refusal(NAME, f"the energy is not quadratic in {w.name}")
    found = None
    held: tuple[Symbol, ...] = (w,)
    whole = replace(block, total=block.total_in(block.model.role("param")))
    for s in linked(whole):
        if s == w or s.domain.kind != "real":
            continue
        more = tuple(p for p in block.model.role("param") if p in (*held, s))
        trial = _joint(block, more)
        if trial is not None:
            held, found = more, trial
    if found is None:
        return Refusal(NAME, f"no other free parameter is quadratic together with {w.name}")
    names = " and ".join(s.name for s in held)
    facts = (f"the energy is quadratic in {names} together, and couples them",)
    return Decision(
        NAME, f"learn {w.name}", f"least squares from summed statistics, {names} together", "global",
        "one pass over the data and one solve", facts, (), Together(form, found),
    )  # fmt: skip


def _joint(block: Block, symbols: tuple[Symbol, ...]) -> Joint | None:
    """The system of these symbols, None where it is not quadratic, not convex, falls into two, or is too large."""
    held = frozenset(symbols)
    total = block.total_in(symbols)
    if degree(total, held) != 2 or not block.convex_in(held):
        return None
    at, twin = [fresh_index(s) for s in symbols], [fresh_index(s) for s in symbols]
    try:
        slopes = [derivative(total, s, a) for s, a in zip(symbols, at, strict=True)]
        pieces = [
            [expand(derivative(slopes[i], symbols[j], twin[j])) for j in range(len(symbols))]
            for i in range(len(symbols))
        ]
    except NoDerivative:
        return None
    if any(not any(p != ZERO for j, ps in enumerate(row) for p in ps if j != i) for i, row in enumerate(pieces)):
        return None
    common = _common(symbols, at, twin, pieces)
    same = {at[i][p[i]]: at[0][p[0]] for p in common for i in range(1, len(symbols))}

    def without(i: int, j: int) -> Node:
        pairs = [(at[i][p[i]], twin[j][p[j]]) for p in common]
        return rename(add(*(without_deltas(p, pairs) for p in pieces[i][j])), dict(same))

    blocks = tuple(tuple(without(i, j) for j in range(i + 1)) for i in range(len(symbols)))
    free = frozenset(a for row in blocks for b in row for a in b.free)
    apart = tuple(at[0][p[0]] for p in common)
    places = [{p[i] for p in common} for i in range(len(symbols))]
    coupled = tuple(tuple(a for k, a in enumerate(at[i]) if k not in places[i]) for i in range(len(symbols)))
    sizes = [[n for k, n in enumerate(block.model.shape(s)) if k not in places[i]] for i, s in enumerate(symbols)]
    if sum(math.prod(n or 1 for n in own) for own in sizes) > LARGEST:
        return None
    return Joint(
        symbols, tuple(tuple(same.get(a, a) for a in index) for index in at),
        tuple(a for a in apart if a in free), tuple(a for a in apart if a not in free), coupled,
        tuple(tuple(a for k, a in enumerate(twin[i]) if k not in places[i]) for i in range(len(symbols))), blocks,
        tuple(rename(zeroed(g, symbols), dict(same)) for g in slopes),
    )  # fmt: skip


def _common(
    symbols: tuple[Symbol, ...],
    at: list[tuple[Axis, ...]],
    twin: list[tuple[Axis, ...]],
    pieces: list[list[tuple[Node, ...]]],
) -> list[tuple[int, ...]]:
    """For each axis along which the whole falls apart, its place in every symbol."""
    found: list[tuple[int, ...]] = []
    for places in itertools.product(*(range(len(a)) for a in at)):
        if len({s.shape[p] for s, p in zip(symbols, places, strict=True)}) > 1:
            continue
        if any(p == q for other in found for p, q in zip(places, other, strict=True)):
            continue
        if all(
            has_delta(p, at[i][places[i]], twin[j][places[j]])
            for i in range(len(symbols))
            for j in range(len(symbols))
            for p in pieces[i][j]
            if p != ZERO
        ):
            found.append(places)
    return found


def emit(payload: object, body: LearnBody) -> None:
    assert isinstance(payload, Together)
    body.joint_block(payload)


register(Rule(NAME, 19, "free blocks with a quadratic energy together", consider, emit))
