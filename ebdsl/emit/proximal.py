"""Accelerated proximal gradient as text: gradients, proximal operators, the call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ebdsl.emit.context import called
from ebdsl.emit.loops import LoopBody
from ebdsl.emit.stacked import stacked_matrix, stacked_row
from ebdsl.emit.text import tuple_text
from ebdsl.emit.values import Value, aligned, bracket, is_tight, number
from ebdsl.facts.gauges import GAUGES
from ebdsl.facts.penalties import Penalty, groups_of, merged
from ebdsl.facts.second import Joint
from ebdsl.infer.loops import loop_of
from ebdsl.infer.rules.proximal_gradient import Proximal
from ebdsl.model.adjoint import gradient
from ebdsl.model.algebra import with_batch
from ebdsl.model.build import mul, neg, power
from ebdsl.model.derivative import NoDerivative, fresh_index
from ebdsl.model.ir import BATCH, Axis, Node, Symbol


class ProximalBody(LoopBody):
    """A body that can minimise smooth plus prox-friendly."""

    def _prox_lines(
        self, penalties: tuple[tuple[Symbol, tuple[Penalty, ...]], ...], latents: tuple[Symbol, ...]
    ) -> str | None:
        """Define ``prox`` where there is anything to do; its name."""
        if not any(p for _, p in penalties) and all(s.domain.kind == "real" for s in latents):
            return None
        found = dict(penalties)
        body: list[str] = []
        parts = self._unpack(latents, "point")
        outs = []
        for s, part in zip(latents, parts, strict=True):
            rank = len(s.shape)
            t = {0: "step[:, 0]", 1: "step"}.get(rank, f"step[(...,) + (None,) * {rank - 1}]")
            code = self._prox(s, list(found.get(s, ())), part, t, rank)
            if self._flat(latents):
                self.line("def prox(point: Tensor, step: Tensor) -> Tensor:")
                self.line(f"    return {code}")
                self.line("")
                return "prox"
            out = f"{self.name(s)}_new"
            body.append(f"    {out} = {code}")
            outs.append(out)
        self.line("def prox(point: Tensor, step: Tensor) -> Tensor:")
        self.line("    step = torch.as_tensor(step, dtype=point.dtype, device=point.device).expand(point.shape[0], 1)")
        self.lines.extend(body)
        self.line(f"    return {self._pack(latents, outs)}")
        self.line("")
        return "prox"

    def _prox(self, s: Symbol, penalties: list[Penalty], v: str, t: str, rank: int) -> str:
        """Text of the proximal operator of one latent's penalties and domain at ``v``, composed in that order."""
        at = fresh_index(s)
        domain = s.domain
        l1 = merged([p for p in penalties if p.kind == "l1"], at)
        done = domain.kind == "real"
        code = v
        entropy = merged([p for p in penalties if p.kind == "entropy"], at)
        if l1 is not None and (domain.kind == "simplex" or entropy is not None):  # linear there
            if l1.free or domain.kind != "simplex":  # else it is constant
                code = f"{code} - {bracket(self._weight(l1, at, t))}"
        elif l1 is not None:
            done |= domain.kind == "nonnegative"
            name = "nonnegative_soft_threshold" if domain.kind == "nonnegative" else "soft_threshold"
            self.context.runtime.add(name)
            code = f"{name}({code}, {self._weight(l1, at, t)})"
        if entropy is not None:
            name = "prox_entropy_simplex" if domain.kind == "simplex" else "prox_entropy"
            self.context.runtime.add(name)
            code = f"{name}({code}, {self._weight(entropy, at, t)})"
            done |= domain.kind in ("simplex", "nonnegative", "positive")
        elif domain.kind == "nonnegative" and penalties and l1 is None:
            code, done = f"{bracket(code)}.clamp_min(0)", True
        for kind, places in groups_of(penalties):
            whole = merged([p for p in penalties if p.kind == kind and tuple(sorted(p.within)) == places], at)
            assert whole is not None
            name = GAUGES[kind].prox
            self.context.runtime.add(name)
            dims = tuple_text([str(k - rank) for k in places])
            code = f"{name}({code}, {self._weight(whole, at, t)}, {dims})"
        if not done:
            text = domain.row.torch
            assert text is not None
            n = self.context.dim(s.shape[-1]) if s.shape else "1"
            code = text.format(*(f"{number(a)}" for a in domain.args), x=code, ndim=rank, n=n)
            self.context.runtime |= called(text)
        return code

    def _weight(self, weight: Node, at: tuple[Axis, ...], t: str) -> str:
        value = self.scope.emit(weight)
        if not value.axes:
            return t if value.code == "1" else f"{t} * {value.atom}"
        text = aligned(value, at)
        return f"{t} * {text}" if is_tight(text) else f"{t} * ({text})"

    def proximal(
        self, p: Proximal, prox: str | None = None, improve: Callable[[Value, Value], None] | None = None
    ) -> None:
        """``prox``: the operator's name where it is defined. ``improve`` may write lines that replace ``begin``; it is
        given the matrix and the linear part."""
        latents = p.latents
        if p.kind == "once":
            self._proximal_once(p)
            return
        if p.split:
            self._splitting(p)
            return
        start = self._start(latents)
        call = "quadratic_proximal_gradient" if p.gram else "proximal_gradient"
        self.context.runtime.add(call)
        given = [] if p.gram else self._written_gradient(p)
        system = self._folded_gradient(p) if p.gram else None
        scale = system[1].atom if system else f"gradient({', '.join([self._cold('begin'), *given])})"
        prox = prox or self._prox_lines(p.penalties, latents) or "lambda point, step: point"
        self.line(f"begin = {start}")
        if improve is not None and system is not None:
            improve(*system)
        self._goal(scale)
        self.line(f"point, residual, iterations = {call}(")
        if p.gram:
            self.line(f"    forward, {prox}, begin, step, shift, goal, max_steps")
        else:
            affine = "" if p.quadratic else ", affine=False"
            self.line(f"    gradient, {prox}, begin, {tuple_text(given)}, goal, max_steps{affine}")
        self.line(")")
        self._found(latents)

    def _goal(self, slope: str) -> None:
        self.context.runtime.add("residual_goals")
        self.line(f"goal = residual_goals({slope}, tolerance)")

    def _cold(self, begin: str) -> str:
        """The point from which accuracy is measured, whatever start is given."""
        return f"{begin} if start is None else torch.zeros_like({begin})"

    def _found(self, latents: tuple[Symbol, ...]) -> None:
        for s, text in zip(latents, self._unpack(latents, "point"), strict=True):
            self.answer(s, text)
        entries = ", ".join(f'"{self.name(s)}": {code}' for s, code in self.answers.items())
        found = f"residual, {self.iterations}, residual <= goal"
        self.line(f"return Inference({{{entries}}}, {self.energy_call()}, {found})")

    def _joint_system(self, form: Joint) -> tuple[str, list[Node]]:
        """The text of the second derivative, after telling the scope what is used; the linear parts."""
        blocks = [with_batch(b) for row in form.second.blocks for b in row]
        linear = [with_batch(n) for n in form.linear]
        self.scope.count(*blocks, *linear)
        return stacked_matrix(self.scope, form.second, blocks, form.shared), linear

    def joint(self, form: Joint) -> None:
        """The minimum of a quadratic in several latents as one vector."""
        self.context.runtime.add("solve_symmetric")
        left, linear = self._joint_system(form)
        right = self.scope.assign("right", Value(f"-{bracket(stacked_row(self.scope, form.second.at, linear))}"))
        if form.shared:
            self.line(f"point = solve_symmetric({left}, {right.code}.T).T")
        else:
            self.line(f"point = solve_symmetric({left}, {right.code}[..., None])[..., 0]")
        for s, text in zip(form.latents, self._unpack(form.latents, "point"), strict=True):
            self.answer(s, text)

    def _gram_and_linear(self, p: Proximal) -> tuple[Value, Value]:
        """``gram`` and ``linear`` of the smooth part."""
        if p.together is not None:
            matrix, parts = self._joint_system(p.together)
            gram = self.scope.assign("gram", Value(matrix))
            return gram, self.scope.assign("linear", Value(stacked_row(self.scope, p.together.second.at, parts)))
        loop = loop_of(p)
        assert loop is not None
        return self._once(loop, "gram"), self._once(loop, "linear")

    def _free_piece(self, s: Symbol, penalized: bool, x: str) -> str:
        """Which entries of one latent lie inside of a straight piece."""
        pieces = []
        if s.domain.kind == "box":
            low, high = (number(a) for a in s.domain.args)
            pieces += [f"({x} > {low})", f"({x} < {high})"]
        if s.domain.kind == "nonnegative" or penalized:
            pieces.append(f"({x} != 0)" if pieces else f"{x} != 0")
        return " & ".join(pieces) or f"torch.ones_like({x}, dtype=torch.bool)"

    def _splitting(self, p: Proximal) -> None:
        start = self._start(p.latents)
        self.context.runtime.add("quadratic_splitting")
        gram, linear = self._gram_and_linear(p)
        (z, *_) = p.latents
        n = self.context.dim(z.shape[-1]) if z.shape else "1"
        self.line("")
        self._row_prox(p)
        if p.finish:
            parts = ["point"] if len(p.latents) == 1 else self._unpack(p.latents, "point")
            pieces = [self._free_piece(s, bool(found), x) for (s, found), x in zip(p.penalties, parts, strict=True)]
            inside = pieces[0] if len(pieces) == 1 else self._pack(p.latents, [f"({x})" for x in pieces])
            self.line("def free(point: Tensor) -> Tensor:")
            self.line(f"    return {inside}")
            self.line("")
        self.line(f"begin = {start}")
        if p.rows:
            self.line(f"{linear.code} = {linear.code}.reshape(-1, {n})")
        self._goal(linear.code)
        if p.rows:
            self.line(f"begin = begin.reshape(-1, {n})")
        if p.finish and self.context.target == "native":
            self.context.runtime.add("straight_entries")
            own = ", ".join(self._straight_pieces(p))
            self.line(f"begin = straight_entries({gram.code}, {own}, {linear.code}, begin, goal)")
        self.line("point, residual, iterations = quadratic_splitting(")
        self.line(f"    prox, {'free' if p.finish else None}, {gram.code}, {linear.code}, begin, goal, max_steps")
        self.line(")")
        if p.rows:
            count = f"{self.like}.shape[0], {' * '.join(bracket(self.context.dim(d)) for d in z.shape[:-1])}"
            self.line(
                f"goal, residual, iterations = (x.reshape({count}).amax(1) for x in (goal, residual, iterations))"
            )
        self._found(p.latents)

    def _straight_pieces(self, p: Proximal) -> list[str]:
        """Weights of the sizes of entries and the bounds of these, of what is solved at once: numbers or tensors."""
        found: list[list[str]] = [[], [], []]
        whole = len(p.latents) > 1
        for s, penalties in _at_once(p):
            at, shape = fresh_index(s), ", ".join(self.context.dim(d) for d in s.shape)
            weight = merged(list(penalties), at)
            value = Value("0.0") if weight is None else self.scope.emit(weight)
            low, high = s.domain.row.bounds(s.domain.args)
            zeros = f"{self.like}.new_zeros"
            for k, text in enumerate((value.code, number(low), number(high))):
                if k == 0 and value.axes:
                    text = f"({zeros}({shape}) + {bracket(aligned(value, at))}).reshape(-1)"
                elif whole:
                    text = f"{zeros}({self._numel(s)}) + {bracket(text)}"
                found[k].append(text)
        return [f"torch.cat(({', '.join(part)}))" if whole else part[0] for part in found]

    def _row_prox(self, p: Proximal) -> None:
        """Define ``prox`` of what is solved at once."""
        found = _at_once(p)
        self._prox_lines(found, tuple(s for s, _ in found))

    def improve(self, p: Proximal, passes: int) -> None:
        """Return the latent with each entry at its minimum given the others, so many times."""
        self.context.runtime.add("minimise_entries")
        (z,) = p.latents
        assert p.form is not None
        *others, last = p.form.at
        gram = self.scope.assign("gram", self.scope.tensor(p.form.matrix, (last, p.form.twin[-1])))
        linear = self.scope.assign("linear", self.scope.tensor(with_batch(p.form.linear), (last, BATCH, *others)))
        self.line("")
        self._row_prox(p)
        n = self.context.dim(z.shape[-1])
        point = f"{self.name(z)}.reshape(-1, {n}).T" if others else f"{self.name(z)}.T"
        lines = f"{linear.code}.reshape({n}, -1)" if others else linear.code
        back = f".T.reshape({self.name(z)}.shape)" if others else ".T"
        self.line(f"return minimise_entries({point}, {gram.code}, {lines}, prox, {passes}){back}")

    def _folded_gradient(self, p: Proximal) -> tuple[Value, Value]:
        """Define ``forward``, a whole step down a quadratic: the point times one matrix, plus each sample's ``shift``.

        Gives the matrix and the linear part, the slope at zero.
        """
        form = p.form
        self.context.runtime.add("largest_eigenvalue")
        k = form.coupled[0] if form is not None and p.together is None else 0
        gram, linear = self._gram_and_linear(p)
        z = p.latents[0]
        flat = "" if p.together is not None or len(z.shape) == 1 else f".reshape(-1, {self._numel(z)})"
        self.line(f"step = 1 / float(largest_eigenvalue({gram.code}))")
        self.line(f"matrix = -step * {gram.code}")
        self.line("matrix.diagonal().add_(1)")
        self.line(f"shift = -step * {linear.atom}{flat}")
        self.line("")
        self.line("def forward(point: Tensor, shift: Tensor) -> Tensor:")
        if not flat:
            self.line("    return torch.addmm(shift, point, matrix)")
        else:
            sizes = ", ".join(self.context.dim(d) for d in z.shape)
            product = f"torch.tensordot(point.reshape(-1, {sizes}), matrix, dims=([{k + 1}], [0]))"
            if k != len(z.shape) - 1:
                product = f"{product}.movedim(-1, {k + 1})"
            self.line(f"    return {product}{flat} + shift")
        self.line("")
        return gram, linear

    def _written_gradient(self, p: Proximal) -> list[str]:
        """Define ``gradient`` of the smooth part from its derivative, or through autograd where there is none.

        Gives the names of the per-sample tensors that it has to be given.
        """
        latents = p.latents
        try:
            slopes = [(at, gradient(p.smooth, s, at)) for s in latents for at in (fresh_index(s),)]
        except NoDerivative:
            return self._autograd_gradient(p)
        hoisted: list[tuple[tuple[Axis, ...], Node]] = []
        texts: dict[Symbol, str] = {}
        given: dict[Symbol, None] = {}
        for at, slope in slopes:
            node, found, needed = self._hoist(slope, frozenset(latents))
            hoisted.append((at, node))
            texts |= found
            given |= dict.fromkeys(needed)
        names = [texts.get(s) or self.name(s) for s in given]
        inner = self._loop_scope(texts, latents, [self.name(s) for s in latents])
        inner.count(*(with_batch(n) for _, n in hoisted))
        values = [inner.tensor(with_batch(n), (BATCH, *at)) for at, n in hoisted]
        result = self._pack(latents, [v.atom if not self._flat(latents) else v.code for v in values])
        self._closure("gradient", names, latents, [*inner.lines, f"return {result}"])
        return names

    def _autograd_gradient(self, p: Proximal) -> list[str]:
        node, texts, given = self._hoist(p.smooth, frozenset(p.latents))
        names = [texts.get(s) or self.name(s) for s in given]
        inner = self._loop_scope(texts, p.latents, [self.name(s) for s in p.latents])
        inner.count(with_batch(node))
        value = inner.tensor(with_batch(node), (BATCH,))
        self._closure("smooth", names, p.latents, [*inner.lines, f"return {value.code}"])
        self.context.runtime.add("slope_of")
        self.line(f"def gradient({', '.join(f'{n}: Tensor' for n in ['point', *names])}) -> Tensor:")
        self.line(f"    return slope_of(smooth, {', '.join(['point', *names])})")
        self.line("")
        return names

    def _proximal_once(self, p: Proximal) -> None:
        form = p.form
        assert form is not None
        (z,) = p.latents
        minimum = self.scope.tensor(with_batch(mul(neg(form.linear), power(form.matrix, -1))), (BATCH, *form.at))
        t = self.scope.emit(with_batch(power(form.matrix, -1)))
        rank = len(z.shape)
        text = aligned(Value(t.code, t.axes), (BATCH, *form.at)) if t.axes else t.code
        self.line(f"minimum = {minimum.code}")
        self.answer(
            z,
            self._prox(z, list(dict(p.penalties).get(z, ())), "minimum", text if is_tight(text) else f"({text})", rank),
        )
        self.finish_at_answer()


def _at_once(p: Proximal) -> tuple[tuple[Symbol, tuple[Penalty, ...]], ...]:
    """The latents and penalties of what a quadratic is solved for at once: all latents, or each row of one."""
    if not p.rows:
        found = dict(p.penalties)
        return tuple((s, found.get(s, ())) for s in p.latents)
    (z,) = p.latents
    row = replace(z, shape=z.shape[-1:])
    own = [replace(q, symbol=row, at=q.at[-1:], within=q.within and (0,)) for q in dict(p.penalties)[z]]
    return ((row, tuple(own)),)
