"""A convex block that has no formula: minimised to its certificate by whichever rule of inference fits.

Least absolute deviations, support vectors, logistic and lasso regression, geometric medians: given the data and the
answers of the latents, the block is the latent variable of one large sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ebdsl import infer
from ebdsl.facts.normal import through_module
from ebdsl.facts.orthonormal import bound_places
from ebdsl.infer.core import Decision, Problem, Refusal
from ebdsl.learn.core import Block, Rule, register
from ebdsl.learn.program import as_problem, falls_apart
from ebdsl.model.ir import Symbol

if TYPE_CHECKING:
    from ebdsl.emit.updates import LearnBody

NAME = "convex program"


@dataclass(frozen=True)
class Program:
    """``inner``: how ``problem``, in which the block is the latent variable, is solved. ``apart`` as elsewhere."""

    symbol: Symbol
    problem: Problem
    inner: Decision
    apart: tuple[int, ...]


def consider(block: Block) -> Decision | Refusal:
    w = block.symbol
    if w.domain.row.finite or not w.domain.row.convex:
        return Refusal(NAME, f"{w.domain} is not convex")
    if through_module(block.total, frozenset({w})):
        return Refusal(NAME, f"{w.name} goes through a learned function")
    problem = as_problem(block)
    inner = infer.decide(problem)
    if isinstance(inner, tuple):
        return Refusal(NAME, f"no rule of inference minimises over {w.name}: {inner[-1].reason}")
    if inner.guarantee != "global":
        return Refusal(NAME, f"the energy is not known to be convex in {w.name}")
    facts = (f"{w.name} is the latent variable of one large sample, the data with the latents' answers", *inner.facts)
    apart = tuple(k for k in falls_apart(block.total, w) if k not in bound_places(w))
    return Decision(
        NAME, f"learn {w.name}", f"{inner.algorithm}, on all samples at once", "global", inner.cost, facts,
        inner.refused, Program(w, problem, inner, apart),
    )  # fmt: skip


def emit(payload: object, body: LearnBody) -> None:
    assert isinstance(payload, Program)
    body.program_block(payload)


register(Rule(NAME, 40, "a convex block, by the rules of inference", consider, emit))
