"""Smooth plus prox-friendly: accelerated proximal gradient, exact in one step where nothing is coupled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ebdsl.facts.convexity import sign
from ebdsl.facts.gauges import GAUGES
from ebdsl.facts.normal import defined_everywhere, is_smooth, parts, through_module
from ebdsl.facts.penalties import Penalty, combine, is_entropy, match
from ebdsl.facts.quadratic import Quadratic, quadratic
from ebdsl.facts.second import Joint, joint
from ebdsl.infer.core import Decision, Problem, Refusal, Rule, register
from ebdsl.model.algebra import addends
from ebdsl.model.build import add
from ebdsl.model.ir import BATCH, Node, Symbol

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

NAME = "proximal gradient"
GRAM_LIMIT = 4096
INVERSE_LIMIT = 2048
SPLITTING_SAVES = 8  # of the steps of accelerated gradient to the same accuracy, on correlated atoms


@dataclass(frozen=True)
class Proximal:
    """``smooth`` holds the latents and has a gradient; ``forms`` its quadratic forms where it has them all.

    ``together``: the form of several latents, or of several axes, as one vector. ``gram``: the second derivative is
    formed once; else it is applied factor by factor. ``split``: it is also inverted. ``finish``: answers are finished
    on their active sets. ``rows``: along all axes but the last it falls apart.
    """

    latents: tuple[Symbol, ...]
    smooth: Node
    penalties: tuple[tuple[Symbol, tuple[Penalty, ...]], ...]
    form: Quadratic | None
    gram: bool
    quadratic: bool
    kind: str
    split: bool = False
    together: Joint | None = None
    finish: bool = False
    rows: bool = False


def analyse(problem: Problem) -> tuple[Node, dict[Symbol, list[Penalty]]] | str:
    """Smooth part and penalties of the energy, or why it does not come apart."""
    latents = frozenset(problem.latents)
    inside, _ = parts(problem.energy, latents)
    smooth: list[Node] = []
    penalties: dict[Symbol, list[Penalty]] = {s: [] for s in problem.latents}
    for a in inside:
        if is_smooth(a, latents) and not is_entropy(a, latents):
            smooth.append(a)
            continue
        held = a.symbols & latents
        if len(held) > 1:
            return f"a term with kinks ties {' and '.join(sorted(s.name for s in held))} together"
        (z,) = held
        found = match(a, z)
        if isinstance(found, str):
            return f"a term with kinks in {z.name} has no proximal operator of its own: {found}"
        if any(s.per_sample for s in found.weight.symbols):
            return f"the weight of the penalty on {z.name} differs from sample to sample"
        penalties[z].append(found)
    for z, found_ in penalties.items():
        why = combine(z, found_)
        if why:
            return why
    return add(*smooth), penalties


def consider(problem: Problem) -> Decision | Refusal:
    for s in problem.latents:
        if s.domain.row.finite:
            return Refusal(NAME, f"{s.name} is discrete")
    endless = problem.falls_forever()
    if endless:
        return Refusal(NAME, endless)
    analysed = analyse(problem)
    if isinstance(analysed, str):
        return Refusal(NAME, analysed)
    smooth, penalties = analysed
    latents = frozenset(problem.latents)
    if through_module(smooth, latents):
        return Refusal(NAME, problem.says("goes", "go") + " through a learned function: no bound on the curvature")
    if not defined_everywhere(smooth, latents):
        return Refusal(
            NAME, f"the energy is only defined for some values of {problem.names}: momentum could leave them"
        )
    form = quadratic(smooth, problem.latents[0]) if len(problem.latents) == 1 else None
    whole_quadratic = form is not None or _degree_two(smooth, latents)
    shape = problem.curvature(smooth)
    if shape not in ("convex", "affine", "constant"):
        return Refusal(
            NAME, f"the energy is not known to be convex in {problem.names}: one start could end at a saddle"
        )
    for s in problem.latents:
        if not s.domain.row.convex:
            return Refusal(NAME, f"{s.domain} is not convex: one start could end in a poor minimum")
    one_step = form is not None and form.diagonal and not (form.varies and _tied(problem.latents[0], penalties))
    one_step = one_step and form is not None and sign(form.matrix) == "positive"
    gram = form is not None and form.shared and len(form.coupled) == 1 and not form.varies
    flat = form is None or (len(form.coupled) > 1 and not form.separable)
    together = joint(smooth, problem.latents) if flat else None
    gram = (gram or (together is not None and together.shared)) and (problem.elements() or 0) <= GRAM_LIMIT
    times = _gram_over_factors(problem, smooth, form.coupled) if gram and form is not None else 0.0
    factors = not one_step and times > (1.5 if unsplit(problem, penalties, gram, form) else SPLITTING_SAVES)
    gram = gram and not factors
    kinds = sorted({p.kind for found in penalties.values() for p in found})
    words = {"l1": "soft threshold", "entropy": "proximal step of the entropy"}
    prox = [words.get(k) or GAUGES[k].words for k in kinds] + [
        f"projection onto {s.domain}" for s in problem.latents if s.domain.kind != "real"
    ]
    prox_text = " and ".join(prox) or "no prox"
    bend = "quadratic" if whole_quadratic else "smooth"
    facts = [f"the part without kinks is {bend} and convex in {problem.names}"]
    if (form is not None and form.shared) or (together is not None and together.shared):
        facts.append("its second derivative is the same for all samples")
    facts += [f"{w} is orthonormal: its Gram matrix is the identity" for w in (form.orthonormal if form else ())]
    facts += [
        f"{s.name}: {' and '.join(dict.fromkeys(p.kind for p in found))} penalty, by its proximal operator"
        for s, found in penalties.items()
        if found
    ]
    whole = "" if one_step else unsplit(problem, penalties, gram, form)
    if factors:
        whole = f"a Gram matrix would take {times:.0f} times the operations of its factors in a step"
    finish = rows = False
    if one_step:
        kind, algorithm, cost = "once", f"nothing couples the entries: one step of {prox_text} is exact", "one pass"
    elif not whole:
        kind, rows = "iterate", form is not None and bool(form.separable)
        algorithm = f"Douglas-Rachford splitting, that is ADMM ({prox_text}; one inverse for all samples)"
        facts.append("it inverts the curvature once, where FISTA bounds it: fewer steps at a product each")
        cost = "n² a step, n³ once"
        if rows:
            facts.append(f"nothing ties {problem.names} along other axes than the last: each row is solved by itself")
        round_ = _round(penalties)
        finish = not round_
        if finish:
            algorithm += ", finished by primal-dual active sets (an exact solve on the support)"
            cost += "; k³ to finish with k entries free"
            facts.append("penalty and domain fall apart by entry into straight pieces")
        else:
            facts.append(f"no finish on the active set: {round_}")
    else:
        facts.append(f"no splitting with one inverse: {whole}")
        facts.append(
            "the step is 1/L, L a bound of the largest eigenvalue that a Cholesky factor proves" if gram else
            "the step is 1/L, L by backtracking: raised, sample by sample, where a move meets more curvature"
        )  # fmt: skip
        kind = "iterate"
        how = "Gram matrix formed once" if gram else "factors applied in turn"
        step = "step from the largest eigenvalue" if gram else "step by backtracking"
        algorithm = f"accelerated proximal gradient with restart ({prox_text}; {how}; {step})"
        cost = "n² a step" if gram else "a gradient a step"
    return Decision(
        NAME, f"min over {problem.names}", algorithm, "global", cost, tuple(facts), (),
        Proximal(
            problem.latents, smooth, tuple((s, tuple(found)) for s, found in penalties.items()), form, gram,
            whole_quadratic, kind, kind == "iterate" and not whole, together if gram else None, finish, rows,
        ),
    )  # fmt: skip


def _tied(symbol: Symbol, penalties: dict[Symbol, list[Penalty]]) -> bool:
    """Whether prox or domain tie entries: then a diagonal curvature must be one number to be exact."""
    return symbol.domain.row.whole > 0 or any(p.kind in GAUGES for p in penalties[symbol])


def unsplit(problem: Problem, penalties: dict[Symbol, list[Penalty]], gram: bool, form: Quadratic | None = None) -> str:
    """Why splitting with one inverse does not apply; empty where it does. ``form``: that of one latent."""
    if not gram:
        return f"no one matrix is the curvature in {problem.names} for all samples"
    if all(z.domain.kind == "real" and not penalties[z] for z in problem.latents):
        return "nothing has a kink"
    size = problem.elements()
    if form is not None and form.separable:
        (z,) = problem.latents
        last = len(z.shape) - 1
        tied = [p for p in penalties[z] if set(p.within) - {last} or p.weight.free - {p.at[last]}]
        if form.coupled != (last,) or tied or z.domain.row.whole > 1:
            return f"penalty and domain of {z.name} do not fall apart as the quadratic part does"
        size = problem.model.shape(z)[last]
    if (size or 0) > INVERSE_LIMIT:
        return f"an inverse of more than {INVERSE_LIMIT} rows costs more than it saves"
    return ""


def _round(penalties: dict[Symbol, list[Penalty]]) -> str:
    """Why penalties and domains are no functions of one entry made of straight pieces; empty where they are."""
    for z, found in penalties.items():
        if z.domain.kind not in ("real", "nonnegative", "box"):
            return f"{z.domain} ties the entries of {z.name}"
        if any(p.kind == "entropy" for p in found):
            return f"the entropy of {z.name} has no straight pieces"
        other = next((p.kind for p in found if p.kind != "l1"), None)
        if other is not None:
            return f"a {other} penalty does not fall apart by entry"
    return ""


def _gram_over_factors(problem: Problem, smooth: Node, coupled: tuple[int, ...]) -> float:
    """Operations of a step with one matrix for all samples, over those of the gradient factor by factor; else 0."""
    from ebdsl.infer.loops.cost import operations
    from ebdsl.model.adjoint import gradient
    from ebdsl.model.derivative import NoDerivative, fresh_index

    extents = {d: e for s in problem.model.symbols for d, e in zip(s.shape, problem.model.shape(s), strict=True)}
    if problem.single or len(problem.latents) > 1 or None in extents.values():
        return 0.0  # a sum over all data is better taken once
    (z,) = problem.latents
    at = fresh_index(z)
    try:
        slope = gradient(smooth, z, at)
    except NoDerivative:
        return 0.0
    moving = add(*(a for a in addends(slope) if z in a.symbols))
    count, _ = operations(moving, lambda axes: math.prod(extents[a.dim] or 1 for a in axes if a != BATCH))
    one = 2 * math.prod(extents[a.dim] or 1 for a in (*at, *(at[k] for k in coupled)))
    return one / count if count else 0.0


def _degree_two(node: Node, latents: frozenset[Symbol]) -> bool:
    from ebdsl.model.algebra import degree

    d = degree(node, latents)
    return d is not None and d <= 2


def emit(payload: object, body: InferBody) -> None:
    assert isinstance(payload, Proximal)
    body.proximal(payload)


register(Rule(NAME, 30, "smooth part by its gradient, penalties by their proximal operators", consider, emit, ("min",)))
