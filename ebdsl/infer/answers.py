"""``argmin_z E`` inside of another energy: how it is found, and how learning differentiates it.

Implicitly, the minimum is the solution of equations: on the face of the kinks that it stands on, ``∇_z E = 0``, so that
``dz = -(∂²E/∂z²)⁻¹ d∇_z E`` there and 0 elsewhere (Mairal, Bach & Ponce 2012; Bolte, Le, Pauwels & Silveti-Falls 2021,
Nonsmooth implicit differentiation). Unrolled, the answer is what a number of steps of an algorithm gives.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ebdsl import infer
from ebdsl.diagnostics import Diagnostic, Label
from ebdsl.facts.convexity import curvature
from ebdsl.facts.definite import LARGEST, definite
from ebdsl.facts.normal import normal
from ebdsl.facts.penalties import Penalty
from ebdsl.facts.quadratic import Quadratic, quadratic
from ebdsl.infer.core import Decision, Problem, Refusal
from ebdsl.infer.named import Named, named
from ebdsl.infer.rules.newton import without_kinks
from ebdsl.infer.rules.proximal_gradient import analyse
from ebdsl.model.algebra import degree
from ebdsl.model.algorithms import ALGORITHMS, Chosen
from ebdsl.model.ir import Symbol
from ebdsl.model.model import Answer, Model

FACES = ("real", "nonnegative", "positive", "box", "simplex")
"""Domains whose faces are flat: an answer at an edge moves along it."""


@dataclass(frozen=True)
class Answered:
    """``symbol`` as the argmin of ``problem``, found by ``decision``; differentiated through the steps of ``named``
    where ``unrolled``, else implicitly, beside the kinks of ``penalties``. ``facts`` say why. ``form``: the quadratic
    that all samples share, where its matrix is all of the curvature."""

    answer: Answer
    problem: Problem
    decision: Decision
    named: Named | None
    unrolled: bool
    penalties: tuple[Penalty, ...]
    facts: tuple[str, ...]
    form: Quadratic | None = None

    @property
    def symbol(self) -> Symbol:
        return self.answer.latent

    @property
    def sentence(self) -> str:
        if self.unrolled:
            assert self.named is not None
            steps, row = self.named.chosen.steps, self.named.chosen.algorithm
            return f"unrolled, through each of {steps} steps of {row.name}; a step's length is taken for a constant"
        if self.form is not None:
            return "implicit, by one linear system for each support, the entries that can move"
        return "implicit, by conjugate gradients on the second derivative at the answer, along what can move there"


def answered(model: Model, answer: Answer) -> Answered | Diagnostic:
    """How one answer is found and differentiated, or why it cannot be."""
    z = answer.latent
    problem = Problem(model.inner(answer), "min", (z,), normal(answer.energy))
    found = infer.decide(problem)
    if not isinstance(found, Decision):
        reasons = tuple(f"{r.rule}: {r.reason}" for r in found)
        return Diagnostic("EB0501", f"no rule of inference finds the argmin over {z.name}", _here(answer), reasons)
    decision = replace(found, task=f"argmin over {z.name}")
    chosen, wanted = model.algorithms.get(z.name), wanted_way(model)
    by_name = None if chosen is None else named(problem, chosen, z)
    if isinstance(by_name, Refusal):
        what = f"{by_name.rule} does not fit the energy of this argmin: {by_name.reason}"
        help = ("without the line, the algorithm is chosen by the energy",)
        return Diagnostic("EB0503", what, _here(answer), help)
    steps = chosen is not None and chosen.steps is not None
    setting = model.setting("differentiate")
    if wanted == "unrolled" and not steps and setting is not None:
        help = (f"infer {z.name} by fista(steps = 50)",)
        return Diagnostic(
            "EB0505", "unrolled through which steps? No line says", (Label(setting.span, "of what?"),), help
        )
    if by_name is not None and steps and wanted != "implicit":
        why = "train says so" if wanted else f"infer {z.name} by names an algorithm and its number of steps"
        by_name = replace(by_name, unrolled=True, chosen=replace(by_name.chosen, on="loss"))
        return Answered(answer, problem, decision, by_name, True, (), (why,))
    face = kinks(problem)
    if isinstance(face, str):
        what = f"learning cannot differentiate the argmin over {z.name}: {face}"
        return Diagnostic("EB0505", what, _here(answer), _ways_out(problem))
    penalties, facts, form = face
    return Answered(answer, problem, decision, by_name, False, penalties, facts, form)


def _here(answer: Answer) -> tuple[Label, ...]:
    return (Label(answer.span, "this argmin"),)


def _ways_out(problem: Problem) -> tuple[str, ...]:
    (z,) = problem.latents
    if z.domain.row.finite:
        return (f"average over its values instead: softmin_{z.name}[β]",)
    steps = named(problem, Chosen(ALGORITHMS["fista"], 50), z)
    return (
        (f"go through the steps of an algorithm: infer {z.name} by fista(steps = 50)",)
        if isinstance(steps, Named)
        else ()
    )


def wanted_way(model: Model) -> str | None:
    """``implicit`` or ``unrolled`` where the spec says it."""
    setting = model.setting("differentiate")
    return None if setting is None else setting.word.head


def kinks(problem: Problem) -> tuple[tuple[Penalty, ...], tuple[str, ...], Quadratic | None] | str:
    """The penalties whose kinks an answer can stand on, facts, and the quadratic that is all of the curvature, if any;
    or why it has no derivative of this kind.
    """
    (z,) = problem.latents
    if z.domain.row.finite:
        return f"{z.name} takes finitely many values: its argmin is made of steps, and has no slope"
    if z.domain.kind not in FACES:
        return f"the edge of {z.domain}, where {z.name} may end up, is not flat"
    analysed = analyse(replace(problem, energy=without_kinks(problem.energy)))
    if isinstance(analysed, str):
        return analysed
    smooth, found = analysed
    others = [p.kind for p in found[z] if p.kind not in ("l1", "group", "entropy")]
    if others:
        return f"the kinks of a {others[0]} penalty are not those of single entries or groups"
    straight = degree(smooth, frozenset({z})) in (0, 1)
    if straight and not any(p.kind == "entropy" for p in found[z]):
        return f"the energy is straight in {z.name} between its kinks: its argmin jumps, and has no slope"
    kinked = bool(found[z]) or z.domain.kind != "real"
    known = degree(smooth, frozenset({z}))
    proof = definite(problem.model, smooth, (z,)) if known is not None and known <= 2 else None
    form = quadratic(smooth, z)
    tried = form is not None and None not in problem.model.dims.values() and (problem.elements() or 0) <= LARGEST
    if proof is not None and not proof.holds and tried and not kinked:
        return f"its minimum is not one point, and has no slope; a term like 0.1||{z.name}||^2 makes it one"
    facts = [f"the argmin is smooth as long as the same entries of {z.name} stand on kinks or edges"] if kinked else []
    if proof is not None and proof.holds:
        first = f"there is one minimum: {proof.reason}"
    elif curvature(smooth, frozenset({z})) == "convex":
        first = f"the energy is convex in {z.name}; that its minimum is one point is seen in the adjoint residual"
    else:
        first = f"the energy is not known to be convex in {z.name}: the derivative is that of the minimum found"
    plain = len(z.shape) == 1 and z.domain.kind != "simplex" and all(p.kind == "l1" for p in found[z])
    form = form if plain and form is not None and form.shared and form.coupled else None
    return tuple(found[z]), (first, *facts), form
