"""The IR as index notation on a line: ``Σ_i (y[i] + -1·Σ_j W[i,j]·z[j])^2``."""

from __future__ import annotations

from functools import singledispatch

from ebdsl.model import ir


@singledispatch
def notation(node: ir.Node) -> str:
    """Any node's text; axes go by their names."""
    return f"{type(node).__name__}({', '.join(map(notation, node.children))})"


def _index(index: tuple[ir.Axis | int, ...]) -> str:
    return f"[{','.join(_axis(i) for i in index)}]" if index else ""


def _axis(axis: ir.Axis | int) -> str:
    return str(axis) if isinstance(axis, int) else axis.name


def _closed(node: ir.Node) -> str:
    text = notation(node)
    return f"({text})" if isinstance(node, ir.Add | ir.Sum | ir.Mul) else text


@notation.register
def _(node: ir.Lit) -> str:
    return f"{node.value:g}"


@notation.register
def _(node: ir.Size) -> str:
    return f"#{node.dim}"


@notation.register
def _(node: ir.Get) -> str:
    return node.symbol.name + _index(node.index)


@notation.register
def _(node: ir.Position) -> str:
    return node.axis.name


@notation.register
def _(node: ir.Delta) -> str:
    return f"δ[{_axis(node.left)},{_axis(node.right)}]"


@notation.register
def _(node: ir.Shift) -> str:
    return f"δ[{_axis(node.left)}+{node.offset},{_axis(node.right)}]"


@notation.register
def _(node: ir.Add) -> str:
    return " + ".join(map(notation, node.terms)) or "0"


@notation.register
def _(node: ir.Mul) -> str:
    return "·".join(f"({t})" if isinstance(f, ir.Add) else t for f in node.factors for t in [notation(f)]) or "1"


@notation.register
def _(node: ir.Pow) -> str:
    return f"{_closed(node.base)}^{_closed(node.exponent)}"


@notation.register
def _(node: ir.Fn) -> str:
    return f"{node.atom}({', '.join(map(notation, node.args))})"


@notation.register
def _(node: ir.Sum) -> str:
    body = notation(node.body)
    inner = f"({body})" if isinstance(node.body, ir.Add) else body
    return f"Σ_{','.join(a.name for a in node.axes)} {inner}"


@notation.register
def _(node: ir.Tensor) -> str:
    return f"[{','.join(a.name for a in node.axes)} ↦ {notation(node.body)}]"


@notation.register
def _(node: ir.Apply) -> str:
    name = node.function if isinstance(node.function, str) else node.function.name
    return f"{name}({', '.join(map(notation, node.args))}){_index(node.index)}"
