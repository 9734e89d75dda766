"""A learner that goes by batches: exact blocks from running statistics, the others by gradient."""

from __future__ import annotations

from dataclasses import dataclass, field

from ebdsl import settings
from ebdsl.emit.answers import found_lines, observed_lines, terms_at_answers
from ebdsl.emit.argmins import within
from ebdsl.emit.context import Context, called
from ebdsl.emit.named import encoder_name, encoder_step_lines
from ebdsl.emit.noise import monte_carlo
from ebdsl.emit.text import quoted, template, tuple_text, words
from ebdsl.emit.unused import (
    SLICES_CHECKED_EACH,
    STATES_CHECKED_EACH,
    fit_state_lines,
    refit_slices_lines,
    refit_states_lines,
    slice_blocks,
    state_blocks,
)
from ebdsl.emit.updates import LearnBody
from ebdsl.emit.values import bracket, number
from ebdsl.learn.core import RULES
from ebdsl.learn.sweeps import KEPT
from ebdsl.model.adjoint import gradient
from ebdsl.model.algebra import contract, modules_in, with_batch
from ebdsl.model.build import add
from ebdsl.model.derivative import NoDerivative, fresh_index
from ebdsl.model.ir import BATCH, Node, Symbol
from ebdsl.model.model import Term
from ebdsl.plan import Plan

OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}


@dataclass
class _Step:
    """Pieces of the body of ``step``. ``held`` maps a term's text to the variable with its energies."""

    clear: list[str] = field(default_factory=list)
    moduled: list[str] = field(default_factory=list)
    slopes: dict[Symbol, str] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    loss: list[str] = field(default_factory=list)


def batch_learner(c: Context) -> list[str]:
    """The whole class, unindented."""
    plan = c.plan
    body = LearnBody(c, full=False)
    for _, decision in plan.learning:
        RULES[decision.rule].emit(decision.payload, body)
    learned = [f"model.{c.name(s)}" for s in body.gradients]
    learned += [f"*model.{c.name(m)}.parameters()" for m in plan.modules]
    encoders = [n for n in plan.named if n.chosen.algorithm.learned]
    learned += [f"*model.{encoder_name(c, n)}.parameters()" for n in encoders]
    decisions = [f"{d.task}: {d.algorithm}." for _, d in plan.learning]
    decisions += [f"learn {m.name}: {optimizer_name(plan)} on batches, through autograd." for m in plan.modules]
    decisions += [f"learn {n.chosen}: {optimizer_name(plan)} on batches." for n in encoders]
    states = state_blocks(plan)
    if states:
        dim = c.dim(states[0].symbol.shape[states[0].place], "model")
        body.statistics.append(("usage", f"torch.full(({dim},), 1 / {dim}, dtype=dtype, device=device)"))
    parts = ['"steps": torch.tensor(self.steps),']
    noisy = monte_carlo(c) is not None
    step = _step(c, body, bool(learned))
    back = ['self.steps = int(state["steps"])']
    if body.statistics:
        parts.append('**{f"statistics.{name}": value.clone() for name, value in self.statistics.items()},')
        back += ["for name, value in self.statistics.items():", '    value.copy_(state[f"statistics.{name}"])']
    keeps = settings.keeps_answers(plan)
    if keeps:
        parts.append('**{f"kept.{name}": value.clone() for name, value in self.kept.items()},')
        back += ["for name, value in self.kept.items():", '    value.copy_(state[f"kept.{name}"])']
    samples, rows = (", samples: int = 0", ", rows: Tensor | None = None") if keeps else ("", "")
    told = " Inference starts where it ended for ``rows``." if keeps else ""
    if learned:
        c.runtime |= {"optimizer_tensors", "load_optimizer_tensors"}
        parts.append("**optimizer_tensors(self.optimizer),")
        back.append("load_optimizer_tensors(self.optimizer, state)")
    return template(
        f'''
        class Learner:
            """Learns from batches.

            <decisions>
            """

            full_batch = False

            def __init__(
                self, model: {c.class_name}, *, lr: float | None = None, seed: int = 0{samples}
            ) -> None:
                self.model = model
                self.steps = 0
                self.converged = False
                <kept>
                <drawn>
                <statistics>
                <optimizer>

            def start(self, data: dict[str, Tensor]) -> None:
                """Nothing to set from the data."""

            def step(self, batch: dict[str, Tensor]{rows}) -> dict[str, Tensor]:
                """One update; gives the mean energy of the batch before it, and that of every term.{told}"""
                model = self.model
                <start>
                <observed>
                <sized>
                <seeded>
                <found>
                <keep>
                self.steps += 1
                <step>

            <refit>

            def state_dict(self) -> dict[str, Tensor]:
                """What resuming needs besides the model."""
                return {{
                    <parts>
                }}

            def load_state_dict(self, state: dict[str, Tensor]) -> None:
                """Go on from what ``state_dict`` gave."""
                <back>
        ''',
        decisions=decisions,
        kept=answers_kept_lines(c) if keeps else [],
        start=["start = None if rows is None else {name: value[rows] for name, value in self.kept.items()} or None"]
        if keeps
        else [],
        keep=[
            "if start is not None:",
            "    for name, value in self.kept.items():",
            "        value[rows] = found.latents[name]",
        ]
        if keeps
        else [],
        drawn=["self.seed = seed", f"self.generator = torch.Generator({c.first_weight}.device)"] if noisy else [],
        seeded=[
            "self.generator.manual_seed(self.seed * 1_000_003 + self.steps)  # so that a resumed run draws the same"
        ]
        if noisy
        else [],
        statistics=_statistics(c, body),
        optimizer=optimizer_lines(plan, learned) if learned else [],
        observed=observed_lines(c, "batch"),
        found=found_lines(c),
        sized=[f"samples = {c.like}.shape[0]"] if "samples" in words("\n".join(step)) else [],
        step=step,
        refit=_refit_methods(c),
        parts=parts,
        back=back,
    )


