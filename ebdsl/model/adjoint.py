"""Gradients of numbers that go through linear functions of tensors: a convolution's is a correlation.

Forward derivatives (:mod:`ebdsl.model.derivative`) want an entry's derivative by an entry, and a convolution has none
in index notation. A sum over its entries has one by its adjoint: the value stands as a symbol of its own, and what the
sum's derivative by that symbol is goes back through the function's row (``vjp``).
"""

from __future__ import annotations

from ebdsl.model.algebra import contract, multiply, rename, replace_symbol, transform
from ebdsl.model.build import add
from ebdsl.model.derivative import derivative, fresh_index
from ebdsl.model.domains import REAL
from ebdsl.model.ir import Apply, Axis, Get, Node, Symbol, Tensor


def gradient(node: Node, symbol: Symbol, at: tuple[Axis, ...]) -> Node:
    """:func:`derivative`, and through functions of tensors that have an adjoint.

    Raises :class:`ebdsl.model.derivative.NoDerivative` where the symbol goes through a module.
    """
    calls: dict[Symbol, tuple[Apply, tuple[Axis, ...]]] = {}

    def leaf(n: Node) -> Node | None:
        if not isinstance(n, Apply) or symbol not in n.symbols or not _has_adjoint(n):
            return None
        own = tuple(i for i in n.index if isinstance(i, Axis))
        outer = tuple(sorted(n.free - set(own), key=lambda a: a.name))
        value = Symbol(f"{symbol.name}~{len(calls)}", "const", tuple(a.dim for a in (*outer, *own)), REAL)
        calls[value] = (n, outer)
        return Get(value, (*outer, *own))

    held = transform(node, leaf)
    parts = [derivative(held, symbol, at)]
    for value, (call, outer) in calls.items():
        from ebdsl.atoms import OPAQUES

        there = fresh_index(value)
        slope = derivative(held, value, there)
        moved = dict(zip(outer, there[: len(outer)], strict=True))
        args = tuple(a for a in (rename(a, dict(moved)) for a in call.args) if isinstance(a, Tensor))
        rule = OPAQUES[str(call.function)].vjp
        assert rule is not None
        for back, arg in zip(rule(args, Tensor(slope, there[len(outer) :])), args, strict=True):
            if symbol in arg.symbols:
                inner = rename(arg.body, dict(zip(arg.axes, back.axes, strict=True)))
                product = multiply(back.body, gradient(inner, symbol, at))
                parts.append(contract(product, (*there[: len(outer)], *back.axes)))
    found = add(*parts)
    for value, (call, outer) in calls.items():

        def by(index: tuple[Axis | int, ...], call: Apply = call, outer: tuple[Axis, ...] = outer) -> Node:
            return rename(
                call, dict(zip((*outer, *(i for i in call.index if isinstance(i, Axis))), index, strict=True))
            )

        found = replace_symbol(found, value, by)
    return found


def _has_adjoint(call: Apply) -> bool:
    from ebdsl.atoms import OPAQUES

    if not isinstance(call.function, str):
        return False
    row = OPAQUES[call.function]
    axes = all(isinstance(i, Axis) for i in call.index) and len(set(call.index)) == len(call.index)
    return row.derivative is None and row.vjp is not None and axes
