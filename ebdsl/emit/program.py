"""Blocks that rules of inference minimise, as text: the body of an ``infer`` with the data as its one sample."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ebdsl import settings
from ebdsl.emit.bodies import InferBody
from ebdsl.emit.context import Context
from ebdsl.emit.tensors import Scope
from ebdsl.infer.core import RULES
from ebdsl.learn.program import SAMPLES, unknown
from ebdsl.learn.rules.convex import Program
from ebdsl.model.algebra import with_batch
from ebdsl.model.ir import BATCH, Dim, Symbol

if TYPE_CHECKING:
    from ebdsl.emit.updates import LearnBody


@dataclass
class BlockContext(Context):
    """A context inside of ``update``: parameters are the model's, data and answers are local variables.

    The one sample of the block is ``row``.
    """

    local: dict[str, str] = field(default_factory=dict)

    @property
    def like(self) -> str:
        return "row"

    def dim(self, dim: Dim, owner: str = "self") -> str:
        return "samples" if dim == SAMPLES else super().dim(dim, "model")

    def scope(self, owner: str = "self", batch: str | None = None, renamed: dict[str, str] | None = None) -> Scope:
        scope = super().scope("model", batch, self.local | (renamed or {}))
        scope.taken |= {"samples", "row", *self.local.values()}
        return scope


class BlockBody(InferBody):
    """The body of a function that minimises one block."""

    def energy_of(self, latents: dict[Symbol, str]) -> str:
        (text,) = latents.values()
        return f"energy_of_{self.name(*latents)}({text})"


def program_lines(body: LearnBody, p: Program) -> list[str]:
    """Lines that set ``found``, the answer for the block."""
    outer = body.context
    z, name = unknown(p.symbol), outer.name(p.symbol)
    plan = replace(outer.plan, model=p.problem.model, inference=(p.inner,), statistics=())
    taken = {s.name for s in p.problem.energy.symbols if s.role == "const" and s not in p.problem.model.symbols}
    local = {n: outer.names.get(n, n) for n in taken} | body.renamed
    c = BlockContext(plan, outer.names, outer.runtime, {n: local[n] for n in taken})
    single, double = settings.tolerances(outer.plan)
    energy = c.scope(batch="1", renamed={z.name: name})
    energy.like = name
    energy.count(with_batch(p.problem.energy))
    value = energy.tensor(with_batch(p.problem.energy), (BATCH,))
    inner = BlockBody(c)
    RULES[p.inner.rule].emit(p.inner.payload, inner)
    return [
        f"row = model.{name}.detach()[None]",
        "",
        f"def energy_of_{name}({name}: Tensor) -> Tensor:",
        *("    " + x for x in energy.lines),
        f"    return {value.code}",
        "",
        f"def minimise_{name}() -> Inference:",
        f'    start, max_steps = {{"{name}": row}}, {settings.max_steps(plan)}',
        f"    tolerance = {single:g} if row.dtype == torch.float32 else {double:g}",
        *("    " + x if x else "" for x in inner.lines),
        "",
        f"found = minimise_{name}()",
    ]


def certificates(body: LearnBody, samples: str) -> tuple[list[str], list[str]]:
    """Lines that begin to keep the answers for blocks, and that report their residuals, a sample's share of them."""
    if "self.found" not in "\n".join(body.lines):
        return [], []
    each = f"f.residual.max() / {samples} for name, f in self.found.items()"
    return ["self.found: dict[str, Inference] = {}"], [f'metrics |= {{f"residual/{{name}}": {each}}}']
