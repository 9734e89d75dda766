"""Finite latents with too many values to try and no structure to take apart: local search from several starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ebdsl.facts.normal import parts
from ebdsl.facts.second import Joint, joint
from ebdsl.infer.core import Decision, Problem, Refusal, Rule, register
from ebdsl.model.build import add
from ebdsl.model.ir import Node, Symbol

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

NAME = "local search"
STARTS = 8
MOST = 1024
"""Entries up to which all pairs of them are compared at the end."""


@dataclass(frozen=True)
class Search:
    """``form``: the quadratic that the energy is in latents of two values; else ``energy`` is evaluated."""

    latents: tuple[Symbol, ...]
    energy: Node
    form: Joint | None


def consider(problem: Problem) -> Decision | Refusal:
    for s in problem.latents:
        if not s.domain.row.finite:
            return Refusal(NAME, f"{s.name} takes infinitely many values")
        if s.domain.row.whole not in (0, 1):
            return Refusal(NAME, f"the entries of {s.name} do not take their values alone")
    inside, _ = parts(problem.energy, frozenset(problem.latents))
    energy = add(*inside)
    two = all(
        len(s.domain.row.points(())) == 2 for s in problem.latents if s.domain.row.whole == 0 and s.domain.row.points
    )
    entries = problem.elements()
    small = entries is not None and entries <= MOST
    form = (
        joint(energy, problem.latents)
        if two and small and all(s.domain.row.whole == 0 for s in problem.latents)
        else None
    )
    facts = [problem.says("takes", "take") + " finitely many values, too many to try them all"]
    if form is not None:
        facts.append(f"the energy is quadratic in {problem.names}: a flip costs one row of its matrix")
        how, cost = (
            "tabu search over single flips, then flips of one or two entries until none lowers",
            "n flips, n² each",
        )
    else:
        how, cost = (
            "one variable after the other at its best value until none changes",
            "an energy for each value a sweep",
        )
    return Decision(
        NAME, f"min over {problem.names}", f"{how}, from {STARTS} starts drawn at random, the best kept", "local", cost,
        tuple(facts), (), Search(problem.latents, energy, form),
    )  # fmt: skip


def emit(payload: object, body: InferBody) -> None:
    assert isinstance(payload, Search)
    body.search(payload)


register(Rule(NAME, 95, "one variable of many changed at a time", consider, emit, ("min",)))
