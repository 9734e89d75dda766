"""Penalties of linear maps of a latent: the map gets a copy of its own, and the two agree in the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ebdsl.facts.composite import KINDS, Composite, squares
from ebdsl.facts.convexity import sign
from ebdsl.facts.modes import ALONE, FOURIER, operator
from ebdsl.facts.modes import modes as modes_of
from ebdsl.facts.quadratic import Quadratic, quadratic
from ebdsl.facts.stencils import Stencil, stencils
from ebdsl.infer.core import Decision, Problem, Refusal, Rule, register
from ebdsl.infer.kinks import GAP, WEAK_GAP, no_quadratic, not_convex, smooth_part, taken_apart
from ebdsl.infer.rules import interior
from ebdsl.infer.rules.modes import NAMES
from ebdsl.model.adjoint import gradient
from ebdsl.model.algebra import degree
from ebdsl.model.derivative import NoDerivative, derivative, fresh_index
from ebdsl.model.ir import ZERO, Node, Symbol

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

NAME = "splitting"
DENSE_LIMIT = 1024


@dataclass(frozen=True)
class Splitting:
    """``kind``: how the step in the latent is made. ``diagonal``: entry by entry; ``factor``: in one basis for all
    samples, in which both second derivatives are diagonal; ``modes``: in cosines or waves; ``gradient``: by products
    with the maps alone. ``strong``: the smooth part is known to curve in every direction.
    """

    latent: Symbol
    parts: Composite
    smooth: Quadratic | None
    maps: Quadratic | None
    kind: str
    strong: bool
    modes: Modes | None = None


@dataclass(frozen=True)
class Modes:
    """``maps`` in the ``bases`` of each axis. What is known of the smooth part: it is diagonal in these ``modes``, in
    the ``entries``, or else there is a ``bound`` of it.
    """

    maps: tuple[Stencil, ...]
    bases: tuple[str, ...]
    smooth: str


def consider(problem: Problem) -> Decision | Refusal:
    if len(problem.latents) > 1:
        return Refusal(NAME, "there are several latents")
    (z,) = problem.latents
    if not z.domain.row.convex or (z.domain.kind != "real" and not z.domain.row.project):
        return Refusal(NAME, f"{z.name} is discrete" if z.domain.row.finite else f"{z.domain} is not convex")
    found = taken_apart(problem)
    if isinstance(found, str):
        return Refusal(NAME, found)
    why = no_quadratic(problem, found.smooth) or not_convex(problem, found.smooth)
    if why:
        return Refusal(NAME, why)
    try:
        gradient(found.smooth, z, fresh_index(z))
        for node in (m.node for p in found.pieces for m in p.maps):
            derivative(node, z, fresh_index(z))
    except NoDerivative:
        return Refusal(NAME, f"{z.name} goes through steps that have no transpose written out")
    smooth, maps = quadratic(found.smooth, z), quadratic(squares(found.pieces), z)
    kind, modes = _kind(problem, found, smooth, maps), None
    wide = sum(problem.model.size(d) != 1 for d in z.shape) > 1
    if (kind == "factor" and wide) or kind == "gradient":
        modes = _modes(problem, found, smooth)
        kind = "modes" if modes is not None else kind
    rough = kind == "gradient" or (
        modes is not None and (modes.smooth == "bound" or smooth is None or not smooth.shared)
    )
    if rough and isinstance(interior.consider(problem), Decision):
        return Refusal(
            NAME, f"no factor serves all samples, and {problem.elements()} numbers are few enough for one each"
        )
    greatest = (degree(found.smooth, frozenset({z})) or 0) < 2 and any(p.kind in ("max", "inf") for p in found.pieces)
    if greatest and isinstance(interior.consider(problem), Decision):
        return Refusal(NAME, "nothing curves, and greatest entries have no kinks of their own to end at")
    strong = smooth is not None and smooth.diagonal and smooth.shared and _positive(smooth.matrix)
    names = " and ".join(dict.fromkeys(KINDS[p.kind].words for p in found.pieces))
    nouns = " and ".join(dict.fromkeys(KINDS[p.kind].noun for p in found.pieces))
    facts = [
        smooth_part(problem, found.smooth),
        f"the rest is simple, but of linear maps of {z.name}, each of which gets a copy of its own: {nouns}",
        GAP,
    ]
    if kind == "gradient":
        algorithm = f"primal-dual splitting (Condat-Vũ, Chambolle-Pock; {names}; steps from the norms of the maps)"
        cost = "a gradient and both ways through the maps a step"
        facts.append(f"no factor for the step in {z.name}: {_no_factor(problem, found, smooth, maps)}")
        facts.append("its length comes from norms of the maps, raised where a step shows one to be too small")
    elif modes is not None:
        basis = " and ".join(dict.fromkeys(NAMES[b] for b in modes.bases if b in NAMES)) or "entries"
        algorithm = f"alternating directions (ADMM: {names}; the latent in {basis}; a weight for each sample)"
        cost = "both ways through the maps and a transform a step"
        facts.append(
            f"each map is the same at each place: with its ends mended K'K is diagonal in {basis}, and no less"
        )
        facts.append({
            "modes": "so is the second derivative of the smooth part",
            "entries": "the second derivative of the smooth part is diagonal: its largest entry bounds it",
            "bound": "the second derivative of the smooth part is bounded by its largest eigenvalue, which is measured",
        }[modes.smooth])  # fmt: skip
    else:
        how = "entry by entry" if kind == "diagonal" else "by one factor for all samples"
        algorithm = f"alternating directions (ADMM: {names}; the latent {how}; a weight for each sample)"
        cost = "both ways through the maps a step" + ("" if kind == "diagonal" else ", and n²")
    if not strong:
        facts.append(WEAK_GAP)
    payload = Splitting(z, found, smooth, maps, kind, strong, modes)
    return Decision(NAME, f"min over {z.name}", algorithm, "global", cost, tuple(facts), (), payload)


def _positive(node: Node) -> bool:
    return sign(node) == "positive"


def _no_factor(problem: Problem, parts: Composite, smooth: Quadratic | None, maps: Quadratic | None) -> str:
    if smooth is None and (degree(parts.smooth, frozenset(problem.latents)) or 0) > 0:
        return "the smooth part has no second derivative that is written out"
    if maps is None or maps.matrix == ZERO:
        return "the maps have no second derivative that is written out"
    if not maps.shared or (smooth is not None and not smooth.shared):
        return "its system differs from sample to sample"
    size = problem.elements()
    return f"its system has more than {DENSE_LIMIT} rows" if size is not None else "the size of its system is open"


def _kind(problem: Problem, parts: Composite, smooth: Quadratic | None, maps: Quadratic | None) -> str:
    (z,) = problem.latents
    if smooth is None and (degree(parts.smooth, frozenset({z})) or 0) > 0:
        return "gradient"
    if maps is None or maps.matrix == ZERO or not maps.shared or (smooth is not None and not smooth.shared):
        return "gradient"
    if maps.diagonal and (smooth is None or smooth.diagonal) and _positive(maps.matrix):
        return "diagonal"
    size = problem.elements()
    small = size <= DENSE_LIMIT if size is not None else len(z.shape) <= 1
    return "factor" if small else "gradient"


def _modes(problem: Problem, parts: Composite, smooth: Quadratic | None) -> Modes | None:
    """Bases of all maps, and what is known of the smooth part in them."""
    (z,) = problem.latents
    found = stencils(parts, z)
    if isinstance(found, str) or not any(b in NAMES for b in found.bases):
        return None
    op = operator(parts.smooth, z)
    if op is None or (smooth is not None and smooth.diagonal):
        return Modes(found.maps, found.bases, "entries")
    own = modes_of(op) if op.shared else ""
    if not isinstance(own, str):
        both = tuple(_common(a, b) for a, b in zip(found.bases, own, strict=True))
        if None not in both:
            return Modes(found.maps, tuple(b for b in both if b is not None), "modes")
    return Modes(found.maps, found.bases, "bound")


def _common(maps: str, smooth: str) -> str | None:
    """A basis along an axis of both: any stencils have waves, those with cosines have both."""
    if ALONE in (maps, smooth):
        return maps if smooth == ALONE else smooth
    return smooth if smooth in (FOURIER, maps) else None


def emit(payload: object, body: InferBody) -> None:
    assert isinstance(payload, Splitting)
    body.splitting(payload)


register(Rule(NAME, 40, "penalties of linear maps: a copy of each map, brought to agree", consider, emit, ("min",)))
