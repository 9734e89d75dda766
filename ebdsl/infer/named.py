"""An algorithm that the spec asks for by name: whether it fits the energy, and what it needs."""

from __future__ import annotations

from dataclasses import dataclass

from ebdsl.infer.core import Problem, Refusal
from ebdsl.infer.rules.proximal_gradient import Proximal, consider
from ebdsl.model.algorithms import Chosen
from ebdsl.model.ir import Symbol

ENTRYWISE = ("real", "nonnegative", "box")


@dataclass(frozen=True)
class Named:
    """``chosen`` for ``symbol``, from the quadratic form and the penalties in ``proximal``; ``inputs`` are the observed
    variables that an encoder sees. ``entrywise``: each entry has its own threshold. ``unrolled``: learning goes through
    the steps."""

    symbol: Symbol
    chosen: Chosen
    proximal: Proximal
    inputs: tuple[Symbol, ...]
    entrywise: bool
    unrolled: bool = False

    @property
    def sentence(self) -> str:
        row = self.chosen.algorithm
        how = f"{self.chosen.steps} steps" if self.chosen.steps is not None else "until the tolerance"
        who = "training and a trained model answer" if self.unrolled else "a trained model answers"
        said = f"{who} for {self.symbol.name} with {row.name}: {row.doc}, {how}"
        if row.learned and self.unrolled:
            said += f", {self.chosen.weights} weights; they start as the energy's own step and learn by its gradient"
        elif row.learned:
            target = "the distance to the exact code" if self.chosen.on == "code" else "the energy of its answer"
            said += f", {self.chosen.weights} weights; they start as the energy's own step and learn to lower {target}"
        return said


def named(problem: Problem, chosen: Chosen, symbol: Symbol) -> Named | Refusal:
    """The algorithm for this problem, or the fact that refuses it."""
    row = chosen.algorithm
    if problem.latents != (symbol,):
        return Refusal(row.name, "there are several latents")
    if len(symbol.shape) != 1:
        return Refusal(row.name, f"{symbol.name} is not a vector")
    found = consider(problem)
    if isinstance(found, Refusal):
        return Refusal(row.name, found.reason)
    payload = found.payload
    assert isinstance(payload, Proximal)
    form = payload.form
    if payload.kind == "once":
        return Refusal(row.name, f"nothing couples the entries of {symbol.name}: the exact answer takes one step")
    if form is None or not form.shared or form.coupled != (0,):
        return Refusal(row.name, f"the smooth part is not a quadratic in {symbol.name} that all samples share")
    kinds = {p.kind for _, found_ in payload.penalties for p in found_}
    entrywise = kinds <= {"l1"} and symbol.domain.kind in ENTRYWISE
    if row.kind == "coordinate" and not entrywise:
        return Refusal(row.name, f"the penalty or the domain ties entries of {symbol.name} together")
    inputs = tuple(s for s in problem.model.role("observed") if s in form.linear.symbols)
    if row.learned and not inputs:
        return Refusal(row.name, f"the minimum over {symbol.name} does not depend on what is observed")
    return Named(symbol, chosen, payload, inputs, entrywise)
