"""A minimum inside of an average over states, and an average over states inside of a minimum."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ebdsl.facts.normal import normal
from ebdsl.infer.core import RULES, Decision, Problem, Refusal, Rule, candidates, register
from ebdsl.infer.posterior import Statistic, Weighted, points_of
from ebdsl.infer.rules.enumeration import States, at_states, count, in_words, states_of
from ebdsl.model.algebra import contract, multiply
from ebdsl.model.build import fresh, lit, mul, neg, power
from ebdsl.model.domains import Domain
from ebdsl.model.ir import ONE, Axis, Fn, Get, Node, Symbol

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

OF_MINIMA = "softmin of minima"
OF_SOFTMIN = "minimum of a softmin"
LIMIT = 4096
SMOOTH = ("Newton", "descent with restarts")


@dataclass(frozen=True)
class OfMinima(Weighted):
    """``-1/β log Σ_k exp(-β min_z E)``: ``inner`` solves for ``free`` at each value of ``finite``, the states along
    ``axis``. The slope of the free energy is that of the average, since each z is at its minimum."""

    finite: tuple[Symbol, ...]
    free: tuple[Symbol, ...]
    inner: Decision
    beta: Node | None
    axis: Axis
    nodes: tuple[Symbol, ...]
    weights: Symbol
    latents: tuple[Symbol, ...]


@dataclass(frozen=True)
class OfSoftmin:
    """``min_z`` of ``averaged``, that is ``-1/β log Σ_s exp(-β energy)`` over the ``states`` of finite latents."""

    states: tuple[States, ...]
    energy: Node
    averaged: Node
    outer: Decision
    latents: tuple[Symbol, ...]
    beta: Node | None
    weights: Symbol

    @property
    def inner(self) -> Decision:
        """The rule that takes steps."""
        return self.outer

    @property
    def replaced(self) -> bool:
        return False

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        return (Statistic(self.weights, None, "weights"),)

    def expected(self, node: Node) -> Node:
        """``Σ_s w_s E_s`` at the latents' answers."""
        if not node.symbols & {s.symbol for s in self.states}:
            return node
        axes = tuple(s.axis for s in self.states)
        return contract(multiply(Get(self.weights, axes), at_states(node, self.states)), axes)


def _states(problem: Problem, finite: tuple[Symbol, ...]) -> int | str:
    """The number of states, or why they are not enumerated."""
    names = ", ".join(s.name for s in finite)
    for s in finite:
        if not s.domain.row.finite:
            return f"{s.name} takes infinitely many values"
    counts = [count(s, problem) for s in finite]
    if None in counts:
        return f"the number of values of {names} is not known before the data is"
    total = math.prod(c for c in counts if c is not None)
    return total if total <= LIMIT else f"{names} has {in_words(total)} values, more than {LIMIT}"


def of_minima(problem: Problem) -> Decision | Refusal:
    total = _states(problem, problem.latents)
    if isinstance(total, str):
        return Refusal(OF_MINIMA, total)
    given = replace(problem, kind="min", latents=problem.inner, inner=(), beta=None)
    free = ", ".join(s.name for s in problem.inner)
    if any(s.domain.row.finite for s in problem.inner):
        return Refusal(OF_MINIMA, f"the minimum over {free} is over finite latents")
    found = [rule.consider(given) for rule in candidates(given)]
    inner = next((d for d in found if isinstance(d, Decision)), None)
    if inner is None:
        return Refusal(OF_MINIMA, f"no rule minimises over {free}")
    axis = fresh(total, "s")
    latents = (*problem.latents, *problem.inner)
    nodes, weights = points_of(latents, total)
    return Decision(
        OF_MINIMA, f"softmin over {problem.names} of min over {free}",
        f"for each of the {total} values of {problem.names}: {inner.algorithm}; then logsumexp over them",
        "exact" if inner.guarantee == "global" else inner.guarantee, f"{total} times {inner.cost}",
        (f"{problem.names} takes finitely many values", *inner.facts), (),
        OfMinima(problem.latents, problem.inner, inner, problem.beta, axis, nodes, weights, latents),
    )  # fmt: skip


def of_softmin(problem: Problem) -> Decision | Refusal:
    plain = all(s.domain.kind == "onehot" and len(s.shape) == 1 for s in problem.inner)
    total = " × ".join(str(s.shape[0]) for s in problem.inner) if plain else _states(problem, problem.inner)
    if isinstance(total, str) and not plain:
        return Refusal(OF_SOFTMIN, total)
    names = ", ".join(s.name for s in problem.inner)
    states = states_of(problem.inner, problem)
    axes = tuple(s.axis for s in states)
    energy = at_states(problem.energy, states)
    beta = problem.beta if problem.beta is not None else ONE
    total_ = contract(Fn("exp", (neg(mul(beta, energy)),)), axes)
    averaged = normal(mul(lit(-1.0), power(beta, -1), Fn("log", (total_,))))
    given = replace(problem, kind="min", inner=(), energy=averaged, beta=None)
    refused = []
    for rule in sorted((RULES[name] for name in SMOOTH), key=lambda r: r.rank):
        outer = rule.consider(given)
        if isinstance(outer, Decision):
            break
        refused.append(outer)
    else:
        return Refusal(OF_SOFTMIN, "; ".join(r.reason for r in refused))
    weights = Symbol("weights", "latent", tuple(a.dim for a in axes), Domain("nonnegative"))
    return Decision(
        OF_SOFTMIN, f"min over {problem.names} of softmin over {names}",
        f"the softmin over all {total} values of {names} as one function of {problem.names}, then {outer.algorithm}",
        outer.guarantee, f"{total} energies a step, {outer.cost}",
        (f"{names} takes finitely many values", *outer.facts), tuple(refused),
        OfSoftmin(states, energy, averaged, outer, problem.latents, problem.beta, weights),
    )  # fmt: skip


def emit_minima(payload: object, body: InferBody) -> None:
    assert isinstance(payload, OfMinima)
    body.of_minima(payload)


def emit_softmin(payload: object, body: InferBody) -> None:
    assert isinstance(payload, OfSoftmin)
    body.of_softmin(payload)


register(
    Rule(OF_MINIMA, 15, "minima at all values of finite latents, averaged", of_minima, emit_minima, ("softmin of min",))
)
register(Rule(OF_SOFTMIN, 20, "states averaged inside of a minimum", of_softmin, emit_softmin, ("min of softmin",)))