def answers_kept_lines(c: Context) -> list[str]:
    """``kept``: the answers of ``samples`` samples, at the start where inference begins by itself."""
    numbers, rows = [], []
    for z in c.latents:
        shape = tuple_text(["samples", *(c.dim(d, "model") for d in z.shape)])
        options, n = (
            f"dtype={c.first_weight}.dtype, device={c.first_weight}.device",
            c.dim(z.shape[-1], "model") if z.shape else "1",
        )
        centre = z.domain.row.centre
        text = centre.format(*map(number, z.domain.args), shape=shape, options=options, n=n, ndim=len(z.shape))
        c.runtime |= called(text)
        numbers.append(" * ".join(bracket(c.dim(d, "model")) for d in z.shape) or "1")
        rows.append(f'self.kept["{c.name(z)}"] = {text}')
    return [
        "self.kept: dict[str, Tensor] = {}",
        f"if 0 < samples * {bracket(' + '.join(numbers))} <= {KEPT}:",
        *("    " + r for r in rows),
    ]


def _refit_methods(c: Context) -> list[str]:
    lines = refit_states_lines(c)
    if lines:
        lines = [*fit_state_lines(c), "", *lines]
    slices = refit_slices_lines(c)
    return [*lines, *([""] if lines and slices else []), *slices]


def _refit(c: Context) -> list[str]:
    """What is done in a step about parameters that no sample uses."""
    lines = []
    if state_blocks(c.plan):  # the running mean reaches back over about 20 samples a state
        usage = 'self.statistics["usage"]'
        share = f"min(1.0, {c.like}.shape[0] / (20 * len(usage)))"
        lines += [f"usage = {usage}", f"usage.lerp_(weights.mean(0), {share})"]
        lines += [
            f"if self.steps % {STATES_CHECKED_EACH} == 0:",
            f"    self.refit_unused(usage, found.energy, {c.args(c.observed)})",
        ]
    calls = [
        f"    self.refit_unused_{c.name(b.symbol)}(found.energy, {c.args((*c.observed, *c.latents))})"
        for b in slice_blocks(c.plan)
    ]
    return [*lines, *([f"if self.steps % {SLICES_CHECKED_EACH} == 0:", *calls] if calls else [])]


def _statistics(c: Context, body: LearnBody) -> list[str]:
    if not body.statistics:
        return []
    first = f"model.{c.name(c.model.role('param')[0])}"
    rows = [f'    "{held}": {zero},' for held, zero in body.statistics]
    return [f"dtype, device = {first}.dtype, {first}.device", "self.statistics = {", *rows, "}"]


def _step(c: Context, body: LearnBody, with_optimizer: bool) -> list[str]:
    step = _energies(c, body)
    lines = list(step.moduled)  # energies first: exact updates then move what they depend on
    if step.clear or body.lines:
        lines.append("with torch.no_grad():")
        lines += ["    " + x for x in step.clear]
        if body.statistics:
            lines.append("    rate = max(self.steps**-0.6, 0.02)")
    backward = (
        [f"loss = ({' + '.join(step.loss)}).mean()" if len(step.loss) > 1 else f"loss = {step.loss[0]}.mean()"]
        if step.loss
        else []
    )
    if with_optimizer:
        if backward:
            backward = ["self.optimizer.zero_grad(set_to_none=True)", *backward, "loss.backward()"]
        encoders = [within(c, a) for a in c.plan.answers if not a.unrolled] if c.plan.answers else [c]
        after = (
            backward
            + [x for e in encoders for x in encoder_step_lines(e)]
            + _assign_slopes(c, body, step)
            + ["self.optimizer.step()"]
        )
        projected = [(s, body.project(s, f"model.{c.name(s)}")) for s in body.gradients if s.domain.row.torch]
        if projected:
            after.append("with torch.no_grad():")
            after += [f"    model.{c.name(s)}.copy_({code})" for s, code in projected]
        lines += after
    if body.lines:
        if with_optimizer:
            lines.append("with torch.no_grad():")
        lines += ["    " + x for x in body.lines]
    return [*lines, *_refit(c), *_metrics(c, step)]


