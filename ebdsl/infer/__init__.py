"""How latents leave the energy: rules, each with what it needs, promises, costs and emits."""

from __future__ import annotations

from dataclasses import replace

from ebdsl.infer.core import Decision, Problem, Refusal, candidates, load_rules


def decide(problem: Problem) -> Decision | tuple[Refusal, ...]:
    """The first rule that applies, with those refused before it; or all refusals."""
    load_rules()
    refused: list[Refusal] = []
    for rule in candidates(problem):
        answer = rule.consider(problem)
        if isinstance(answer, Refusal):
            refused.append(answer)
        else:
            return replace(answer, refused=(*refused, *answer.refused))
    return tuple(refused)


__all__ = ["Decision", "Problem", "Refusal", "decide"]
