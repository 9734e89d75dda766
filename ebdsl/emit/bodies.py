"""The body of ``infer``: what the inference rules write into."""

from __future__ import annotations

import math

from ebdsl.emit.context import Context, called
from ebdsl.emit.systems import solve_code, symmetric_code
from ebdsl.emit.tensors import Scope
from ebdsl.emit.text import tuple_text
from ebdsl.emit.values import Value, aligned, is_tight
from ebdsl.facts.quadratic import Quadratic
from ebdsl.infer.core import Decision
from ebdsl.infer.penalties import Penalty, merged
from ebdsl.infer.rules.descent import Descent
from ebdsl.infer.rules.proximal_gradient import Proximal
from ebdsl.model.algebra import transform, with_batch
from ebdsl.model.build import mul, neg, power
from ebdsl.model.derivative import NoDerivative, derivative, fresh_index
from ebdsl.model.domains import REAL
from ebdsl.model.ir import BATCH, Apply, Axis, Get, Lit, Node, Size, Sum, Symbol


class InferBody:
    """Lines of one method body. Rules ``answer`` for each latent and ``finish`` once."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.scope: Scope = context.scope()
        self.answers: dict[Symbol, str] = {}
        self.fixed: tuple[Symbol, ...] = ()  # latents that are given: finite ones, a value a row

    # ------------------------------------------------------------- what rules use

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

    def finish(self, energy: str, residual: str, iterations: str) -> None:
        entries = ", ".join(f'"{self.name(s)}": {code}' for s, code in self.answers.items())
        self.line(f"residual = {residual}")
        self.line(f"return Inference({{{entries}}}, {energy}, residual, {iterations}, residual <= tolerance)")

    def energy_call(self) -> str:
        known = self.answers | {s: self.name(s) for s in self.fixed}
        return f"self.energy({', '.join([self.observed_args, *(known[s] for s in self.context.latents)])})"

    def finish_at_answer(self) -> None:
        """A stationary point: the residual is the gradient that is left."""
        self.finish(
            self.energy_call(),
            f"torch.zeros_like({self.like}.flatten(1)[:, 0])"
            if self.context.observed[0].shape
            else f"torch.zeros_like({self.like})",
            "torch.ones_like(residual, dtype=torch.int64)",
        )

    def _energy_args(self, repeated: list[str], found: dict[Symbol, str]) -> str:
        """Arguments of ``energy``: what is given, repeated for each start, then the latents in order."""
        count = len(self.context.observed)
        known = found | dict(zip(self.fixed, repeated[count:], strict=True))
        return ", ".join([*repeated[:count], *(known[s] for s in self.context.latents)])

    # ------------------------------------------------------------- finite latents around continuous ones

    def each_state(self, finite: tuple[Symbol, ...], free: tuple[Symbol, ...], inner: Decision) -> None:
        """All samples with all values of ``finite`` as one batch, solved by the rule for ``free``."""
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
        answers = ", ".join(f'"{self.name(s)}": {self.name(s)}' for s in finite)
        arguments = ", ".join(f"{self.name(s)}: Tensor" for s in (*observed, *finite))
        self.line("")
        self.line(f"def given_state({arguments}) -> Inference:")
        self.lines.extend("    " + x if x else "" for x in given.lines)
        self.line("")
        self.line(f"each = given_state({self.context.args((*observed, *finite))})")
        self.line("energy, best = each.energy.reshape(samples, count).min(1)")
        self.line(f"best = best + count * torch.arange(samples, device={self.like}.device)")
        self.line(f"latents = {{{answers}}} | each.latents")
        self.line("latents = {name: value[best] for name, value in latents.items()}")
        self.line("return Inference(latents, energy, each.residual[best], each.iterations[best], each.converged[best])")

    # ------------------------------------------------------------- proximal gradient

    def _flat(self, latents: tuple[Symbol, ...]) -> bool:
        return len(latents) == 1 and len(latents[0].shape) == 1

    def _numel(self, s: Symbol) -> str:
        return " * ".join(self.context.dim(d) for d in s.shape) or "1"

    def _pack(self, latents: tuple[Symbol, ...], texts: list[str]) -> str:
        """One ``(B, n)`` tensor of all latents."""
        if self._flat(latents):
            return texts[0]
        flat = [f"{t}.reshape(-1, {self._numel(s)})" for s, t in zip(latents, texts, strict=True)]
        return flat[0] if len(flat) == 1 else f"torch.cat(({', '.join(flat)}), 1)"

    def _unpack(self, latents: tuple[Symbol, ...], x: str) -> list[str]:
        """The latents' texts from a packed tensor."""
        if self._flat(latents):
            return [x]
        texts, begin = [], "0"
        for k, s in enumerate(latents):
            end = f"{begin} + {self._numel(s)}" if begin != "0" else self._numel(s)
            part = x if len(latents) == 1 else f"{x}[:, {begin}:{end if k + 1 < len(latents) else ''}]"
            sizes = ", ".join(self.context.dim(d) for d in s.shape)
            texts.append(f"{part}.reshape(-1{', ' + sizes if sizes else ''})" if len(s.shape) != 1 else part)
            begin = end
        return texts

    def _start(self, latents: tuple[Symbol, ...]) -> str:
        """Text of the packed starting point; the lines that make it."""
        names = []
        for s in latents:
            name = self.name(s)
            shape = tuple_text([f"{self.like}.shape[0]", *(self.context.dim(d) for d in s.shape)])
            row = s.domain.row
            options = f"dtype={self.like}.dtype, device={self.like}.device"
            n = self.context.dim(s.shape[-1]) if s.shape else "1"
            centre = row.centre.format(
                *(f"{a:g}" for a in s.domain.args), shape=shape, options=options, n=n, ndim=len(s.shape)
            )
            self.context.runtime |= called(centre)
            self.line(f'{name} = (start or {{}}).get("{name}")')
            self.line(f"if {name} is None:")
            self.line(f"    {name} = {centre}")
            names.append(name)
        return self._pack(latents, names)

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
        """Text of the proximal operator of one latent's penalties and domain at ``v``."""
        at = fresh_index(s)
        domain = s.domain
        l1 = merged(penalties, "l1", at)
        groups = [p for p in penalties if p.kind == "group"]
        code = v
        if domain.kind == "simplex":
            l1 = None  # a constant there
        if l1 is not None:
            weight = self._weight(l1, at, t)
            name = "nonnegative_soft_threshold" if domain.kind == "nonnegative" else "soft_threshold"
            self.context.runtime.add(name)
            code = f"{name}({code}, {weight})"
        if groups:
            (group,) = groups
            if domain.kind == "nonnegative" and l1 is None:
                code = f"({code}).clamp_min(0)"
            self.context.runtime.add("group_soft_threshold")
            dims = ", ".join(str(k - rank) for k in group.within)
            whole = merged(groups, "group", at)
            assert whole is not None
            code = f"group_soft_threshold({code}, {self._weight(whole, at, t)}, ({dims},))"
        elif domain.kind != "real" and not (domain.kind == "nonnegative" and l1 is not None):
            text = domain.row.torch
            assert text is not None
            code = text.format(
                *(f"{a:g}" for a in domain.args), x=code, ndim=rank, n=self.context.dim(s.shape[-1]) if s.shape else "1"
            )
            self.context.runtime |= called(text)
        return code

    def _weight(self, weight: Node, at: tuple[Axis, ...], t: str) -> str:
        value = self.scope.emit(weight)
        if not value.axes:
            return t if value.code == "1" else f"{t} * {value.atom}"
        text = aligned(value, at)
        return f"{t} * {text}" if is_tight(text) else f"{t} * ({text})"

    def _hoist(self, node: Node, latents: frozenset[Symbol]) -> tuple[Node, dict[Symbol, str], list[Symbol]]:
        """The node with parts that do not change in the loop replaced by symbols computed before it.

        Gives also the texts of those symbols and the per-sample symbols that the loop has to be given.
        """
        hoisted: dict[Node, Symbol] = {}
        texts: dict[Symbol, str] = {}

        def constant(n: Node) -> bool:
            return not (n.symbols & latents)

        def worthy(n: Node) -> bool:
            if isinstance(n, Get | Lit | Size) or (BATCH in n.free and len(n.free) > 3):
                return False
            return isinstance(n, Apply) or (isinstance(n, Sum) and not isinstance(n.body, Get))

        def leaf(n: Node) -> Node | None:
            if not constant(n):
                return None
            if not worthy(n):
                return None
            axes = tuple(sorted(n.free - {BATCH}, key=lambda a: a.name))
            per_sample = any(s.per_sample for s in n.symbols)
            if n not in hoisted:
                value = self.scope.tensor(with_batch(n), ((BATCH, *axes) if per_sample else axes))
                name = self.scope.assign("constant", value).code if not value.code.isidentifier() else value.code
                symbol = Symbol(name, "observed" if per_sample else "const", tuple(a.dim for a in axes), REAL)
                hoisted[n] = symbol
                texts[symbol] = name
            return Get(hoisted[n], axes)

        node = transform(node, leaf)
        given = sorted((s for s in node.symbols if s.per_sample and s not in latents), key=lambda s: s.name)
        return node, texts, given

    def _loop_scope(self, texts: dict[Symbol, str], latents: tuple[Symbol, ...], parts: list[str]) -> Scope:
        local = {s.name: t for s, t in texts.items()} | {s.name: p for s, p in zip(latents, parts, strict=True)}
        inner = self.context.scope(batch="point.shape[0]", renamed=local)
        inner.taken |= self.scope.taken
        inner.like = "point"
        return inner

    def proximal(self, p: Proximal) -> None:
        latents = p.latents
        if p.kind == "once":
            self._proximal_once(p)
            return
        self.context.runtime |= {"proximal_gradient"}
        start = self._start(latents)
        form = p.form
        if p.gram and form is not None:
            self.context.runtime.add("largest_eigenvalue")
            (k,) = form.coupled
            gram = self.scope.assign("gram", Value(symmetric_code(self.scope, form.matrix, (form.at[k], form.twin[k]))))
            linear = self.scope.assign("linear", self.scope.tensor(with_batch(form.linear), (BATCH, *form.at)))
            z = latents[0]
            if len(z.shape) > 1:
                self.line(f"linear = {linear.code}.reshape(-1, {self._numel(z)})")
            self.line("")
            self.line("def gradient(point: Tensor, linear: Tensor) -> Tensor:")
            if len(z.shape) == 1:
                self.line(f"    return torch.addmm(linear, point, {gram.code})")
            else:
                sizes = ", ".join(self.context.dim(d) for d in z.shape)
                product = f"torch.tensordot(point.reshape(-1, {sizes}), {gram.code}, dims=([{k + 1}], [0]))"
                if k != len(z.shape) - 1:
                    product = f"{product}.movedim(-1, {k + 1})"
                self.line(f"    return {product}.reshape(-1, {self._numel(z)}) + linear")
            self.line("")
            given, lipschitz = "linear", f"largest_eigenvalue({gram.code})"
            scale = "linear"
        else:
            given_names = self._written_gradient(p)
            given, lipschitz, scale = ", ".join(given_names), "None", ""
        prox = self._prox_lines(p.penalties, latents)
        affine = "" if p.quadratic else ", affine=False"
        where = tuple_text(given.split(", ") if given else [])
        self.line(f"begin = {start}")
        size = (
            f"max(1.0, float({scale}.abs().max()))"
            if scale
            else f"max(1.0, float(gradient(begin{', ' + given if given else ''}).abs().max()))"
        )
        self.line(f"goal = tolerance * {size} if {self.like}.numel() else tolerance")
        self.line("point, residual, iterations = proximal_gradient(")
        self.line(
            f"    gradient, {prox or 'lambda point, step: point'}, begin, {lipschitz}, {where}, goal, max_steps{affine}"
        )
        self.line(")")
        for s, text in zip(latents, self._unpack(latents, "point"), strict=True):
            self.answer(s, text)
        entries = ", ".join(f'"{self.name(s)}": {code}' for s, code in self.answers.items())
        self.line(f"return Inference({{{entries}}}, {self.energy_call()}, residual, iterations, residual <= goal)")

    def _written_gradient(self, p: Proximal) -> list[str]:
        """Define ``gradient`` of the smooth part from its derivative, or through autograd where there is none.

        Gives the names of the per-sample tensors that it has to be given.
        """
        latents = p.latents
        try:
            slopes = [(at, derivative(p.smooth, s, at)) for s in latents for at in (fresh_index(s),)]
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

    def _closure(self, name: str, given: list[str], latents: tuple[Symbol, ...], lines: list[str]) -> None:
        """Define a function of the packed latents and of the per-sample tensors that go with them."""
        self.line("")
        self.line(f"def {name}({', '.join(f'{n}: Tensor' for n in ['point', *given])}) -> Tensor:")
        for s, part in zip(latents, self._unpack(latents, "point"), strict=True):
            self.line(f"    {self.name(s)} = {part}")
        self.lines.extend("    " + x for x in lines)
        self.line("")

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

    # ------------------------------------------------------------- descent

    def descent(self, d: Descent) -> None:
        latents = d.latents
        self.context.runtime |= {"descend", "starting_points", "lowest_rows"}
        like = self.like
        start = self._start(latents)
        low, high = _span(latents)
        observed = [self.name(s) for s in (*self.context.observed, *self.fixed)]
        repeated = [f"{n}_each" for n in observed]
        everyone = self._energy_args(repeated, dict(zip(latents, self._unpack(latents, "begin"), strict=True)))
        self.line(f"begin = {start}")
        self.line(f"count = {d.keep} if start is None else 1")
        prox = self._prox_lines(d.penalties, latents) if all(_projects(s) for s in latents) else None
        self.line("if start is None:")
        self.line(f"    begin = starting_points(begin, {d.starts}, {low:g}, {high:g}, grid={d.grid})")
        if d.keep < d.starts:
            if prox is not None:
                self.line("    begin = prox(begin, torch.zeros_like(begin[:, :1]))")
            for n, r in zip(observed, repeated, strict=True):
                self.line(f"    {r} = {n}.repeat_interleave({d.starts}, 0)")
            self.line(f"    begin = lowest_rows(begin, self.energy({everyone}).reshape(-1, {d.starts}), count)")
        for n, r in zip(observed, repeated, strict=True):
            self.line(f"{r} = {n}.repeat_interleave(count, 0)")
        node, texts, given_symbols = self._hoist(d.smooth, frozenset(latents))
        inner = self._loop_scope(texts, latents, [self.name(s) for s in latents])
        inner.count(with_batch(node))
        value = inner.tensor(with_batch(node), (BATCH,))
        names = [texts.get(s) or self.name(s) for s in given_symbols]
        self._closure("smooth", names, latents, [*inner.lines, f"return {value.code}"])
        where = tuple_text(
            [f"{texts[s]}.repeat_interleave(count, 0)" if s in texts else f"{self.name(s)}_each" for s in given_symbols]
        )
        self.line(f"point, _, residual, iterations = descend(smooth, {prox}, begin, {where}, tolerance, max_steps)")
        for s, text in zip(latents, self._unpack(latents, "point"), strict=True):
            self.line(f"{self.name(s)} = {text}")
        everyone = self._energy_args(repeated, {s: self.name(s) for s in latents})
        self.line(f"energy = self.energy({everyone}).reshape(-1, count)")
        self.line("energy, best = energy.min(1)")
        self.line(f"best = best + count * torch.arange({like}.shape[0], device={like}.device)")
        for s in latents:
            self.answer(s, f"{self.name(s)}[best]")
        self.finish("energy", "residual[best]", "iterations[best]")


def _projects(s: Symbol) -> bool:
    return s.domain.kind == "real" or s.domain.row.project is not None


def _span(latents: tuple[Symbol, ...]) -> tuple[float, float]:
    """Where starts are looked for: the latents' bounds where they have them, else three units about zero."""
    bounds = [s.domain.row.bounds(s.domain.args) for s in latents]
    if all(math.isfinite(low) and math.isfinite(high) for low, high in bounds):
        return min(b[0] for b in bounds), max(b[1] for b in bounds)
    return (0.0 if all(b[0] == 0 for b in bounds) else -3.0), 3.0
