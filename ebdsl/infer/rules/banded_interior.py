"""Straight penalties of near entries beside a quadratic: interior points whose Newton steps factor a band."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ebdsl.facts.bands import Band, band
from ebdsl.facts.composite import Composite, Map, weighted_squares
from ebdsl.facts.composite import Piece as Penalty
from ebdsl.facts.convexity import sign
from ebdsl.facts.quadratic import has_delta, quadratic
from ebdsl.infer.core import Decision, Problem, Refusal, Rule, register
from ebdsl.infer.kinks import (
    GAP,
    STRAIGHT,
    WEAK_GAP,
    no_quadratic,
    not_convex,
    not_straight,
    smooth_part,
    taken_apart,
)
from ebdsl.infer.rules.splitting import Splitting
from ebdsl.model.algebra import expand, zeroed
from ebdsl.model.build import add, fresh, sub
from ebdsl.model.domains import REAL
from ebdsl.model.ir import Get, Lit, Node, Symbol

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

NAME = "banded interior point"
WIDE = 8  # entries that one is tied to, above which splitting with one factor is quicker
FEW = 32  # entries below which it is, too


@dataclass(frozen=True)
class BandedInterior:
    """``problem``: smooth part and penalties of linear maps, bounds of the domain among them; ``offsets``: what each
    map is at 0. ``band``: second derivative of the smooth part and of ``½ Σ w (K z)²``; ``weights``: for each penalty
    the symbol w.
    """

    problem: Splitting
    offsets: tuple[Node, ...]
    band: Band
    weights: tuple[Symbol, ...]


def consider(problem: Problem) -> Decision | Refusal:
    if len(problem.latents) > 1:
        return Refusal(NAME, "there are several latents")
    (z,) = problem.latents
    row = z.domain.row
    if not z.shape:
        return Refusal(NAME, f"{z.name} is a number")
    if z.domain.kind != "real" and not row.finite and (not row.convex or row.whole or row.strict):
        return Refusal(NAME, f"{z.domain} is no interval for each entry")
    parts = taken_apart(problem)
    if isinstance(parts, str):
        return Refusal(NAME, parts)
    straight = [p for p in parts.pieces if p.kind in STRAIGHT]
    why = (
        no_quadratic(problem, parts.smooth)
        or not_convex(problem, parts.smooth)
        or not_straight(parts.pieces, "domain")
        or ("" if straight else "nothing has a kink")
    )
    if why:
        return Refusal(NAME, why)
    pieces = (*straight, *_ends(z))
    weights = tuple(Symbol(f"w{k}", "row", tuple(a.dim for a in p.outer), REAL) for k, p in enumerate(pieces))
    found = band(add(parts.smooth, weighted_squares(pieces, weights)), (z,))
    if isinstance(found, str):
        return Refusal(NAME, found)
    unfit = _unfit(problem, found, frozenset(weights))
    if unfit:
        return Refusal(NAME, unfit)
    smooth = quadratic(parts.smooth, z)
    strong = smooth is not None and smooth.diagonal and smooth.shared and sign(smooth.matrix) == "positive"
    facts = [
        smooth_part(problem, parts.smooth),
        f"the rest are absolute values and positive parts of linear maps of {z.name}",
        f"along {found.steps}, entries more than {found.width} apart are tied by nothing",
        GAP,
    ]
    if not strong:
        facts.append(WEAK_GAP)
    offsets = tuple(zeroed(p.maps[0].node, [z]) for p in pieces)
    linear = tuple(replace(p, maps=(Map(_without(p.maps[0].node, z), ()),)) for p in pieces)
    whole = Splitting(z, Composite(parts.smooth, linear), smooth, None, "gradient", strong)
    return Decision(
        NAME, f"min over {z.name}",
        f"primal-dual interior point (Mehrotra's predictor and corrector; a banded factor along {found.steps} a step, "
        "in float64)", "global",
        f"linear in {found.steps} a step, some ten steps", tuple(facts), (),
        BandedInterior(whole, offsets, found, weights),
    )  # fmt: skip


def _without(node: Node, z: Symbol) -> Node:
    """An affine map less its value at 0."""
    return add(*(n for n in expand(node) if z in n.symbols))


def _ends(z: Symbol) -> list[Penalty]:
    """Bounds of the latent as penalties that are infinite on one side."""
    if z.domain.kind == "real":
        return []
    at = tuple(fresh(d) for d in z.shape)
    return [
        Penalty(kind, at, (Map(sub(Get(z, at), Lit(end)) if end else Get(z, at), ()),), Lit(1.0))
        for kind, end in zip(("least", "most"), z.domain.row.bounds(z.domain.args), strict=True)
        if math.isfinite(end)
    ]


def _unfit(problem: Problem, found: Band, weights: frozenset[Symbol]) -> str | None:
    (z,) = problem.latents
    if not found.width:
        return f"no axis along which only near entries are coupled was found in {z.name}"
    if found.width > WIDE:
        return f"along {found.steps}, entries {found.width} apart are tied: more than {WIDE}"
    steps = problem.model.size(found.steps)
    if steps is not None and steps <= max(FEW, 4 * found.width):
        return f"{steps} steps are few: one factor for all samples is quicker"
    for p in found.pieces:
        if p.time is None:
            return f"an end of {z.name} has a term of its own"
        if not all(has_delta(p.value, a, b) for a, b in zip(p.left, p.right, strict=True)):
            return f"entries of {z.name} are tied along several axes"
        if p.value.symbols & weights and any(s.per_sample for s in p.value.symbols - weights):
            return "the penalised maps differ from sample to sample"
    return None


def emit(payload: object, body: InferBody) -> None:
    assert isinstance(payload, BandedInterior)
    body.banded_interior(payload)


register(Rule(NAME, 39, "straight penalties of near entries, by factors of a band", consider, emit, ("min",)))
