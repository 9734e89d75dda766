"""Latents with finitely many values: every one is tried, all at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ebdsl.infer.core import Decision, Problem, Refusal, Rule, register
from ebdsl.model import build
from ebdsl.model.algebra import replace_symbol
from ebdsl.model.deltas import delta
from ebdsl.model.ir import Axis, Dim, Get, Node, Symbol

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

LIMIT = 65536


@dataclass(frozen=True)
class States:
    """The states of one latent: axis ``axis`` numbers them.

    A one-hot vector's states are its own positions (``table`` None); other latents read theirs from
    the constant ``table`` of shape ``(states, *shape)``.
    """

    symbol: Symbol
    axis: Axis
    table: Symbol | None = None


@dataclass(frozen=True)
class Enumeration:
    """``energy`` over the axes of ``states``, free of the latents."""

    kind: str
    states: tuple[States, ...]
    energy: Node
    beta: Node | None


def count(symbol: Symbol, problem: Problem) -> int | None:
    """Number of values of a finite latent; None while a dimension is free."""
    shape = problem.model.shape(symbol)
    if any(n is None for n in shape):
        return None
    whole = [n for n in shape if n is not None]
    if symbol.domain.kind == "onehot":
        return whole[-1] ** math.prod(whole[:-1])
    points = symbol.domain.row.points
    assert points is not None
    return len(points(())) ** math.prod(whole)


def in_words(number: int) -> str:
    """A whole number of any size, shortly."""
    return f"{number:.3g}" if number < 10**300 else f"10^{int(math.log10(number))}"


def at_states(node: Node, states: Sequence[States]) -> Node:
    """The node with latents replaced by their values: a number for each state."""
    for s in states:
        axis, table = s.axis, s.table

        def value(index: tuple[Axis | int, ...], axis: Axis = axis, table: Symbol | None = table) -> Node:
            return delta(index[0], axis) if table is None else Get(table, (axis, *index))

        node = replace_symbol(node, s.symbol, value)
    return node


def states_of(latents: Sequence[Symbol], problem: Problem) -> tuple[States, ...]:
    """An axis for the states of each latent, whose number is known unless it is one one-hot vector."""
    states = []
    for s in latents:
        if s.domain.kind == "onehot" and len(s.shape) == 1:
            states.append(States(s, build.fresh(s.shape[0], "k")))
            continue
        number = count(s, problem)
        assert number is not None
        dim: Dim = number
        table = Symbol(f"{s.name}_values", "const", (dim, *s.shape), s.domain)
        states.append(States(s, build.fresh(dim, "k"), table))
    return tuple(states)


def consider(problem: Problem) -> Decision | Refusal:
    for s in problem.latents:
        if not s.domain.row.finite:
            return Refusal("enumeration", f"{s.name} takes infinitely many values")
    counts = [count(s, problem) for s in problem.latents]
    plain = all(s.domain.kind == "onehot" and len(s.shape) == 1 for s in problem.latents)
    if None in counts and not plain:
        return Refusal("enumeration", "the number of values is not known before the data is")
    total = math.prod(c for c in counts if c is not None)
    if total > LIMIT:
        return Refusal("enumeration", f"{problem.names} has {in_words(total)} values, more than {LIMIT}")
    states = states_of(problem.latents, problem)
    sizes = " × ".join(
        str(c) if c is not None else str(s.shape[-1]) for c, s in zip(counts, problem.latents, strict=True)
    )
    if problem.kind == "min":
        algorithm, task = f"try all {sizes} values and keep the lowest", f"min over {problem.names}"
    else:
        algorithm = f"logsumexp over all {sizes} values; responsibilities are the softmax of -β E"
        task = f"softmin over {problem.names}"
    facts = tuple(f"{s.name} takes finitely many values: {s.domain}{_dims(s)}" for s in problem.latents)
    return Decision(
        "enumeration", task, algorithm, "global" if problem.kind == "min" else "exact", f"{sizes} energies", facts, (),
        Enumeration(problem.kind, states, at_states(problem.energy, states), problem.beta),
    )  # fmt: skip


def _dims(symbol: Symbol) -> str:
    return f"[{', '.join(map(str, symbol.shape))}]"


def emit(payload: object, body: InferBody) -> None:
    assert isinstance(payload, Enumeration)
    if len(payload.states) == 1:
        _emit_one(payload, body)
        return
    axes = tuple(s.axis for s in payload.states)
    body.line(f"energies = self.state_energies({body.observed_args})")
    if payload.kind == "min":
        body.line("energy, state = energies.flatten(1).min(1)")
        body.line("places = torch.unravel_index(state, energies.shape[1:])")
        for k, s in enumerate(payload.states):
            if s.table is not None:
                body.answer(s.symbol, f"self.{body.name(s.table)}[places[{k}]]")
            else:
                picked = f"nn.functional.one_hot(places[{k}], energies.shape[{k + 1}])"
                body.answer(s.symbol, f"{picked}.to({body.like}.dtype)")
        body.finish(energy="energy", residual="torch.zeros_like(energy)", iterations="torch.ones_like(state)")
        return
    body.context.runtime.add("soft_states")
    body.line(f"energy, weights = soft_states(energies.flatten(1), {body.beta_code(payload.beta)})")
    body.line("weights = weights.reshape(energies.shape)")
    for k, s in enumerate(payload.states):
        own = f"weights.sum({tuple(j + 1 for j in range(len(axes)) if j != k)})"
        if s.table is not None:
            own = f"torch.tensordot({own}, self.{body.name(s.table)}, 1)"
        body.answer(s.symbol, own)
    _finish_soft(body)


def _emit_one(payload: Enumeration, body: InferBody) -> None:
    (s,) = payload.states
    common = body.context.common(payload)
    body.line(f"scores = self.state_{'scores' if common else 'energies'}({body.observed_args})")
    least = "lowest_state" if payload.kind == "min" else "soft_states"
    body.context.runtime.add(least)
    table = None if s.table is None else f"self.{body.name(s.table)}"
    if payload.kind == "min":
        body.line("energy, state = lowest_state(scores)")
        picked = f"nn.functional.one_hot(state, scores.shape[1]).to({body.like}.dtype)"
        body.answer(s.symbol, f"{table}[state]" if table else picked)
    else:
        body.line(f"energy, weights = soft_states(scores, {body.beta_code(payload.beta)})")
        body.answer(s.symbol, f"torch.tensordot(weights, {table}, 1)" if table else "weights")
    if common:
        body.line(f"energy = energy + self.common_energy({body.observed_args})")
    _finish_soft(body)


def _finish_soft(body: InferBody) -> None:
    body.finish(
        energy="energy",
        residual="torch.zeros_like(energy)",
        iterations="torch.ones_like(energy, dtype=torch.int64)",
    )


register(Rule("enumeration", 10, "every value of a finite latent is tried", consider, emit))
