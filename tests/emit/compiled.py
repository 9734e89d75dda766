"""Specs as text, compiled and loaded as a user's file would be, beside the naive interpreter's view of them."""

from __future__ import annotations

import itertools
import sys
import textwrap
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch

from ebdsl import driver
from ebdsl.diagnostics import Source
from ebdsl.emit.context import make_context
from ebdsl.model import reference
from ebdsl.model.ir import Dim, Symbol, extent
from ebdsl.model.model import Model
from ebdsl.plan import Plan
from tests.emit.corpus import CORPUS, SIZES

Array = np.ndarray
_count = itertools.count()


def load(text: str) -> types.ModuleType:
    """Generated text as a module of its own."""
    module = types.ModuleType(f"generated_{next(_count)}")
    sys.modules[module.__name__] = module
    exec(compile(text, f"<{module.__name__}>", "exec"), module.__dict__)
    return module


def planned(text: str, name: str = "spec", settings: Mapping[str, float] | None = None) -> Plan:
    """The plan of a sound spec."""
    source = Source(f"{name}.ebm", f"model {name}\n" + textwrap.dedent(text))
    found = driver.plan_source(source, settings=settings)
    assert found.value is not None, [(d.code, d.message, d.help) for d in found.diagnostics]
    return found.value


@dataclass(frozen=True)
class Compiled:
    """A spec, its plan, its generated module and the sizes of free dimensions."""

    plan: Plan
    text: str
    module: types.ModuleType
    sizes: Mapping[str, int]
    names: Mapping[str, str]

    @property
    def model(self) -> Model:
        return self.plan.model

    @property
    def rule(self) -> str:
        return self.plan.inference[0].rule if self.plan.inference else "none"

    @property
    def guarantee(self) -> str:
        return self.plan.inference[0].guarantee if self.plan.inference else "global"

    def python(self, thing: str | Symbol) -> str:
        return self.names[thing if isinstance(thing, str) else thing.name]

    def size(self, dim: Dim) -> int:
        found = extent(dim, self.sizes)
        assert found is not None
        return found

    def shape(self, symbol: Symbol) -> tuple[int, ...]:
        return tuple(self.size(d) for d in symbol.shape)

    def build(self, seed: int = 0, **keywords: Any) -> Any:
        """The generated ``nn.Module`` in float64."""
        free = {self.python(d): self.sizes[d] for d, size in self.model.dims.items() if size is None}
        return self.module.build(**free, seed=seed, dtype=torch.float64, **keywords)

    # ------------------------------------------------------------- values

    def draw(self, role: str, count: int, seed: int = 0) -> dict[str, torch.Tensor]:
        """``count`` values of all symbols of a role, in their domains, by Python name."""
        rng = np.random.default_rng(seed)
        result = {}
        for s in self.model.role(role):
            sample = s.domain.row.sample
            assert sample is not None
            rows = [sample(rng, self.shape(s), s.domain.args) for _ in range(count)]
            result[self.python(s)] = torch.as_tensor(
                np.array(rows, dtype=float).reshape(count, *self.shape(s)), dtype=torch.float64
            )
        return result

    def randomise(self, net: Any, seed: int = 0) -> Any:
        """The parameters of ``net`` at random points of their domains."""
        rng = np.random.default_rng(seed)
        with torch.no_grad():
            for s in self.model.role("param"):
                sample = s.domain.row.sample
                assert sample is not None
                getattr(net, self.python(s)).copy_(
                    torch.as_tensor(np.asarray(sample(rng, self.shape(s), s.domain.args), dtype=float))
                )
        return net

    def observed(self, count: int, seed: int = 0) -> dict[str, torch.Tensor]:
        return self.draw("observed", count, seed)

    # ------------------------------------------------------------- the oracle

    def functions(self, net: Any) -> dict[str, Callable[..., Array]]:
        """The networks as functions of one sample, for the interpreter."""

        def one(module: Any) -> Callable[..., Array]:
            def call(*inputs: Array) -> Array:
                with torch.no_grad():
                    return module(*(torch.tensor(x, dtype=torch.float64)[None] for x in inputs))[0].numpy()

            return call

        return {m.name: one(getattr(net, self.python(m.name))) for m in self.model.modules}

    def values(self, net: Any, *samples: Mapping[str, torch.Tensor], at: int = 0) -> dict[Symbol, Array]:
        """What the interpreter needs for sample number ``at``."""
        result: dict[Symbol, Array] = {}
        for s in self.model.symbols:
            name = self.python(s)
            for batch in samples:
                if name in batch:
                    result[s] = batch[name][at].detach().numpy()
            if s.role == "param":
                result[s] = getattr(net, name).detach().numpy()
            elif s.role == "const":
                result[s] = np.asarray(getattr(net, name), dtype=float)
        return result

    def energy(self, net: Any, values: Mapping[Symbol, Array]) -> float:
        """The energy of one sample by the naive interpreter."""
        return sum(self.terms(net, values).values())

    def terms(self, net: Any, values: Mapping[Symbol, Array]) -> dict[str, float]:
        """The same term by term."""
        return reference.terms(self.model.bind(dict(self.sizes)), values, self.functions(net))


def compile_spec(text: str, name: str = "spec", settings: Mapping[str, float] | None = None) -> Compiled:
    plan = planned(text, name, settings)
    code = driver.emit(plan)
    sizes = {**SIZES, **{k: v for k, v in plan.model.dims.items() if v is not None}}
    names = make_context(plan).names
    return Compiled(plan, code, load(code), sizes, names)


@cache
def case(name: str) -> Compiled:
    """A spec of the corpus, compiled once."""
    return compile_spec(CORPUS[name], name)
