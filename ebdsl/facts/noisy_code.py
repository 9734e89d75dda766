"""A code with noise in it: what a learned function is applied to, where noise stands in that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ebdsl.facts.moments import at_means
from ebdsl.facts.normal import normal
from ebdsl.model.algebra import contract, degree, modules_in, multiply, rename, transform
from ebdsl.model.build import add, lit, power
from ebdsl.model.derivative import NoDerivative, derivative, fresh_index
from ebdsl.model.ir import Add, Apply, Axis, Get, Module, Node, Symbol, Tensor
from ebdsl.model.laws import Law
from ebdsl.model.model import Model


@dataclass(frozen=True)
class NoisyCode:
    """``decoder`` reads ``body``, which has ``mean`` and, where it is known, the standard deviation ``spread``.

    Both are entries over ``axes``. ``means`` are the learned functions that say where the code is, ``scales`` those
    that say how wide.
    """

    decoder: Module
    body: Node
    axes: tuple[Axis, ...]
    mean: Node
    spread: Node | None
    means: tuple[Module, ...]
    scales: tuple[Module, ...]


def noisy_code(model: Model) -> NoisyCode | None:
    """The first in the energy, None where there is none."""
    laws = {s: model.laws[s.name] for s in model.role("noise") if s.name in model.laws}
    for term in model.terms:
        if term.node.symbols & laws.keys():
            found = _in(normal(term.node), laws)
            if found is not None:
                return found
    return None


def decoded(node: Node, code: NoisyCode, symbol: Symbol) -> Node:
    """The node with ``symbol`` in the place of the code."""

    def leaf(n: Node) -> Node | None:
        if isinstance(n, Apply) and n.function == code.decoder:
            args = tuple(
                Tensor(Get(symbol, a.axes), a.axes) if a.body.symbols and _same(a, code) else a for a in n.args
            )
            return Apply(n.function, args, n.index)
        return None

    return transform(node, leaf)


def _same(arg: Tensor, code: NoisyCode) -> bool:
    return (
        len(arg.axes) == len(code.axes) and rename(code.body, dict(zip(code.axes, arg.axes, strict=True))) == arg.body
    )


def _in(node: Node, laws: Mapping[Symbol, Law]) -> NoisyCode | None:
    if isinstance(node, Apply) and isinstance(node.function, Module):
        noisy = [a for a in node.args if a.body.symbols & laws.keys()]
        inner = next((f for a in noisy if (f := _in(a.body, laws)) is not None), None)
        if inner is not None:
            return inner
        if noisy:
            return _taken_apart(node.function, noisy[0].body, noisy[0].axes, laws)
    return next((f for c in node.children if (f := _in(c, laws)) is not None), None)


def _taken_apart(decoder: Module, body: Node, axes: tuple[Axis, ...], laws: Mapping[Symbol, Law]) -> NoisyCode:
    parts = body.terms if isinstance(body, Add) else (body,)
    noise = frozenset(laws) & body.symbols
    random = [p for p in parts if p.symbols & noise]
    still = [p for p in parts if p not in random]
    spread = _spread(body, laws) if degree(body, noise) == 1 else None
    return NoisyCode(
        decoder, body, axes, at_means(body, laws), spread,
        tuple(dict.fromkeys(m for p in still for m in modules_in(p))),
        tuple(dict.fromkeys(m for p in random for m in modules_in(p))),
    )  # fmt: skip


def _spread(body: Node, laws: Mapping[Symbol, Law]) -> Node | None:
    """``√ Σ_j σ_j² (∂code/∂u_j)²``."""
    squares = []
    for u in sorted(laws.keys() & body.symbols, key=lambda s: s.name):
        at = fresh_index(u)
        try:
            slope = derivative(body, u, at)
        except NoDerivative:
            return None
        squares.append(multiply(lit(laws[u].variance), contract(multiply(slope, slope), at)))
    return power(add(*squares), 0.5)
