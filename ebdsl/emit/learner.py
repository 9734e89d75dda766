"""The class ``Learner`` of a generated file: what the learning rules write into."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ebdsl.emit.bodies import _calls
from ebdsl.emit.context import Context
from ebdsl.emit.systems import solve_code, symmetric_code
from ebdsl.emit.tensors import Scope, aligned
from ebdsl.facts.quadratic import Quadratic
from ebdsl.infer.rules.enumeration import Enumeration
from ebdsl.learn.core import RULES
from ebdsl.model.algebra import contract, modules_in, replace_symbol, with_batch
from ebdsl.model.derivative import derivative, fresh_index
from ebdsl.model.domains import REAL
from ebdsl.model.ir import BATCH, Get, Node, Symbol

if TYPE_CHECKING:
    from ebdsl.learn.rules.gradient import Gradient
    from ebdsl.learn.rules.logarithm import Barrier
    from ebdsl.learn.rules.spectral import Subspace


class LearnBody:
    """Updates of one learner. ``full`` updates see all data; otherwise statistics run over batches."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.lines: list[str] = []
        self.statistics: list[tuple[str, str]] = []  # name, text of its zero
        self.gradients: list[tuple[Symbol, Gradient]] = []
        self.full = context.plan.schedule == "full"

    def scope(self) -> Scope:
        return self.context.scope("model", batch="n")

    def _project(self, symbol: Symbol, x: str) -> str:
        text = symbol.domain.row.torch
        if text is None:
            return x
        self.context.runtime |= _calls(text)
        n = self.context.dim(symbol.shape[-1], "model") if symbol.shape else "1"
        return text.format(*(f"{a:g}" for a in symbol.domain.args), x=x, ndim=len(symbol.shape), n=n)

    def _copy(self, symbol: Symbol, code: str) -> None:
        self.lines.append(f"model.{self.context.name(symbol)}.copy_({code})")

    # ------------------------------------------------------------- exact blocks

    def _streamed(self, form: Quadratic, scope: Scope) -> Quadratic:
        """The form with its matrix and linear part replaced by running means of themselves."""
        name = self.context.name(form.symbol)
        at, twins = form.at, tuple(form.twin[k] for k in form.coupled)
        matrix_axes = (*(form.at[k] for k in form.varies), *(form.at[k] for k in form.coupled), *twins)
        replaced = []
        for part, node, axes in (("matrix", form.matrix, matrix_axes), ("linear", form.linear, at)):
            held = f"{name}_{part}"
            square = part == "matrix" and len(axes) == 2 and len(form.coupled) == 1
            code = symmetric_code(scope, node, (axes[0], axes[1])) if square else scope.tensor(node, axes).code
            shape = ", ".join(self.context.dim(a.dim, "model") for a in axes)
            self.statistics.append((held, f"torch.zeros({f'({shape},)' if shape else '()'}, dtype=dtype, device=device)"))
            scope.lines.append(f'self.statistics["{held}"].lerp_({code} / n, rate)')
            symbol = Symbol(held, "const", tuple(a.dim for a in axes), REAL)
            replaced.append(Get(symbol, axes))
        return Quadratic(
            form.symbol, form.at, form.twin, replaced[1], replaced[0], form.coupled, form.separable, form.varies
        )

    def _stat_scope(self, name: str) -> Scope:
        stats = {f"{name}_{part}": f'self.statistics["{name}_{part}"]' for part in ("matrix", "linear")}
        return self.context.scope("model", batch="n", renamed=stats)

    def solve_block(self, form: Quadratic) -> None:
        name = self.context.name(form.symbol)
        scope = self.scope()
        if not self.full:
            scope.count(form.matrix, form.linear)
            form = self._streamed(form, scope)
            self.lines += scope.lines
            scope = self._stat_scope(name)
        else:
            scope.count(form.matrix, form.linear)
        code = solve_code(scope, form, per_sample=False, keep=f"model.{name}")
        self.lines += scope.lines
        self._copy(form.symbol, code)

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
            self._copy(form.symbol, self._project(form.symbol, code))
            return
        scope.count(form.matrix, form.linear)
        if not self.full:
            form = self._streamed(form, scope)
            self.lines += scope.lines
            scope = self._stat_scope(name)
        matrix = symmetric_code(scope, form.matrix, (form.at[place], form.twin[place]))
        linear = scope.tensor(form.linear, form.at)
        self.lines += scope.lines
        project = self._project(form.symbol, "x")
        passes = ", passes=5" if self.full else ""
        self.lines.append(
            f"model.{name}.copy_(minimise_slices(model.{name}, {matrix}, {linear.code}, lambda x: {project}, {place}{passes}))"
        )

    def barrier_block(self, b: Barrier) -> None:
        scope = self.scope()
        name = self.context.name(b.symbol)
        own = b.at[: len(b.at) - 2] if b.matrix else b.at
        count = scope.tensor(b.count, own)
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
            self.lines.append(f"moment = {moment.code} / {held.code}{lift}.clamp_min(1e-12)")
            self._copy(b.symbol, f"torch.where({held.code}{lift} > 0, symmetric_inverse(moment), model.{name})")
            return
        slope = scope.assign("slope", scope.tensor(b.linear, b.at))
        self.lines += scope.lines
        self._copy(b.symbol, f"torch.where({held.code} > 0, {held.code} / {slope.code}.clamp_min(1e-12), model.{name})")

    def subspace_block(self, s: Subspace) -> None:
        self.context.runtime.add("leading_subspace")
        y = self.context.name(s.observed)
        k = self.context.dim(s.symbol.shape[s.code], "model")
        rows = f"leading_subspace({y}.T @ {y} / n, {k})"
        self._copy(s.symbol, rows if s.code == 0 else f"{rows}.T")

    # ------------------------------------------------------------- gradient blocks

    def gradient_block(self, g: Gradient) -> None:
        self.gradients.append((g.symbol, g))


