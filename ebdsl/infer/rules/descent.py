"""No convexity, or no bound on it: downhill from several starts, best kept. Low dimensions start on a grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ebdsl.facts.convexity import curvature
from ebdsl.facts.normal import defined_everywhere, through_module
from ebdsl.facts.penalties import Penalty
from ebdsl.infer.core import Decision, Problem, Refusal, Rule, register
from ebdsl.infer.rules import closed_form
from ebdsl.infer.rules.newton import Smooth, curved, method, smooth_part
from ebdsl.infer.rules.proximal_gradient import analyse
from ebdsl.model.ir import Node, Symbol

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

NAME = "descent with restarts"
FEW = 16
"""Numbers up to which points are cheap to try, where no learned function is in between."""


@dataclass(frozen=True)
class Descent:
    """``smooth`` is minimised by its gradient, ``penalties`` by their prox; the ``keep`` lowest of ``starts`` points
    are begun from, for each sample. ``newton``: what a smooth energy between bounds is minimised by instead. ``wide``:
    points are looked for at whatever size the energy is low at, on grids at local minima; ``solved``: latents that the
    others determine, and by what.
    """

    latents: tuple[Symbol, ...]
    smooth: Node
    penalties: tuple[tuple[Symbol, tuple[Penalty, ...]], ...]
    starts: int
    keep: int
    grid: bool
    newton: Smooth | None
    wide: bool = False
    solved: tuple[tuple[Symbol, ...], Decision] | None = None


def consider(problem: Problem) -> Decision | Refusal:
    for s in problem.latents:
        if s.domain.row.finite:
            return Refusal(NAME, f"{s.name} is discrete")
    endless = problem.falls_forever()
    if endless:
        return Refusal(NAME, endless)
    analysed = analyse(problem)
    facts = []
    if isinstance(analysed, str):
        for s in problem.latents:
            if s.domain.kind != "real" and not s.domain.row.project:
                return Refusal(NAME, f"there is no projection onto {s.domain}")
        smooth: Node = problem.energy
        penalties: dict[Symbol, list[Penalty]] = {s: [] for s in problem.latents}
        facts.append(f"{analysed}: subgradients are used there")
    else:
        smooth, penalties = analysed
    if through_module(problem.energy, frozenset(problem.latents)):
        facts.append(problem.says("goes", "go") + " through a learned function")
    whole = smooth_part(problem)
    newton = None
    projected = not any(penalties.values()) and any(s.domain.kind != "real" for s in problem.latents)
    how = "projected gradient descent" if projected else "proximal gradient descent"
    if not isinstance(whole, str):
        newton = Smooth(problem.latents, whole[0], curved(problem, whole[0]), False, whole[1])
        how, _ = method(problem, newton.second)
        but = " but for absolute values of single entries" * any(p for _, p in whole[1])
        facts.append(f"the energy is smooth in {problem.names}{but}")
    size = problem.elements()
    wide = size is not None and size <= FEW and not through_module(problem.energy, frozenset(problem.latents))
    solved = _solved_exactly(problem) if wide else None
    free = tuple(s for s in problem.latents if solved is None or s not in solved[0])
    size = replace(problem, latents=free).elements()
    grid = size is not None and size <= (3 if wide else 2)
    if wide:
        starts, keep = {1: 129, 2: 441, 3: 729}.get(size or 0, 128), 12
        names = ", ".join(s.name for s in free)
        place = f"the {'lowest local minima' if grid else 'lowest'} of {starts} points{' of a grid' * grid} in {names}"
        if solved is not None:
            place += f" ({', '.join(s.name for s in solved[0])} by {solved[1].rule} at each)"
    else:
        starts = {1: 32, 2: 64}.get(size or 0, 8)
        keep = min(starts, 4 if grid else 8)
        place = f"the lowest {keep} of a grid of {starts}" if grid else f"{starts} starts drawn at random"
    straight = curvature(problem.energy, frozenset(problem.latents)) in ("convex", "affine")
    convex = straight and not isinstance(analysed, str) and all(s.domain.row.convex for s in problem.latents)
    if convex:
        facts.append(f"the energy is convex in {problem.names}: a local minimum is a global one")
    if not defined_everywhere(problem.energy, frozenset(problem.latents)):
        facts.append("it is not defined everywhere, so that a start may be lost")
    guarantee = "global" if convex else "local"
    known = tuple((s, tuple(p)) for s, p in penalties.items())
    return Decision(
        NAME, f"min over {problem.names}", f"{how} from {place}, the best kept", guarantee,
        f"{keep} descents", tuple(facts), (),
        Descent(problem.latents, smooth, known, starts, keep, grid, newton, wide, solved),
    )  # fmt: skip


def _solved_exactly(problem: Problem) -> tuple[tuple[Symbol, ...], Decision] | None:
    """As many latents as a system solves for at the others' values, where some are left; None where there are none."""
    found = None
    held: tuple[Symbol, ...] = ()
    for s in problem.latents:
        some = (*held, s)
        decision = closed_form.consider(replace(problem, latents=some)) if len(some) < len(problem.latents) else None
        if isinstance(decision, Decision):
            held, found = some, decision
    return None if found is None else (held, found)


def emit(payload: object, body: InferBody) -> None:
    assert isinstance(payload, Descent)
    body.descent(payload)


register(Rule(NAME, 90, "downhill from several starts", consider, emit, ("min",)))
