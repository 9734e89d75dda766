"""Names for what is computed once and used twice."""

from __future__ import annotations

from ebdsl.model.ir import BATCH, Add, Apply, Axis, Get, Node, Pow, Sum


def signature_axes(key: Node, axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    """The numbered axes that stand in a signature for ``axes``."""
    result: list[Axis] = []
    count = 0
    for a in axes:
        if a == BATCH:
            result.append(BATCH)
        else:
            result.append(Axis(f"@{count}", a.dim))
            count += 1
    return tuple(result)


def stem(node: Node) -> str:
    """A telling name for an intermediate."""
    match node:
        case Apply(function, _, _):
            if not isinstance(function, str):
                return function.name.lower()
            from ebdsl.atoms import OPAQUES

            return f"{function}_value" if function in OPAQUES[function].needs else function.lower()
        case Add(terms) if any(s.role == "observed" for t in terms for s in t.symbols if isinstance(t, Get)):
            return "residual"
        case Add(terms) if any(isinstance(t, Get) and t.symbol.role == "observed" for t in terms):
            return "residual"
        case Sum():
            return "s"
        case Pow():
            return "p"
    return "u"
