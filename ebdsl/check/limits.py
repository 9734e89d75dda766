"""How large an energy may be when its definitions are written out: a few lines can double at each step."""

from __future__ import annotations

from ebdsl.check.scope import Context
from ebdsl.diagnostics import Span
from ebdsl.model.ir import Node

MOST_CALLS = 20_000
LARGEST, LARGEST_ARGUMENT = 1_000_000, 30_000
"""Nodes of an energy and of what a definition is called with, each counted as often as it is met."""


def count_call(span: Span, ctx: Context) -> bool:
    """Whether one more definition may be written out; reported where it may not."""
    ctx.spent["calls"] = ctx.spent.get("calls", 0) + 1
    if ctx.spent["calls"] > MOST_CALLS:
        report_large(span, ctx)
        return False
    return True


def written_size(node: Node, ctx: Context) -> int:
    """The nodes of a tree, shared ones counted at every place."""
    known = ctx.sizes
    todo = [node]
    while todo:
        n = todo[-1]
        if id(n) in known:
            todo.pop()
            continue
        missing = [c for c in n.children if id(c) not in known]
        if missing:
            todo.extend(missing)
        else:
            known[id(n)] = (n, 1 + sum(known[id(c)][1] for c in n.children))
            todo.pop()
    return known[id(node)][1]


def report_large(span: Span, ctx: Context) -> None:
    """EB0231, once."""
    if any(d.code == "EB0231" for d in ctx.report.found.values()):
        return
    ctx.report.add(
        "EB0231",
        "the energy is too large when its definitions are written out",
        (span, "written out too often"),
        help="definitions that use each other several times double with each step: write the sum that is meant",
    )
