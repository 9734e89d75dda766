"""What does not change in a loop, named before it."""

from __future__ import annotations

from dataclasses import replace

from ebdsl.facts.penalties import Penalty
from ebdsl.infer.loops.core import Let, Statement, row, shared
from ebdsl.model.algebra import transform
from ebdsl.model.ir import BATCH, Apply, Get, Lit, Node, Size, Sum, Symbol


def weighed(penalties: tuple[Penalty, ...], once: list[Statement]) -> tuple[Penalty, ...]:
    """The penalties with their weights as symbols, which ``once`` is told of; numbers stay as they are."""
    found = []
    for k, p in enumerate(penalties):
        if not p.weight.symbols:
            found.append(p)
            continue
        axes = tuple(a for a in p.at if a in p.weight.free)
        weight = shared(f"weight{k + 1}" if len(penalties) > 1 else "weight", tuple(a.dim for a in axes))
        once.append(Let(weight, axes, p.weight))
        found.append(replace(p, weight=Get(weight, axes)))
    return tuple(found)


def hoisted(node: Node, held: frozenset[Symbol], once: dict[Node, Let]) -> Node:
    """The node with the parts that hold none of ``held``, and take work, replaced by symbols of ``once``."""

    def leaf(n: Node) -> Node | None:
        if n.symbols & held or not _worthy(n):
            return None
        axes = tuple(sorted(n.free - {BATCH}, key=lambda a: a.name))
        if n not in once:
            name = f"constant{len(once) + 1}"
            kind = row if any(s.per_sample for s in n.symbols) else shared
            once[n] = Let(kind(name, tuple(a.dim for a in axes)), axes, n)
        return Get(once[n].symbol, axes)

    return transform(node, leaf)


def _worthy(n: Node) -> bool:
    """Whether a part is worth a name: a call, or a sum of more than one thing. Not with the sample and three axes."""
    if isinstance(n, Get | Lit | Size) or (BATCH in n.free and len(n.free) > 3):
        return False
    return isinstance(n, Apply) or (isinstance(n, Sum) and not isinstance(n.body, Get))
