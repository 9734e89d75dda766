"""A learner that moves all blocks together, by quasi-Newton steps on growing shares of the samples."""

from __future__ import annotations

import math

from ebdsl import settings
from ebdsl.emit.answers import enumeration, found_lines, observed_lines, terms_at_answers
from ebdsl.emit.context import Context
from ebdsl.emit.learner_full import tile_width
from ebdsl.emit.paired import pair
from ebdsl.emit.states import state_parts
from ebdsl.emit.text import quoted, template, tuple_text, uses, words
from ebdsl.emit.updates import LearnBody
from ebdsl.emit.values import number
from ebdsl.learn.core import RULES
from ebdsl.model.adjoint import gradient
from ebdsl.model.algebra import addends, contract, with_batch
from ebdsl.model.build import add
from ebdsl.model.derivative import fresh_index
from ebdsl.model.ir import BATCH, ZERO, Node, Symbol


def smooth_learner(c: Context) -> list[str]:
    """The whole class, unindented."""
    body = LearnBody(c, full=True)
    for _, decision in c.plan.learning:
        RULES[decision.rule].emit(decision.payload, body)
    c.runtime.add("SmoothDescent")
    params = [d.symbol for d in body.descents]
    states = enumeration(c)
    terms = terms_at_answers(c, c.model.terms)
    apart = [_apart(c, n) for _, n in terms]
    sampled, rest = [a for a, _ in apart], [b for _, b in apart]
    soft = bool(c.plan.statistics) or (states is not None and states.kind == "softmin")
    names = [] if soft else [f"energy/{t}" for t, _ in terms]
    single, double = settings.tolerances(c.plan)
    width = tile_width(c, [*sampled, *([state_parts(states).scores] if states is not None else [])])
    arguments = ", ".join(f'batch["{c.name(s)}"]' for s in c.observed)
    ends = tuple_text([f"({_end(low)}, {_end(high)})" for low, high in map(_bounds, params)])
    return template(
        f'''
        class Learner:
            """Moves all blocks together: a step is about one pass over the data.

            <decisions>
            """

            full_batch = True

            def __init__(self, model: {c.class_name}, *, lr: float | None = None, seed: int = 0) -> None:
                self.model = model
                self.steps = 0
                self.converged = False
                learned = [{", ".join(f"model.{c.name(s)}" for s in params)}]
                tolerance = {single:g} if learned[0].dtype == torch.float32 else {double:g}
                width = {width.replace("self.model.", "model.")}
                self.descent = SmoothDescent(learned, {ends}, tolerance, width, seed, self.summed, self.rest)

            <start>

            @torch.no_grad()
            def step(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
                """Moves worth about one pass; gives the mean energy before them, and that of every term."""
                terms = self.descent.step(({arguments},))
                self.steps += 1
                self.converged = self.descent.converged
                metrics = {{"energy": terms.sum()}}
                <terms>
                names = {tuple_text([quoted(f"residual/{c.name(s)}") for s in params])}
                return metrics | dict(zip(names, self.descent.residual, strict=True))

            <summed>

            <rest>

            def state_dict(self) -> dict[str, Tensor]:
                """What resuming needs besides the model."""
                return {{"steps": torch.tensor(self.steps), **self.descent.state_dict()}}

            def load_state_dict(self, state: dict[str, Tensor]) -> None:
                """Go on from what ``state_dict`` gave."""
                self.steps = int(state["steps"])
                self.descent.load_state_dict(state)
        ''',
        decisions=[f"{d.task}: {d.algorithm}." for _, d in c.plan.learning],
        start=_start(c, body),
        terms=[f"metrics |= dict(zip({tuple_text([quoted(n) for n in names])}, terms, strict=True))"] if names else [],
        summed=_summed(c, params, sampled, soft),
        rest=_rest(c, params, rest, soft),
    )


def _apart(c: Context, node: Node) -> tuple[Node, Node]:
    """What of a term some sample enters, and what none does."""
    statistics = {s.symbol for s in c.plan.statistics}
    parts = addends(node)
    entered = [a for a in parts if any(s.per_sample or s in statistics for s in a.symbols)]
    return add(*entered), add(*(a for a in parts if a not in entered))


