"""What a rule of learning is asked, and what it answers."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ebdsl.facts.convexity import curvature
from ebdsl.infer.core import Decision, Refusal
from ebdsl.model.ir import Node, Symbol
from ebdsl.model.model import Model

if TYPE_CHECKING:
    from ebdsl.emit.updates import LearnBody
    from ebdsl.learn.sums import Sums


QUICK = (
    "enumeration",
    "closed form",
    "fast transform",
    "banded solve",
    "Riccati recursion",
    "Gaussian integral",
    "variable elimination",
)
"""Rules of inference without iterations: all samples are answered in about one pass over them."""


def quick(inference: tuple[Decision, ...]) -> bool:
    """Whether a step of learning can afford the answers of all samples."""
    return not inference or inference[0].rule in QUICK or getattr(inference[0].payload, "kind", "") == "once"


OPTIMISERS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}


def optimiser(model: Model) -> str:
    """The name of what takes the steps of blocks that go by gradient: that of the spec, or Adam."""
    found = model.setting("optimizer")
    value = "adam" if found is None else found.value
    return OPTIMISERS.get(str(getattr(value, "head", value)), str(value))


@dataclass(frozen=True)
class Block:
    """One block of parameters and what it has to lower.

    ``energy``: the energy of one sample with latents at their answers (``weights`` the responsibilities, where
    latents were enumerated). ``total``: the same summed over the batch axis, written out.
    ``inference``: the decisions by which latents leave, none where there are no latents. ``pointwise``: the energy at
    given latents, of which ``energy`` may be an expectation. ``sums``: in which ``total`` is written, if it is.
    """

    model: Model
    symbol: Symbol
    energy: Node
    total: Node
    inference: tuple[Decision, ...] = ()
    pointwise: Node | None = None
    sums: Sums | None = None

    @property
    def convex(self) -> bool:
        """Whether the energy is convex in the block."""
        return self.convex_in(frozenset({self.symbol}))

    def total_in(self, symbols: tuple[Symbol, ...]) -> Node:
        """``total`` with all that it says of these symbols written out."""
        return self.total if self.sums is None else self.sums.block(*symbols)

    def convex_in(self, held: frozenset[Symbol]) -> bool:
        """Whether the energy is convex in symbols: a convex function of them at all latents stays so on average."""
        kinds = ("convex", "affine", "constant")
        return curvature(self.energy, held) in kinds or (
            self.pointwise is not None and curvature(self.pointwise, held) in kinds
        )


@dataclass(frozen=True)
class Rule:
    """A row of the planner. ``exact``: the block's minimum is reached in one update.

    ``streams``: works from statistics that add up over batches. ``joint``: takes all blocks at once, on all data.
    ``emit(payload, body)`` writes the update.
    """

    name: str
    rank: int
    doc: str
    consider: Callable[[Block], Decision | Refusal]
    emit: Callable[[object, LearnBody], None]
    exact: bool = True
    streams: bool = False
    joint: bool = False


RULES: dict[str, Rule] = {}


def register(rule: Rule) -> Rule:
    """Add one row. Raises ``ValueError`` for a name that is taken."""
    if rule.name in RULES:
        raise ValueError(f"rule {rule.name} is registered twice")
    RULES[rule.name] = rule
    return rule


def load_rules() -> None:
    """Import every file of ``learn/rules``: each registers its own."""
    from ebdsl.learn import rules

    for module in pkgutil.iter_modules(rules.__path__):
        importlib.import_module(f"{rules.__name__}.{module.name}")
