"""Several latents, each block convex given the others: block coordinate minimisation from several starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ebdsl.infer.core import RULES, Decision, Problem, Refusal, Rule, register
from ebdsl.infer.rules import descent
from ebdsl.infer.rules.proximal_gradient import analyse
from ebdsl.model.ir import Symbol

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

NAME = "alternating minimisation"
EXACT = ("closed form", "banded solve", "proximal gradient", "Newton")


@dataclass(frozen=True)
class Alternation:
    """``blocks``: latents with the decision that solves for them at the others' values; ``finish``: what then goes down
    in all latents together, and certifies."""

    blocks: tuple[tuple[tuple[Symbol, ...], Decision], ...]
    finish: descent.Descent


def consider(problem: Problem) -> Decision | Refusal:
    if len(problem.latents) < 2:
        return Refusal(NAME, "there is one latent")
    for s in problem.latents:
        if s.domain.row.finite:
            return Refusal(NAME, f"{s.name} is discrete")
    analysed = analyse(problem)
    if isinstance(analysed, str):
        return Refusal(NAME, f"turns could get stuck: {analysed}")
    blocks: list[tuple[tuple[Symbol, ...], Decision]] = []
    for z in problem.latents:
        alone = _solved(problem, (z,))
        if alone is None:
            return Refusal(NAME, f"no rule is sure of the minimum over {z.name} given the others")
        for k, (held, apart) in enumerate(blocks):
            together = _solved(problem, (*held, z))
            if together is not None and (_direct(together) or not (_direct(alone) and _direct(apart))):
                blocks[k] = ((*held, z), together)
                break
        else:
            blocks.append(((z,), alone))
    if len(blocks) < 2:
        return Refusal(NAME, f"one rule solves for {problem.names} together")
    finish = descent.consider(problem)
    if isinstance(finish, Refusal):
        return finish
    assert isinstance(finish.payload, descent.Descent)
    plain = replace(finish.payload, solved=None)  # the turns find what the others determine
    how = ", ".join(f"{' and '.join(s.name for s in held)} by {d.rule}" for held, d in blocks)
    facts = [f"given the others, {', '.join(s.name for s in held)}: {d.algorithm}" for held, d in blocks]
    squares = "alternating least squares: " * all(d.rule == "closed form" for _, d in blocks)
    return Decision(
        NAME, f"min over {problem.names}",
        f"{squares}each block at its minimum given the others, in turn ({how}), from {finish.payload.keep} starts, the "
        "best kept; then downhill in all together", "local",
        f"{finish.payload.keep} starts, some rounds each", tuple(facts), (), Alternation(tuple(blocks), plain),
    )  # fmt: skip


def _solved(problem: Problem, latents: tuple[Symbol, ...]) -> Decision | None:
    """The rule that finds the minimum over some latents at the others' values, None where none is sure of it."""
    part = replace(problem, latents=latents)
    for rule in sorted((RULES[name] for name in EXACT), key=lambda r: r.rank):
        found = rule.consider(part)
        if isinstance(found, Decision) and found.guarantee == "global":
            return found
    return None


def _direct(d: Decision) -> bool:
    """Whether a rule takes no steps."""
    return d.rule in ("closed form", "banded solve") or getattr(d.payload, "kind", "") == "once"


def emit(payload: object, body: InferBody) -> None:
    assert isinstance(payload, Alternation)
    body.alternation(payload)


register(Rule(NAME, 80, "blocks of latents minimised exactly in turn", consider, emit, ("min",)))
