"""Nested eliminations as text: states whose minima are averaged, and minima of an average over states."""

from __future__ import annotations

from ebdsl.emit.bodies import InferBody
from ebdsl.emit.context import Context
from ebdsl.infer.core import RULES
from ebdsl.infer.rules.nested import OfMinima, OfSoftmin
from ebdsl.model.algebra import with_batch
from ebdsl.model.ir import BATCH


def averaged_lines(c: Context, p: OfSoftmin) -> list[str]:
    """The method ``averaged_energy``."""
    scope = c.scope()
    node = with_batch(p.averaged)
    scope.count(node)
    value = scope.tensor(node, (BATCH,))
    names = ", ".join(c.name(s.symbol) for s in p.states)
    return [
        f"    def averaged_energy(self, {c.typed((*c.observed, *p.latents))}) -> Tensor:",
        f'        """The softmin over {names} of the energy of each sample, ``(B,)``."""',
        *("        " + x for x in scope.lines),
        f"        return {value.code}",
    ]


def free_energy_of_minima(c: Context, p: OfMinima) -> list[str]:
    """The body of ``free_energy``, differentiable: the minima stay where they are."""
    beta = "" if p.beta is None else c.scope().emit(p.beta).atom
    nodes = {z: f'found.posterior["{c.name(n)}"].flatten(0, 1)' for z, n in zip(p.latents, p.nodes, strict=True)}
    each = [f"{c.name(s)}.repeat_interleave(count, 0)" for s in c.observed]
    energies = f"self.energy({', '.join([*each, *(nodes[z] for z in c.latents)])}).reshape(-1, count)"
    return [
        f"        found = self.infer({c.args(c.observed)})",
        '        count = found.posterior["weights"].shape[1]',
        f"        energies = {energies}",
        f"        return -torch.logsumexp(-{f'{beta} * ' if beta else ''}energies, 1)" + (f" / {beta}" if beta else ""),
    ]


def write_minima(body: InferBody, p: OfMinima) -> None:
    """Every state's minimum, weighted by ``exp(-β E)``."""
    c = body.context
    c.runtime.add("soft_states")
    beta = body.beta_code(p.beta)
    body.solve_each(p.finite, p.inner)
    body.line(f"energy, weights = soft_states(each.energy.reshape(samples, count), {beta})")
    entries = ['"weights": weights']
    for z, n in zip(p.latents, p.nodes, strict=True):
        own = body.name(z) if z in p.finite else f'each.latents["{body.name(z)}"]'
        sizes = "".join(f", {c.dim(d)}" for d in z.shape)
        body.line(f"{c.name(n)} = {own}.reshape(samples, count{sizes})")
        lift = f"[..., {', '.join(['None'] * len(z.shape))}]" if z.shape else ""
        body.answer(z, f"(weights{lift} * {c.name(n)}).sum(1)")
        entries.append(f'"{c.name(n)}": {c.name(n)}')
    body.line(f"posterior = {{{', '.join(entries)}}}")
    answers = ", ".join(f'"{body.name(s)}": {code}' for s, code in body.answers.items())
    body.line("residual, iterations = (x.reshape(samples, count).amax(1) for x in (each.residual, each.iterations))")
    body.line("converged = each.converged.reshape(samples, count).all(1)")
    body.line(f"return Inference({{{answers}}}, energy, residual, iterations, converged, posterior)")


def write_softmin(body: InferBody, p: OfSoftmin) -> None:
    """The minimum of the averaged energy, and the states' shares there."""
    c = body.context
    c.runtime.add("soft_states")
    inner = InferBody(c)
    inner.averaged = tuple(s.symbol for s in p.states)
    RULES[p.outer.rule].emit(p.outer.payload, inner)
    body.line(f"def minimum({c.typed(c.observed)}) -> Inference:")
    body.lines.extend("    " + x if x else "" for x in inner.lines)
    body.line("")
    body.line(f"found = minimum({c.args(c.observed)})")
    for z in p.latents:
        body.line(f'{c.name(z)} = found.latents["{c.name(z)}"]')
    axes = tuple(s.axis for s in p.states)
    node = with_batch(p.energy)
    body.scope.count(node)
    value = body.scope.tensor(node, (BATCH, *axes))
    energies = body.scope.assign("energies", value)
    body.line(f"_, weights = soft_states({energies.code}.flatten(1).clone(), {body.beta_code(p.beta)})")
    body.line(f"weights = weights.reshape({energies.code}.shape)")
    answers = []
    for k, s in enumerate(p.states):
        rest = tuple(j + 1 for j in range(len(axes)) if j != k)
        own = f"weights.sum({rest})" if rest else "weights"
        if s.table is not None:
            own = f"torch.tensordot({own}, self.{c.name(s.table)}, 1)"
        answers.append(f'"{c.name(s.symbol)}": {own}')
    body.line(f"latents = found.latents | {{{', '.join(answers)}}}")
    body.line("rest = (found.energy, found.residual, found.iterations, found.converged)")
    body.line('return Inference(latents, *rest, {"weights": weights})')
