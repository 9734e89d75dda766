"""An expectation over noise, by draws: the energy is averaged, and learned through the draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ebdsl.facts.normal import through_module
from ebdsl.infer.core import Decision, Problem, Rule, register
from ebdsl.model.ir import Symbol
from ebdsl.model.laws import Law

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

NAME = "Monte Carlo"
DRAWS = 16
"""Values of the noise that an expectation is taken over outside training: the same for every sample."""


@dataclass(frozen=True)
class MonteCarlo:
    """``laws`` are those of ``noise``."""

    noise: tuple[Symbol, ...]
    laws: tuple[Law, ...]


def consider(problem: Problem) -> Decision:
    laws = tuple(problem.model.laws[s.name] for s in problem.latents)
    said = ", ".join(f"{s.name} ~ {law}" for s, law in zip(problem.latents, laws, strict=True))
    facts = [f"{said}: the draws do not depend on what is learned, so that gradients go through them"]
    if through_module(problem.energy, frozenset(problem.latents)):
        facts.append(f"{problem.names} goes through a learned function: no moment of it is known")
    return Decision(
        NAME, f"mean over {problem.names}", f"{DRAWS} draws in mirrored pairs, one new draw a sample in training",
        "approximate", f"{DRAWS} energies, one in training", tuple(facts), (), MonteCarlo(problem.latents, laws),
    )  # fmt: skip


def emit(payload: object, body: InferBody) -> None:
    assert isinstance(payload, MonteCarlo)
    body.monte_carlo()


register(Rule(NAME, 5, "noise is drawn, and the energy averaged", consider, emit, ("mean",)))
