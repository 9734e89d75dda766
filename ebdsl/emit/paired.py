"""Sums of a function whose derivative is wanted too: both by one call, which shares their exponentials."""

from __future__ import annotations

from collections.abc import Iterable

from ebdsl.emit.economy import economical
from ebdsl.emit.stems import signature_axes
from ebdsl.emit.tensors import Scope
from ebdsl.model.canonical import signature
from ebdsl.model.ir import Axis, Fn, Node, Sum


def pair(scope: Scope, nodes: Iterable[Node]) -> None:
    """Write the calls for what stands in ``nodes``, and let the scope know of their values.

    That is ``Σ_a f(u)``, where ``a`` is the last axis of the tensor ``u``, and ``f'(u)``.
    """
    from ebdsl.atoms import SCALARS

    everything: dict[Node, Node] = {}

    def go(n: Node) -> None:
        everything.setdefault(signature(n)[0], n)
        for child in n.children:
            go(child)

    for n in nodes:
        go(economical(n))
    for key, n in everything.items():
        if not (isinstance(n, Sum) and len(n.axes) == 1 and isinstance(n.body, Fn)):
            continue
        call, u = SCALARS[n.body.atom].summed, n.body.args[0]
        if call is None:
            continue
        (slope,) = SCALARS[n.body.atom].derivative((u,))
        value = scope.emit(u)
        if signature(slope)[0] not in everything or value.axes[-1:] != n.axes:
            continue
        scope.imports.add(call)
        names = scope.name("total"), scope.name("slope")
        scope.lines.append(f"{', '.join(names)} = {call}({value.code})")
        for name, node, axes in zip(names, (n, slope), (value.axes[:-1], value.axes), strict=True):
            key, order = signature(node)
            there: dict[Axis, Axis] = dict(zip(order, signature_axes(key, order), strict=True))
            scope.cache[key] = (name, tuple(there.get(a, a) for a in axes))
