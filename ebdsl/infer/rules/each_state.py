"""Finite and continuous latents together: the continuous ones are solved for at every value of the finite ones."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ebdsl.infer.core import Decision, Problem, Refusal, Rule, candidates, register
from ebdsl.infer.rules.enumeration import count
from ebdsl.model.ir import Symbol

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

NAME = "every state solved"
LIMIT = 4096


@dataclass(frozen=True)
class EachState:
    """``inner`` is the decision for the ``free`` latents, the ``finite`` ones given."""

    finite: tuple[Symbol, ...]
    free: tuple[Symbol, ...]
    inner: Decision


def consider(problem: Problem) -> Decision | Refusal:
    finite = tuple(s for s in problem.latents if s.domain.row.finite)
    free = tuple(s for s in problem.latents if not s.domain.row.finite)
    if not finite or not free:
        return Refusal(NAME, "there are not both finite and continuous latents")
    counts = [count(s, problem) for s in finite]
    if None in counts:
        return Refusal(NAME, "the number of values is not known before the data is")
    total = math.prod(c for c in counts if c is not None)
    if total > LIMIT:
        return Refusal(NAME, f"{', '.join(s.name for s in finite)} has {total} values, more than {LIMIT}")
    given = replace(problem, latents=free)
    for rule in candidates(given):
        if rule.name == NAME:
            continue
        inner = rule.consider(given)
        if isinstance(inner, Decision):
            break
    else:
        return Refusal(NAME, f"no rule minimises over {', '.join(s.name for s in free)}")
    names = ", ".join(s.name for s in finite)
    return Decision(
        NAME, f"min over {problem.names}", f"for each of the {total} values of {names}: {inner.algorithm}; lowest kept",
        inner.guarantee, f"{total} times {inner.cost}", (f"{names} takes finitely many values", *inner.facts), (),
        EachState(finite, free, inner),
    )  # fmt: skip


def emit(payload: object, body: InferBody) -> None:
    assert isinstance(payload, EachState)
    body.each_state(payload.finite, payload.free, payload.inner)


register(Rule(NAME, 15, "continuous latents solved for at every value of finite ones", consider, emit, ("min",)))
