"""Gaussian integrals as text: the method ``posterior``, and the answers of ``infer`` from it."""

from __future__ import annotations

from ebdsl.emit.context import Context
from ebdsl.emit.descent import DescentBody
from ebdsl.emit.tensors import Scope
from ebdsl.emit.values import Value, aligned
from ebdsl.infer.rules.gaussian import Gaussian
from ebdsl.model.algebra import contract, with_batch, zeroed
from ebdsl.model.build import fn, mul, neg, power
from ebdsl.model.derivative import derivative, fresh_index
from ebdsl.model.ir import BATCH, Axis, Node


def posterior_lines(c: Context, g: Gaussian) -> list[str]:
    """The method ``posterior``: statistics by name and the free energy, ``(B, states)``."""
    scope = c.scope()
    batch = () if g.shared else (BATCH,)
    beta = "1" if g.beta is None else scope.emit(g.beta).atom
    if g.form is None:
        covariances, log_det = _joint(c, scope, g)
    elif g.form.diagonal:
        covariances, log_det = _entrywise(c, scope, g)
    else:
        covariances, log_det = _coupled(c, scope, g)
    names = []
    for value, s in zip(covariances, g.covariances, strict=True):
        own = tuple(Axis(f"own{k}", d) for k, d in enumerate(s.shape[len(g.axes) :]))
        wanted = (*batch, *g.axes, *own)
        held = Value(value.code, (*value.axes[: len(value.axes) - len(own)], *own), value.tight)
        code = aligned(held, wanted, explicit=True)
        code = code if beta == "1" else f"{_bracket(code)} / {beta}"
        missing = [a for a in (BATCH, *g.axes) if a not in held.axes]
        if missing:
            sizes = ", ".join(scope.dim(a.dim) if a in missing else "-1" for a in (BATCH, *g.axes, *own))
            code = f"({code}).expand({sizes})" if " " in code else f"{code}.expand({sizes})"
        names.append(c.name(s))
        scope.lines.append(f"{c.name(s)} = {code}")
    for m in g.means:
        scope.lines.append(f"{c.name(m)} = {c.name(m)}.detach()")
    energy = with_batch(g.at_means(g.energy)) if g.states else with_batch(g.energy)
    scope.cache.clear()
    value = scope.tensor(energy, (BATCH, *g.axes))
    volume = aligned(log_det, (BATCH, *g.axes))
    count = " + ".join(" * ".join(c.dim(d) for d in z.shape) or "1" for z in g.latents)
    if g.beta is None:
        shift = "math.log(2 * math.pi)"
        inside = f"{volume} - {_times(count)} * {shift}"
        total = f"{value.code} + 0.5 * ({inside})"
    else:
        log = "torch.log" if scope.is_tensor(g.beta) else "math.log"
        inside = f"{volume} + {_times(count)} * {log}({beta} / (2 * math.pi))"
        total = f"{value.code} + 0.5 * ({inside}) / {beta}"
    parts = [f'"{c.name(m)}": {c.name(m)}' for m in g.means] + [f'"{n}": {n}.detach()' for n in names]
    latents = ", ".join(z.name for z in g.latents)
    each = ", ``(B, states)``" if g.states else ""
    return [
        f"    def posterior(self, {c.typed(c.observed)}) -> tuple[dict[str, Tensor], Tensor]:",
        f'        """Given what is observed {latents} is normal: means and covariances; the free energy{each}."""',
        *("        " + x for x in scope.lines),
        f"        return {{{', '.join(parts)}}}, {total}",
    ]


def _times(count: str) -> str:
    return f"({count})" if "+" in count else count


def _bracket(code: str) -> str:
    return f"({code})" if " + " in code or " - " in code else code


def _entrywise(c: Context, scope: Scope, g: Gaussian) -> tuple[list[Value], Value]:
    form = g.form
    assert form is not None
    curvature, linear = with_batch(form.matrix), with_batch(form.linear)
    (m,) = g.means
    scope.count(curvature, linear)
    mean = scope.tensor(mul(neg(linear), power(curvature, -1)), (BATCH, *g.axes, *form.at))
    scope.lines.append(f"{c.name(m)} = {mean.code}")
    inverse = scope.emit(power(curvature, -1))
    if not inverse.axes:
        inverse = Value(scope.constant(inverse))
    varies = tuple(form.at[k] for k in form.varies)
    order = tuple(a for a in (BATCH, *g.axes) if a in inverse.axes)
    covariance = Value(aligned(inverse, (*order, *varies), explicit=True), (*order, *varies))
    log_det = scope.emit(contract(fn("log", curvature), form.at))
    return [covariance], log_det


