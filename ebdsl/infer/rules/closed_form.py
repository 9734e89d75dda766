"""A quadratic in an unconstrained latent: set the gradient to zero and solve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ebdsl.facts.convexity import curvature
from ebdsl.facts.quadratic import Quadratic, quadratic
from ebdsl.infer.core import Decision, Problem, Refusal, Rule, register
from ebdsl.model.ir import ZERO

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody


@dataclass(frozen=True)
class ClosedForm:
    form: Quadratic


def consider(problem: Problem) -> Decision | Refusal:
    name = "closed form"
    if problem.kind != "min":
        return Refusal(name, f"{problem.names} is averaged over, not minimised")
    if len(problem.latents) > 1:
        return Refusal(name, "there are several latents")
    (z,) = problem.latents
    if z.domain.kind != "real":
        return Refusal(name, f"{z.name} is constrained to {z.domain}")
    form = quadratic(problem.energy, z)
    if form is None:
        return Refusal(name, f"the energy is not quadratic in {z.name}")
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
        ClosedForm(form),
    )


def emit(payload: object, body: InferBody) -> None:
    assert isinstance(payload, ClosedForm)
    solution = body.solve(payload.form)
    body.answer(payload.form.symbol, solution)
    body.finish_at_answer()


register(Rule("closed form", 20, "a quadratic without constraints is solved", consider, emit))
