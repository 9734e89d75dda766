"""``-Σ n log x - Σ m log(1 - x)``: probabilities of yes and no, in closed form within bounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ebdsl.facts.convexity import sign
from ebdsl.facts.normal import Addend, parts, split
from ebdsl.infer.core import Decision, Refusal
from ebdsl.learn.core import Block, Rule, register
from ebdsl.model.algebra import contract, factors_of, rename
from ebdsl.model.build import add, mul, neg, sub
from ebdsl.model.derivative import fresh_index
from ebdsl.model.ir import ONE, Add, Axis, Fn, Get, Node, Symbol

if TYPE_CHECKING:
    from ebdsl.emit.updates import LearnBody

NAME = "odds"


@dataclass(frozen=True)
class Odds:
    """``yes``, ``no``: n and m for each entry, over ``at``."""

    symbol: Symbol
    at: tuple[Axis, ...]
    yes: Node
    no: Node

    @property
    def apart(self) -> tuple[int, ...]:
        """Each entry stands alone."""
        return tuple(range(len(self.at)))


def consider(block: Block) -> Decision | Refusal:
    x = block.symbol
    if x.domain.kind != "box" or not 0 <= x.domain.args[0] <= x.domain.args[1] <= 1:
        return Refusal(NAME, f"{x.name} is no probability: it is not bounded by 0 and 1")
    at = fresh_index(x)
    each, whole = _counts(block.energy, x, at), _counts(block.total, x, at)
    if isinstance(each, str) or isinstance(whole, str):
        return Refusal(NAME, each if isinstance(each, str) else str(whole))
    if not all(map(_never_negative, each)):  # asked before data and parameters are parted
        return Refusal(NAME, f"the weights of log {x.name} and log(1 - {x.name}) are not known to be negative")
    facts = (f"in {x.name} the energy is a weighted log of it and one of 1 - {x.name}, entry by entry",)
    return Decision(
        NAME, f"learn {x.name}", "the share of the weights that say yes, within bounds", "global",
        "one pass over the data", facts, (), Odds(x, at, *whole),
    )  # fmt: skip


def _counts(node: Node, x: Symbol, at: tuple[Axis, ...]) -> tuple[Node, Node] | str:
    """What ``-log x`` and ``-log(1 - x)`` are weighted with, over ``at``."""
    held = frozenset({x})
    found: tuple[list[Node], list[Node]] = ([], [])
    for part in _apart(node, held):
        inside = part.core.args[0] if isinstance(part.core, Fn) and part.core.atom == "log" else None
        entry = _entry(inside, x) if inside is not None else None
        if entry is None or inside not in (entry, sub(ONE, entry)):
            return f"a term in {x.name} is no logarithm of {x.name} or 1 - {x.name}"
        own = tuple(i for i in entry.index if isinstance(i, Axis))
        if len(set(own)) != len(at) or not set(own) <= set(part.axes):
            return f"a logarithm is not of all entries of {x.name}"
        over = tuple(b for b in part.axes if b not in own)
        count = neg(rename(contract(part.weight, over), dict(zip(own, at, strict=True))))
        found[entry is not inside].append(count)
    if not all(found):
        return f"there are not both logarithms, of {x.name} and of 1 - {x.name}"
    return add(*found[0]), add(*found[1])


def _entry(node: Node, x: Symbol) -> Get | None:
    """The entry of ``x`` in a node."""
    if isinstance(node, Get):
        return node if node.symbol == x else None
    return next((e for c in node.children if (e := _entry(c, x)) is not None), None)


def _never_negative(count: Node) -> bool:
    """Whether a sum is at least 0, common factors like the share of a state in front: ``w - w y`` is ``w (1 - y)``."""
    terms = count.terms if isinstance(count, Add) else (count,)
    factors = [factors_of(t) for t in terms]
    common = [f for f in factors[0] if all(f in other for other in factors)]
    rest = add(*(mul(*(f for f in other if f not in common)) for other in factors))
    return all(sign(n) in ("nonnegative", "positive") for n in (*common, rest))


def _apart(node: Node, held: frozenset[Symbol]) -> Iterator[Addend]:
    """Addends with sums in brackets written out, and nothing else, so that ``1 - y`` keeps its sign."""
    for a in parts(node, held)[0]:
        part = split(a, held)
        if isinstance(part.core, Add):
            for term in part.core.terms:
                if term.symbols & held:
                    yield from _apart(replace(part, core=term).node, held)
        else:
            yield part


def emit(payload: object, body: LearnBody) -> None:
    assert isinstance(payload, Odds)
    body.odds_block(payload)


register(Rule(NAME, 11, "logarithms of a probability and of its rest", consider, emit))
