"""How parameters are learned: rules for blocks, each with what it needs, promises, costs and emits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ebdsl.infer.core import Decision, Refusal
from ebdsl.learn.core import RULES, Block, load_rules


def decide(
    block: Block,
    allow: Iterable[str] | None = None,
    otherwise: str = "it wants all data at once, and other blocks need batches",
) -> Decision:
    """The first rule that applies, with those refused before it. Stochastic gradient always applies.

    Rules that are not in ``allow`` are refused, ``otherwise`` being why.
    """
    load_rules()
    names = set(RULES) if allow is None else set(allow)
    refused: list[Refusal] = []
    for rule in sorted(RULES.values(), key=lambda r: r.rank):
        answer = rule.consider(block)
        if isinstance(answer, Refusal):
            refused.append(answer)
        elif rule.name not in names:
            refused.append(Refusal(rule.name, otherwise))
        else:
            return replace(answer, refused=tuple(refused))
    raise LookupError("no learning rule applies")


__all__ = ["Block", "Decision", "decide"]