def learner_lines(context: Context) -> list[str]:
    """The whole class, unindented."""
    plan = context.plan
    body = LearnBody(context)
    for _, decision in plan.learning:
        RULES[decision.rule].emit(decision.payload, body)
    return _full(context, body) if body.full else _batches(context, body)


def _observed_lines(context: Context) -> list[str]:
    return [f'{context.name(s)} = batch["{context.name(s)}"]' for s in context.observed]


def _found_lines(context: Context, start: str) -> list[str]:
    """Inference on the batch, and the latents or responsibilities as variables."""
    plan = context.plan
    if not plan.inference:
        return []
    extra = ", exact=True" if plan.model.amortised else ""
    lines = [f"found = model.infer({context.args(context.observed)}{start}{extra})"]
    payload = plan.inference[0].payload
    if isinstance(payload, Enumeration):
        if len(payload.states) == 1 and payload.states[0].table is None:
            lines.append(f'weights = found.latents["{context.name(payload.states[0].symbol)}"]')
        else:
            lines.append(f"weights = model.state_weights({context.args(context.observed)})")
        return lines
    return lines + [f'{context.name(s)} = found.latents["{context.name(s)}"]' for s in context.latents]


def _full(context: Context, body: LearnBody) -> list[str]:
    plan = context.plan
    latents = ["weights: Tensor"] if plan.weights is not None else [f"{context.name(s)}: Tensor" for s in context.latents]
    passed = ["weights"] if plan.weights is not None else [context.name(s) for s in context.latents]
    signature = ", ".join(["self", *(f"{context.name(s)}: Tensor" for s in context.observed), *latents])
    arguments = ", ".join([*(context.name(s) for s in context.observed), *passed])
    energy = "found.energy.mean()" if plan.inference else f"model.energy({context.args(context.observed)}).mean()"
    terms = _terms_after(context)
    lines = [
        "class Learner:",
        '    """Minimises each block exactly, given all data: one step is one pass.',
        "",
        *(f"    {d.task}: {d.algorithm}." for _, d in plan.learning),
        '    """',
        "",
        "    full_batch = True",
        "",
        f"    def __init__(self, model: {context.class_name}, *, lr: float | None = None, seed: int = 0) -> None:",
        "        self.model = model",
        "        self.steps = 0",
        "        self.last = math.inf",
        "        self.converged = False",
        "        self.generator = torch.Generator().manual_seed(seed)",
        "",
        *_start_lines(context),
        "    @torch.no_grad()",
        "    def step(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:",
        '        """One update on all data; gives the mean energy before it, and that of every term."""',
        "        model = self.model",
        *("        " + x for x in _observed_lines(context)),
        *("        " + x for x in _found_lines(context, "")),
        f"        energy = {energy}",
        *("        " + x for x in terms),
        f"        self.update({arguments})",
        "        self.steps += 1",
        "        value = float(energy)",
        "        self.converged = abs(self.last - value) <= 1e-9 * max(1e-30, abs(value))",
        "        self.last = value",
        "        return metrics",
        "",
        "    @torch.no_grad()",
        f"    def update({signature}) -> None:",
        '        """Every block at its minimum, the others fixed."""',
        "        model = self.model",
        f"        n = {context.like}.shape[0]",
        *("        " + x for x in body.lines),
        "",
        "    def state_dict(self) -> dict[str, Tensor]:",
        '        """What resuming needs besides the model."""',
        "        return {",
        '            "steps": torch.tensor(self.steps),',
        '            "last": torch.tensor(self.last, dtype=torch.float64),',
        '            "generator": self.generator.get_state(),',
        "        }",
        "",
        "    def load_state_dict(self, state: dict[str, Tensor]) -> None:",
        '        """Go on from what ``state_dict`` gave."""',
        '        self.steps = int(state["steps"])',
        '        self.last = float(state["last"])',
        '        self.generator.set_state(state["generator"].cpu())',
    ]
    if "n" not in {t for x in body.lines for t in _words(x)}:
        lines.remove(f"        n = {context.like}.shape[0]")
    return lines


