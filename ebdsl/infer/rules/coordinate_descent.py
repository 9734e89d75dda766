"""Functions of each entry's size, convex or not, beside a convex quadratic: one entry after the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ebdsl.facts.second import Joint, joint
from ebdsl.facts.sizes import Sizes, sizes
from ebdsl.infer.core import Decision, Problem, Refusal, Rule, register
from ebdsl.infer.rules import descent
from ebdsl.infer.rules.proximal_gradient import GRAM_LIMIT, analyse
from ebdsl.model.ir import Symbol

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

NAME = "coordinate descent"
SUPPORTS = 12
"""Entries up to which the least squares of all supports, 2^n, are tried."""


@dataclass(frozen=True)
class Coordinates:
    """``form``: the quadratic part; ``sizes``: functions of the sizes of entries. ``once``: nothing couples them.

    ``downhill``: where there is no such form, the rest of the energy goes by its gradient.
    """

    latents: tuple[Symbol, ...]
    form: Joint | None
    sizes: tuple[Sizes, ...]
    once: bool = False
    downhill: descent.Descent | None = None

    @property
    def kind(self) -> str:
        return "once" if self.once else "iterate"


def consider(problem: Problem) -> Decision | Refusal:
    for s in problem.latents:
        if s.domain.row.finite:
            return Refusal(NAME, f"{s.name} is discrete")
        if s.domain.kind not in ("real", "nonnegative", "box"):
            return Refusal(NAME, f"{s.domain} is more than bounds on each entry of {s.name}")
    found = sizes(problem.energy, problem.latents)
    if isinstance(found, str):
        return Refusal(NAME, found)
    smooth, penalties = found
    if not penalties:
        return Refusal(NAME, f"no term is a function of single entries of {problem.names}")
    form, shape, size = joint(smooth, problem.latents), problem.curvature(smooth), problem.elements()
    convex = all(p.convex for p in penalties)
    why = ""
    if form is None:
        why = f"the rest of the energy is not quadratic in {problem.names}"
    elif shape != "convex":
        why = f"the rest of the energy is not known to be convex in {problem.names}"
    elif (size or 0) > GRAM_LIMIT:
        why = f"a matrix of more than {GRAM_LIMIT} rows costs more than gradients"
    facts = [
        f"no steps entry by entry: {why}"
        if why
        else f"but for functions of single entries the energy is quadratic and convex in {problem.names}"
    ]
    for p in penalties:
        what = "the number of entries that are not 0, weighted" if p.counts else "a function of each entry's size"
        bent = "convex" if p.convex else "not convex"
        facts.append(f"{p.symbol.name}: {what}, {bent}")
        facts.append(f"its proximal operator is exact: {_operator(p)}")
    if why or form is None:
        if not isinstance(analyse(problem), str):
            return Refusal(NAME, why)
        found_ = descent.consider(problem)
        if isinstance(found_, Refusal):
            return found_
        assert isinstance(found_.payload, descent.Descent)
        downhill = replace(found_.payload, smooth=smooth, penalties=(), newton=None)
        place = found_.algorithm.partition(" from ")[2]
        return Decision(
            NAME, f"min over {problem.names}",
            f"proximal gradient, each entry by its scalar proximal operator, from {place}",
            "global" if convex and shape == "convex" else "local", found_.cost, tuple(facts), (),
            Coordinates(problem.latents, None, penalties, False, downhill),
        )  # fmt: skip
    if form.second.diagonal:
        facts.append("nothing couples the entries")
        algorithm = "the proximal operator of each entry, once"
        return Decision(
            NAME, f"min over {problem.names}", algorithm, "global", "one pass", tuple(facts), (),
            Coordinates(problem.latents, form, penalties, True),
        )  # fmt: skip
    everywhere = all(s.domain.kind in ("real", "nonnegative") for s in problem.latents)
    few = size is not None and size <= SUPPORTS
    proved = few and everywhere and all(p.counts for p in penalties)
    if proved:
        facts.append(f"least squares on each of {2**size if size else 1} supports: the minimum is among them")
    start = f"the lowest 8 of the least squares on all {2**size} supports" if few and size else (
        "zero, least squares and a path of L1 penalties"
    )  # fmt: skip
    algorithm = (
        f"proximal gradient (thresholding) from {start}, then Newton's method on the support, greedy coordinate "
        "descent and exchanges of entries, the best kept"
    )
    if convex:
        facts.append("the energy is convex, and what is not smooth falls apart by entry: no entry alone can lower it "
                     "only at the minimum")  # fmt: skip
    return Decision(
        NAME, f"min over {problem.names}", algorithm, "global" if convex or proved else "local",
        "n² a step, n³ once on the support", tuple(facts), (), Coordinates(problem.latents, form, penalties, False),
    )  # fmt: skip


def _operator(s: Sizes) -> str:
    """How the pieces of a function of sizes give its proximal operator."""
    count = f"{len(s.pieces)} piece" + "s" * (len(s.pieces) > 1)
    if s.closed:
        words = ("line", "quadratic", "cubic", "quartic equation")
        degree = max(p.root.degree for p in s.pieces if p.root is not None)
        return f"{count}, the root of a {words[degree - 1]} on each in closed form, the lowest taken"
    if all(p.straight for p in s.pieces):
        return f"{count}, each of degree 2: one step, the ends compared"
    ways = {1: "from the right", -1: "from the left", 2: "in the logarithm of the size"}
    how = " or ".join(dict.fromkeys(ways[p.way] for p in s.pieces if p.way))
    return f"{count}, of which each has one root that can be least: Newton's method {how}, the ends compared"


def emit(payload: object, body: InferBody) -> None:
    assert isinstance(payload, Coordinates)
    body.coordinates(payload)


register(Rule(NAME, 85, "functions of each entry's size by their scalar proximal operators", consider, emit, ("min",)))
