"""Updates of parameters: what the learning rules write into."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ebdsl.emit.context import Context, called
from ebdsl.emit.systems import count_text, solve_code, symmetric_code
from ebdsl.emit.tensors import Scope
from ebdsl.emit.text import tuple_text, uses
from ebdsl.emit.values import Value, aligned, bracket, is_product, number
from ebdsl.facts.quadratic import Quadratic
from ebdsl.learn.sums import before
from ebdsl.model.build import add, neg
from ebdsl.model.canonical import signature
from ebdsl.model.domains import REAL
from ebdsl.model.ir import ZERO, Axis, Get, Lit, Node, Symbol

if TYPE_CHECKING:
    from ebdsl.learn.rules.convex import Program
    from ebdsl.learn.rules.gradient import Gradient
    from ebdsl.learn.rules.joint import Together
    from ebdsl.learn.rules.level import Moment
    from ebdsl.learn.rules.logarithm import Barrier
    from ebdsl.learn.rules.medians import Medians
    from ebdsl.learn.rules.odds import Odds
    from ebdsl.learn.rules.quasi_newton import Descent
    from ebdsl.learn.rules.spectral import Subspace
    from ebdsl.learn.rules.sphere import Spheres
    from ebdsl.learn.sums import Held


def keys(context: Context) -> dict[str, Held]:
    """The sums over the samples, by the names that they have in the generated file."""
    found: dict[str, Held] = {}
    sums = context.plan.sums
    for h in sums.held if sums is not None else ():
        names = {s.name: context.names.get(s.name, "weights") for s in h.node.symbols if s.per_sample}
        stem = "_".join(names[n] for n in sorted(names))
        key, count = stem, 2
        while key in found:
            key, count = f"{stem}_{count}", count + 1
        found[key] = h
    return found


def kept_lines(context: Context, lines: list[str]) -> list[str]:
    """Lines that keep the parameters as they were, of those that ``lines`` ask for so."""
    sums = context.plan.sums
    names = [context.name(p) for p in sums.steps] if sums is not None else []
    return [f"{n}_before = model.{n}.clone()" for n in names if uses("\n".join(lines), f"{n}_before")]


class LearnBody:
    """Updates of one learner. ``full`` updates see all data; otherwise statistics run over batches.
    ``passes``: over the slices of a block in a full update.

    ``fitted``: the minimum becomes a variable of that name, and the parameter stays as it is.
    """

    def __init__(self, context: Context, full: bool, passes: int = 5) -> None:
        self.context = context
        self.full = full
        self.passes = passes
        self.lines: list[str] = []
        self.statistics: list[tuple[str, str]] = []  # name, text of its zero
        self.gradients: list[Symbol] = []
        self.descents: list[Descent] = []
        self.fitted = False
        self.together: set[tuple[Symbol, ...]] = set()  # what has been minimised with another block
        self.renamed: dict[str, str] = {}  # of sums over the samples, and of parameters before the update
        if full and context.plan.sums is not None:
            self.renamed = {h.symbol.name: f'sums["{k}"]' for k, h in keys(context).items()}
            for p, step in context.plan.sums.steps.items():
                name = context.name(p)
                self.renamed |= {before(p).name: f"{name}_before", step.name: f"(model.{name} - {name}_before)"}

    def scope(self) -> Scope:
        scope = self.context.scope("model", batch="samples", renamed=self.renamed)
        if self.full and self.context.plan.sums is not None:
            scope.like = f"model.{self.context.name(self.context.model.role('param')[0])}"
        return scope

    def project(self, symbol: Symbol, x: str) -> str:
        text = symbol.domain.row.torch
        if text is None:
            return x
        self.context.runtime |= called(text)
        n = self.context.dim(symbol.shape[-1], "model") if symbol.shape else "1"
        return text.format(*map(number, symbol.domain.args), x=x, ndim=len(symbol.shape), n=n)

    def _copy(self, symbol: Symbol, code: str) -> None:
        self.lines.append(f"fitted = {code}" if self.fitted else f"model.{self.context.name(symbol)}.copy_({code})")

    # ------------------------------------------------------------- exact blocks

    def _streamed(self, form: Quadratic, scope: Scope) -> Quadratic:
        """The form with its matrix and linear part replaced by running means of themselves."""
        name = self.context.name(form.symbol)
        at, twins = form.at, tuple(form.twin[k] for k in form.coupled)
        matrix_axes = (*(form.at[k] for k in form.varies), *(form.at[k] for k in form.coupled), *twins)
        replaced: list[Node] = []
        for part, node, axes in (("matrix", form.matrix, matrix_axes), ("linear", form.linear, at)):
            if node == ZERO:
                replaced.append(node)
                continue
            held = f"{name}_{part}"
            square = part == "matrix" and len(axes) == 2 and len(form.coupled) == 1
            code = symmetric_code(scope, node, (axes[0], axes[1])) if square else scope.tensor(node, axes).code
            if not axes and not scope.is_tensor(node):  # a number, as 2 * samples is
                code = scope.constant(Value(code))
            shape = tuple_text([self.context.dim(a.dim, "model") for a in axes])
            self.statistics.append((held, f"torch.zeros({shape}, dtype=dtype, device=device)"))
            code = code if is_product(code.removeprefix("-")) else f"({code})"
            scope.lines.append(f'self.statistics["{held}"].lerp_({code} / samples, rate)')
            symbol = Symbol(held, "const", tuple(a.dim for a in axes), REAL)
            replaced.append(Get(symbol, axes))
        return Quadratic(
            form.symbol, form.at, form.twin, replaced[1], replaced[0], form.coupled, form.separable, form.varies
        )

    def _stat_scope(self, name: str) -> Scope:
        stats = {f"{name}_{part}": f'self.statistics["{name}_{part}"]' for part in ("matrix", "linear")}
        return self.context.scope("model", batch="samples", renamed=stats)

    def solve_block(self, form: Quadratic) -> None:
        name = self.context.name(form.symbol)
        scope = self.scope()
        if not self.full:
            scope.count(form.matrix, form.linear)
            form = self._streamed(form, scope)
            self.lines += scope.lines
            scope = self._stat_scope(name)
        code = solve_code(scope, form, per_sample=False, keep=f"model.{name}")
        self.lines += scope.lines
        self._copy(form.symbol, code)

    def joint_block(self, t: Together) -> None:
        j = t.joint
        if self.fitted:
            self.solve_block(t.form)
            return
        if j.symbols in self.together:
            return
        self.together.add(j.symbols)
        self.context.runtime |= {"solve_together"}
        scope = self.scope()
        scope.count(*(b for row in j.blocks for b in row), *j.linear)
        n = len(j.symbols)

        def sizes(axes: tuple[Axis, ...]) -> list[str]:
            return [scope.dim(a.dim) for a in axes]

        def part(node: Node, rows: tuple[Axis, ...], columns: tuple[Axis, ...]) -> str:
            """A matrix ``(*lead, rows, columns)`` of the axes of each."""
            code = scope.tensor(node, (*j.lead, *rows, *columns))
            if not code.axes and not scope.is_tensor(node):  # a number, as 2 * samples is
                code = Value(scope.constant(code))
            shape = [*sizes(j.lead), count_text(scope, rows), count_text(scope, columns)]
            return code.code if len(rows) == len(columns) == 1 else f"{code.atom}.reshape({', '.join(shape)})"

        blocks = [
            f"[{', '.join(part(j.blocks[i][k], j.coupled[i], j.twin[k]) for k in range(i + 1))}]" for i in range(n)
        ]
        right = [part(neg(j.linear[i]), j.coupled[i], j.rest) for i in range(n)]
        self.lines += scope.lines
        names, old = [self.context.name(s) for s in j.symbols], []
        for i, name in enumerate(names):
            axes = (*j.lead, *j.coupled[i], *j.rest)
            shape = [*sizes(j.lead), count_text(scope, j.coupled[i]), count_text(scope, j.rest)]
            old.append(f"{aligned(Value(f'model.{name}', j.at[i]), axes)}.reshape({', '.join(shape)})")
        blocks_text, right_text = ", ".join(blocks), ", ".join(right)
        self.lines.append(f"solved = solve_together([{blocks_text}], [{right_text}], [{', '.join(old)}])")
        for i, name in enumerate(names):
            axes = (*j.lead, *j.coupled[i], *j.rest)
            code = f"solved[{i}].reshape({', '.join(sizes(axes)) or '()'})"
            self.lines.append(f"model.{name}.copy_({aligned(Value(code, axes), j.at[i])})")

    def slice_block(self, form: Quadratic) -> None:
        self.context.runtime.add("minimise_slices")
        name = self.context.name(form.symbol)
        scope = self.scope()
        place = form.coupled[0] if form.coupled else len(form.at) - 1
        if not form.coupled:  # nothing is coupled: the free minimiser is projected
            if not self.full:
                scope.count(form.matrix, form.linear)
                form = self._streamed(form, scope)
                self.lines += scope.lines
                scope = self._stat_scope(name)
            code = solve_code(scope, form, per_sample=False, keep=f"model.{name}")
            self.lines += scope.lines
            self._copy(form.symbol, self.project(form.symbol, code))
            return
        scope.count(form.matrix, form.linear)
        if not self.full:
            form = self._streamed(form, scope)
            self.lines += scope.lines
            scope = self._stat_scope(name)
        matrix = symmetric_code(scope, form.matrix, (form.at[place], form.twin[place]))
        linear = scope.tensor(form.linear, form.at)
        self.lines += scope.lines
        project = self.project(form.symbol, "x")
        passes = f", passes={self.passes}" if self.full and self.passes > 1 else ""
        statistics = f"{matrix}, {linear.code}"
        self._copy(form.symbol, f"minimise_slices(model.{name}, {statistics}, lambda x: {project}, {place}{passes})")

    def moment_block(self, m: Moment) -> None:
        name, w = self.context.name(m.whole.symbol), m.whole.symbol
        scope = self.scope()
        form = replace(m.whole, matrix=ZERO)
        if not self.full:
            scope.count(form.linear)
            form = self._streamed(form, scope)
            self.lines += scope.lines
            scope = self._stat_scope(name)
        moment = scope.assign("moment", scope.tensor(neg(form.linear), form.at))
        self.lines += scope.lines
        places = tuple_text([str(k - len(w.shape)) for k in m.bound])
        point = self.project(w, moment.code)
        self._copy(w, f"torch.where({moment.code}.abs().amax({places}, keepdim=True) > 0, {point}, model.{name})")

    def sphere_block(self, s: Spheres) -> None:
        w, name = s.form.symbol, self.context.name(s.form.symbol)
        form, scope = s.form, self.scope()
        scope.count(form.matrix, form.linear)
        if not self.full:
            form = self._streamed(form, scope)
            self.lines += scope.lines
            scope = self._stat_scope(name)
        pair = (form.at[s.place], form.twin[s.place])
        if s.count is not None:
            self.context.runtime.add("leading_subspace")
            code = (
                f"leading_subspace(-{bracket(symmetric_code(scope, form.matrix, pair))}, model.{name}.shape[{s.count}])"
            )
            self.lines += scope.lines
            self._copy(w, code if s.place == 1 else f"{code}.T")
            return
        self.context.runtime.add("lowest_on_spheres")
        rest = tuple(a for a in form.at if a != form.at[s.place])
        varying = tuple(form.at[k] for k in form.varies)
        curvature = scope.tensor(form.matrix, (*varying, *pair))
        linear = scope.tensor(form.linear, (*rest, form.at[s.place]))
        self.lines += scope.lines
        lead = "".join(", :" if a in varying else ", None" for a in rest).removeprefix(", ")
        matrix = curvature.code if len(varying) == len(rest) else f"{curvature.atom}[{lead}]"
        old = f"model.{name}.movedim({s.place}, -1)" if rest else f"model.{name}"
        code = f"lowest_on_spheres({matrix}, {linear.code}, {old})"
        self._copy(w, f"{code}.movedim(-1, {s.place})" if rest else code)

    def median_block(self, m: Medians) -> None:
        from ebdsl.emit.unused import state_place

        self.context.runtime.add("weighted_medians")
        w, name = m.symbol, self.context.name(m.symbol)
        scope = self.scope()
        scope.count(*(n for k in m.kinks for n in (k.point, k.jump, k.slope)))
        sizes = "".join(f", {self.context.dim(d, 'model')}" for d in w.shape)

        def rows(node: Node, over: tuple[Axis, ...]) -> str:
            value = scope.tensor(node, (*over, *m.at))
            if not value.axes and not scope.is_tensor(node):
                return f"{scope.constant(value)}[None]"
            if len(over) == 1:
                return value.code
            return f"{value.atom}.reshape(-1{sizes})" if over else f"{value.atom}[None]"

        kinks = []
        for k in m.kinks:
            below = "0.5"
            if k.atom == "relu":
                known = isinstance(k.slope, Lit)
                below = f"{float(k.slope.value < 0)}" if isinstance(k.slope, Lit) else ""
                below = below if known else f"({rows(k.slope, k.over)} < 0).to(model.{name}.dtype)"
            kinks.append(f"({rows(k.point, k.over)}, {rows(k.jump, k.over)}, {below})")
        rest = []
        for node in (m.rest.linear, m.rest.matrix) if m.rest is not None else (ZERO, ZERO):
            at = m.rest.at if m.rest is not None else m.at
            value = scope.tensor(node, at)
            rest.append(scope.constant(value) if not at and not scope.is_tensor(node) else value.code)
        self.lines += scope.lines
        arguments = f"[{', '.join(kinks)}], {', '.join(rest)}, model.{name}, {state_place(self.context.plan, w)}"
        self._copy(w, self.project(w, f"weighted_medians({arguments})"))

    def program_block(self, p: Program) -> None:
        from ebdsl.emit.program import program_lines

        if self.fitted:
            self.lines += program_lines(self, p)
            self._copy(p.symbol, f'found.latents["{self.context.name(p.symbol)}"][0]')
        elif p.symbols not in self.together:
            names = [self.context.name(s) for s in p.symbols]
            whole = "_".join(names)
            self.lines += program_lines(self, p)
            self.lines += [
                f'self.found["{", ".join(names)}"] = found',
                f"if bool(found.energy < energy_of_{whole}(*begin_{whole}.values())):",
                *(f'    model.{n}.copy_(found.latents["{n}"][0])' for n in names),
            ]
            self.together.add(p.symbols)

    def barrier_block(self, b: Barrier) -> None:
        scope = self.scope()
        name = self.context.name(b.symbol)
        own = b.at[: len(b.at) - 2] if b.matrix else b.at
        count = scope.tensor(b.count, own)
        if not own and not scope.is_tensor(b.count):  # the number of samples
            count = Value(scope.constant(count))
        if b.symbol.domain.kind == "simplex":
            held = scope.assign("count", count)
            self.lines += scope.lines
            self._copy(b.symbol, f"{held.code} / {held.code}.sum(-1, keepdim=True).clamp_min(1e-12)")
            return
        held = scope.assign("count", count)
        if b.matrix:
            self.context.runtime.add("symmetric_inverse")
            moment = scope.tensor(b.linear, b.at)
            self.lines += scope.lines
            lift = "[..., None, None]" if own else ""
            self.lines.append(f"moment = {moment.atom} / {held.code}{lift}.clamp_min(1e-12)")
            self._copy(b.symbol, f"torch.where({held.code}{lift} > 0, symmetric_inverse(moment), model.{name})")
            return
        slope = scope.assign("slope", scope.tensor(b.linear, b.at))
        self.lines += scope.lines
        if b.inverse:
            ratio = f"({slope.code} / {held.code}.clamp_min(1e-12)).clamp_min(1e-12)"  # of one sample the variance is 0
            self._copy(b.symbol, f"torch.where({held.code} > 0, {ratio}, model.{name})")
            return
        self._copy(b.symbol, f"torch.where({held.code} > 0, {held.code} / {slope.code}.clamp_min(1e-12), model.{name})")

    def odds_block(self, o: Odds) -> None:
        name, scope = self.context.name(o.symbol), self.scope()
        scope.count(o.yes, o.no)
        yes = scope.assign("yes", scope.tensor(o.yes, o.at))
        both = scope.assign("both", scope.tensor(add(o.yes, o.no), o.at))
        self.lines += scope.lines
        low, high = o.symbol.domain.args
        share = f"({yes.code} / {both.code}.clamp_min(1e-12)).clamp({max(low, 1e-6)!r}, {min(high, 1 - 1e-6)!r})"
        self._copy(o.symbol, f"torch.where({both.code} > 0, {share}, model.{name})")

    def subspace_block(self, s: Subspace) -> None:
        self.context.runtime.add("leading_subspace")
        k = self.context.dim(s.symbol.shape[s.code], "model")
        rows = f"leading_subspace({self.moment(s)} / samples, {k})"
        self._copy(s.symbol, rows if s.code == 0 else f"{rows}.T")

    def moment(self, s: Subspace) -> str:
        """The text of ``Σ_b y_b y_b'``."""
        if self.context.plan.sums is None:
            return "({0}.T @ {0})".format(self.context.name(s.observed))
        wanted = signature(s.moments[0])[0]
        return next(f'sums["{k}"]' for k, h in keys(self.context).items() if signature(h.node)[0] == wanted)

    # ------------------------------------------------------------- gradient blocks

    def gradient_block(self, g: Gradient) -> None:
        self.gradients.append(g.symbol)
