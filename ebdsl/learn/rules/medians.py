"""Weighted medians: an energy that is, entry by entry, a sum of kinks.

``Σ_b w_b |a_b - c_b x|`` has its minimum where the weights ``w_b |c_b|`` of the points ``a_b / c_b`` on both sides
balance; with one-sided pieces it is a quantile (Koenker & Bassett 1978). A quadratic of the entry alone, and bounds,
change little: the slope rises from point to point, and where it passes 0 is the minimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ebdsl.facts.convexity import curvature, sign
from ebdsl.facts.normal import parts, split
from ebdsl.facts.quadratic import Quadratic, quadratic
from ebdsl.infer.core import Decision, Refusal
from ebdsl.learn.core import Block, Rule, register
from ebdsl.model.algebra import degree, rename, zeroed
from ebdsl.model.build import add, div, lit, mul, neg
from ebdsl.model.derivative import derivative, fresh_index
from ebdsl.model.ir import Axis, Fn, Get, Node, Symbol

if TYPE_CHECKING:
    from ebdsl.emit.updates import LearnBody

NAME = "weighted median"


@dataclass(frozen=True)
class Kinks:
    """``Σ_over weight f(slope x + offset)`` for each entry ``x``; ``f`` is ``abs`` or ``relu``.

    The kinks lie at ``point``, the slope rises by ``jump`` there.
    """

    atom: str
    over: tuple[Axis, ...]
    point: Node
    jump: Node
    slope: Node


@dataclass(frozen=True)
class Medians:
    """``rest``: what is smooth in the block, if anything; over the same axes ``at``."""

    symbol: Symbol
    at: tuple[Axis, ...]
    kinks: tuple[Kinks, ...]
    rest: Quadratic | None

    @property
    def apart(self) -> tuple[int, ...]:
        return tuple(range(len(self.at)))


def consider(block: Block) -> Decision | Refusal:
    w = block.symbol
    held = frozenset({w})
    if w.domain.row.whole or w.domain.row.finite or not w.domain.row.convex:
        return Refusal(NAME, f"{w.domain} ties the entries of {w.name}")
    at = fresh_index(w)
    inside = parts(block.total, held)[0]
    smooth = [a for a in inside if (degree(a, held) or 3) <= 2]
    read = [_kinks(a, w, at) for a in inside if a not in smooth]
    kinks = [k for k in read if isinstance(k, Kinks)]
    if len(kinks) < len(read):
        return Refusal(NAME, min(k for k in read if isinstance(k, str)))  # whichever term comes first
    if not kinks:
        return Refusal(NAME, f"nothing has a kink in {w.name}")
    rest = quadratic(add(*smooth), w) if smooth else None
    if rest is not None and not rest.diagonal:
        return Refusal(NAME, f"the energy couples entries of {w.name}")
    if rest is not None and sign(rest.matrix) not in ("nonnegative", "positive"):
        return Refusal(NAME, f"the energy is not known to be convex in {w.name}")
    tied = frozenset(s for k in kinks for s in k.point.symbols if s.role == "param")
    if tied and curvature(block.energy, held | tied) == "convex":
        names = " and ".join(sorted(s.name for s in tied))
        return Refusal(NAME, f"a kink ties {w.name} to {names}: in turn they may rest above the minimum over both")
    facts = [
        f"each entry of {w.name} stands alone, in a sum of kinks"
        + (" and a quadratic" if rest is not None else "")
        + ": sorted, they tell where the slope passes 0"
    ]
    if w.domain.kind != "real":
        facts.append(f"{w.domain} bounds each entry: the nearest point that is allowed is best")
    one_sided = any(k.atom == "relu" for k in kinks)
    how = "weighted quantile" if one_sided else "weighted median"
    return Decision(
        NAME, f"learn {w.name}", f"{how}, entry by entry", "global", "one pass over the data, sorted", tuple(facts), (),
        Medians(w, at, tuple(kinks), rest),
    )  # fmt: skip


def _kinks(addend: Node, w: Symbol, at: tuple[Axis, ...]) -> Kinks | str:
    held = frozenset({w})
    part = split(addend, held)
    core = part.core
    if not (isinstance(core, Fn) and core.atom in ("abs", "relu")):
        return f"a term in {w.name} is neither quadratic nor an absolute value or a positive part"
    (inside,) = core.args
    if degree(inside, held) != 1:
        return f"what stands in a kink is not linear in {w.name}"
    (index, *more) = _entries(inside, w)
    if more or len(set(index)) != len(index) or not all(i in part.axes for i in index):
        return f"a kink holds several entries of {w.name}"
    if sign(part.weight) not in ("nonnegative", "positive"):
        return f"the weight of a kink in {w.name} is not known to be nonnegative"
    to = {i: a for i, a in zip(index, at, strict=True) if isinstance(i, Axis)}
    own = tuple(a for a in part.axes if a not in index)
    weight, inside = rename(part.weight, dict(to)), rename(inside, dict(to))
    slope = derivative(inside, w, at)
    jump = lit(2 if core.atom == "abs" else 1)
    return Kinks(core.atom, own, neg(div(zeroed(inside, held), slope)), mul(jump, weight, Fn("abs", (slope,))), slope)


def _entries(node: Node, w: Symbol) -> tuple[tuple[Axis | int, ...], ...]:
    """The indices at which ``w`` stands, each once."""
    if isinstance(node, Get):
        return (node.index,) if node.symbol == w else ()
    return tuple(dict.fromkeys(i for c in node.children if w in c.symbols for i in _entries(c, w)))


def emit(payload: object, body: LearnBody) -> None:
    assert isinstance(payload, Medians)
    body.median_block(payload)


register(Rule(NAME, 35, "entries apart, each in a sum of kinks", consider, emit))