def _coupled(c: Context, scope: Scope, g: Gaussian) -> tuple[list[Value], Value]:
    form = g.form
    assert form is not None
    c.runtime.add("solve_gaussian")
    matrix, linear = with_batch(form.matrix), with_batch(form.linear)
    varies = tuple(form.at[k] for k in form.varies)
    lead = (*(a for a in (BATCH, *g.axes) if a in matrix.free), *varies)
    coupled = tuple(form.at[k] for k in form.coupled)
    twins = tuple(form.twin[k] for k in form.coupled)
    whole = (BATCH, *g.axes, *form.at)
    rest = tuple(a for a in whole if a not in lead and a not in coupled)
    scope.count(matrix, linear)
    left = scope.assign("matrix", scope.tensor(matrix, (*lead, *coupled, *twins)))
    right = scope.tensor(linear, (*lead, *coupled, *rest))
    head = "".join(scope.dim(a.dim) + ", " for a in lead)
    n = " * ".join(scope.dim(a.dim) for a in coupled)
    r = " * ".join(scope.dim(a.dim) for a in rest) or "1"
    flat_left = left.code if len(coupled) == 1 else f"{left.code}.reshape({head}{n}, {n})"
    flat_right = f"{right.atom}.reshape({head}{n}, {r})"
    mean, inverse, log_det = scope.name("mean"), scope.name("inverse"), scope.name("log_det")
    scope.lines.append(f"{mean}, {inverse}, {log_det} = solve_gaussian({flat_left}, {flat_right})")
    sizes = ", ".join(scope.dim(a.dim) for a in (*lead, *coupled, *rest))
    solved = Value(f"{mean}.reshape({sizes or '()'})", (*lead, *coupled, *rest))
    scope.lines.append(f"{c.name(g.means[0])} = {aligned(solved, whole, explicit=True)}")
    if len(coupled) > 1:
        sizes = ", ".join(scope.dim(a.dim) for a in (*lead, *coupled, *twins))
        covariance = Value(f"{inverse}.reshape({sizes or '()'})", (*lead, *coupled, *twins))
    else:
        covariance = Value(inverse, (*lead, *coupled, *twins))
    outside = tuple(a for a in lead if a not in varies)
    code = log_det
    if varies:
        code = f"{code}.sum({', '.join(str(k - len(varies)) for k in range(len(varies)))})" if len(varies) == 1 else (
            f"{code}.sum({tuple(k - len(varies) for k in range(len(varies)))})"
        )  # fmt: skip
    often = [scope.dim(form.at[k].dim) for k in form.separable if k not in form.varies]
    if often:
        code = f"{' * '.join(often)} * {code}"
    return [covariance], Value(code, outside, not often)