def _words(text: str) -> list[str]:
    import re

    return re.findall(r"\w+", text)


def _terms_after(context: Context) -> list[str]:
    plan = context.plan
    if plan.weights is not None and plan.inference[0].payload.kind == "softmin":  # type: ignore[attr-defined]
        return ['metrics = {"energy": energy}']
    latents = [f'found.latents["{context.name(s)}"]' for s in context.latents]
    arguments = ", ".join([context.args(context.observed), *latents])
    return [
        'metrics = {"energy": energy}',
        f'metrics |= {{f"energy/{{name}}": term.mean() for name, term in model.terms({arguments}).items()}}',
    ]


def _start_lines(context: Context) -> list[str]:
    """``start``: prototypes at far apart samples where states are enumerated and each can be fitted to a sample."""
    plan = context.plan
    observed = context.args(context.observed)
    head = [
        "    @torch.no_grad()",
        "    def start(self, data: dict[str, Tensor]) -> None:",
    ]
    payload = plan.inference[0].payload if plan.inference else None
    seeds = []
    if isinstance(payload, Enumeration) and len(payload.states) == 1:
        axis_dim = payload.states[0].axis.dim
        for w, d in plan.learning:
            form = getattr(d.payload, "form", None)
            if isinstance(form, Quadratic) and form.diagonal and axis_dim in w.shape:
                seeds.append((w, form, w.shape.index(axis_dim)))
            elif isinstance(form, Quadratic) and form.coupled and axis_dim in w.shape:
                place = w.shape.index(axis_dim)
                if place in form.varies:
                    seeds.append((w, form, place))
    if not seeds:
        return [*head, '        """Nothing to set from the data."""', ""]
    assert isinstance(payload, Enumeration)
    context.runtime.add("draw_far_points")
    states = context.dim(payload.states[0].axis.dim, "model")
    like = context.like
    lines = [
        *head,
        '        """Fit each state to one sample, drawn far from those already fitted (k-means++)."""',
        "        model = self.model",
        *(f'        {context.name(s)} = data["{context.name(s)}"]' for s in context.observed),
        f"        few = torch.randperm({like}.shape[0], generator=self.generator)[: max(2048, 30 * {states})].to({like}.device)",
    ]
    lines += [f"        {context.name(s)} = {context.name(s)}[few]" for s in context.observed]
    lines += [
        f"        distance = {like}.new_ones({like}.shape[0])",
        f"        for k in range({states}):",
        "            i = int(draw_far_points(distance, self.generator))",
        f"            self.fit_state(k, {', '.join(f'{context.name(s)}[i : i + 1]' for s in context.observed)})",
        f"            energy = model.state_energies({observed})[:, k]",
        "            energy = energy - energy.min()",
        "            distance = energy if k == 0 else torch.minimum(distance, energy)",
    ]
    if len(plan.learning) > len(seeds):
        full = ", ".join(f'data["{context.name(s)}"]' for s in context.observed)
        lines += [
            f"        state = model.state_energies({full}).argmin(1)",
            f"        self.update({full}, nn.functional.one_hot(state, {states}).to({like}.dtype))",
        ]
    lines += [
        "",
        "    @torch.no_grad()",
        f"    def fit_state(self, k: int, {context.args(context.observed, typed=True)}) -> None:",
        '        """The parameters of state ``k`` at their minimum for one sample."""',
        "        model = self.model",
        f"        n = {like}.shape[0]",
        f"        weights = torch.zeros(n, {states}, dtype={like}.dtype, device={like}.device)",
        "        weights[:, k] = 1",
    ]
    sub = LearnBody(context)
    sub.full = True
    for w, form, place in seeds:
        scope = sub.scope()
        scope.count(form.matrix, form.linear)
        code = solve_code(scope, form, per_sample=False, keep=f"model.{context.name(w)}")
        pick = ", ".join(["k" if p == place else ":" for p in range(len(w.shape))])
        lines += ["        " + x for x in scope.lines]
        lines.append(f"        model.{context.name(w)}[{pick}] = ({sub._project(w, code)})[{pick}]")
    text = "\n".join(lines[lines.index("        weights[:, k] = 1") :])
    if "n" not in _words(text.replace(f"torch.zeros(n, {states}", "")) and False:
        lines.remove(f"        n = {like}.shape[0]")
    return [*lines, ""]