def _bounds(symbol: Symbol) -> tuple[float, float]:
    low, high = symbol.domain.row.bounds(symbol.domain.args)
    return (max(low, 1e-6), high) if symbol.domain.row.strict else (low, high)


def _end(value: float) -> str:
    return number(value) if math.isfinite(value) else "math.inf" if value > 0 else "-math.inf"


def _start(c: Context, body: LearnBody) -> list[str]:
    """The method that begins where what meets a block is white: the block was drawn for that."""
    scope = c.scope("model", batch="samples")
    met = [(k, d.symbol, d.products) for k, d in enumerate(body.descents) if d.products is not None]
    scope.count(*(p.moment for _, _, p in met))
    lines = []
    for k, s, p in met:
        moment = scope.tensor(p.moment, p.axes)
        lines += [*scope.lines, f"self.descent.coordinates.whiten({k}, {p.place}, {moment.atom} / samples)"]
        lines.append(f"model.{c.name(s)}.copy_(self.descent.coordinates.turned({k}, model.{c.name(s)}))")
        scope.lines.clear()
    if not lines:
        return template('''
            def start(self, data: dict[str, Tensor]) -> None:
                """Nothing to set from the data."""
        ''')
    needed = [x for x in observed_lines(c, "data") if uses("\n".join(lines), x.split(" = ")[0])]
    return template(
        f'''
        @torch.no_grad()
        def start(self, data: dict[str, Tensor]) -> None:
            """Begin in coordinates in which what the blocks are multiplied with is white."""
            model = self.model
            samples = data["{c.like}"].shape[0]
            <lines>
        ''',
        lines=[*needed, *lines],
    )


def _summed(c: Context, params: list[Symbol], terms: list[Node], soft: bool) -> list[str]:
    scope = c.scope("model", batch="samples")
    nodes = [with_batch(n) for n in terms]
    total = contract(add(*nodes), (BATCH,))
    slopes = [(at, gradient(total, s, at)) for s in params for at in [fresh_index(s)]]
    scope.count(*([] if soft else nodes), *(n for _, n in slopes))
    c.runtime.add("precise_sum")
    pair(scope, [*([] if soft else nodes), *(n for _, n in slopes)])
    energies = ["0.0" if n == ZERO else f"precise_sum({scope.tensor(n, (BATCH,)).code})" for n in nodes]
    values = [scope.tensor(n, at).code for at, n in slopes]
    held = ["precise_sum(found.energy)"] if soft else energies
    lines = [*scope.lines, f"energies = {tuple_text(held)}", f"slopes = [{', '.join(values)}]"]
    sized = [f"samples = {c.like}.shape[0]"] if "samples" in words("\n".join(lines)) else []
    return template(
        f'''
        def summed(self, {c.args(c.observed, typed=True)}) -> tuple[tuple[float | Tensor, ...], list[Tensor]]:
            """The energies of the terms and the slopes, what some sample enters, summed over these samples."""
            model = self.model
            <lines>
            return energies, slopes
        ''',
        lines=[*sized, *found_lines(c), *lines],
    )


def _rest(c: Context, params: list[Symbol], terms: list[Node], soft: bool) -> list[str]:
    scope = c.scope("model")
    scope.like = f"model.{c.name(params[0])}"
    total = add(*terms)
    slopes = [(at, gradient(total, s, at) if s in total.symbols else ZERO) for s in params for at in [fresh_index(s)]]
    scope.count(*([] if soft else terms), *(n for _, n in slopes))
    energies = ["0.0"] if soft else [scope.emit(n).code for n in terms]
    values = [
        scope.tensor(n, at).code if at or scope.is_tensor(n) else scope.constant(scope.emit(n)) for at, n in slopes
    ]
    return template(
        '''
        def rest(self) -> tuple[tuple[float | Tensor, ...], list[Tensor]]:
            """The same of what no sample enters, for one sample."""
            model = self.model
            <lines>
            return energies, slopes
        ''',
        lines=[*scope.lines, f"energies = {tuple_text(energies)}", f"slopes = [{', '.join(values)}]"],
    )
