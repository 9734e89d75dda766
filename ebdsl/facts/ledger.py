"""The convention ledger: the factor on the data term and what λ is called elsewhere.

The same λ means different things with and without a ½; papers and packages differ (MODELS of the talk, E1 and E5).
"""

from __future__ import annotations

from ebdsl.facts.normal import normal, split
from ebdsl.infer.penalties import Penalty, match
from ebdsl.model.algebra import addends
from ebdsl.model.ir import Get, Lit, Mul, Node, Pow
from ebdsl.model.model import Model


def ledger(model: Model) -> list[str]:
    """Sentences, one for each penalised latent next to a squared distance."""
    pieces = [p for t in model.terms for p in addends(normal(t.node))]
    lines: list[str] = []
    for z in model.role("latent"):
        factors, penalties = [], []
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
        if len(factors) != 1 or not penalties or factors[0][0] is None:
            continue
        c, y = factors[0]
        lines.append(f"the squared distance has the factor {c:g}, as written; λ is never rescaled")
        for penalty, weight in penalties:
            if weight is None or penalty.kind != "l1":
                continue
            lines.append(
                f"the weight {weight:g} on |{z.name}| is {weight / (2 * c):g} where the distance has the factor ½ (papers, SPAMS)"
            )
            size = 1
            for d in y.shape:
                extent = model.size(d)
                size = 0 if extent is None else size * extent
            if size:
                lines.append(
                    f"and alpha = {weight / (2 * c * size):.6g} in scikit-learn's Lasso, which divides by 2·dim {y.name}"
                )
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
