"""Inference inside a learning step: the call, and the terms of the energy at its answers."""

from __future__ import annotations

from collections.abc import Sequence

from ebdsl import settings
from ebdsl.emit.argmins import answers_code
from ebdsl.emit.context import Context
from ebdsl.emit.noise import monte_carlo
from ebdsl.facts.normal import normal
from ebdsl.infer.posterior import Posterior
from ebdsl.infer.rules.enumeration import Enumeration, at_states
from ebdsl.model.algebra import contract, multiply
from ebdsl.model.ir import Get, Node
from ebdsl.model.model import Term


def enumeration(c: Context) -> Enumeration | None:
    """The enumeration by which latents leave the energy, if that is how."""
    payload = c.plan.inference[0].payload if c.plan.inference else None
    return payload if isinstance(payload, Enumeration) else None


def posterior(c: Context) -> Posterior:
    """How latents are averaged over; there have to be statistics."""
    payload = c.plan.inference[0].payload
    assert isinstance(payload, Posterior)
    return payload


def _statistics(c: Context) -> list[str]:
    """What the learned energy holds of a posterior; what all samples share is given once for each of them."""
    lines = []
    if not posterior(c).replaced:
        lines = [f'{c.name(s)} = found.latents["{c.name(s)}"]' for s in c.latents]
    for s in c.plan.statistics:
        one = "" if s.symbol.per_sample else "[0]"
        lines.append(f'{c.name(s.symbol)} = found.posterior["{c.name(s.symbol)}"]{one}')
    return lines


def observed_lines(c: Context, source: str) -> list[str]:
    return [f'{c.name(s)} = {source}["{c.name(s)}"]' for s in c.observed]


def found_lines(c: Context) -> list[str]:
    """Inference on the batch, with latents or responsibilities as variables."""
    if not c.plan.inference:
        return []
    if c.plan.answers:
        return answers_code(c, "model")
    arguments = c.args(c.observed)
    drawn = monte_carlo(c)
    if drawn is not None:
        return [
            f"noise = model.noise({c.like}, self.generator)",
            *(f'{c.name(s)} = noise["{c.name(s)}"]' for s in drawn.noise),
        ]
    exact = ", exact=True" if c.model.answers_otherwise else ""
    loose = settings.training_accuracy(c.plan) if c.plan.schedule == "batches" else None
    accuracy = "" if loose is None else f", tolerance={loose[0]:g}" + (f", max_steps={loose[1]}" if loose[1] else "")
    if settings.keeps_answers(c.plan):
        accuracy += ", start=start"
    lines = [f"found = model.infer({arguments}{accuracy}{exact})"]
    states = enumeration(c)
    if c.plan.statistics:
        return [*lines, *_statistics(c)]
    if states is None:
        return lines + [f'{c.name(s)} = found.latents["{c.name(s)}"]' for s in c.latents]
    if len(states.states) == 1 and states.states[0].table is None:
        return [*lines, f'weights = found.latents["{c.name(states.states[0].symbol)}"]']
    return [*lines, f"weights = model.state_weights({arguments})"]


def answer_names(c: Context) -> list[str]:
    """The variables that :func:`found_lines` sets besides ``found``."""
    if c.plan.statistics:
        latents = [] if posterior(c).replaced else [c.name(s) for s in c.latents]
        return latents + [c.name(s.symbol) for s in c.plan.statistics]
    return ["weights"] if c.plan.weights is not None else [c.name(s) for s in c.latents]


def terms_at_answers(c: Context, terms: Sequence[Term]) -> list[tuple[str, Node]]:
    """Text and node of each term with latents at their answers: expected over states where these were enumerated."""
    states = enumeration(c)
    result = []
    for t in terms:
        node = normal(t.node)
        if c.plan.statistics:
            node = posterior(c).expected(node)
        if states is not None and c.plan.weights is not None:
            axes = tuple(s.axis for s in states.states)
            node = contract(multiply(Get(c.plan.weights, axes), at_states(node, states.states)), axes)
        result.append((t.text, node))
    return result
