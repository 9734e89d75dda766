"""Blocks that rules of inference minimise, as text: the body of an ``infer`` with the data as its one sample."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ebdsl import settings
from ebdsl.emit.bodies import InferBody
from ebdsl.emit.context import Context
from ebdsl.emit.tensors import Scope
from ebdsl.infer.core import RULES
from ebdsl.learn.program import SAMPLES
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
    """The body of a function that minimises one block, or several together."""

    def energy_of(self, latents: dict[Symbol, str]) -> str:
        names = "_".join(self.name(s) for s in self.context.latents)
        return f"energy_of_{names}({', '.join(latents[s] for s in self.context.latents)})"


def program_lines(body: LearnBody, p: Program) -> list[str]:
    """Lines that set ``found``, the answer for the block and those beside it."""
    outer = body.context
    names = [outer.name(s) for s in p.symbols]
    whole = "_".join(names)
    plan = replace(outer.plan, model=p.problem.model, inference=(p.inner,), statistics=())
    found = frozenset(s.symbol.name for s in outer.plan.statistics)
    local = {s.name: outer.name(s) for s in p.problem.energy.symbols if SAMPLES in s.shape or s.name in found}
    c = BlockContext(plan, outer.names, outer.runtime, local=local | body.renamed)
    single, double = settings.tolerances(outer.plan)
    energy = c.scope(batch="1", renamed=dict(zip((s.name for s in p.symbols), names, strict=True)))
    energy.like = names[0]
    energy.count(with_batch(p.problem.energy))
    value = energy.tensor(with_batch(p.problem.energy), (BATCH,))
    inner = BlockBody(c)
    RULES[p.inner.rule].emit(p.inner.payload, inner)
    start = ", ".join(f'"{n}": model.{n}.detach()[None]' for n in names)
    return [
        f"begin_{whole} = {{{start}}}",
        f'row = begin_{whole}["{names[0]}"]',
        "",
        f"def energy_of_{whole}({', '.join(f'{n}: Tensor' for n in names)}) -> Tensor:",
        *("    " + x for x in energy.lines),
        f"    return {value.code}",
        "",
        f"def minimise_{whole}() -> Inference:",
        f"    start, max_steps = begin_{whole}, {settings.max_steps(plan)}",
        f"    tolerance = {single:g} if row.dtype == torch.float32 else {double:g}",
        *("    " + x if x else "" for x in inner.lines),
        "",
        f"found = minimise_{whole}()",
    ]


def certificates(body: LearnBody, samples: str) -> tuple[list[str], list[str]]:
    """Lines that begin to keep the answers for blocks, and that report their residuals, a sample's share of them."""
    if "self.found" not in "\n".join(body.lines):
        return [], []
    each = f"f.residual.max() / {samples} for name, f in self.found.items()"
    return ["self.found: dict[str, Inference] = {}"], [f'metrics |= {{f"residual/{{name}}": {each}}}']
