"""Coordinate descent as text: the system, functions of entries, the call."""

from __future__ import annotations

from ebdsl.emit.sizes import SizesBody
from ebdsl.emit.stacked import stacked_row
from ebdsl.emit.values import Value, bracket, number
from ebdsl.infer.rules.coordinate_descent import Coordinates
from ebdsl.model.algebra import with_batch
from ebdsl.model.ir import BATCH, Symbol


class CoordinateBody(SizesBody):
    """A body that can bring one entry after the other to its minimum."""

    def coordinates(self, p: Coordinates) -> None:
        latents = p.latents
        functions = {s.symbol: s for s in p.sizes}
        proxes = {z: self.size_prox(s) for z, s in functions.items()}
        if p.once:
            self._once_each(p, proxes)
            return
        if p.form is None:
            assert p.downhill is not None
            self._joint_prox(latents, proxes)
            self.descent(p.downhill, prox="prox")
            return
        self.context.runtime.add("coordinate_minimum")
        start = self._start(latents)
        matrix, parts = self._joint_system(p.form)
        gram = self.scope.assign("gram", Value(matrix))
        linear = self.scope.assign("linear", Value(stacked_row(self.scope, p.form.second.at, parts)))
        self._joint_prox(latents, proxes)
        values, firsts, seconds = [], [], []
        for z, x in zip(latents, self._unpack(latents, "point"), strict=True):
            if z in functions:
                s = functions[z]
                value = self._function(f"{self.name(z)}_penalty", s, z, (s.value,))
                slopes = self._function(f"{self.name(z)}_slopes", s, z, s.slopes)
                values.append(f"{value}({x})")
                firsts.append(f"{slopes}({x})[0]")
                seconds.append(f"{slopes}({x})[1]")
            else:
                for texts in (values, firsts, seconds):
                    texts.append(f"torch.zeros_like({x})")
        if self._flat(latents):
            penalty, slope = (texts[0].split("(")[0] for texts in (values, firsts))
        else:
            penalty, slope = "penalty", "slopes"
            self.line("def penalty(point: Tensor) -> Tensor:")
            self.line(f"    return {self._pack(latents, values)}")
            self.line("")
            self.line("def slopes(point: Tensor) -> tuple[Tensor, Tensor]:")
            self.line(f"    return {self._pack(latents, firsts)}, {self._pack(latents, seconds)}")
            self.line("")
        self.line(f"begin = {start}")
        self._goal(linear.code)
        low, high = self._ends(latents)
        self.line("point, residual, iterations = coordinate_minimum(")
        self.line(f"    prox, {penalty}, {slope}, {gram.code}, {linear.code}, {low}, {high}, begin, goal, max_steps")
        self.line(")")
        self._found(latents)

    def _joint_prox(self, latents: tuple[Symbol, ...], proxes: dict[Symbol, str]) -> None:
        """Define ``prox`` of all latents as one vector, each entry with its own step."""
        self.line("")
        self.line("def prox(point: Tensor, step: Tensor) -> Tensor:")
        if not self._flat(latents):
            self.line("    step = step.expand(point.shape)")
        moved = [
            proxes[z].format(v=x, t=t) if z in proxes else self._clamped(z, x)
            for z, x, t in zip(latents, self._unpack(latents, "point"), self._unpack(latents, "step"), strict=True)
        ]
        self.line(f"    return {self._pack(latents, moved)}")
        self.line("")

    def _once_each(self, p: Coordinates, proxes: dict[Symbol, str]) -> None:
        """Nothing couples the entries: one proximal step is the answer."""
        (z,) = p.latents
        assert p.form is not None
        (at,), ((bend,),), (linear,) = p.form.second.at, p.form.second.blocks, p.form.linear
        bend, linear = with_batch(bend), with_batch(linear)
        self.scope.count(bend, linear)
        curve = self.scope.assign("curvature", self.scope.tensor(bend, (BATCH, *at)))
        slope = self.scope.tensor(linear, (BATCH, *at))
        self.line(f"step = 1 / {curve.code}.clamp_min(torch.finfo({curve.code}.dtype).eps * {curve.code}.abs().max())")
        self.answer(z, proxes[z].format(v=f"-step * {slope.atom}", t="step"))
        self.finish_at_answer()

    def _clamped(self, z: Symbol, x: str) -> str:
        low, high = (number(e) for e in z.domain.row.bounds(z.domain.args))
        return x if z.domain.kind == "real" else f"{bracket(x)}.clamp({low}, {high})"
