"""Quadratics that a fast transform solves, and those too large for a factor: conjugate gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ebdsl.facts.convexity import curvature
from ebdsl.facts.modes import CHANNEL, COSINE, FOURIER, Operator, modes, operator, tried
from ebdsl.facts.normal import through_module
from ebdsl.facts.quadratic import Quadratic, quadratic
from ebdsl.infer.core import Decision, Problem, Refusal, Rule, register
from ebdsl.model.ir import ZERO, Dim

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

TRANSFORM, GRADIENTS = "fast transform", "conjugate gradients"
FEW = 64  # entries below which one dense factor is quicker
MOST_CHANNELS = 32  # columns of the matrix of one mode
FACTOR = {True: 4096, False: 1024}  # rows of a dense factor that all samples share, of one for each sample
NAMES = {COSINE: "cosines", FOURIER: "waves"}


@dataclass(frozen=True)
class Modes:
    """``bases``: what is known (or, for conjugate gradients, hoped for) along each axis of the latent."""

    op: Operator
    bases: tuple[str, ...]

    def places(self, basis: str) -> tuple[int, ...]:
        return tuple(p for p, b in enumerate(self.bases) if b == basis)


def _quadratic(problem: Problem, name: str) -> Operator | Refusal:
    if len(problem.latents) > 1:
        return Refusal(name, "there are several latents")
    (z,) = problem.latents
    if z.domain.kind != "real":
        return Refusal(name, f"{z.name} is constrained to {z.domain}")
    if through_module(problem.energy, frozenset({z})):
        return Refusal(name, f"{z.name} goes through a learned function")
    op = operator(problem.energy, z)
    if op is None:
        return Refusal(name, f"the energy is not quadratic in {z.name}")
    if op.product == ZERO or curvature(problem.energy, frozenset({z})) != "convex":
        return Refusal(name, f"the energy is not known to be convex in {z.name}")
    return op


def consider_transform(problem: Problem) -> Decision | Refusal:
    op = _quadratic(problem, TRANSFORM)
    if isinstance(op, Refusal):
        return op
    z = op.symbol
    elements = problem.elements()
    if elements is not None and elements <= FEW:
        return Refusal(TRANSFORM, f"{z.name} has {elements} entries: one dense factor is quicker")
    bases = modes(op)
    if isinstance(bases, str):
        return Refusal(TRANSFORM, bases)
    known = [p for p, b in enumerate(bases) if b in NAMES]
    if not known:
        return Refusal(TRANSFORM, f"the second derivative in {z.name} is not diagonal in any known basis")
    if len(known) == 1 and bases[known[0]] == COSINE:
        return Refusal(TRANSFORM, f"{z.name} is coupled along one axis alone, where a band is as quick")
    count = _count(problem, tuple(z.shape[p] for p, b in enumerate(bases) if b == CHANNEL))
    if count is None or count > MOST_CHANNELS:
        return Refusal(TRANSFORM, f"the modes of {z.name} have systems of more than {MOST_CHANNELS} rows")
    basis = " and ".join(dict.fromkeys(NAMES[bases[p]] for p in known))
    what = "one division for each mode" if count == 1 else f"a system of {count} rows for each mode"
    how = {"waves": "FFT", "cosines": "DCT"}.get(basis, "FFT and DCT")
    facts = [f"the energy is quadratic and convex in {z.name}"]
    if FOURIER in bases:
        facts.append("its second derivative commutes with shifts that come round: it is diagonal in waves")
    if COSINE in bases:
        facts.append("its second derivative is made of differences with free ends: it is diagonal in cosines")
    if op.shared:
        facts.append("its second derivative is the same for all samples")
    return Decision(
        TRANSFORM, f"min over {z.name}", f"set the gradient to zero in {basis} ({how}): {what}", "global", "n log n",
        tuple(facts), (), Modes(op, bases),
    )  # fmt: skip


def consider_gradients(problem: Problem) -> Decision | Refusal:
    op = _quadratic(problem, GRADIENTS)
    if isinstance(op, Refusal):
        return op
    z = op.symbol
    form = quadratic(problem.energy, z)
    why = "its second derivative is products and convolutions, and no matrix is formed"
    if form is not None:
        rows, limit = _rows(problem, form), FACTOR[form.shared]
        whose = "for all samples" if form.shared else "for each sample"
        if rows <= limit:
            return Refusal(GRADIENTS, f"one factor {whose} is small enough")
        why = f"a factor {whose} of more than {limit} rows costs more"
    facts = [f"the energy is quadratic and convex in {z.name}", why]
    known = " and ".join(dict.fromkeys(NAMES[b] for b in tried(op) if b in NAMES))
    where = f", in the entries or in {known}, whichever explains more" if known else ""
    facts.append(f"preconditioned by the diagonal of its second derivative{where}")
    facts.append("the residual is the gradient that is left, measured at the answer")
    return Decision(
        GRADIENTS, f"min over {z.name}", "set the gradient to zero: preconditioned conjugate gradients", "global",
        "a gradient a step", tuple(facts), (), Modes(op, tried(op)),
    )  # fmt: skip


def _count(problem: Problem, dims: tuple[Dim, ...]) -> int | None:
    sizes = [problem.model.size(d) for d in dims]
    return None if None in sizes else math.prod(s or 0 for s in sizes)


def _rows(problem: Problem, form: Quadratic) -> float:
    """Rows of the system; one axis of a size that the data brings is taken to be short, several are not."""
    sizes = [problem.model.size(form.symbol.shape[p]) for p in form.coupled]
    if sizes.count(None) > 1:
        return math.inf
    return math.prod(1 if s is None else s for s in sizes)


def emit_transform(payload: object, body: InferBody) -> None:
    assert isinstance(payload, Modes)
    body.transformed(payload)


def emit_gradients(payload: object, body: InferBody) -> None:
    assert isinstance(payload, Modes)
    body.conjugate_gradients(payload)


register(
    Rule(TRANSFORM, 17, "a quadratic whose modes are known beforehand", consider_transform, emit_transform, ("min",))
)
register(Rule(GRADIENTS, 19, "a quadratic too large for a factor", consider_gradients, emit_gradients, ("min",)))