def _energies(c: Context, body: LearnBody) -> _Step:
    """Energies of the terms and written-out gradients, those that need autograd apart."""
    step = _Step()
    terms = c.model.terms
    graphed = _graphed(c, body)
    clear = terms_at_answers(c, [t for t in terms if t not in graphed])
    moduled = terms_at_answers(c, graphed)
    scope = c.scope("model", batch="samples")
    total = contract(with_batch(add(*(n for _, n in clear))), (BATCH,))
    written = []
    for s in body.gradients:
        if s in total.symbols:
            at = fresh_index(s)
            written.append((s, at, gradient(total, s, at)))
    scope.count(*(with_batch(n) for _, n in clear), *(d for _, _, d in written))
    for text, node in clear:
        step.held[text] = scope.name("term")
        scope.lines.append(f"{step.held[text]} = {scope.tensor(with_batch(node), (BATCH,)).code}")
    for s, at, slope in written:
        step.slopes[s] = scope.name(f"{c.name(s)}_slope")
        value = scope.tensor(slope, at)
        scope.lines.append(f"{step.slopes[s]} = {value.atom} / samples")
    step.clear = scope.lines
    exact = {s.name: f"model.{c.name(s)}.detach()" for s, d in c.plan.learning if RULES[d.rule].exact}
    graph = c.scope("model", batch="samples", renamed=exact)
    graph.taken |= scope.taken
    graph.count(*(with_batch(n) for _, n in moduled))
    for text, node in moduled:
        step.held[text] = graph.name("term")
        graph.lines.append(f"{step.held[text]} = {graph.tensor(with_batch(node), (BATCH,)).code}")
        step.loss.append(step.held[text])
    step.moduled = graph.lines
    return step


def _graphed(c: Context, body: LearnBody) -> list[Term]:
    """Terms whose gradient is autograd's: those through modules, and those with no written-out derivative."""
    if c.plan.answers:
        return list(c.model.terms)
    found = []
    for t in c.model.terms:
        ((_, node),) = terms_at_answers(c, [t])
        if modules_in(node) or any(not _differentiable(node, s) for s in body.gradients if s in node.symbols):
            found.append(t)
    return found


def _differentiable(node: Node, symbol: Symbol) -> bool:
    try:
        gradient(node, symbol, fresh_index(symbol))
    except NoDerivative:
        return False
    return True


def _assign_slopes(c: Context, body: LearnBody, step: _Step) -> list[str]:
    """Written-out gradients put where the optimiser looks, added to autograd's where both have a part.

    A fused step reads them entry by entry in the order of memory, which has to be that of the parameter.
    """
    lines = []
    moduled = [t.node for t in _graphed(c, body)]
    for s, held in step.slopes.items():
        grad = f"model.{c.name(s)}.grad"
        lines.append(f"{grad} += {held}" if any(s in n.symbols for n in moduled) else f"{grad} = {held}.contiguous()")
    return lines


def _metrics(c: Context, step: _Step) -> list[str]:
    rows = [f"    {quoted('energy/' + t.text)}: {step.held[t.text]}.detach().mean()," for t in c.model.terms]
    if c.plan.weights is not None or c.plan.statistics:
        return ["return {", '    "energy": found.energy.mean(),', *rows, "}"]
    implicit = any(not a.unrolled for a in c.plan.answers)
    adjoint = ', "adjoint residual": model.adjoint_residual.clone()' if implicit else ""
    if len(rows) == 1:
        held = step.held[c.model.terms[0].text]
        key = quoted("energy/" + c.model.terms[0].text)
        return [f"energy = {held}.detach().mean()", f'return {{"energy": energy, {key}: energy{adjoint}}}']
    total = "torch.stack(tuple(terms.values())).sum()"
    return ["terms = {", *rows, "}", f'return {{"energy": {total}, **terms{adjoint}}}']


def optimizer_name(plan: Plan) -> str:
    return OPTIMIZERS[settings.optimizer(plan)[0]]


def optimizer_lines(plan: Plan, learned: list[str], name: str = "", times: float = 1) -> list[str]:
    """``name``: of whose optimiser it is, where it is not the energy's; ``times`` the rate of the energy's."""
    rated = "rate" if times == 1 else f"{times!r} * rate"
    head, keywords = settings.optimizer(plan)
    kind = OPTIMIZERS[head]
    rate = keywords.pop("lr")
    if "beta1" in keywords or "beta2" in keywords:
        keywords["betas"] = (keywords.pop("beta1", 0.9), keywords.pop("beta2", 0.999))
    extra = "".join(f", {k}={v!r}" for k, v in keywords.items())
    held = f"self.{name}_learned" if name else "self.learned"
    return [
        f"{held} = [{', '.join(learned)}]",
        *([] if name else [f"rate = {rate!r} if lr is None else lr"]),
        f"self.{name + '_' if name else ''}optimizer = torch.optim.{kind}({held}, lr={rated}{extra}, fused=True)",
    ]
