"""The methods of the model that eliminate latents: states, ``infer``, free energy."""

from __future__ import annotations

from ebdsl import settings
from ebdsl.emit.argmins import answers_code, outer_infer_lines
from ebdsl.emit.bodies import InferBody
from ebdsl.emit.context import Context
from ebdsl.emit.elimination import free_elimination_lines
from ebdsl.emit.fused import fused_loop
from ebdsl.emit.named import measured_lines, named_lines
from ebdsl.emit.nested import free_energy_of_minima
from ebdsl.emit.quadrature import free_energy_of_nodes
from ebdsl.emit.text import uses
from ebdsl.infer.core import RULES, Problem
from ebdsl.infer.named import Named, named
from ebdsl.infer.rules.elimination import Elimination
from ebdsl.infer.rules.enumeration import Enumeration
from ebdsl.infer.rules.gaussian import Gaussian
from ebdsl.infer.rules.monte_carlo import MonteCarlo
from ebdsl.infer.rules.nested import OfMinima, OfSoftmin
from ebdsl.infer.rules.quadrature import Quadrature
from ebdsl.model.algebra import with_batch
from ebdsl.model.algorithms import ALGORITHMS, Chosen
from ebdsl.model.ir import BATCH


def infer_lines(c: Context, method: str = "infer") -> list[str]:
    plan = c.plan
    amortised = bool(plan.model.amortised)
    lines = [
        "    @torch.no_grad()",
        f"    def {method}(",
        "        self,",
        *(f"        {c.name(s)}: Tensor," for s in c.observed),
        "        *,",
        "        start: dict[str, Tensor] | None = None,",
        "        tolerance: float | None = None,",
        "        max_steps: int | None = None,",
        *(["        exact: bool = False,"] if plan.model.answers_otherwise else []),
        "    ) -> Inference:",
    ]
    if not plan.inference:
        lines += [
            '        """There is no latent variable: the energy as it is."""',
            f"        energy = self.energy({c.args(c.observed)})",
            "        steps = torch.zeros_like(energy, dtype=torch.int64)",
            "        return Inference({}, energy, torch.zeros_like(energy), steps, energy == energy)",
        ]
        return lines
    if plan.answers:
        tasks = "; ".join(f"{d.task}: {d.algorithm} ({d.guarantee})" for d in plan.inference)
        lines.append(f'        """{tasks}. The energy is that of the whole."""')
        return [*lines, *("        " + x for x in outer_infer_lines(c))]
    (decision,) = plan.inference
    lines.append(f'        """{decision.task}: {decision.algorithm} ({decision.guarantee})."""')
    encoder = _amortised_lines(c) if amortised else []
    body = InferBody(c)
    fused = fused_loop(c)
    if fused is not None:
        fused.call_lines(body)
    if fused is None or fused.loop.first:
        RULES[decision.rule].emit(decision.payload, body)
    start = named_lines(c)
    text = "\n".join([*encoder, *start, *body.lines])
    if uses(text, "tolerance"):
        single, double = settings.tolerances(plan)
        lines.append("        if tolerance is None:")
        lines.append(f"            tolerance = {single:g} if {c.like}.dtype == torch.float32 else {double:g}")
    if uses(text, "max_steps"):
        lines.append(f"        max_steps = {settings.max_steps(plan)} if max_steps is None else max_steps")
    lines += ["        " + x if x else "" for x in [*encoder, *start, *body.lines]]
    return lines


def _amortised_lines(c: Context) -> list[str]:
    """What a trained model answers with; the exact minimum starts there."""
    lines = []
    scope = c.scope()
    names = []
    for latent, node in c.model.amortised.items():
        symbol = c.model.symbol(latent)
        from ebdsl.model.ir import Tensor as Bound

        assert isinstance(node, Bound)
        value = scope.tensor(with_batch(node.body), (BATCH, *node.axes))
        scope.lines.append(f"{c.name(symbol)} = {value.code}")
        names.append(c.name(symbol))
    lines += scope.lines
    entries = ", ".join(f'"{n}": {n}' for n in names)
    if {c.name(s) for s in c.latents} == set(names):
        args = c.args((*c.observed, *c.latents))
        lines += [
            "if not exact:  # what the encoder says, without solving",
            *("    " + x if x else "" for x in _unsolved(c, entries, args)),
        ]
    lines.append(f"start = {{{entries}}} if start is None else start")
    return lines


