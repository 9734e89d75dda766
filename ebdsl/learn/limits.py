"""Which latents are kept from going anywhere: by a penalty, by what is given, or by others that are kept."""

from __future__ import annotations

from ebdsl.facts.convexity import sign
from ebdsl.facts.normal import normal, through_module
from ebdsl.facts.penalties import match
from ebdsl.model.algebra import addends, modules_in
from ebdsl.model.ir import Add, Axis, Get, Node, Symbol
from ebdsl.model.model import Model


def regularised(model: Model, z: Symbol) -> bool:
    """Whether a term that holds z alone among what varies grows with it, or its domain bounds it.

    What is given and always positive may weigh the term, and one of several choices.
    """
    return z.domain.kind in ("simplex", "sphere") or any(_holds(p, z, frozenset()) for p in _pieces(model))


def limited(model: Model, y: Symbol) -> set[Symbol]:
    """The latents that terms without y keep near 0, near what is given, or near others that are kept so."""
    found = {z for z in model.role("latent") if regularised(model, z)}
    pieces = [p for p in _pieces(model) if y not in p.symbols]
    given = frozenset(s for s in model.role("observed") if s != y)
    while True:
        more = {z for z in model.role("latent") for p in pieces if _holds(p, z, given | found)} - found
        if not more:
            return found
        found |= more


def _pieces(model: Model) -> list[Node]:
    return [piece for term in model.terms for piece in addends(normal(term.node))]


def _holds(piece: Node, z: Symbol, near: frozenset[Symbol] | set[Symbol]) -> bool:
    """Whether a piece grows with z: whatever else it holds is constant, a weight, or what z is kept ``near``."""
    if z not in piece.symbols or through_module(piece, frozenset({z})):
        return False
    others = {s for s in piece.symbols if s.per_sample and s != z and not _weighs(piece, s)}
    if others and not (others <= near and _shifted(piece, z, others)):
        return False
    if not others and not modules_in(piece) and not isinstance(match(piece, z), str):
        return True
    return sign(piece) in ("nonnegative", "positive") and (not modules_in(piece) or _shifted(piece, z, set()))


def _weighs(piece: Node, s: Symbol) -> bool:
    """Whether a symbol is a weight that is never 0 for all entries: given and positive, or one choice of several."""
    if s.role == "observed":
        return s.domain.row.strict
    return s.domain.kind == "onehot" and all(isinstance(g.index[-1], Axis) for g in _entries(piece, s))


def _entries(node: Node, s: Symbol) -> list[Get]:
    if isinstance(node, Get):
        return [node] if node.symbol == s else []
    return [g for c in node.children for g in _entries(c, s)]


def _shifted(node: Node, z: Symbol, others: set[Symbol]) -> bool:
    """Whether the others, and learned functions, stand in sums beside what holds z alone: ``‖z - f(x)‖²``."""
    if z not in node.symbols:
        return not node.symbols & others and not modules_in(node)
    if isinstance(node, Add):
        return all(_shifted(t, z, others) for t in node.terms if z in t.symbols)
    return all(_shifted(c, z, others) for c in node.children)
