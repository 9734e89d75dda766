"""What a rule of inference is asked, and what it answers."""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ebdsl.facts.convexity import bounds, curvature
from ebdsl.facts.monotone import falls_without_end
from ebdsl.facts.normal import normal
from ebdsl.model.algebra import addends
from ebdsl.model.build import add
from ebdsl.model.ir import Node, Symbol
from ebdsl.model.like_terms import collected
from ebdsl.model.model import Model

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody


@dataclass(frozen=True)
class Problem:
    """``kind`` over ``latents`` of ``energy``, the sample's axis implicit: ``min``, ``softmin``, or one of the other.

    Those, such as ``min of softmin``, have ``inner`` latents; ``beta`` is that of the softmin.
    ``convex``: what is smooth in the latents is known to be convex, from a form in which that could be seen.
    ``single``: there is one sample, and it is large.
    """

    model: Model
    kind: str
    latents: tuple[Symbol, ...]
    energy: Node
    beta: Node | None = None
    convex: bool = False
    single: bool = False
    inner: tuple[Symbol, ...] = ()

    def curvature(self, smooth: Node) -> str:
        """That of a part without kinks in the latents."""
        return "convex" if self.convex else curvature(smooth, frozenset(self.latents))

    @property
    def names(self) -> str:
        """Of the spec's latents; those that a rule adds have a ``~`` in theirs."""
        return ", ".join(s.name for s in self.latents if "~" not in s.name)

    def says(self, one: str, several: str) -> str:
        """The latents and a verb."""
        return f"{self.names} {several if ',' in self.names else one}"

    def elements(self) -> int | None:
        """Numbers in all latents of one sample, None while a dimension is free."""
        total = 0
        for s in self.latents:
            count = 1
            for extent in self.model.shape(s):
                if extent is None:
                    return None
                count *= extent
            total += count
        return total

    def falls_forever(self) -> str | None:
        """Why there is no minimum: along some latent the energy is straight, or bends down, without end."""
        for z in self.latents:
            held = add(*(a for a in addends(self.energy) if z in a.symbols))
            open_ended = not (z.domain.row.finite or z.domain.row.bounded)
            if (
                open_ended
                and curvature(held, frozenset({z})) in ("affine", "concave")
                and bounds(held).low == -math.inf
            ):
                return f"the energy has no minimum: it falls without end as {z.name} grows"
            if falls_without_end(self.energy, z):
                return f"the energy has no minimum: its logarithm falls without end as {z.name} grows"
        return None


@dataclass(frozen=True)
class Refusal:
    """A rule that was not taken, and the fact that refused it."""

    rule: str
    reason: str


@dataclass(frozen=True)
class Decision:
    """A rule that applies. ``payload`` is what its emitter needs; the rest is for ``explain``.

    ``guarantee`` in ``global local approximate``; ``cost`` is what one sample costs, in words.
    """

    rule: str
    task: str
    algorithm: str
    guarantee: str
    cost: str
    facts: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()
    payload: object = field(default=None, compare=False)


@dataclass(frozen=True)
class Rule:
    """A row of the planner. Rules are asked in order of ``rank``; the first that applies is taken.

    ``emit(payload, body)`` writes the body of ``infer``. It is not asked of problems of other ``kinds``, nor of those
    of many samples where it is for a ``single`` one.
    """

    name: str
    rank: int
    doc: str
    consider: Callable[[Problem], Decision | Refusal]
    emit: Callable[[object, InferBody], None]
    kinds: tuple[str, ...] = ("min", "softmin")
    single: bool = False


RULES: dict[str, Rule] = {}


def register(rule: Rule) -> Rule:
    """Add one row. Raises ``ValueError`` for a name that is taken."""
    if rule.name in RULES:
        raise ValueError(f"rule {rule.name} is registered twice")
    RULES[rule.name] = rule
    return rule


def candidates(problem: Problem) -> list[Rule]:
    """The rules for problems of this kind, in the order in which they are asked."""
    asked = [r for r in RULES.values() if problem.kind in r.kinds and problem.single >= r.single]
    return sorted(asked, key=lambda r: r.rank)


def total_energy(model: Model) -> Node:
    """The energy ``E`` as one node."""
    return normal(collected(add(*(t.node for t in model.terms))))


def load_rules() -> None:
    """Import every file of ``infer/rules``: each registers its own."""
    from ebdsl.infer import rules

    for module in pkgutil.iter_modules(rules.__path__):
        importlib.import_module(f"{rules.__name__}.{module.name}")
