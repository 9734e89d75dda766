"""A generator of negative samples as text: ``generate`` of the model, and its turn in a step of the learner."""

from __future__ import annotations

from ebdsl.emit.context import Context
from ebdsl.emit.noise import fresh_draw
from ebdsl.facts.normal import normal
from ebdsl.model.algebra import modules_in, with_batch
from ebdsl.model.ir import BATCH, Module, Symbol


def generate_lines(c: Context) -> list[str]:
    """``generate``: negative samples, one for each row of what they are samples of."""
    made = c.model.generated
    if made is None:
        return []
    noise = [s for s in c.model.role("noise") if s in made.body.symbols]
    scope = c.scope()
    node = with_batch(normal(made.body))
    scope.count(node)
    value = scope.tensor(node, (BATCH, *made.axes))
    said = ", ".join(s.name for s in noise)
    return [
        f"    def generate(self, {c.typed(c.observed)}, generator: torch.Generator | None = None) -> Tensor:",
        f'        """A negative sample for each row of ``{c.like}``{f", from fresh {said}" if noise else ""}."""',
        *(f"        {c.name(s)} = {fresh_draw(c, s, f'{c.like}.shape[0]', c.like, 'generator')}" for s in noise),
        *("        " + x for x in scope.lines),
        f"        return {value.code}",
    ]


def generator_parts(c: Context) -> tuple[tuple[Symbol, ...], tuple[Module, ...]]:
    """What the generator learns: parameters and functions in it that the energy does not hold."""
    made = c.model.generated
    if made is None:
        return (), ()
    of_energy = {s for s, _ in c.plan.learning} | {s for t in c.model.terms for s in t.node.symbols}
    params = tuple(s for s in c.model.role("param") if s in made.body.symbols and s not in of_energy)
    modules = tuple(m for m in modules_in(made.body) if m not in c.plan.modules)
    return params, modules


def generator_weights(c: Context) -> list[str]:
    """Their tensors, as items of a list."""
    params, modules = generator_parts(c)
    return [f"model.{c.name(s)}" for s in params] + [f"*model.{c.name(m)}.parameters()" for m in modules]
