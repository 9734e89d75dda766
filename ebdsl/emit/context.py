"""What every part of a generated file shares: the plan, Python names, and how symbols are written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ebdsl.emit.names import class_name, python_names
from ebdsl.emit.tensors import Scope
from ebdsl.infer.rules.elimination import Elimination, values_of
from ebdsl.model.algebra import recurrences_in
from ebdsl.model.ir import Dim, Module, Part, Recurrence, Symbol
from ebdsl.model.model import Model
from ebdsl.plan import Plan

if TYPE_CHECKING:
    from ebdsl.infer.rules.enumeration import Enumeration


@dataclass
class Context:
    """``runtime`` collects the names of runtime functions that the text uses. ``target``: of ``TARGETS``.

    ``energy``: the method that is minimised. ``suffix``: what tells the methods of several argmins apart.
    """

    plan: Plan
    names: dict[str, str]
    runtime: set[str] = field(default_factory=set)
    target: str = "eager"
    energy: str = "energy"
    suffix: str = ""

    @property
    def model(self) -> Model:
        return self.plan.model

    @property
    def observed(self) -> tuple[Symbol, ...]:
        return self.model.role("observed")

    @property
    def latents(self) -> tuple[Symbol, ...]:
        """What the energy holds besides the data: latent variables, and noise that is averaged over."""
        return self.model.role("latent") + self.model.averaged

    def name(self, thing: Symbol | Module | Recurrence | str) -> str:
        return self.names[thing if isinstance(thing, str) else thing.name]

    def method(self, name: str) -> str:
        """The name of a method that the spec does not use."""
        name += self.suffix
        while name in self.names.values():
            name += "_"
        return name

    def dim(self, dim: Dim, owner: str = "self") -> str:
        if isinstance(dim, Part):
            return f"{owner}.{self.names[dim.whole]} {'-' if dim.less > 0 else '+'} {abs(dim.less)}"
        return str(dim) if isinstance(dim, int) else f"{owner}.{self.names[dim]}"

    @property
    def like(self) -> str:
        return self.name(self.observed[0])

    @property
    def first_weight(self) -> str:
        """A parameter of ``model``, for its dtype and device."""
        params = [s for s, _ in self.plan.learning]
        return f"model.{self.name(params[0])}" if params else "next(model.parameters())"

    @property
    def class_name(self) -> str:
        return class_name(self.model.name)

    def scope(self, owner: str = "self", batch: str | None = None, renamed: dict[str, str] | None = None) -> Scope:
        """A body in which parameters and constants live on ``owner``. ``renamed`` maps symbol names to variables."""
        local = renamed or {}
        statistics = {s.symbol for s in self.plan.statistics}

        def symbol(s: Symbol) -> str:
            if s.name in local:
                return local[s.name]
            return self.name(s) if s.per_sample or s in statistics else f"{owner}.{self.name(s)}"

        def dim(d: Dim) -> str:
            if d == "batch":
                return batch or f"{self.like}.shape[0]"
            return self.dim(d, owner)

        scope = Scope(
            symbol,
            dim,
            lambda d: self.model.size(d),
            lambda m: f"{owner}.{self.name(m)}",
            like=self.like,
            imports=self.runtime,
        )
        scope.taken |= (
            {self.name(s) for s in self.model.symbols}
            | {
                "self",
                "model",
                "torch",
                "nn",
                "math",
                "batch",
                "found",
            }
            | {self.name(s) for s in statistics}
        )
        return scope

    def common(self, payload: Enumeration) -> bool:
        """Whether the states of a sample have a part of their energy in common, in a method of its own."""
        from ebdsl.emit.states import state_parts

        return state_parts(payload).common is not None

    def each_tile(self, width: str, batch: str) -> str:
        """The line ``for (y,) in tiles(...)``; ``width``: the numbers that a sample takes in the widest tensor."""
        self.runtime.add("tiles")
        names = ", ".join(self.name(s) for s in self.observed)
        whole = ", ".join(f'{batch}["{self.name(s)}"]' for s in self.observed)
        return f"for {f'({names},)' if len(self.observed) == 1 else names} in tiles({width}, {whole}):"

    def typed(self, symbols: tuple[Symbol, ...]) -> str:
        """Parameters of a function: ``y: Tensor, z: Tensor``."""
        return self.args(symbols, typed=True)

    def args(self, symbols: tuple[Symbol, ...], typed: bool = False) -> str:
        return ", ".join(self.name(s) + (": Tensor" if typed else "") for s in symbols)


def make_context(plan: Plan, target: str = "eager") -> Context:
    """Python names for all that the spec names: symbols first, so that they keep the plainest."""
    model = plan.model
    wanted = [s.name for s in model.symbols] + [m.name for m in model.modules] + list(model.dims)
    wanted += [r.name for r in recurrences_in(plan.energy)]
    names = python_names(dict.fromkeys(wanted))
    for decision in plan.inference:
        for state in getattr(decision.payload, "states", ()):
            if state.table is not None:
                names[state.table.name] = f"{names[state.symbol.name]}_values"
    for decision in plan.inference:
        if isinstance(decision.payload, Elimination):
            for z in decision.payload.latents:
                names[values_of(z).name] = f"{names[z.name]}_points"
    for s in plan.statistics:
        names[s.symbol.name] = s.word if s.of is None else f"{names[s.of.name]}_{s.word}"
    if plan.weights is not None:
        names[plan.weights.name] = "weights"
    return Context(plan, names, target=target)


def called(text: str) -> set[str]:
    """Names that a template calls without a dot: those of runtime functions."""
    return set(re.findall(r"(?<![\w.])([a-z_]+)\(", text))
