"""A method body of ``infer`` under construction."""

from __future__ import annotations

from ebdsl.emit.context import Context
from ebdsl.emit.systems import solve_code
from ebdsl.emit.tensors import Scope
from ebdsl.emit.values import bracket
from ebdsl.facts.quadratic import Quadratic
from ebdsl.model.adjoint import gradient
from ebdsl.model.algebra import with_batch, zeroed
from ebdsl.model.derivative import fresh_index
from ebdsl.model.ir import BATCH, Node, Symbol


class Body:
    """Lines of one method body. Rules ``answer`` for each latent and ``finish`` once."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.scope: Scope = context.scope()
        self.answers: dict[Symbol, str] = {}
        self.iterations = "iterations"  # the text of how many steps there were
        self.once: dict[str, str] = {}  # variables that hold what the plan's loop computes once
        self.fixed: tuple[Symbol, ...] = ()  # latents that are given: finite ones, a value a row
        self.averaged: tuple[Symbol, ...] = ()  # latents that the energy to be minimised is an average over

    @property
    def lines(self) -> list[str]:
        return self.scope.lines

    @property
    def like(self) -> str:
        return self.context.like

    @property
    def observed_args(self) -> str:
        return self.context.args(self.context.observed)

    def line(self, text: str) -> None:
        self.lines.append(text)

    def name(self, symbol: Symbol) -> str:
        return self.context.name(symbol)

    def beta_code(self, beta: Node | None) -> str:
        return "1" if beta is None else self.scope.emit(beta).atom

    def answer(self, symbol: Symbol, code: str) -> None:
        """``code`` is the answer for a latent."""
        self.line(f"{self.name(symbol)} = {code}")
        self.answers[symbol] = self.name(symbol)

    def solve(self, form: Quadratic) -> str:
        return solve_code(self.scope, form, per_sample=True)

    def finish(self, energy: str, residual: str, iterations: str, posterior: str = "", goal: str = "tolerance") -> None:
        entries = ", ".join(f'"{self.name(s)}": {code}' for s, code in self.answers.items())
        self.line(f"residual = {residual}")
        more = f", {posterior}" if posterior else ""
        self.line(f"return Inference({{{entries}}}, {energy}, residual, {iterations}, residual <= {goal}{more})")

    def energy_call(self) -> str:
        return self.energy_of(self.answers)

    def energy_of(self, latents: dict[Symbol, str]) -> str:
        """The text of the energy where the latents that are not given have these values."""
        known = latents | {s: self.name(s) for s in self.fixed}
        return f"self.{self.energy_name}({', '.join([self.observed_args, *(known[s] for s in self.minimised)])})"

    @property
    def energy_name(self) -> str:
        """The method that is minimised."""
        return "averaged_energy" if self.averaged else self.context.energy

    @property
    def minimised(self) -> list[Symbol]:
        """The latents that it takes."""
        return [s for s in self.context.latents if s not in self.averaged]

    def finish_at_answer(self, loose: Node | None = None) -> None:
        """A stationary point: the residual is the gradient that is left.

        It is measured where the system may have been singular: that of the energy ``loose``.
        """
        once = "torch.ones_like(residual, dtype=torch.int64)"
        if loose is None:
            flat = f"{self.like}.flatten(1)[:, 0]" if self.context.observed[0].shape else self.like
            self.finish(self.energy_call(), f"torch.zeros_like({flat})", once)
            return
        self.context.runtime.add("residual_goals")
        found = tuple(self.answers)
        at = [fresh_index(s) for s in found]
        slopes = [with_batch(gradient(loose, s, a)) for s, a in zip(found, at, strict=True)]
        cold = [with_batch(zeroed(gradient(loose, s, a), found)) for s, a in zip(found, at, strict=True)]
        texts = []
        for nodes in (slopes, cold):
            self.scope.count(*nodes)
            rows = []
            for node, axes in zip(nodes, at, strict=True):
                value = self.scope.tensor(node, (BATCH, *axes))
                rows.append(value.code if len(axes) == 1 else f"{value.atom}.reshape({self.like}.shape[0], -1)")
            texts.append(rows[0] if len(rows) == 1 else f"torch.cat(({', '.join(rows)}), 1)")
        self.line(f"goal = residual_goals({texts[1]}, tolerance)")
        self.finish(self.energy_call(), f"{bracket(texts[0])}.abs().amax(1)", once, goal="goal")

    def _energy_args(self, repeated: list[str], found: dict[Symbol, str]) -> str:
        """Arguments of ``energy``: what is given, repeated for each start, then the latents in order."""
        count = len(self.context.observed)
        known = found | dict(zip(self.fixed, repeated[count:], strict=True))
        return ", ".join([*repeated[:count], *(known[s] for s in self.minimised)])
