"""Functions of each entry's size or each group's norm, convex or not: scalar proximal operators, entry after entry."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ebdsl.facts.normal import defined_everywhere
from ebdsl.facts.second import Joint, joint
from ebdsl.facts.sizes import Sizes, sizes
from ebdsl.infer.core import Decision, Problem, Refusal, Rule, register
from ebdsl.infer.rules import descent
from ebdsl.infer.rules.proximal_gradient import GRAM_LIMIT, Proximal, analyse
from ebdsl.model.ir import Node, Symbol

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

NAME = "coordinate descent"
SUPPORTS = 12
"""Entries up to which the least squares of all supports, 2^n, are tried."""


@dataclass(frozen=True)
class Coordinates:
    """``form``: the quadratic part; ``sizes``: functions of the sizes of entries. ``once``: nothing couples them.

    ``gradient``: what goes by proximal gradient, from several starts where the functions are not ``convex``.
    ``downhill``: where there is no such form, the rest of the energy goes by its gradient from starts drawn at random.
    """

    latents: tuple[Symbol, ...]
    form: Joint | None
    sizes: tuple[Sizes, ...]
    once: bool = False
    downhill: descent.Descent | None = None
    gradient: Proximal | None = None
    convex: bool = False

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
    convex, grouped = all(p.convex for p in penalties), any(p.within for p in penalties)
    why = ""
    if form is None:
        why = f"the rest of the energy is not quadratic in {problem.names}"
    elif shape != "convex":
        why = f"the rest of the energy is not known to be convex in {problem.names}"
    elif (size or 0) > GRAM_LIMIT:
        why = f"a matrix of more than {GRAM_LIMIT} rows costs more than gradients"
    elif grouped and not (convex or form.shared or form.second.diagonal):
        why = "its matrix differs from sample to sample"
    single = "groups" if grouped else "entries"
    facts = [
        f"no steps entry by entry: {why}"
        if why
        else f"but for functions of single {single} the energy is quadratic and convex in {problem.names}"
    ]
    for p in penalties:
        things, size_ = ("groups", "group's norm") if p.within else ("entries", "entry's size")
        what = f"the number of {things} that are not 0, weighted" if p.counts else f"a function of each {size_}"
        bent = "convex" if p.convex else "not convex"
        facts.append(f"{p.symbol.name}: {what}, {bent}")
        facts.append(f"its proximal operator is exact: {_operator(p)}")
        if p.within:
            facts.append("a group keeps its direction: the operator of its norm gives the length")
    if why or form is None:
        if not isinstance(analyse(problem), str):
            return Refusal(NAME, why)
        found_ = descent.consider(problem)
        if isinstance(found_, Refusal):
            return found_
        if convex and shape == "convex" and defined_everywhere(smooth, frozenset(problem.latents)):
            return _by_gradient(problem, smooth, None, penalties, True, facts)
        assert isinstance(found_.payload, descent.Descent)
        downhill = replace(found_.payload, smooth=smooth, penalties=(), newton=None)
        place = found_.algorithm.partition(" from ")[2]
        return Decision(
            NAME, f"min over {problem.names}",
            f"proximal gradient, each {'group' if grouped else 'entry'} by its scalar proximal operator, from {place}",
            "local", found_.cost, tuple(facts), (),
            Coordinates(problem.latents, None, penalties, False, downhill),
        )  # fmt: skip
    if form.second.diagonal and not (grouped and _uneven(form, penalties)):
        facts.append("nothing couples the entries")
        algorithm = "the proximal operator of each entry, once"
        return Decision(
            NAME, f"min over {problem.names}", algorithm, "global", "one pass", tuple(facts), (),
            Coordinates(problem.latents, form, penalties, True),
        )  # fmt: skip
    if convex or grouped:
        return _by_gradient(problem, smooth, form, penalties, convex, facts)
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
    return Decision(
        NAME, f"min over {problem.names}", algorithm, "global" if proved else "local",
        "n² a step, n³ once on the support", tuple(facts), (), Coordinates(problem.latents, form, penalties, False),
    )  # fmt: skip


def _by_gradient(
    problem: Problem, smooth: Node, form: Joint | None, penalties: tuple[Sizes, ...], convex: bool, facts: list[str]
) -> Decision:
    """Accelerated proximal gradient with scalar proximal operators; ``form`` where the rest is quadratic."""
    gram = form is not None and form.shared
    how = "Gram matrix formed once; step from the largest eigenvalue" if gram else "step by backtracking"
    each = "each group" if any(p.within for p in penalties) else "each entry"
    algorithm = f"accelerated proximal gradient with restart ({each} by its scalar proximal operator; {how})"
    if convex:
        facts.append("the energy is convex: one start is enough")
    else:
        algorithm += ", from the lowest of zero, least squares and a path of L1 penalties, mixed and thresholded"
        facts.append("at its start no group alone lowers the energy, by the curvature of its own block")
    payload = Proximal(
        problem.latents, smooth, (), None, gram, form is not None, "iterate", together=form if gram else None
    )
    return Decision(
        NAME, f"min over {problem.names}", algorithm, "global" if convex else "local",
        "n² a step" if gram else "a gradient a step", tuple(facts), (),
        Coordinates(problem.latents, form, penalties, gradient=payload, convex=convex),
    )  # fmt: skip


def _uneven(form: Joint, penalties: tuple[Sizes, ...]) -> bool:
    """Whether the curvature differs inside of a group: then its direction turns."""
    (((bend,),), (at,)) = form.second.blocks, form.second.at
    return any(at[k] in bend.free for p in penalties for k in p.within)


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