def _batches(context: Context, body: LearnBody) -> list[str]:
    plan = context.plan
    names = [context.name(s) for s in context.observed]
    exact = [s for s, d in plan.learning if RULES[d.rule].exact]
    moduled = [t for t in plan.model.terms if modules_in(t.node)]
    clear = [t for t in plan.model.terms if not modules_in(t.node)]
    with_optimizer = bool(body.gradients) or bool(plan.modules)
    lr = _number(plan, "lr", 1e-3)
    lines = [
        "class Learner:",
        '    """Learns from batches.',
        "",
        *(f"    {d.task}: {d.algorithm}." for _, d in plan.learning),
        *(f"    learn {m.name}: Adam through autograd." for m in plan.modules),
        '    """',
        "",
        "    full_batch = False",
        "",
        f"    def __init__(self, model: {context.class_name}, *, lr: float | None = None, seed: int = 0) -> None:",
        "        self.model = model",
        "        self.steps = 0",
        "        self.converged = False",
    ]
    if body.statistics:
        first = next(iter(context.model.role("param")))
        lines += [
            f"        dtype, device = model.{context.name(first)}.dtype, model.{context.name(first)}.device",
            "        self.statistics = {",
            *(f'            "{held}": {zero},' for held, zero in body.statistics),
            "        }",
        ]
    if with_optimizer:
        learned = [f"model.{context.name(s)}" for s, _ in body.gradients]
        learned += [f"*model.{context.name(m)}.parameters()" for m in plan.modules]
        lines.append(f"        self.learned = [{', '.join(learned)}]")
        lines += _optimizer_lines(plan, lr)
    lines += [
        "",
        "    def start(self, data: dict[str, Tensor]) -> None:",
        '        """Nothing to set from the data."""',
        "",
        "    def step(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:",
        '        """One update; gives the mean energy of the batch before it, and that of every term."""',
        "        model = self.model",
        *("        " + x for x in _observed_lines(context)),
        f"        n = {names[0]}.shape[0]",
        *("        " + x for x in _found_lines(context, "")),
        "        self.steps += 1",
    ]
    step: list[str] = []
    weights = plan.weights
    enumerated = weights is not None
    # --- what needs no autograd
    scope = context.scope("model", batch="n")
    transparent: list[str] = []
    slopes: dict[Symbol, str] = {}
    nodes = _term_nodes(context, clear)
    total = contract(with_batch(_sum([t for _, t in nodes])), (BATCH,)) if nodes else None
    written = []
    for s, _ in body.gradients:
        if total is not None and s in total.symbols:
            at = fresh_index(s)
            written.append((s, at, derivative(total, s, at)))
    scope.count(*(with_batch(n) for _, n in nodes), *(d for _, _, d in written))
    for text, node in nodes:
        value = scope.tensor(with_batch(node), (BATCH,))
        transparent_name = scope.name("term")
        scope.lines.append(f"{transparent_name} = {value.code}")
        transparent.append(f'{text!r}: {transparent_name}')
    for s, at, slope in written:
        value = scope.tensor(slope, at)
        held = scope.name(f"{context.name(s)}_slope")
        scope.lines.append(f"{held} = {value.code} / n")
        slopes[s] = held
    if scope.lines or body.lines:
        step.append("with torch.no_grad():")
        step += ["    " + x for x in scope.lines]
        if body.lines:
            uses_rate = any("rate)" in x for x in body.lines)
            if uses_rate:
                step.append("    rate = max(1 / self.steps, 0.01)")
            step += ["    " + x for x in body.lines]
    # --- what goes through learned functions
    loss_terms: list[str] = []
    if moduled:
        local = {s.name: f"model.{context.name(s)}.detach()" for s in exact}
        scope2 = context.scope("model", batch="n", renamed=local)
        scope2.taken |= scope.taken
        nodes2 = _term_nodes(context, moduled)
        scope2.count(*(with_batch(n) for _, n in nodes2))
        for text, node in nodes2:
            value = scope2.tensor(with_batch(node), (BATCH,))
            held = scope2.name("term")
            scope2.lines.append(f"{held} = {value.code}")
            loss_terms.append(f"{text!r}: {held}")
        # exact blocks are updated after the energies that they enter were taken
        step = [*scope2.lines, *step]
        total_text = " + ".join(t.split(": ")[-1] for t in loss_terms)
        step.append(f"loss = ({total_text}).mean()" if len(loss_terms) > 1 else f"loss = {total_text}.mean()")
    if with_optimizer:
        step.append("self.optimizer.zero_grad(set_to_none=True)")
        if moduled:
            step.append("loss.backward()")
        for s, held in slopes.items():
            name = f"model.{context.name(s)}"
            mixed = any(s in t.node.symbols for t in moduled)
            step.append(f"{name}.grad = {held} if {name}.grad is None else {name}.grad + {held}" if mixed else f"{name}.grad = {held}")
        step.append("self.optimizer.step()")
        projected = [(s, body._project(s, f"model.{context.name(s)}")) for s, _ in body.gradients if s.domain.row.torch]
        if projected:
            step.append("with torch.no_grad():")
            step += [f"    model.{context.name(s)}.copy_({code})" for s, code in projected]
    every = [*transparent, *loss_terms]
    order = {t.text: k for k, t in enumerate(plan.model.terms)}
    every.sort(key=lambda e: next((k for text, k in order.items() if e.startswith(repr(text) + ":")), 0))
    if enumerated:
        step.append("metrics = {\"energy\": found.energy.mean()}")
    else:
        step.append("metrics = {" + ", ".join(f'{e.split(": ", 1)[0] if False else _key(e)}: {_held(e)}.detach().mean()' for e in every) + "}")
        step.append('metrics = {"energy": torch.stack(tuple(metrics.values())).sum(), **metrics}')
    step.append("return metrics")
    lines += ["        " + x for x in step]
    lines += [
        "",
        "    def state_dict(self) -> dict[str, Tensor]:",
        '        """What resuming needs besides the model."""',
    ]
    parts = ['"steps": torch.tensor(self.steps)']
    if body.statistics:
        parts.append('**{f"statistics.{k}": v.clone() for k, v in self.statistics.items()}')
    if with_optimizer:
        context.runtime |= {"optimizer_tensors", "load_optimizer_tensors"}
        parts.append("**optimizer_tensors(self.optimizer)")
    lines += [
        f"        return {{{', '.join(parts)}}}",
        "",
        "    def load_state_dict(self, state: dict[str, Tensor]) -> None:",
        '        """Go on from what ``state_dict`` gave."""',
        '        self.steps = int(state["steps"])',
    ]
    if body.statistics:
        lines += [
            "        for name, value in self.statistics.items():",
            '            value.copy_(state[f"statistics.{name}"])',
        ]
    if with_optimizer:
        lines.append("        load_optimizer_tensors(self.optimizer, state)")
    return lines


