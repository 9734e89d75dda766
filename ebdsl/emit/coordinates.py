"""Coordinate descent as text: the system, functions of entries, the call."""

from __future__ import annotations

from ebdsl.emit.sizes import SizesBody
from ebdsl.emit.stacked import stacked_row
from ebdsl.emit.text import tuple_text
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
        if p.gradient is not None:
            self._by_gradient(p, proxes)
            return
        if p.form is None or p.downhill is not None:
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
        penalty = self._penalty(p)
        firsts, seconds = [], []
        for z, x in zip(latents, self._unpack(latents, "point"), strict=True):
            if z in functions:
                slopes = self._function(f"{self.name(z)}_slopes", functions[z], z, functions[z].slopes)
                firsts.append(f"{slopes}({x})[0]")
                seconds.append(f"{slopes}({x})[1]")
            else:
                for texts in (firsts, seconds):
                    texts.append(f"torch.zeros_like({x})")
        if self._flat(latents):
            slope = firsts[0].split("(")[0]
        else:
            slope = "slopes"
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

    def _by_gradient(self, p: Coordinates, proxes: dict[Symbol, str]) -> None:
        """Accelerated proximal gradient, where the functions are not convex from the lowest of several starts."""
        assert p.gradient is not None
        self._joint_prox(p.latents, proxes)
        if p.convex:
            self.proximal(p.gradient, "prox")
            return
        penalty = self._penalty(p)
        self.context.runtime.add("lowest_thresholded")
        low, high = self._ends(p.latents)

        def improve(gram: Value, linear: Value) -> None:
            self.line("if start is None:")
            given = f"{gram.code}, {linear.code}, {low}, {high}, begin, owner"
            self.line(f"    owner = {self._owners(p)}")
            self.line(f"    begin = lowest_thresholded(prox, {penalty}, {given})")

        self.proximal(p.gradient, "prox", improve)

    def _owners(self, p: Coordinates) -> str:
        """Text of the number of the group, or the entry, that each entry of the packed latents belongs to."""
        texts, before = [], "0"
        within = {s.symbol: s.within for s in p.sizes}
        for z in p.latents:
            sizes = ["1" if k in within.get(z, ()) else self.context.dim(d) for k, d in enumerate(z.shape)]
            count = " * ".join(bracket(n) for n in sizes if n != "1") or "1"
            whole = tuple_text([self.context.dim(d) for d in z.shape])
            first, end = (before, f"{before} + {count}") if before != "0" else ("", count)
            numbers = f"torch.arange({first + ', ' if first else ''}{end}, device={self.like}.device)"
            texts.append(f"{numbers}.reshape({tuple_text(sizes)}).expand({whole}).reshape(-1)")
            before = end
        return texts[0] if len(texts) == 1 else f"torch.cat(({', '.join(texts)}))"

    def _penalty(self, p: Coordinates) -> str:
        """Define the functions' values, one for each entry or group; the name."""
        values = []
        functions = {s.symbol: s for s in p.sizes}
        for z, x in zip(p.latents, self._unpack(p.latents, "point"), strict=True):
            if z not in functions:
                values.append(f"torch.zeros_like({x})")
                continue
            s = functions[z]
            variable, node = (s.size, s.of_size) if s.within else (z, s.value)
            name = self._function(f"{self.name(z)}_penalty", s, variable, (node,))
            dims = tuple_text([str(k - len(z.shape)) for k in s.within])
            values.append(f"{name}({f'torch.linalg.vector_norm({x}, dim={dims})' if s.within else x})")
        if self._flat(p.latents) and not p.sizes[0].within:
            return values[0].split("(")[0]
        self.line("def penalty(point: Tensor) -> Tensor:")
        flat = [f"{v}.reshape(point.shape[0], -1)" for v in values]
        self.line(f"    return {flat[0]}" if len(flat) == 1 else f"    return torch.cat(({', '.join(flat)}), 1)")
        self.line("")
        return "penalty"

    def _joint_prox(self, latents: tuple[Symbol, ...], proxes: dict[Symbol, str]) -> None:
        """Define ``prox`` of all latents as one vector, each entry with its own step."""
        self.line("")
        self.line("def prox(point: Tensor, step: Tensor) -> Tensor:")
        if not self._flat(latents):
            self.line("    step = torch.as_tensor(step, dtype=point.dtype, device=point.device).expand(point.shape)")
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