def _unsolved(c: Context, entries: str, args: str) -> list[str]:
    """Return what the encoder says: how far it is from the minimum where that can be measured, else NaN."""
    plan = c.plan
    problem = Problem(c.model, "min", c.latents, plan.energy)
    found = named(problem, Chosen(ALGORITHMS["ista"], None), c.latents[0])
    if isinstance(found, Named) and all(e.kind == "min" for e in c.model.eliminations):
        return measured_lines(c, found, 0)
    return [
        f"energy = self.{c.energy}({args})",
        "unknown = torch.full_like(energy, torch.nan)",
        "steps = torch.zeros_like(energy, dtype=torch.int64)",
        f"return Inference({{{entries}}}, energy, unknown, steps, torch.zeros_like(energy, dtype=torch.bool))",
    ]


def free_energy_lines(c: Context) -> list[str]:
    plan = c.plan
    head = [
        f"    def free_energy(self, {c.typed(c.observed)}) -> Tensor:",
        '        """The free energy of each sample, ``(B,)``, differentiable in all but the answer itself."""',
    ]
    args = c.args(c.observed)
    if plan.answers:
        head[1] = (
            '        """The free energy of each sample, ``(B,)``, differentiable through the answers that it holds."""'
        )
    if not plan.inference:
        return [*head, f"        return self.energy({args})"]
    if plan.answers:
        lines = ["        " + x for x in answers_code(c, "self")]
        return [*head, *lines, f"        return self.energy({c.args((*c.observed, *c.latents))})"]
    payload = plan.inference[0].payload
    if isinstance(payload, Quadrature):
        return [*head, *free_energy_of_nodes(c, payload)]
    if isinstance(payload, MonteCarlo):
        return [*head, f"        return self.draws({args}).mean(1)"]
    if isinstance(payload, Enumeration):
        if payload.kind == "min":
            return [*head, f"        return self.state_energies({args}).flatten(1).amin(1)"]
        beta = "1" if payload.beta is None else c.scope().emit(payload.beta).atom
        inner = f"self.state_energies({args}).flatten(1)"
        if beta == "1":
            return [*head, f"        return -torch.logsumexp(-{inner}, 1)"]
        return [*head, f"        return -torch.logsumexp(-{beta} * {inner}, 1) / {beta}"]
    if isinstance(payload, Gaussian):
        if not payload.states:
            return [*head, f"        return self.posterior({args})[1]"]
        beta = "" if payload.beta is None else c.scope().emit(payload.beta).atom
        energies = f"self.posterior({args})[1].flatten(1)"
        if not beta:
            return [*head, f"        return -torch.logsumexp(-{energies}, 1)"]
        return [*head, f"        return -torch.logsumexp(-{beta} * {energies}, 1) / {beta}"]
    if isinstance(payload, Elimination) and payload.kind == "softmin":
        return [*head, *free_elimination_lines(c, payload)]
    if isinstance(payload, OfMinima):
        return [*head, *free_energy_of_minima(c, payload)]
    exact = ", exact=True" if plan.model.answers_otherwise else ""
    if isinstance(payload, OfSoftmin):
        answers = ", ".join(f'found.latents["{c.name(s)}"]' for s in payload.latents)
        return [*head, f"        found = self.infer({args})", f"        return self.averaged_energy({args}, {answers})"]
    answers = ", ".join(f'found.latents["{c.name(s)}"]' for s in c.latents)
    return [*head, f"        found = self.infer({args}{exact})", f"        return self.energy({args}, {answers})"]
