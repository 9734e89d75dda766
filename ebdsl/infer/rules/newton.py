"""A convex energy that is smooth but for absolute values: Newton's method for small samples, L-BFGS for large ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ebdsl.facts.convexity import curvature, sign
from ebdsl.facts.gauges import GAUGES
from ebdsl.facts.normal import defined_everywhere, through_module
from ebdsl.facts.penalties import Penalty, is_entropy
from ebdsl.facts.second import Second, second
from ebdsl.infer.core import Decision, Problem, Refusal, Rule, register
from ebdsl.infer.rules.proximal_gradient import analyse
from ebdsl.model.algebra import addends, degree, transform
from ebdsl.model.ir import Fn, Node, Symbol

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

NAME = "Newton"
SMALL = 32
"""Entries up to which a factor for each sample and step, n³/3, costs less than the many more steps without one."""
BOUNDS = ("real", "nonnegative", "positive", "box")


Penalties = tuple[tuple[Symbol, tuple[Penalty, ...]], ...]


@dataclass(frozen=True)
class Smooth:
    """``energy``: the addends that hold the latents. ``second``: their second derivative, where it is used.

    ``search``: the energy is not defined everywhere, so a start is looked for at which it is. ``penalties``: weighted
    absolute values of entries besides.
    """

    latents: tuple[Symbol, ...]
    energy: Node
    second: Second | None
    search: bool = False
    penalties: Penalties = ()


def smooth_part(problem: Problem) -> tuple[Node, Penalties] | str:
    """The smooth addends that hold the latents and absolute values of entries, or why there is more to the energy."""
    for s in problem.latents:
        if s.domain.row.finite:
            return f"{s.name} is discrete"
        if s.domain.kind not in BOUNDS:
            return f"{s.domain} is more than bounds on each entry of {s.name}"
    analysed = analyse(replace(problem, energy=without_kinks(problem.energy)))
    if isinstance(analysed, str):
        return analysed
    smooth, penalties = analysed
    for found in penalties.values():
        for p in found:
            if p.kind != "l1":
                return f"a kink of {GAUGES[p.kind].noun if p.kind in GAUGES else p.kind} is met by a proximal operator"
    if any(is_entropy(a, frozenset(problem.latents)) for a in addends(smooth)):
        return "the slope of an entropy has no end at 0: a proximal step stays inside"
    return smooth, tuple((s, tuple(found)) for s, found in penalties.items())


def without_kinks(node: Node) -> Node:
    """``|x|`` and ``relu(x)`` as ``x`` where x is never negative."""

    def leaf(n: Node) -> Node | None:
        if isinstance(n, Fn) and n.atom in ("abs", "relu") and sign(n.args[0]) in ("nonnegative", "positive"):
            return without_kinks(n.args[0])
        return None

    return transform(node, leaf)


def curved(problem: Problem, energy: Node) -> Second | None:
    """The second derivative of one sample where it is cheap enough to be factored at each step."""
    found = second(energy, problem.latents)
    size = problem.elements()
    return found if found is not None and (found.diagonal or size is None or size <= SMALL) else None


def method(problem: Problem, found: Second | None) -> tuple[str, str]:
    """The algorithm's name, and what a step costs."""
    if found is None:
        return "L-BFGS with line search (no second derivatives; the last ten moves stand for them)", "a gradient a step"
    if found.diagonal:
        return "Newton's method with line search (nothing couples the entries: a division each step)", "one pass a step"
    if problem.elements() is None:
        how = f"a Cholesky factor each step for up to {SMALL} numbers, else L-BFGS"
        return f"Newton's method with line search ({how})", "n³ a step, or a gradient"
    return "Newton's method with line search (a Cholesky factor for each sample and step)", "n³ a step, few steps"


def consider(problem: Problem) -> Decision | Refusal:
    analysed = smooth_part(problem)
    if isinstance(analysed, str):
        return Refusal(NAME, analysed)
    energy, penalties = analysed
    latents = frozenset(problem.latents)
    found = curved(problem, energy)
    d = degree(energy, latents)
    kinks = any(p for _, p in penalties)
    if d is not None and d <= 2:
        if found is None or found.diagonal or found.shared:
            what = "but for kinks and bounds the energy is" if _bent(problem, kinks) else "the energy is"
            return Refusal(NAME, f"{what} quadratic in {problem.names}: its curvature is known once and for all")
        if not _bent(problem, kinks):
            return Refusal(NAME, f"the energy is quadratic in {problem.names}: one solve is enough")
    if curvature(energy, latents) != "convex":
        return Refusal(NAME, f"the energy is not known to be convex in {problem.names}")
    if through_module(energy, latents):
        return Refusal(NAME, problem.says("goes", "go") + " through a learned function")
    endless = problem.falls_forever()
    if endless:
        return Refusal(NAME, endless)
    algorithm, cost = method(problem, found)
    what = "no quadratic" if d is None or d > 2 else "its curvature differs from sample to sample"
    facts = [f"the energy is {'smooth and ' * (not kinks)}convex in {problem.names}, and {what}"]
    if kinks:
        facts.append("but for absolute values of single entries it is smooth")
        algorithm += ", steps that keep each entry's sign (orthants)"
    if found is not None and not found.diagonal and problem.elements() is not None:
        facts.append(f"{problem.elements()} numbers a sample: a factor for each is cheap")
    if any(s.domain.kind != "real" for s in problem.latents):
        algorithm += ", entries held at a bound kept out of the curvature (two-metric projection)"
    return Decision(
        NAME, f"min over {problem.names}", algorithm, "global", cost, tuple(facts), (),
        Smooth(problem.latents, energy, found, not defined_everywhere(energy, latents), penalties),
    )  # fmt: skip


def _bent(problem: Problem, kinks: bool) -> bool:
    """Whether there is more to the energy than its smooth part."""
    return kinks or any(s.domain.kind != "real" for s in problem.latents)


def emit(payload: object, body: InferBody) -> None:
    assert isinstance(payload, Smooth)
    body.newton(payload)


register(Rule(NAME, 28, "smooth convex energies by their second derivative", consider, emit, ("min",)))