def _key(entry: str) -> str:
    text = entry.rsplit(": ", 1)[0]
    import ast

    return repr("energy/" + ast.literal_eval(text))


def _held(entry: str) -> str:
    return entry.rsplit(": ", 1)[1]


def _term_nodes(context: Context, terms: list) -> list[tuple[str, Node]]:  # type: ignore[type-arg]
    """Terms at the latents' answers: expected over states where these were enumerated."""
    from ebdsl.facts.normal import normal
    from ebdsl.model.algebra import delta, multiply

    plan = context.plan
    payload = plan.inference[0].payload if plan.inference else None
    result = []
    for t in terms:
        node = normal(t.node)
        if isinstance(payload, Enumeration) and plan.weights is not None:
            axes = tuple(s.axis for s in payload.states)
            for s in payload.states:
                if s.table is None:
                    node = replace_symbol(node, s.symbol, lambda index, s=s: delta(index[0], s.axis))  # type: ignore[misc]
                else:
                    node = replace_symbol(node, s.symbol, lambda index, s=s: Get(s.table, (s.axis, *index)))  # type: ignore[misc]
            node = contract(multiply(Get(plan.weights, axes), node), axes)
        result.append((t.text, node))
    return result


def _sum(nodes: list[Node]) -> Node:
    from ebdsl.model.build import add

    return add(*nodes)


def _number(plan: object, key: str, default: float) -> float:
    setting = plan.model.setting(key)  # type: ignore[attr-defined]
    return float(setting.value) if setting is not None and isinstance(setting.value, int | float) else default


def _optimizer_lines(plan: object, lr: float) -> list[str]:
    from ebdsl.model.model import Word

    setting = plan.model.setting("optimizer")  # type: ignore[attr-defined]
    head, keywords = "adam", {}
    if setting is not None:
        if isinstance(setting.value, Word):
            head, keywords = setting.value.head, dict(setting.value.keywords)
        elif isinstance(setting.value, str):
            head = setting.value
    rate = keywords.pop("lr", lr)
    rate_text = f"{rate!r} if lr is None else lr"
    extra = "".join(f", {k}={v!r}" for k, v in keywords.items())
    kind = {"adam": "Adam", "sgd": "SGD", "adamw": "AdamW"}.get(str(head), "Adam")
    fused = ", fused=True" if kind in ("Adam", "AdamW") else ""
    return [f"        self.optimizer = torch.optim.{kind}(self.learned, lr={rate_text}{extra}{fused})"]


__all__ = ["aligned", "learner_lines"]
