"""An energy that holds the answers of others, as one of learned functions of the data."""

from __future__ import annotations

from dataclasses import replace

from ebdsl.model import build
from ebdsl.model.algebra import replace_symbol
from ebdsl.model.deltas import Index
from ebdsl.model.ir import Apply, Module, Node, Symbol
from ebdsl.model.model import Model


def outer(model: Model) -> Model:
    """The model with each answer as a learned function of what its energy observes: it is no variable of its own."""
    terms, modules = model.terms, list(model.modules)
    for a in model.answers:
        seen = [s for s in model.role("observed") if s in a.energy.symbols]
        module = Module(f"argmin_{a.latent.name}", tuple(s.shape for s in seen), a.latent.shape, ())
        modules.append(module)

        def applied(index: tuple[Index, ...], module: Module = module, seen: list[Symbol] = seen) -> Node:
            return Apply(module, tuple(build.tensor(s) for s in seen), index)

        terms = tuple(replace(t, node=replace_symbol(t.node, a.latent, applied)) for t in terms)
    answers = {a.latent for a in model.answers}
    symbols = tuple(s for s in model.symbols if s not in answers)
    return replace(model, terms=terms, symbols=symbols, modules=tuple(modules), answers=())
