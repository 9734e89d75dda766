"""A convex block that has no formula: minimised to its certificate by whichever rule of inference fits.

Least absolute deviations, support vectors, logistic and lasso regression, geometric medians: given the data and the
answers of the latents, the block is the latent variable of one large sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ebdsl import infer
from ebdsl.facts.normal import is_smooth, parts, through_module
from ebdsl.facts.orthonormal import bound_places
from ebdsl.infer.core import Decision, Problem, Refusal
from ebdsl.learn.core import Block, Rule, register
from ebdsl.learn.program import as_problem, falls_apart, linked
from ebdsl.model.ir import Symbol

if TYPE_CHECKING:
    from ebdsl.emit.updates import LearnBody

NAME = "convex program"


@dataclass(frozen=True)
class Program:
    """``inner``: how ``problem``, in which ``symbols`` are the latent variables, is solved, the block ``symbol`` among
    them. ``apart`` as elsewhere.
    """

    symbol: Symbol
    symbols: tuple[Symbol, ...]
    problem: Problem
    inner: Decision
    apart: tuple[int, ...]


def consider(block: Block) -> Decision | Refusal:
    w = block.symbol
    if w.domain.row.finite or not w.domain.row.convex:
        return Refusal(NAME, f"{w.domain} is not convex")
    if through_module(block.total, frozenset({w})):
        return Refusal(NAME, f"{w.name} goes through a learned function")
    together = linked(block)
    if len(together) > 1 and not any(s.name.endswith("~step") for s in block.total.symbols):
        found = _program(block, together)
        if isinstance(found, Decision):
            return found
    return _program(block, (w,))


def _program(block: Block, symbols: tuple[Symbol, ...]) -> Decision | Refusal:
    w, names = block.symbol, " and ".join(s.name for s in symbols)
    if any(s.domain.row.finite or not s.domain.row.convex for s in symbols):
        return Refusal(NAME, "not all domains are convex")
    problem = as_problem(block, symbols)
    inner = infer.decide(problem)
    if isinstance(inner, tuple):
        return Refusal(NAME, f"no rule of inference minimises over {names}: {inner[-1].reason}")
    if inner.guarantee != "global":
        return Refusal(NAME, f"the energy is not known to be convex in {names}")
    what = "is the latent variable" if len(symbols) == 1 else "are latent variables"
    facts = [f"{names} {what} of one large sample, the data with the latents' answers", *inner.facts]
    rest = frozenset(block.model.role("param")) - frozenset(symbols)
    held = frozenset(symbols)
    kinked = [a for a in parts(block.total, held)[0] if not is_smooth(a, held)]
    tied = sorted({s.name for a in kinked for s in a.symbols & rest})
    facts += [f"a kink ties {names} to {n}: in turn they may rest above the minimum over both" for n in tied]
    apart = tuple(k for k in falls_apart(block.total, w) if k not in bound_places(w))
    how = f"{inner.algorithm}, on all samples at once" + (f", {names} together" if len(symbols) > 1 else "")
    return Decision(
        NAME, f"learn {w.name}", how, "global", inner.cost, tuple(facts), inner.refused,
        Program(w, symbols, problem, inner, apart),
    )  # fmt: skip


def emit(payload: object, body: LearnBody) -> None:
    assert isinstance(payload, Program)
    body.program_block(payload)


register(Rule(NAME, 40, "a convex block, by the rules of inference", consider, emit))
