"""Splitting as text: the maps and their transposes, proximal operators, what certifies an answer."""

from __future__ import annotations

import math

from ebdsl.emit.context import called
from ebdsl.emit.convolutional import ConvolutionalBody
from ebdsl.emit.tensors import Scope
from ebdsl.emit.text import tuple_text
from ebdsl.emit.values import Value, bracket, number
from ebdsl.facts.composite import Map, Piece
from ebdsl.facts.gauges import GAUGES
from ebdsl.facts.modes import COSINE, FOURIER
from ebdsl.facts.quadratic import Quadratic
from ebdsl.facts.stencils import Taps
from ebdsl.infer.rules.splitting import Splitting
from ebdsl.model.adjoint import gradient
from ebdsl.model.algebra import contract, multiply, with_batch
from ebdsl.model.build import add, power
from ebdsl.model.derivative import derivative, fresh_index
from ebdsl.model.domains import REAL
from ebdsl.model.ir import BATCH, ZERO, Axis, Get, Lit, Node, Symbol

BASES = (COSINE, FOURIER)


class SplittingBody(ConvolutionalBody):
    """A body that can minimise a quadratic plus penalties of linear maps."""

    def splitting(self, p: Splitting) -> None:
        z = p.latent
        pieces = p.parts.pieces
        start = self._start((z,))
        at = fresh_index(z)
        given = self._split_functions(p, at)
        if p.kind == "modes":
            self.line(f"begin = {start}")
        weights = [self._split_weight(piece) for piece in pieces]
        if p.kind == "factor":
            self._split_factor(p, at)
        elif p.kind == "diagonal":
            self._split_diagonal(p, at)
        elif p.kind == "modes":
            self._split_modes(p, given)
        self._split_bound(p, at)
        self._split_prox(z, pieces, weights)
        self._split_slack(pieces, weights)
        kinks = "None" if p.kind == "modes" else self._split_kinks(z, pieces)
        self.context.runtime.add("primal_dual" if p.kind == "gradient" else "alternating_directions")
        if p.kind != "modes":
            self.line(f"begin = {start}")
        self.line(f"cold = {self._cold('begin')}")
        self._goal(self.energy_of({z: self._unpack((z,), "cold")[0]}))
        copy = self._split_copy(z, pieces)
        functions = "(forward, back, gradient)"
        if p.kind == "gradient":
            call = (
                f"primal_dual({functions}, prox, slack, bound, {kinks}, begin, {tuple_text(given)}, {copy}, "
                "goal, max_steps)"
            )
        else:
            settle = "settle" if p.strong and copy == "None" else "None"
            near = f"(divisors, top, {settle})" if p.kind == "modes" else "None"
            call = (
                f"alternating_directions({functions}, solve, prox, slack, bound, {kinks}, begin, {tuple_text(given)}, "
                f"rho, {near}, {copy}, goal, max_steps)"
            )
        self.line(f"point, residual, iterations = {call}")
        self.answer(z, self._unpack((z,), "point")[0])
        self.line(
            f'return Inference({{"{self.name(z)}": {self.name(z)}}}, {self.energy_call()}, residual, iterations, '
            "residual <= goal)"
        )

    # ----------------------------------------------------------------- the maps

    def _split_functions(self, p: Splitting, at: tuple[Axis, ...]) -> list[str]:
        """Define ``forward``, ``back`` and ``gradient``; the names of the per-sample tensors that all three take."""
        z = p.latent
        self.scope.taken |= {"dual", "value", "weight", "sizes", "groups", "begin", "point", "slope", "cold"}
        pieces = p.parts.pieces
        if len(pieces) > 1:
            self.line(f"sizes = {tuple_text([self._length(piece) for piece in pieces])}")
        duals: list[tuple[Piece, list[Symbol]]] = []
        total: Node = ZERO
        for piece in pieces:
            symbols = []
            for m in piece.maps:
                over = _axes(piece, m)
                u = Symbol(self.scope.name("dual_1"), "latent", tuple(a.dim for a in over), REAL)
                total = add(total, contract(multiply(Get(u, over), m.node), over))
                symbols.append(u)
            duals.append((piece, symbols))
        both = frozenset({z, *(u for _, us in duals for u in us)})
        maps = [[self._hoist(m.node, both) for m in piece.maps] for piece in p.parts.pieces]
        pulled = self._hoist(derivative(total, z, at), both)
        slope = self._hoist(gradient(p.parts.smooth, z, at), both)
        found = [*(h for hs in maps for h in hs), pulled, slope]
        texts = {s: t for _, ts, _ in found for s, t in ts.items()}
        needed = dict.fromkeys(texts.get(s) or self.name(s) for _, _, ss in found for s in ss if s not in both)
        given = list(needed)

        inner = self._loop_scope(texts, (z,), [self.name(z)])
        inner.count(*(with_batch(node) for hs in maps for node, _, _ in hs))
        outs = []
        for (piece, _), hs in zip(duals, maps, strict=True):
            values = [
                inner.tensor(with_batch(node), (BATCH, *_axes(piece, m))).atom
                for (node, _, _), m in zip(hs, piece.maps, strict=True)
            ]
            outs.append(self._stacked(piece, values))
        self._closure("forward", given, (z,), [*inner.lines, f"return {_joined(outs)}"])

        parts = {u: u.name for _, us in duals for u in us}
        lines = self._taken_apart("dual", pieces)
        for (piece, us), text in zip(duals, self._named("dual", pieces), strict=True):
            lines += self._unstacked(piece, us, text)
        back = self.context.scope(batch="dual.shape[0]", renamed={s.name: t for s, t in (texts | parts).items()})
        back.taken |= self.scope.taken
        back.like = "dual"
        back.count(with_batch(pulled[0]))
        value = back.tensor(with_batch(pulled[0]), (BATCH, *at))
        arguments = ", ".join(f"{n}: Tensor" for n in ["dual", *given])
        self.line(f"def back({arguments}) -> Tensor:")
        self.lines.extend("    " + x for x in [*lines, *back.lines, f"return {self._row(z, value)}"])

        inner = self._loop_scope(texts, (z,), [self.name(z)])
        inner.count(with_batch(slope[0]))
        value = inner.tensor(with_batch(slope[0]), (BATCH, *at))
        self._closure("gradient", given, (z,), [*inner.lines, f"return {self._row(z, value)}"])
        return given

    def _row(self, z: Symbol, value: Value) -> str:
        return value.code if len(z.shape) == 1 else f"{value.atom}.reshape(-1, {self._numel(z)})"

    def _count(self, axes: tuple[Axis, ...]) -> str:
        return self._times(*(self.context.dim(a.dim) for a in axes))

    def _times(self, *texts: str) -> str:
        number = math.prod(int(t) for t in texts if t.isdigit())
        rest = [bracket(t) for t in texts if not t.isdigit()]
        return " * ".join([str(number)] * (number != 1 or not rest) + rest)

    def _inner(self, piece: Piece) -> str:
        """How many entries a group of the piece has."""
        counts = [self._count(m.within) for m in piece.maps]
        number = sum(int(t) for t in counts if t.isdigit())
        return " + ".join([t for t in counts if not t.isdigit()] + [str(number)] * (number > 0))

    def _length(self, piece: Piece) -> str:
        return self._times(self._count(piece.outer), self._inner(piece))

    def _length_of(self, piece: Piece, m: Map) -> str:
        return self._times(self._count(piece.outer), self._count(m.within))

    def _named(self, name: str, pieces: tuple[Piece, ...]) -> list[str]:
        """Names for each piece's share of a tensor over all maps."""
        return [name] if len(pieces) == 1 else [f"{name}_part{k + 1}" for k in range(len(pieces))]

    def _taken_apart(self, name: str, pieces: tuple[Piece, ...]) -> list[str]:
        """The line that sets :meth:`_named`."""
        return [] if len(pieces) == 1 else [f"{', '.join(self._named(name, pieces))} = {name}.split(sizes, 1)"]

    def _stacked(self, piece: Piece, values: list[str]) -> str:
        """The maps of a piece as ``(B, entries)``, a group's entries side by side."""
        if len(values) == 1:
            whole = _axes(piece, piece.maps[0])
            return values[0] if len(whole) == 1 else f"{values[0]}.reshape(-1, {self._length(piece)})"
        flat = [f"{v}.reshape(-1, {self._length_of(piece, m)})" for v, m in zip(values, piece.maps, strict=True)]
        return f"torch.cat(({', '.join(flat)}), 1)"

    def _unstacked(self, piece: Piece, symbols: list[Symbol], part: str) -> list[str]:
        """Lines that take a piece's share of ``dual`` apart again."""

        def shaped(text: str, axes: tuple[Axis, ...]) -> str:
            sizes = "".join(f", {self.context.dim(a.dim)}" for a in axes)
            return text if len(axes) == 1 and len(symbols) == 1 else f"{text}.reshape(-1{sizes})"

        if len(symbols) == 1:
            return [f"{symbols[0].name} = {shaped(part, _axes(piece, piece.maps[0]))}"]
        counts = tuple_text([self._length_of(piece, m) for m in piece.maps])
        names = [u.name for u in symbols]
        lines = [f"{', '.join(names)} = {part}.split({counts}, 1)"]
        for u, m in zip(symbols, piece.maps, strict=True):
            lines.append(f"{u.name} = {shaped(u.name, _axes(piece, m))}")
        return lines

    # ----------------------------------------------------------------- the step in the latent

    def _split_factor(self, p: Splitting, at: tuple[Axis, ...]) -> None:
        self.context.runtime.add("joint_factor")
        self.line(f"basis, curve, square = joint_factor({self._hessian(p, 0)}, {self._hessian(p, 1)})")
        self.line("rho = float(curve.mean() / square.mean())")
        self.line("")
        self.line("def solve(right: Tensor, weight: Tensor) -> Tensor:")
        self.line("    return (right @ basis / (curve + weight * square)) @ basis.T")
        self.line("")

    def _hessian(self, p: Splitting, which: int) -> str:
        """Text of a second derivative as an ``(n, n)`` matrix."""
        from ebdsl.facts.composite import squares

        z = p.latent
        energy = squares(p.parts.pieces) if which else p.parts.smooth
        at, twin = fresh_index(z), fresh_index(z)
        first = derivative(energy, z, at)
        node = derivative(first, z, twin) if z in first.symbols else ZERO
        value = self.scope.tensor(node, (*at, *twin))
        n = self._numel(z)
        if not z.shape and not self.scope.is_tensor(node):
            return f"torch.full((1, 1), {value.code}, dtype={self.like}.dtype, device={self.like}.device)"
        return value.code if len(z.shape) == 1 else f"{value.atom}.reshape({n}, {n})"

    def _split_diagonal(self, p: Splitting, at: tuple[Axis, ...]) -> None:
        z = p.latent
        for name, form in (("curve", p.smooth), ("square", p.maps)):
            if form is None:
                self.line(f"{name} = torch.zeros({self._numel(z)}, dtype={self.like}.dtype, device={self.like}.device)")
                continue
            self.line(f"{name} = {self._curvatures(form)}")
        self.line("rho = float(curve.mean() / square.mean())")
        self.line("")
        self.line("def solve(right: Tensor, weight: Tensor) -> Tensor:")
        self.line("    return right / (curve + weight * square)")
        self.line("")

    def _split_modes(self, p: Splitting, given: list[str]) -> None:
        z, modes = p.latent, p.modes
        assert modes is not None
        self.scope.taken |= {"shape", "square", "curve", "top", "bases", "cosine", "fourier", "firm"}
        maps = []
        for s in modes.maps:
            scale = "1.0"
            if s.weight != Lit(1.0):
                value = self.scope.tensor(power(s.weight, 2), tuple(a for a in s.axes if a in s.weight.free))
                scale = f"{value.atom}.amax()" if value.axes else value.code
            maps.append(f"({scale}, {_taps(s.taps)})")
        places = [tuple_text([str(k + 1) for k, b in enumerate(modes.bases) if b == basis]) for basis in BASES]
        self.context.runtime |= {"stencil_curve", "cosine_bases", "divide_modes"}
        self.line(f"shape = {tuple_text([self.context.dim(d) for d in z.shape])}")
        self.line(f"cosine, fourier = {', '.join(places)}")
        self.line(f"square = stencil_curve(shape, cosine, fourier, {tuple_text(maps)}, begin)")
        self.line("bases = cosine_bases(shape, cosine, begin)")
        every = tuple_text(given)
        if modes.smooth == "modes":
            self.context.runtime.add("mode_curve")
            self.line(f"curve = mode_curve(gradient, begin, {every}, shape, cosine, fourier)")
            self.line("top = torch.zeros_like(begin[:, :1])")
        else:
            name = {"entries": "entry_curve", "bound": "largest_curve"}[modes.smooth]
            self.context.runtime.add(name)
            self.line("curve = torch.zeros_like(square)")
            self.line(f"top = {name}(gradient, begin, {every})")
        self.line("rho = 6 * (curve.mean() + top) / square.mean()")
        ones = ", ".join(["-1", *["1"] * len(z.shape)])
        self.line("")
        self.line("def divisors(weight: Tensor, top: Tensor) -> Tensor:")
        self.line(f"    heavy, least = weight.reshape({ones}), top.reshape({ones})")
        self.line("    return curve + least + heavy * (square + torch.finfo(square.dtype).eps)")
        self.line("")
        self.line("def solve(right: Tensor, share: Tensor) -> Tensor:")
        self.line("    return divide_modes(right, share, shape, cosine, fourier, bases)")
        self.line("")

    def _curvatures(self, form: Quadratic) -> str:
        """Text of a diagonal as one row, of a number too."""
        value = self.scope.tensor(form.matrix, form.at)
        return f"{value.atom if value.axes else self.scope.constant(value)}.reshape(-1)"

    def _split_bound(self, p: Splitting, at: tuple[Axis, ...]) -> None:
        """``bound(r, x)``: how much lower the smooth part can lie where its slope is ``r``."""
        far = "torch.linalg.vector_norm(slope, dim=1) * torch.linalg.vector_norm(point, dim=1).clamp_min(1)"
        if p.kind in ("gradient", "modes") and p.strong and p.smooth is not None:
            value = self.scope.tensor(p.smooth.matrix, p.smooth.at)
            self.line(f"firm = {value.atom}.reshape(-1)")
        head = "def bound(slope: Tensor, point: Tensor) -> Tensor:"
        if p.strong and p.kind != "factor":
            name = "curve" if p.kind == "diagonal" else "firm"
            self.lines.extend([head, f"    return (slope.square() / (2 * {name})).sum(1)", ""])
            if p.kind == "modes":
                self.lines.extend(["def settle(slope: Tensor) -> Tensor:", "    return slope / firm", ""])
        elif p.kind == "factor":
            self.line("firm = bool(curve.min() > 1e-5 * curve.max())  # the smooth part curves in every direction")
            self.lines.extend([
                head,
                "    if firm:",
                "        return ((slope @ basis).square() / (2 * curve)).sum(1)",
                f"    return {far}",
                "",
            ])  # fmt: skip
        else:
            self.lines.extend([head, f"    return {far}", ""])

    # ----------------------------------------------------------------- the pieces

    def _split_weight(self, piece: Piece) -> str:
        """Text of a piece's weights: a number, or one for each of its outer places."""
        if piece.kind == "domain":
            return "1"
        scope: Scope = self.scope
        if not piece.weight.free:
            return scope.emit(piece.weight).atom
        value = scope.tensor(piece.weight, piece.outer)
        return scope.assign("penalty", Value(f"{value.atom}.reshape(-1)")).code

    def _grouped(self, piece: Piece, text: str) -> str:
        matrix = piece.kind in GAUGES and GAUGES[piece.kind].matrix
        inner = ", ".join(self.context.dim(a.dim) for a in piece.maps[0].within) if matrix else self._inner(piece)
        if _in_planes(piece):
            return f"{text}.reshape(-1, {inner}, {self._count(piece.outer)})"
        return f"{text}.reshape(-1, {self._count(piece.outer)}, {inner})"

    def _split_prox(self, z: Symbol, pieces: tuple[Piece, ...], weights: list[str]) -> None:
        outs = []
        for piece, weight, value in zip(pieces, weights, self._named("value", pieces), strict=True):
            if piece.kind == "domain":
                text = z.domain.row.torch
                assert text is not None
                sizes = "".join(f", {self.context.dim(d)}" for d in z.shape)
                n = self.context.dim(z.shape[-1]) if z.shape else "1"
                whole = value if len(z.shape) == 1 else f"{value}.reshape(-1{sizes})"
                code = text.format(*map(number, z.domain.args), x=whole, ndim=len(z.shape), n=n)
                self.context.runtime |= called(text)
                outs.append(code if len(z.shape) == 1 else f"{bracket(code)}.reshape(-1, {self._numel(z)})")
            elif piece.kind in GAUGES:
                row = GAUGES[piece.kind]
                if _in_planes(piece):
                    self.context.runtime.add("plane_soft_threshold")
                    outs.append(f"plane_soft_threshold({self._grouped(piece, value)}, {weight} / weight).flatten(1)")
                    continue
                self.context.runtime.add(row.prox)
                ones = ", None, None" if row.matrix else ", None"
                outs.append(f"{row.prox}({self._grouped(piece, value)}, ({weight} / weight)[...{ones}]).flatten(1)")
            else:
                name = {"abs": "soft_threshold", "relu": "prox_relu"}[piece.kind]
                self.context.runtime.add(name)
                outs.append(f"{name}({value}, {weight} / weight)")
        self.line("def prox(value: Tensor, weight: Tensor) -> Tensor:")
        self.lines.extend("    " + x for x in self._taken_apart("value", pieces))
        if len(outs) > 1:
            self.lines.extend(f"    {n} = {x}" for n, x in zip(self._named("value", pieces), outs, strict=True))
            outs = self._named("value", pieces)
        self.line(f"    return {_joined(outs)}")
        self.line("")

    def _split_slack(self, pieces: tuple[Piece, ...], weights: list[str]) -> None:
        terms = []
        names = zip(self._named("value", pieces), self._named("dual", pieces), strict=True)
        for piece, weight, (value, dual) in zip(pieces, weights, names, strict=True):
            if piece.kind == "domain":
                continue
            if piece.kind in GAUGES:
                row = GAUGES[piece.kind]
                value, dual = self._grouped(piece, value), self._grouped(piece, dual)
                if _in_planes(piece):
                    terms.append(f"({weight} * {value}.square().sum(1).sqrt() - ({dual} * {value}).sum(1)).sum(1)")
                    continue
                over = "(2, 3)" if row.matrix else "2"
                terms.append(f"({weight} * {row.value.format(x=value)} - ({dual} * {value}).sum({over})).sum(1)")
            else:
                size = {"abs": "abs()", "relu": "clamp_min(0)"}[piece.kind]
                terms.append(f"({weight} * {value}.{size} - {dual} * {value}).sum(1)")
        self.line("def slack(value: Tensor, dual: Tensor) -> Tensor:")
        if terms:
            self.lines.extend("    " + x for n in ("value", "dual") for x in self._taken_apart(n, pieces))
        for term in terms[:-1]:
            self.line(f"    {'gap = gap +' if term != terms[0] else 'gap ='} {term}")
        last = terms[-1] if terms else "torch.zeros_like(value[:, 0])"
        self.line(f"    return {'gap + ' if len(terms) > 1 else ''}{last}")
        self.line("")

    def _split_kinks(self, z: Symbol, pieces: tuple[Piece, ...]) -> str:
        """Define ``kinks``, which entries stand at the end of a straight piece, unless some piece is not straight."""
        if not all(
            p.kind in ("abs", "relu") or (p.kind == "domain" and z.domain.row.convex and not z.domain.row.whole)
            for p in pieces
        ):
            return "None"
        outs = []
        for piece, value in zip(pieces, self._named("value", pieces), strict=True):
            ends = z.domain.row.bounds(z.domain.args) if piece.kind == "domain" else (0.0, 0.0)
            finite = [f"({value} == {number(e)})" for e in dict.fromkeys(ends) if math.isfinite(e)]
            outs.append(" | ".join(finite) if len(finite) > 1 or len(pieces) > 1 else finite[0][1:-1])
        self.line("def kinks(value: Tensor) -> Tensor:")
        self.lines.extend("    " + x for x in self._taken_apart("value", pieces))
        self.line(f"    return {_joined(outs)}")
        self.line("")
        return "kinks"

    def _split_copy(self, z: Symbol, pieces: tuple[Piece, ...]) -> str:
        """The entries of the maps that are the answer: those in its domain, else an exactly sparse copy."""
        wanted = [p for p in pieces if p.kind == "domain"] or [p for p in pieces if p.is_copy_of(z)]
        if not wanted:
            return "None"
        k = pieces.index(wanted[0])
        if len(pieces) == 1:
            return tuple_text(["0", self._length(pieces[0])])
        return f"(sum(sizes[:{k}]), sum(sizes[:{k + 1}]))"


def _in_planes(piece: Piece) -> bool:
    """Whether entries of a group lie a plane apart, so that norms are sums of planes: not if they are the answer."""
    return piece.kind == "group" and (len(piece.maps) > 1 or not isinstance(piece.maps[0].node, Get))


def _axes(piece: Piece, m: Map) -> tuple[Axis, ...]:
    return (*m.within, *piece.outer) if _in_planes(piece) else (*piece.outer, *m.within)


def _taps(taps: Taps) -> str:
    return tuple_text([f"({tuple_text([str(o) for o in offsets])}, {number(f)})" for offsets, f in taps])


def _joined(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"torch.cat(({', '.join(texts)}), 1)"
