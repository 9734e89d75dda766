"""The text of solves by fast transforms and by conjugate gradients: the second derivative as a function of rows."""

from __future__ import annotations

from ebdsl.emit.loops import LoopBody
from ebdsl.emit.text import tuple_text
from ebdsl.facts.modes import CHANNEL, COSINE, FOURIER
from ebdsl.infer.rules.modes import Modes
from ebdsl.model.algebra import with_batch
from ebdsl.model.ir import BATCH


class ModesBody(LoopBody):
    """What the rules ``fast transform`` and ``conjugate gradients`` write."""

    def transformed(self, p: Modes) -> None:
        z = p.op.symbol
        self.context.runtime.add("solve_by_modes")
        linear, given = self._system(p)
        bases = ", ".join(self._places(p, b) for b in (COSINE, FOURIER, CHANNEL))
        self.line(f"shape = {tuple_text([self.context.dim(d) for d in z.shape])}")
        self.context.runtime.add("residual_goals")
        self.line(f"goal = residual_goals({linear}, tolerance)")
        self.line(f"point, residual = solve_by_modes(product, {linear}, {tuple_text(given)}, shape, {bases})")
        self.line("iterations = torch.ones_like(residual, dtype=torch.int64)")
        self._solved(p)

    def conjugate_gradients(self, p: Modes) -> None:
        z = p.op.symbol
        self.context.runtime.add("conjugate_gradient")
        start = self._start((z,))
        linear, given = self._system(p)
        bases = ", ".join(self._places(p, b) for b in (COSINE, FOURIER))
        self.line(f"begin = {start}")
        self.line(f"shape = {tuple_text([self.context.dim(d) for d in z.shape])}")
        self.context.runtime.add("residual_goals")
        self.line(f"goal = residual_goals({linear}, tolerance)")
        self.line("point, residual, iterations = conjugate_gradient(")
        self.line(f"    product, {linear}, begin, {tuple_text(given)}, shape, {bases}, goal, max_steps")
        self.line(")")
        self._solved(p)

    def _places(self, p: Modes, basis: str) -> str:
        return tuple_text([str(k + 1) for k in p.places(basis)])

    def _system(self, p: Modes) -> tuple[str, list[str]]:
        """Define ``product``; the text of the linear part in rows, and the per-sample tensors that it takes."""
        z = p.op.symbol
        self.scope.taken |= {"product", "shape", "begin", "goal", "point"}
        value = self.scope.tensor(with_batch(p.op.linear), (BATCH, *p.op.at))
        rows = value.code if len(z.shape) == 1 else f"{value.atom}.reshape(-1, {self._numel(z)})"
        self.line(f"linear = {rows}")
        node, texts, needed = self._hoist(p.op.product, frozenset({z}))
        names = [texts.get(s) or self.name(s) for s in needed]
        inner = self._loop_scope(texts, (z,), [self.name(z)])
        inner.count(with_batch(node))
        value = inner.tensor(with_batch(node), (BATCH, *p.op.at))
        code = value.code if len(z.shape) == 1 else f"{value.atom}.reshape(-1, {self._numel(z)})"
        self._closure("product", names, (z,), [*inner.lines, f"return {code}"])
        return "linear", names

    def _solved(self, p: Modes) -> None:
        z = p.op.symbol
        self.answer(z, self._unpack((z,), "point")[0])
        entries = f'"{self.name(z)}": {self.name(z)}'
        self.line(f"return Inference({{{entries}}}, {self.energy_call()}, residual, iterations, residual <= goal)")
