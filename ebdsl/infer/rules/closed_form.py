"""A quadratic in an unconstrained latent: set the gradient to zero and solve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ebdsl.facts.convexity import curvature
from ebdsl.facts.definite import curved_alone
from ebdsl.facts.quadratic import Quadratic, not_quadratic, quadratic
from ebdsl.facts.second import Joint, joint
from ebdsl.infer.core import Decision, Problem, Refusal, Rule, register
from ebdsl.model.ir import ZERO, Node

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody


LIMIT = 2048
"""Rows of one matrix for several latents; beyond, products with its factors are cheaper than its inverse."""


@dataclass(frozen=True)
class ClosedForm:
    """``form`` of one latent, whose structure is used; several are one vector.

    ``loose``: the energy where nothing proves its matrix to be regular, so that there may be no minimum.
    """

    form: Quadratic | Joint
    loose: Node | None


def consider(problem: Problem) -> Decision | Refusal:
    name = "closed form"
    if len(problem.latents) > 1:
        return _several(problem)
    (z,) = problem.latents
    if z.domain.kind != "real":
        return Refusal(name, f"{z.name} is constrained to {z.domain}")
    form = quadratic(problem.energy, z)
    if form is None:
        return Refusal(name, not_quadratic(problem.energy, z))
    if curvature(problem.energy, frozenset({z})) not in ("convex", "affine", "constant"):
        return Refusal(
            name, f"the energy is not known to be convex in {z.name}: a stationary point need not be a minimum"
        )
    if form.matrix == ZERO:
        return Refusal(name, f"the energy is linear in {z.name}: there is no curvature to solve with")
    if form.diagonal:
        how, cost = "divide entry by entry", "one pass"
    elif form.shared:
        how, cost = "one Cholesky factor for all samples, then a solve for each", "O(n²) after O(n³) once"
    else:
        how, cost = "a Cholesky factor for each sample", "O(n³)"
    facts = [f"the energy is quadratic and convex in {z.name}"]
    if form.shared:
        facts.append("its second derivative is the same for all samples")
    facts += [f"{w} is orthonormal: its Gram matrix is the identity" for w in form.orthonormal]
    return Decision(
        name,
        f"min over {z.name}",
        f"set the gradient to zero: {how}",
        "global",
        cost,
        tuple(facts),
        (),
        ClosedForm(form, _loose(problem)),
    )


def _loose(problem: Problem) -> Node | None:
    return None if len(curved_alone(problem.energy, problem.latents)) == len(problem.latents) else problem.energy


def _several(problem: Problem) -> Decision | Refusal:
    """One system for all latents: what eliminates one of them from the others' is the same solve."""
    name = "closed form"
    for s in problem.latents:
        if s.domain.kind != "real":
            return Refusal(name, f"{s.name} is constrained to {s.domain}")
    if curvature(problem.energy, frozenset(problem.latents)) != "convex":
        return Refusal(name, f"the energy is not known to be convex in {problem.names} together")
    form = joint(problem.energy, problem.latents)
    if form is None:
        return Refusal(name, f"the energy is not quadratic in {problem.names} together")
    if (problem.elements() or 0) > LIMIT:
        return Refusal(name, f"one matrix for {problem.names} has more than {LIMIT} rows")
    how = "one Cholesky factor for all samples" if form.shared else "a Cholesky factor for each sample"
    facts = [f"the energy is quadratic and convex in {problem.names} together"]
    if form.shared:
        facts.append("its second derivative is the same for all samples")
    return Decision(
        name, f"min over {problem.names}", f"set the gradient to zero, {problem.names} as one vector: {how}", "global",
        "O(n²) after O(n³) once" if form.shared else "O(n³)", tuple(facts), (), ClosedForm(form, _loose(problem)),
    )  # fmt: skip


def emit(payload: object, body: InferBody) -> None:
    assert isinstance(payload, ClosedForm)
    if isinstance(payload.form, Joint):
        body.joint(payload.form)
    else:
        body.answer(payload.form.symbol, body.solve(payload.form))
    body.finish_at_answer(payload.loose)


register(Rule("closed form", 20, "a quadratic without constraints is solved", consider, emit, ("min",)))
