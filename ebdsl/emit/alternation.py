"""Block coordinate minimisation as text: a function for each block, the rounds, the finish in all latents."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ebdsl.emit.descent import DescentBody
from ebdsl.emit.text import tuple_text, uses
from ebdsl.infer.core import RULES, Decision
from ebdsl.infer.rules.alternation import Alternation
from ebdsl.model.ir import Symbol

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

ROUNDS = 200
ENOUGH = 1e-6
"""Of the energy: a round that lowers it by less is the last, since going down in all latents together ends faster."""
STEPS = 50
"""Of an iteration inside of a turn, which starts where the last one ended."""


class AlternationBody(DescentBody):
    """A body that can take turns among blocks of latents."""

    def alternation(self, p: Alternation) -> None:
        self.context.runtime.add("alternate")
        given = (*self.context.observed, *self.fixed)
        for held, inner in p.blocks:
            self._turn(held, inner, tuple(s for s in p.finish.latents if s not in held))
        names = [self.name(s) for s in given]
        at = {s: f'at["{self.name(s)}"]' for s in p.finish.latents}
        self.line("")
        self.line("def value(given: tuple[Tensor, ...], at: dict[str, Tensor]) -> Tensor:")
        self.line(f"    {', '.join(names)}{',' if len(names) == 1 else ''} = given")
        self.line(f"    return self.{self.energy_name}({self._energy_args(names, at)})")
        self.line("")
        self.descent(p.finish, lambda each: self._rounds(p, each))

    def _turn(self, held: tuple[Symbol, ...], inner: Decision, others: tuple[Symbol, ...]) -> None:
        """Define ``solve_…``: some latents at their minimum, given data and the others."""
        body = cast("InferBody", type(self)(self.context))
        body.fixed = (*self.fixed, *others)
        RULES[inner.rule].emit(inner.payload, body)
        args = self.context.typed((*self.context.observed, *body.fixed))
        text = "\n".join(body.lines)
        most = f", max_steps: int = {STEPS}" if uses(text, "max_steps") else ""
        self.line("")
        self.line(f"def solve_{'_'.join(map(self.name, held))}({args}, start: dict[str, Tensor]{most}) -> Inference:")
        self.lines.extend("    " + x if x else "" for x in body.lines)

    def _rounds(self, p: Alternation, each: list[str]) -> None:
        """``begin`` replaced by where turns lead from it."""
        latents = p.finish.latents
        blocks = []
        for held, _ in p.blocks:
            others = "".join(f', at["{self.name(s)}"]' for s in latents if s not in held)
            name = "_".join(map(self.name, held))
            blocks.append(f"lambda given, at: solve_{name}(*given{others}, start=at).latents")
        parts = zip(latents, self._unpack(latents, "begin"), strict=True)
        entries = ", ".join(f'"{self.name(s)}": {x}' for s, x in parts)
        self.line(f"at = {{{entries}}}")
        self.line(f"blocks = [{', '.join(blocks)}]")
        self.line(f"at = alternate(blocks, value, at, {tuple_text(each)}, {ENOUGH}, min({ROUNDS}, max_steps))")
        packed = self._pack(latents, [f'at["{self.name(s)}"]' for s in latents])
        self.line(f"begin = {packed}")
