"""The argmins that an energy holds, as methods of the model: their energy, their search, and their derivative."""

from __future__ import annotations

from dataclasses import replace

from ebdsl.emit.context import Context
from ebdsl.emit.named import encode_lines
from ebdsl.emit.values import number
from ebdsl.facts.normal import normal
from ebdsl.infer.answers import Answered
from ebdsl.model.algebra import with_batch
from ebdsl.model.build import add
from ebdsl.model.ir import BATCH


def within(c: Context, a: Answered) -> Context:
    """The context of an answer's own energy: its data, its latent, its algorithm."""
    plan = replace(
        c.plan, model=a.problem.model, energy=a.problem.energy, inference=(a.decision,), learning=(), answers=(),
        named=() if a.named is None else (a.named,), strategy=None,
    )  # fmt: skip
    suffix = f"_{c.name(a.symbol)}" if len(c.plan.answers) > 1 else ""
    inner = Context(plan, c.names, c.runtime, "eager", suffix=suffix)
    inner.energy = inner.method("inner_energy")
    return inner


def answer_lines(c: Context) -> list[str]:
    """The methods of all answers."""
    from ebdsl.emit.inference import infer_lines

    lines: list[str] = []
    for a in c.plan.answers:
        inner = within(c, a)
        for part in (_energy_lines(inner), infer_lines(inner, inner.method("solve")), encode_lines(inner, a.unrolled)):
            lines += [*part, ""] if part else []
        lines += [*_derivative_lines(inner, a), ""]
    return lines[:-1]


def _energy_lines(inner: Context) -> list[str]:
    scope = inner.scope()
    node = with_batch(normal(add(*(t.node for t in inner.model.terms))))
    scope.count(node)
    value = scope.tensor(node, (BATCH,))
    (z,) = inner.latents
    return [
        f"    def {inner.energy}(self, {inner.typed((*inner.observed, z))}) -> Tensor:",
        f'        """What {inner.name(z)} is the argmin of, for each sample, ``(B,)``."""',
        *("        " + x for x in scope.lines),
        f"        return {value.code}",
    ]


def _derivative_lines(inner: Context, a: Answered) -> list[str]:
    z, given = inner.name(a.symbol), inner.args(inner.observed)
    head = [
        f"    def {inner.method('answer')}(self, {inner.typed(inner.observed)}) -> Tensor:",
        f'        """``{z}``, the {a.decision.task}; its derivative is {a.sentence}."""',
    ]
    if a.unrolled:
        return [*head, f'        return self.{inner.method("encode")}({given})["{z}"]']
    inner.runtime.add("implicit_argmin")
    exact = ", exact=True" if inner.model.answers_otherwise else ""
    free = " & ".join(_moves(inner, a))
    arguments = [f"lambda {z}: self.{inner.energy}({given}, {z})", z, "self.adjoint_residual"]
    arguments += [f"free={free}"] if free else []
    arguments += ["simplex=True"] if a.symbol.domain.kind == "simplex" else []
    matrix: list[str] = []
    if a.form is not None:
        scope = inner.scope()
        ((i, j),) = zip(a.form.at, a.form.twin, strict=True)
        scope.assign("matrix", scope.tensor(a.form.matrix, (i, j)))
        matrix = ["with torch.no_grad():", *("    " + x for x in scope.lines)]
        arguments.append("matrix=matrix")
    return [
        *head,
        f'        {z} = self.{inner.method("solve")}({given}{exact}).latents["{z}"]',
        *("        " + x for x in matrix),
        f"        return implicit_argmin({', '.join(arguments)})",
    ]


def _moves(inner: Context, a: Answered) -> list[str]:
    """Conditions under which an entry of an answer stands on no kink and at no edge."""
    z, domain = inner.name(a.symbol), a.symbol.domain
    found = []
    low, high = domain.row.bounds(domain.args)
    if domain.kind == "box":
        found += [f"({z} > {number(low)})", f"({z} < {number(high)})"]
    elif domain.kind != "real":
        found.append(f"({z} > {'1e-6' if domain.kind == 'positive' else '0'})")
    kinds = {p.kind for p in a.penalties}
    if "l1" in kinds and domain.kind in ("real", "box"):
        found.append(f"({z} != 0)")
    for places in sorted({p.within for p in a.penalties if p.kind == "group"}):
        dims = ", ".join(str(k + 1) for k in places)
        found.append(f"(torch.linalg.vector_norm({z}, dim=({dims},), keepdim=True) > 0)")
    return found


def outer_infer_lines(c: Context) -> list[str]:
    """The body of ``infer``: each answer by itself, and the energy of all."""
    lines, rows = [], []
    options = "tolerance=tolerance, max_steps=max_steps"
    for a in c.plan.answers:
        inner, z = within(c, a), c.name(a.symbol)
        exact = ", exact=exact" if inner.model.answers_otherwise else ""
        found = f"found_{z}" if len(c.plan.answers) > 1 else "found"
        lines.append(
            f"{found} = self.{inner.method('solve')}({inner.args(inner.observed)}, start=start, {options}{exact})"
        )
        lines.append(f'{z} = {found}.latents["{z}"]')
        rows.append(found)
    lines.append(f"energy = self.energy({c.args((*c.observed, *c.latents))})")
    latents = ", ".join(f'"{c.name(a.symbol)}": {c.name(a.symbol)}' for a in c.plan.answers)

    def together(field: str, how: str) -> str:
        each = [f"{r}.{field}" for r in rows]
        return each[0] if len(each) == 1 else f"torch.stack(({', '.join(each)})).{how}"

    worst = together("residual", "amax(0)")
    done = f"{together('iterations', 'amax(0)')}, {together('converged', 'all(0)')}"
    return [*lines, f"return Inference({{{latents}}}, energy, {worst}, {done})"]


def answers_code(c: Context, owner: str) -> list[str]:
    """Lines that set each answer, differentiable."""
    return [
        f"{c.name(a.symbol)} = {owner}.{within(c, a).method('answer')}({within(c, a).args(within(c, a).observed)})"
        for a in c.plan.answers
    ]


__all__ = ["answer_lines", "answers_code", "outer_infer_lines", "within"]
