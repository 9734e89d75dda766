"""The convention ledger: the factor on the data term and what λ is called elsewhere.

The same λ means different things with and without a ½; papers and packages differ (MODELS of the talk, E1 and E5).
"""

from __future__ import annotations

import math

from ebdsl.facts.normal import normal, split
from ebdsl.facts.penalties import Penalty, match
from ebdsl.model.algebra import addends
from ebdsl.model.ir import Get, Lit, Mul, Node, Pow, Symbol
from ebdsl.model.model import Model


def ledger(model: Model) -> list[str]:
    """Sentences, one for each penalised latent next to a squared distance."""
    pieces = [p for t in model.terms for p in addends(normal(t.node))]
    lines: list[str] = []
    for z in model.role("latent"):
        factors: list[tuple[float | None, Symbol]] = []
        penalties: list[tuple[Penalty, float | None]] = []
        for p in pieces:
            if z not in p.symbols:
                continue
            part = split(p, frozenset({z}))
            observed = [s for s in p.symbols if s.role == "observed"]
            if isinstance(part.core, Pow) and part.core.exponent == Lit(2.0) and observed and not part.weight.free:
                factors.append((_value(part.weight), observed[0]))
            found = match(p, z)
            if isinstance(found, Penalty) and not found.weight.free:
                penalties.append((found, _value(found.weight)))
        if len(factors) != 1 or not penalties:
            continue
        c, y = factors[0]
        if c is None:
            continue
        lines.append(f"the squared distance has the factor {c:g}, as written; λ is never rescaled")
        for penalty, weight in penalties:
            if weight is not None and penalty.kind == "l1":
                lines += _elsewhere(model, z.name, y, weight, c)
    return lines


def _elsewhere(model: Model, z: str, y: Symbol, weight: float, c: float) -> list[str]:
    """The same weight in other conventions."""
    half = weight / (2 * c)
    lines = [f"the weight {weight:g} on |{z}| is {half:g} where the distance has the factor ½ (papers, SPAMS)"]
    sizes = [model.size(d) for d in y.shape]
    if None not in sizes:
        alpha = half / math.prod(n for n in sizes if n is not None)
        lines.append(f"and alpha = {alpha:.6g} in scikit-learn's Lasso, which divides by 2·dim {y.name}")
    return lines


def _value(node: Node) -> float | None:
    """The number that a weight is, where constants alone make it."""
    if isinstance(node, Lit):
        return node.value
    if isinstance(node, Get) and node.symbol.role == "const" and not node.index:
        return node.symbol.value
    if isinstance(node, Mul):
        total = 1.0
        for f in node.factors:
            v = _value(f)
            if v is None:
                return None
            total *= v
        return total
    if isinstance(node, Pow) and isinstance(node.exponent, Lit):
        base = _value(node.base)
        return base**node.exponent.value if base is not None and base > 0 else None
    return None
