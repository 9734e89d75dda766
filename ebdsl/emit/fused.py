"""The fused loops of a plan as text: a method that makes steps, which Inductor compiles, and one that checks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ebdsl.emit.bodies import InferBody
from ebdsl.emit.context import Context
from ebdsl.emit.tensors import Scope
from ebdsl.emit.text import tuple_text
from ebdsl.emit.values import Value, aligned, bracket, is_tight
from ebdsl.infer.loops import Call, Carried, Choose, Let, Loop, Prox, Statement, loop_of
from ebdsl.infer.loops.core import inputs, needed, read
from ebdsl.infer.named import Named
from ebdsl.model.algebra import with_batch
from ebdsl.model.ir import BATCH, Axis, Node, Symbol

OUTER = {"self", "torch", "nn", "math", "tolerance", "max_steps", "start", "goal", "ahead", "residual", "iterations"}
STEP = "step_of_prox"


class FusedLoop:
    """One loop of the plan in the model's class."""

    def __init__(self, c: Context, loop: Loop, stem: str = "") -> None:
        self.context, self.loop = c, loop
        self.stem = stem or "_".join(c.name(s) for s in loop.latents)
        self.rows = [s for s in loop.given if s.per_sample]
        self.shared = [s for s in loop.given if s.role == "once"]
        used = {*c.names.values(), *OUTER, *c.runtime}
        self.names: dict[Symbol, str] = {}
        for s in (s.symbol for s in (*loop.carried, *loop.once, *loop.step, *loop.check, *loop.scale)):
            if s not in self.names:
                name = re.sub(r"\W", "_", s.name)
                while name in used:
                    name += "_"
                used.add(name)
                self.names[s] = name

    def name(self, s: Symbol) -> str:
        return self.names.get(s) or self.context.name(s)

    def body(self, batch: str | None = None) -> InferBody:
        """A body whose scope knows the loop's tensors by their symbols."""
        body = InferBody(self.context)
        scope = self.context.scope(batch=batch)
        outer = scope.symbol
        scope.symbol = lambda s: self.names.get(s) or outer(s)
        scope.taken |= set(self.names.values())
        scope.fuse = all(len(s.shape) < 2 for s in self.loop.latents)
        body.scope = scope
        return body

    # ----------------------------------------------------------------- methods

    def method_lines(self) -> list[str]:
        self.context.runtime |= {"compiled", "iterate"}
        loop = self.loop
        carried = [c.symbol for c in loop.carried]
        typed = [f"        {self.name(s)}: Tensor," for s in [*carried, *self.rows, *self.shared]]
        first = self.name(carried[0])
        steps = self._written(loop.step, first)
        check = self._written(loop.check, first)
        largest = [f"{self.name(s)}.abs().flatten(1).amax(1)" if s.shape else f"{self.name(s)}.abs()" for s in
                   loop.residual]  # fmt: skip
        residual = largest[0]
        for other in largest[1:]:
            residual = f"torch.maximum({residual}, {other})"
        many = f"{loop.every} step{'s' * (loop.every > 1)}"
        return [
            "    @compiled",
            f"    def {self.stem}_steps(",
            "        self,",
            *typed,
            "    ) -> tuple[Tensor, ...]:",
            f'        """{many}: the new {tuple_text([self.name(s) for s in carried])}."""',
            f"        for _ in range({loop.every}):",
            *("            " + x for x in steps),
            *(f"            {self.name(c.symbol)} = {self.name(c.next)}" for c in _handed_on(loop.carried)),
            f"        return {tuple_text([self.name(s) for s in carried])}",
            "",
            f"    def {self.stem}_check(",
            "        self,",
            *typed,
            "    ) -> tuple[tuple[Tensor, ...], Tensor]:",
            '        """Answers, and the residual of each sample."""',
            *("        " + x for x in check),
            f"        return {tuple_text([self.name(s) for s in loop.answers])}, {residual}",
        ]

    def _slope(self, body: InferBody) -> str:
        """The text of the slope from which accuracy is measured, whatever start is given."""
        latents = [s for s in self.loop.latents if any(s in read(let) for let in self.loop.scale)]
        for s in latents:
            name = self.context.name(s)
            self.names[s] = f"{name}_cold"
            body.line(f"{name}_cold = {name} if start is None else torch.zeros_like({name})")
        cold = self.body().scope  # what the loop's own scope holds was computed at the start
        cold.lines, cold.taken = body.lines, body.scope.taken
        texts = [self._tensor(cold, s.symbol, s.axes, s.value) for s in self.loop.scale]
        for s in latents:
            del self.names[s]
        if len(texts) == 1:
            return texts[0]
        counts = [f"{bracket(x)}.reshape({self.context.like}.shape[0], -1)" for x in texts]
        return f"torch.cat(({', '.join(counts)}), 1)"

    def _written(self, statements: Sequence[Statement], like: str) -> list[str]:
        body = self.body(batch=f"{like}.shape[0]")
        body.scope.like = like
        nodes = [n for s in statements for n in _nodes(s)]
        body.scope.count(*map(with_batch, nodes))
        for s in statements:
            self.statement(body, s)
        return body.lines

    def statement(self, body: InferBody, s: Statement) -> None:
        """One line, and those that it needs."""
        scope, name = body.scope, self.name(s.symbol)
        match s:
            case Let(axes=axes, value=value):
                body.line(f"{name} = {self._tensor(scope, s.symbol, axes, value)}")
            case Choose(axes=axes, when=when, yes=yes, no=no):
                test = aligned(Value(self.name(when), (BATCH,)), (BATCH, *axes))
                texts = [self._tensor(scope, s.symbol, axes, n) for n in (yes, no)]
                body.line(f"{name} = torch.where({test} > 0, {texts[0]}, {texts[1]})")
            case Prox(axes=axes, latent=latent, penalties=penalties, point=point, step=step):
                code = body._prox(latent, list(penalties), self.name(point), STEP, len(axes))
                if STEP in code:  # a projection takes none
                    length = scope.emit(with_batch(step))
                    text = aligned(length, (BATCH, *axes)) if length.axes else length.code
                    code = code.replace(STEP, text if is_tight(text) else f"({text})")
                body.line(f"{name} = {code}")
            case Call(function=function, arguments=arguments):
                self.context.runtime.add(function)
                body.line(f"{name} = {function}({', '.join(map(self.name, arguments))})")

    def _tensor(self, scope: Scope, symbol: Symbol, axes: tuple[Axis, ...], value: Node) -> str:
        lead = (BATCH,) if symbol.per_sample else ()
        if not lead and not axes and not scope.is_tensor(value):
            return scope.constant(scope.emit(value))
        return scope.tensor(with_batch(value) if lead else value, (*lead, *axes)).code

    # ----------------------------------------------------------------- the call

    def call_lines(self, body: InferBody, most: str = "max_steps") -> None:
        """Into a body of ``infer``: what is computed once, the loop, the answers by the latents' names."""
        loop = self.loop
        outer = body.scope
        body.scope = inner = self.body().scope
        inner.lines = outer.lines
        body._start(loop.latents)
        starts = [Let(c.symbol, c.axes, c.start) for c in loop.carried]
        wanted = frozenset(inputs((*starts, *loop.step, *loop.check, *loop.scale)))
        before = [*needed(loop.once, wanted), *starts]
        inner.count(*(with_batch(n) for s in before for n in _nodes(s)))
        for s in before:
            self.statement(body, s)
        body.once = {s.symbol.name: self.name(s.symbol) for s in before}
        self.context.runtime.add("residual_goals")
        body.line(f"goal = residual_goals({self._slope(body)}, tolerance)")
        answers = tuple_text([self.context.name(s) for s in loop.latents])
        state, given, shared = (
            tuple_text([self.name(s) for s in group])
            for group in ([c.symbol for c in loop.carried], self.rows, self.shared)
        )
        count = "ahead" if loop.first else "iterations"
        goal = "goal" if loop.fixed is None else "-1.0"  # which is never reached
        body.line(f"{answers}, residual, {count} = iterate(")
        limits = f"{goal}, {loop.first or loop.fixed or most}, {loop.every}, {loop.tile}"
        for line in (f"self.{self.stem}_steps, self.{self.stem}_check", state, given, shared, limits):
            body.line(f"    {line},")
        body.line(")")
        body.scope = outer
        entries = ", ".join(f'"{self.context.name(s)}": {self.context.name(s)}' for s in loop.latents)
        if loop.first:
            body.line(f"start = {{{entries}}}  # from here to the end by the exact finish")
            body.iterations = "ahead + iterations"
            return
        body.answers |= {s: self.context.name(s) for s in loop.latents}
        body.line(
            f"return Inference({{{entries}}}, {body.energy_call()}, residual, {body.iterations}, residual <= goal)"
        )


