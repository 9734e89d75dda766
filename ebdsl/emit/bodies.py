"""The body of ``infer``: what the inference rules write into."""

from __future__ import annotations

from ebdsl.emit.alternation import AlternationBody
from ebdsl.emit.banded_interior import BandedInteriorBody
from ebdsl.emit.coordinates import CoordinateBody
from ebdsl.emit.elimination import EliminationBody
from ebdsl.emit.interior import InteriorBody
from ebdsl.emit.noise import NoiseBody
from ebdsl.emit.quadrature import QuadratureBody
from ebdsl.emit.riccati import RiccatiBody
from ebdsl.emit.search import SearchBody
from ebdsl.emit.variation import VariationBody
from ebdsl.infer.core import Decision
from ebdsl.infer.rules.nested import OfMinima, OfSoftmin
from ebdsl.model.ir import Symbol


class InferBody(
    BandedInteriorBody,
    VariationBody,
    InteriorBody,
    SearchBody,
    CoordinateBody,
    AlternationBody,
    EliminationBody,
    RiccatiBody,
    NoiseBody,
    QuadratureBody,
):
    """All that a rule can ask for."""

    def each_state(self, finite: tuple[Symbol, ...], free: tuple[Symbol, ...], inner: Decision) -> None:
        """The lowest of what the rule for ``free`` finds at all values of ``finite``."""
        self.solve_each(finite, inner)
        answers = ", ".join(f'"{self.name(s)}": {self.name(s)}' for s in finite)
        self.line("energy, best = each.energy.reshape(samples, count).min(1)")
        self.line(f"best = best + count * torch.arange(samples, device={self.like}.device)")
        self.line(f"latents = {{{answers}}} | each.latents")
        self.line("latents = {name: value[best] for name, value in latents.items()}")
        self.line("return Inference(latents, energy, each.residual[best], each.iterations[best], each.converged[best])")

    def solve_each(self, finite: tuple[Symbol, ...], inner: Decision) -> None:
        """``each``: the answers of a rule for all ``samples`` with all ``count`` values of ``finite`` as one batch."""
        from ebdsl.infer.core import RULES

        observed = self.context.observed
        tables = [f"self.{self.name(s)}_values" for s in finite]
        self.line("count = 1")
        for s, table in zip(finite, tables, strict=True):
            self.line(f"{self.name(s)} = {table}.repeat_interleave(count, 0)")
            for earlier in finite[: finite.index(s)]:
                once = self.name(earlier)
                self.line(f"{once} = {once}.repeat({table}.shape[0]{', 1' * len(earlier.shape)})")
            self.line(f"count = count * {table}.shape[0]")
        self.line(f"samples = {self.like}.shape[0]")
        for s in finite:
            self.line(f"{self.name(s)} = {self.name(s)}.to({self.like}.dtype).repeat(samples{', 1' * len(s.shape)})")
        for s in observed:
            self.line(f"{self.name(s)} = {self.name(s)}.repeat_interleave(count, 0)")
        self.line("if start is not None:")
        self.line("    start = {name: value.repeat_interleave(count, 0) for name, value in start.items()}")
        given = InferBody(self.context)
        given.fixed = finite
        RULES[inner.rule].emit(inner.payload, given)
        arguments = ", ".join(f"{self.name(s)}: Tensor" for s in (*observed, *finite))
        self.line("")
        self.line(f"def given_state({arguments}) -> Inference:")
        self.lines.extend("    " + x if x else "" for x in given.lines)
        self.line("")
        self.line(f"each = given_state({self.context.args((*observed, *finite))})")

    def of_minima(self, p: OfMinima) -> None:
        """Every state's minimum, averaged."""
        from ebdsl.emit.nested import write_minima

        write_minima(self, p)

    def of_softmin(self, p: OfSoftmin) -> None:
        """The minimum of an average over states."""
        from ebdsl.emit.nested import write_softmin

        write_softmin(self, p)
