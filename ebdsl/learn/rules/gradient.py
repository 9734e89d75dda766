"""Everywhere else: stochastic gradient at the latents' answers, which is exact by the envelope theorem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ebdsl.facts.normal import through_module
from ebdsl.infer.core import Decision, Refusal
from ebdsl.learn.core import Block, Rule, optimiser, register
from ebdsl.model.adjoint import gradient
from ebdsl.model.derivative import NoDerivative, fresh_index
from ebdsl.model.ir import Axis, Node, Symbol
from ebdsl.model.model import Model

if TYPE_CHECKING:
    from ebdsl.emit.updates import LearnBody

NAME = "stochastic gradient"


@dataclass(frozen=True)
class Gradient:
    """``slope``: the derivative of the summed energy over ``at``; None where autograd takes it."""

    symbol: Symbol
    at: tuple[Axis, ...]
    slope: Node | None


def consider(block: Block) -> Decision | Refusal:
    at = fresh_index(block.symbol)
    try:
        slope: Node | None = gradient(block.total, block.symbol, at)
    except NoDerivative:
        slope = None
    facts = ["at the minimum over the latents the gradient needs no derivative of the latents (envelope theorem)"]
    learned = through_module(block.total, frozenset({block.symbol}))
    through = "a learned function" if learned else "a recurrence, step by step"
    facts.append("its gradient is written out" if slope is not None else f"it goes through {through}: autograd")
    how = f"{optimiser(block.model)} on batches"
    if block.symbol.domain.row.project:
        how += f", then projection onto {block.symbol.domain}"
    return Decision(
        NAME, f"learn {block.symbol.name}", how, "local", "one gradient a batch",
        tuple(facts if block.inference else facts[1:]), (), Gradient(block.symbol, at, slope),
    )  # fmt: skip


def by_autograd(model: Model, symbol: Symbol, how: str, facts: tuple[str, ...]) -> Decision:
    """The decision to learn a block by gradient on batches, by autograd through ``how``."""
    what = f"{optimiser(model)} on batches, {how}"
    if symbol.domain.row.project:
        what += f", then projection onto {symbol.domain}"
    payload = Gradient(symbol, fresh_index(symbol), None)
    return Decision(NAME, f"learn {symbol.name}", what, "local", "one gradient a batch", facts, (), payload)


def emit(payload: object, body: LearnBody) -> None:
    assert isinstance(payload, Gradient)
    body.gradient_block(payload)


register(Rule(NAME, 90, "stochastic gradient", consider, emit, exact=False))