def _handed_on(carried: Sequence[Carried]) -> list[Carried]:
    """In an order in which each value is read before it is replaced."""
    left, found = list(carried), []
    while left:
        c = next(c for c in left if all(c.symbol != other.next for other in left if other is not c))
        left.remove(c)
        found.append(c)
    return found


def _nodes(s: Statement) -> tuple[Node, ...]:
    match s:
        case Let(value=value):
            return (value,)
        case Choose(yes=yes, no=no):
            return (yes, no)
        case Prox(step=step):
            return (step,)
        case Call():
            return ()


def fused_loop(c: Context) -> FusedLoop | None:
    """The loop of the plan's inference, where the target fuses loops."""
    if c.target != "inductor" or not c.plan.inference:
        return None
    loop = loop_of(c.plan.inference[0].payload)
    return None if loop is None else FusedLoop(c, loop)


def fused_named(c: Context, n: Named) -> FusedLoop | None:
    """The loop of an algorithm that the spec names, where the target fuses loops; an encoder's are none."""
    loop = loop_of(n)
    if c.target != "inductor" or loop is None or n.chosen.algorithm.learned:
        return None
    return FusedLoop(c, loop, f"{c.name(n.symbol)}_{n.chosen.algorithm.name}")


def fused_lines(c: Context) -> list[str]:
    """The methods of all fused loops."""
    found = [fused_loop(c), *(fused_named(c, n) for n in c.plan.named)]
    lines = [x for f in found if f is not None for x in ["", *f.method_lines()]]
    return lines[1:]
