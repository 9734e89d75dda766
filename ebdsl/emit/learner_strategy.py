"""A learner whose loss is that of a strategy: a call of the runtime with the free energy."""

from __future__ import annotations

import re

from ebdsl.emit.answers import observed_lines
from ebdsl.emit.context import Context, called
from ebdsl.emit.generator import generator_parts, generator_weights
from ebdsl.emit.learner_batches import optimizer_lines, optimizer_name
from ebdsl.emit.text import template, tuple_text
from ebdsl.emit.updates import LearnBody
from ebdsl.strategies.core import Chosen


def strategy_learner(c: Context, chosen: Chosen) -> list[str]:
    """The whole class, unindented."""
    use, case = chosen.use, chosen.case
    body = LearnBody(c, full=False)
    params = [s for s, _ in c.plan.learning]
    learned = [f"model.{c.name(s)}" for s in params]
    learned += [f"*model.{c.name(m)}.parameters()" for m in c.plan.modules]
    first = c.first_weight
    shape = tuple_text([c.dim(d, "model") for d in case.over.shape])
    texts = {"y": c.name(case.over), "given": tuple_text([c.name(s) for s in case.given]), "shape": shape}
    texts |= {f"given:{s.name}": c.name(s) for s in case.given}
    texts |= {f"module:{m.name}": f"model.{c.name(m)}" for m in c.plan.modules}

    def filled(text: str) -> str:
        text = re.sub(r"\{([^{}]+)\}", lambda m: texts.get(m[1], m[0]), text)
        return text.replace(f"(*{shape})", shape).replace(", *())", ")")

    loss = filled(re.sub(r"\bmade\b", "made.detach()", use.loss) if use.adversary else use.loss)
    start = [filled(line) for line in use.start]
    c.runtime |= called(loss) | {name for line in start for name in called(line)}
    c.runtime |= {"optimizer_tensors", "load_optimizer_tensors"}
    state = [f'    "{name}": {filled(zero)},' for name, zero in use.state]
    own = [f"self.{name} = nn.Parameter({filled(zero)})" for name, zero in use.learned]
    parts = ['"steps": torch.tensor(self.steps),']
    back = ['self.steps = int(state["steps"])']
    if state:
        parts.append('**{f"state.{name}": value.clone() for name, value in self.state.items()},')
        back += ["for name, value in self.state.items():", '    value.copy_(state[f"state.{name}"])']
    for name, _ in use.learned:
        parts.append(f'"{name}": self.{name}.detach().clone(),')
        back += ["with torch.no_grad():", f'    self.{name}.copy_(state["{name}"])']
    parts.append("**optimizer_tensors(self.optimizer),")
    back.append("load_optimizer_tensors(self.optimizer, state)")
    adversary = generator_weights(c)
    if adversary:
        parts.append('**optimizer_tensors(self.generator_optimizer, "generator_optimizer"),')
        back.append('load_optimizer_tensors(self.generator_optimizer, state, "generator_optimizer")')
    projected = [(s, body.project(s, f"model.{c.name(s)}")) for s in params if s.domain.row.torch]
    after = ["with torch.no_grad():"] if projected else []
    after += [f"    model.{c.name(s)}.copy_({code})" for s, code in projected]
    made = [f"made = model.generate({c.args(c.observed)}, generator=self.generator)"] if use.adversary else []
    turn = _turn(c, filled(use.adversary), body) if adversary else []
    arguments = [c.name(case.over), *(c.name(s) for s in case.given)]
    typed = ", ".join(f"{a}: Tensor" for a in arguments)
    said = [f"{chosen.method.name} (strategy {chosen.method.number}): {chosen.method.doc}.", *map(_sentence, use.facts)]
    return template(
        f'''
        class Learner:
            """Learns by {optimizer_name(c.plan)} on batches.

            <said>
            """

            full_batch = False

            def __init__(self, model: {c.class_name}, *, lr: float | None = None, seed: int = 0) -> None:
                self.model = model
                self.steps = 0
                self.seed = seed
                self.converged = False
                <tensors>
                self.generator = torch.Generator({first}.device)
                <optimizer>

            def start(self, data: dict[str, Tensor]) -> None:
                """{"What the data say before the first step." if start else "Nothing to set from the data."}"""
                <start>

            def step(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
                """One update; gives the mean energy of the batch before it, and what the loss reports."""
                model = self.model
                <observed>
                self.steps += 1
                self.generator.manual_seed(self.seed * 1_000_003 + self.steps)  # so that a resumed run draws the same

                def free_energy({typed}) -> Tensor:
                    return model.free_energy({c.args(c.observed)})

                <made>
                loss, report = {loss}
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                self.optimizer.step()
                <after>
                <turn>
                return {{**report, "loss": loss.detach()}}

            def state_dict(self) -> dict[str, Tensor]:
                """What resuming needs besides the model."""
                return {{
                    <parts>
                }}

            def load_state_dict(self, state: dict[str, Tensor]) -> None:
                """Go on from what ``state_dict`` gave."""
                <back>
        ''',
        said=[line for text in said for line in _wrapped(text)],
        tensors=[
            *([f"dtype, device = {first}.dtype, {first}.device"] if state or own else []),
            *(["self.state: dict[str, Tensor] = {", *state, "}"] if state else []),
            *own,
        ],
        optimizer=[
            *optimizer_lines(c.plan, [*learned, *(f"self.{name}" for name, _ in use.learned)]),
            *(optimizer_lines(c.plan, adversary, "generator", use.rate) if adversary else []),
        ],
        start=start,
        made=made,
        turn=turn,
        observed=observed_lines(c, "batch"),
        after=after,
        parts=parts,
        back=back,
    )  # fmt: skip


def _turn(c: Context, loss: str, body: LearnBody) -> list[str]:
    """The generator's turn: a step that lowers its own loss, with the energy as it stands."""
    c.runtime |= called(loss)
    lines = [
        f"generator_loss = {loss}",
        "slopes = torch.autograd.grad(generator_loss, self.generator_learned)",
        "for weight, slope in zip(self.generator_learned, slopes, strict=True):",
        "    weight.grad = slope.contiguous()",
        "self.generator_optimizer.step()",
        'report = {**report, "generator loss": generator_loss.detach()}',
    ]
    projected = [(s, body.project(s, f"model.{c.name(s)}")) for s in generator_parts(c)[0] if s.domain.row.torch]
    if projected:
        lines.append("with torch.no_grad():")
        lines += [f"    model.{c.name(s)}.copy_({code})" for s, code in projected]
    return lines


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 108)