def _joint(c: Context, scope: Scope, g: Gaussian) -> tuple[list[Value], Value]:
    """Several latents as one vector: the second derivative is put together from blocks."""
    c.runtime.add("solve_gaussian")
    at = {z: fresh_index(z) for z in g.latents}
    twin = {z: fresh_index(z) for z in g.latents}
    blocks: dict[tuple[int, int], Node] = {}
    slopes = {z: derivative(g.energy, z, at[z]) for z in g.latents}
    linear = {z: with_batch(zeroed(slopes[z], g.latents)) for z in g.latents}
    for i, a in enumerate(g.latents):
        for j, b in enumerate(g.latents):
            blocks[i, j] = with_batch(derivative(slopes[a], b, twin[b]))
    scope.count(*blocks.values(), *linear.values())
    lead = tuple(a for a in (BATCH, *g.axes) if any(a in n.free for n in blocks.values()))
    size = [" * ".join(scope.dim(d) for d in z.shape) or "1" for z in g.latents]
    head = "".join(scope.dim(a.dim) + ", " for a in lead)
    rows = []
    for i, a in enumerate(g.latents):
        row = []
        for j, b in enumerate(g.latents):
            block = scope.tensor(blocks[i, j], (*lead, *at[a], *twin[b]))
            code = block.atom if block.axes or scope.is_tensor(blocks[i, j]) else scope.constant(block)
            row.append(f"{code}.reshape({head}{size[i]}, {size[j]})")
        rows.append(scope.assign("row", Value(f"torch.cat(({', '.join(row)}), -1)")).code)
    matrix = f"torch.cat(({', '.join(rows)}), -2)"
    rest = tuple(a for a in (BATCH, *g.axes) if a not in lead)
    r = " * ".join(scope.dim(a.dim) for a in rest) or "1"
    right = []
    for i, z in enumerate(g.latents):
        slope = scope.tensor(linear[z], (*lead, *at[z], *rest))
        right.append(f"{slope.atom}.reshape({head}{size[i]}, {r})")
    mean, inverse, log_det = scope.name("mean"), scope.name("inverse"), scope.name("log_det")
    scope.lines.append(f"{mean}, {inverse}, {log_det} = solve_gaussian({matrix}, torch.cat(({', '.join(right)}), -2))")
    covariances, begins, begin = [], [], "0"
    for i, z in enumerate(g.latents):
        begins.append(begin)
        end = f"{begin} + {size[i]}" if begin != "0" else size[i]
        sizes = ", ".join(scope.dim(a.dim) for a in (*lead, *at[z], *rest))
        part = Value(f"{mean}[..., {begin}:{end}, :].reshape({sizes or '()'})", (*lead, *at[z], *rest))
        scope.lines.append(f"{c.name(g.means[i])} = {aligned(part, (BATCH, *g.axes, *at[z]), explicit=True)}")
        begin = end
    ends = [*begins[1:], begin]
    for a, b in g.pairs:
        i, j = g.latents.index(a), g.latents.index(b)
        sizes = ", ".join(scope.dim(x.dim) for x in (*lead, *at[a], *twin[b]))
        block_code = f"{inverse}[..., {begins[i]}:{ends[i]}, {begins[j]}:{ends[j]}].reshape({sizes or '()'})"
        covariances.append(Value(block_code, (*lead, *at[a], *twin[b])))
    return covariances, Value(log_det, lead)


class GaussianBody(DescentBody):
    """A body that answers with a posterior."""

    def gaussian(self, g: Gaussian) -> None:
        c = self.context
        if not g.states:
            self.line(f"posterior, energy = self.posterior({self.observed_args})")
            for z in g.latents:
                self.answer(z, f'posterior.pop("{self.name(z)}")')
            self._finish_exactly()
            return
        beta = self.beta_code(g.beta)
        self.line(f"posterior, energies = self.posterior({self.observed_args})")
        scaled = "-energies" if beta == "1" else f"-{beta} * energies"
        self.line(f"log_weights = ({scaled}).flatten(1)" if "*" in scaled else f"log_weights = {scaled}.flatten(1)")
        self.line("energy = -torch.logsumexp(log_weights, 1)" + ("" if beta == "1" else f" / {beta}"))
        self.line("weights = torch.softmax(log_weights, 1).reshape(energies.shape)")
        self.line('posterior["weights"] = weights')
        places = tuple(range(1, len(g.states) + 1))
        for k, s in enumerate(g.states):
            others = tuple(p for p in places if p != k + 1)
            own = f"weights.sum({others})" if others else "weights"
            if s.table is not None:
                own = f"torch.tensordot({own}, self.{self.name(s.table)}, 1)"
            self.answer(s.symbol, own)
        for z, m in zip(g.latents, g.means, strict=True):
            lift = f"[..., {', '.join(['None'] * len(z.shape))}]" if z.shape else ""
            over = places if len(places) > 1 else places[0]
            self.answer(z, f'(weights{lift} * posterior["{c.name(m)}"]).sum({over})')
        self._finish_exactly()

    def _finish_exactly(self) -> None:
        """Exact up to rounding, and not at all where the integral diverges, of which NaN is the mark."""
        self.finish(
            energy="energy", residual="torch.zeros_like(energy).masked_fill(energy.isnan(), torch.nan)",
            iterations="torch.ones_like(energy, dtype=torch.int64)", posterior="posterior",
        )  # fmt: skip
