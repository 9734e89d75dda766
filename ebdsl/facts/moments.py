"""Expectations that need no sampling: of what is at most quadratic in independent noise.

``E f(u) = f(μ) + ½ Σ_i σ_i² ∂²f/∂u_i²`` for ``f`` of degree two, whatever the law with that mean and variance is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ebdsl.facts.normal import normal
from ebdsl.model.algebra import contract, degree, multiply, replace_symbol
from ebdsl.model.build import add, lit
from ebdsl.model.derivative import NoDerivative, derivative, fresh_index
from ebdsl.model.ir import Node, Symbol
from ebdsl.model.laws import Law
from ebdsl.model.model import Model, Term


def average(node: Node, laws: Mapping[Symbol, Law]) -> Node | None:
    """The expectation over all of ``laws``; None where the node is of a higher degree, or is no polynomial."""
    noise = frozenset(laws) & node.symbols
    if not noise:
        return node
    found = degree(node, noise)
    if found is None or found > 2:
        return None
    spreads = []
    for u in sorted(noise, key=lambda s: s.name) if found == 2 else ():
        at = fresh_index(u)
        try:
            bend = derivative(derivative(node, u, at), u, at)
        except NoDerivative:
            return None
        spreads.append(multiply(lit(0.5 * laws[u].variance), contract(bend, at)))
    return add(at_means(node, laws), *spreads)


def at_means(node: Node, laws: Mapping[Symbol, Law]) -> Node:
    """The node with all noise at its mean."""
    for u in laws:
        mean = lit(laws[u].mean)
        node = replace_symbol(node, u, lambda _, m=mean: m)  # type: ignore[misc]
    return node


def averaged(model: Model) -> tuple[Model, tuple[str, ...]]:
    """The model with the terms averaged of which that is possible, and the texts of these.

    A noise that no term holds any more leaves the model's eliminations.
    """
    laws = {s: model.laws[s.name] for s in model.averaged}
    if not laws:
        return model, ()
    terms: list[Term] = []
    done = []
    for t in model.terms:
        node = average(normal(t.node), laws) if t.node.symbols & laws.keys() else t.node
        if node is not None and node is not t.node:
            done.append(t.text)
        terms.append(t if node is None else replace(t, node=node))
    held = {s for t in terms for s in t.node.symbols}
    left = [
        replace(e, latents=tuple(s for s in e.latents if e.kind != "mean" or s in held)) for e in model.eliminations
    ]
    return replace(model, terms=tuple(terms), eliminations=tuple(e for e in left if e.latents)), tuple(done)
