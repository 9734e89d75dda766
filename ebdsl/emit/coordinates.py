"""Coordinate descent as text: functions of sizes piece by piece, their proximal operator, the call."""

from __future__ import annotations

from ebdsl.emit.descent import DescentBody
from ebdsl.emit.stacked import stacked_row
from ebdsl.emit.tensors import Scope
from ebdsl.emit.values import Value, bracket, is_number, number
from ebdsl.facts.sizes import Sizes
from ebdsl.infer.rules.coordinate_descent import Coordinates
from ebdsl.model.algebra import with_batch
from ebdsl.model.ir import BATCH, Axis, Lit, Node, Symbol


class CoordinateBody(DescentBody):
    """A body that can bring one entry after the other to its minimum."""

    def coordinates(self, p: Coordinates) -> None:
        latents = p.latents
        functions = {s.symbol: s for s in p.sizes}
        lists = {z: self._pieces(s) for z, s in functions.items()}
        if p.once:
            self._once_each(p, functions, lists)
            return
        self.context.runtime.add("prox_of_size")
        if p.form is None:
            assert p.downhill is not None
            self._size_prox(latents, lists)
            self.descent(p.downhill, prox="prox")
            return
        self.context.runtime.add("coordinate_minimum")
        start = self._start(latents)
        matrix, parts = self._joint_system(p.form)
        gram = self.scope.assign("gram", Value(matrix))
        linear = self.scope.assign("linear", Value(stacked_row(self.scope, p.form.second.at, parts)))
        self._size_prox(latents, lists)
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

    def _size_prox(self, latents: tuple[Symbol, ...], lists: dict[Symbol, str]) -> None:
        """Define ``prox`` of all latents as one vector, each entry with its own step."""
        self.line("")
        self.line("def prox(point: Tensor, step: Tensor) -> Tensor:")
        self.line("    step = step.expand(point.shape)")
        moved = [
            self._prox_of(lists[z], z, x, t) if z in lists else self._clamped(z, x)
            for z, x, t in zip(latents, self._unpack(latents, "point"), self._unpack(latents, "step"), strict=True)
        ]
        self.line(f"    return {self._pack(latents, moved)}")
        self.line("")

    def _once_each(self, p: Coordinates, functions: dict[Symbol, Sizes], lists: dict[Symbol, str]) -> None:
        """Nothing couples the entries: one proximal step is the answer."""
        self.context.runtime.add("prox_of_size")
        (z,) = p.latents
        assert p.form is not None
        (at,), ((bend,),), (linear,) = p.form.second.at, p.form.second.blocks, p.form.linear
        bend, linear = with_batch(bend), with_batch(linear)
        self.scope.count(bend, linear)
        curve = self.scope.assign("curvature", self.scope.tensor(bend, (BATCH, *at)))
        slope = self.scope.tensor(linear, (BATCH, *at))
        self.line(f"step = 1 / {curve.code}.clamp_min(torch.finfo({curve.code}.dtype).eps * {curve.code}.abs().max())")
        self.answer(z, self._prox_of(lists[z], z, f"-step * {slope.atom}", "step"))
        self.finish_at_answer()

    def _clamped(self, z: Symbol, x: str) -> str:
        low, high = (number(e) for e in z.domain.row.bounds(z.domain.args))
        return x if z.domain.kind == "real" else f"{bracket(x)}.clamp({low}, {high})"

    def _prox_of(self, pieces: str, z: Symbol, x: str, t: str) -> str:
        low, high = (number(e) for e in z.domain.row.bounds(z.domain.args))
        return f"prox_of_size({x}, {t}, {pieces}, {low}, {high})"

    def _pieces(self, s: Sizes) -> str:
        """Define the pieces of a function of sizes; the name of their list."""
        stem = self.name(s.symbol)
        rows = []
        for k, piece in enumerate(s.pieces):
            value = self._function(f"{stem}_value{k + 1}", s, s.size, (piece.value,))
            slopes = self._function(f"{stem}_slopes{k + 1}", s, s.size, (piece.slope, piece.bend))
            low, high = self._edge(piece.low, s.at, "maximum", "0"), self._edge(piece.high, s.at, "minimum", "math.inf")
            rows.append(f"({value}, {slopes}, {low}, {high}, {piece.way})")
        name = self.scope.name(f"{stem}_pieces")
        self.line(f"{name} = [{', '.join(rows)}]")
        return name

    def _edge(self, ends: tuple[Node, ...], at: tuple[Axis, ...], of: str, none: str) -> str:
        """The greatest of lower ends, or the least of upper ones."""
        numbers = [e.value for e in ends if isinstance(e, Lit)]
        texts = [self.scope.tensor(e, at).code if at else self._number(e) for e in ends if not isinstance(e, Lit)]
        if numbers:
            one = max(numbers) if of == "maximum" else min(numbers)
            texts.append(number(one) if not texts else f"torch.full_like({texts[0]}, {number(one)})")
        if not texts:
            return none
        text = texts[0]
        for other in texts[1:]:
            text = f"torch.{of}({text}, {other})"
        return text

    def _number(self, node: Node) -> str:
        return self.scope.constant(self.scope.emit(node))

    def _function(self, stem: str, s: Sizes, variable: Symbol, nodes: tuple[Node, ...]) -> str:
        """Define a function of one tensor that gives these nodes, entry by entry; its name."""
        hoisted: list[Node] = []
        texts: dict[Symbol, str] = {}
        for n in nodes:
            node, found, _ = self._hoist(n, frozenset({variable}))
            hoisted.append(with_batch(node))
            texts |= found
        inner = self._loop_scope(texts, (variable,), ["point"])
        inner.count(*hoisted)
        codes = [self._whole(inner, n, s.at) for n in hoisted]
        name = self.scope.name(stem)
        if self.lines[-1:] != [""]:
            self.line("")
        gives = "Tensor" if len(nodes) == 1 else f"tuple[{', '.join(['Tensor'] * len(nodes))}]"
        self.line(f"def {name}(point: Tensor) -> {gives}:")
        self.lines.extend(f"    {x}" for x in inner.lines)
        self.line(f"    return {', '.join(codes)}")
        self.line("")
        return name

    def _whole(self, inner: Scope, node: Node, at: tuple[Axis, ...]) -> str:
        """The text of a node for every entry of ``point``."""
        value = inner.emit(node)
        if value.axes:
            return inner.tensor(node, (BATCH, *at)).code
        if is_number(value.code):
            return f"torch.full_like(point, {value.code})" if value.code != "0" else "torch.zeros_like(point)"
        return f"{inner.constant(value)}.expand(point.shape)"
