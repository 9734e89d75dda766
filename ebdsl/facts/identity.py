"""Whether two polynomials are the same up to a factor: tested at random points.

Two different polynomials agree at a random point with probability zero (Schwartz 1980, Zippel 1979), so that
agreement at several is a proof to all practical purposes, whatever way either was written.
"""

from __future__ import annotations

from ebdsl.model.algebra import contract, degree, multiply
from ebdsl.model.domains import REAL
from ebdsl.model.ir import Apply, Axis, Delta, Dim, Get, Node, Part, Position, Recurrence, Shift, Size, Symbol, extent


def dims_in(node: Node) -> set[Dim]:
    """Every dimension that occurs below."""
    found: set[Dim] = set()

    def go(n: Node) -> None:
        for a in getattr(n, "axes", ()):
            found.add(a.dim)
        if isinstance(n, Size):
            found.add(n.dim)
        for i in getattr(n, "index", ()):
            if isinstance(i, Axis):
                found.add(i.dim)
        if isinstance(n, Apply) and isinstance(n.function, Recurrence):
            found.add(n.function.steps)
            for body in n.function.bodies:
                go(body)
        for c in n.children:
            go(c)

    go(node)
    return found


def proportional(left: Node, right: Node) -> float | None:
    """``c`` with ``left = c · right`` for all values of the symbols, both polynomials; else None.

    Named dimensions are given small sizes, different ones for different names; constants keep their values.
    """
    import numpy as np

    from ebdsl.model.reference import evaluate

    if left.free | right.free:  # tables are proportional where a sum of their entries with any factors is
        axes = tuple(sorted(left.free | right.free, key=lambda a: a.name))
        factors = Get(Symbol("~", "param", tuple(a.dim for a in axes), REAL), axes)
        left, right = (contract(multiply(factors, n), axes) for n in (left, right))
    symbols = left.symbols | right.symbols
    free = frozenset(s for s in symbols if s.role != "const")
    if degree(left, free) is None or degree(right, free) is None:
        return None
    dims = dims_in(left) | dims_in(right)
    less = max((d.less for d in dims if isinstance(d, Part)), default=0)
    names = {d.whole if isinstance(d, Part) else d for d in dims if not isinstance(d, int)}
    sizes = {d: 2 + less + k for k, d in enumerate(sorted(names))}
    if any(isinstance(d, int) and d > 8 for d in dims):
        return _shrunk(left, right)
    rng = np.random.default_rng(20)
    ratios = []
    for _ in range(4):
        values: dict[Symbol, object] = {}
        for s in symbols:
            shape = tuple(extent(d, sizes) or 0 for d in s.shape)
            values[s] = np.asarray(s.value) if s.value is not None else rng.standard_normal(shape)
        a = float(evaluate(left, values, sizes=sizes, functions={}))  # type: ignore[arg-type]
        b = float(evaluate(right, values, sizes=sizes, functions={}))  # type: ignore[arg-type]
        if abs(b) < 1e-9:
            return None
        ratios.append(a / b)
    spread = max(ratios) - min(ratios)
    return float(ratios[0]) if spread <= 1e-9 * max(1.0, abs(ratios[0])) else None


def _shrunk(left: Node, right: Node) -> float | None:
    """The same with large literal extents made small: index notation does not depend on them.

    A dimension that is also picked at a fixed position keeps its size, and then nothing is claimed.
    """
    from ebdsl.model.algebra import transform
    from ebdsl.model.ir import Get

    longer = _longer(left) | _longer(right)

    def name(d: Dim) -> Dim:
        whole = longer.get(d, 0)
        if isinstance(d, int) and whole > 8:
            return Part(f"d{whole}", whole - d)
        return f"d{d}" if isinstance(d, int) and d > 8 else d

    fixed = False

    def shrink(node: Node) -> Node:
        from ebdsl.model.ir import Sum, Tensor

        def at(i: Axis | int) -> Axis | int:
            nonlocal fixed
            if isinstance(i, int):
                fixed = True
                return i
            return Axis(i.name, name(i.dim))

        def leaf(n: Node) -> Node | None:
            nonlocal fixed
            if isinstance(n, Get):
                s = n.symbol
                new = Symbol(s.name, s.role, tuple(name(d) for d in s.shape), s.domain, s.span, s.value)
                return Get(new, tuple(at(i) for i in n.index))
            if isinstance(n, Sum | Tensor):
                return type(n)(shrink(n.body), tuple(Axis(a.name, name(a.dim)) for a in n.axes))
            if isinstance(n, Position):
                return Position(Axis(n.axis.name, name(n.axis.dim)))
            if isinstance(n, Delta):
                return Delta(at(n.left), at(n.right))
            if isinstance(n, Shift):
                if isinstance(n.right, int):
                    fixed = True
                    return n
                return Shift(Axis(n.left.name, name(n.left.dim)), Axis(n.right.name, name(n.right.dim)), n.offset)
            if isinstance(n, Size) and not isinstance(name(n.dim), int):
                fixed = True
            return None

        return transform(node, leaf)

    small_left, small_right = shrink(left), shrink(right)
    return None if fixed else proportional(small_left, small_right)


def _longer(node: Node) -> dict[Dim, int]:
    """The size that an axis is a stretch of, for each size that shifts start from."""
    found: dict[Dim, int] = {}

    def go(n: Node) -> None:
        if (
            isinstance(n, Shift)
            and isinstance(n.right, Axis)
            and isinstance(n.left.dim, int)
            and isinstance(n.right.dim, int)
        ):
            found[n.left.dim] = max(found.get(n.left.dim, 0), n.right.dim)
        for c in n.children:
            go(c)

    go(node)
    return {d: found.get(whole, whole) for d, whole in found.items()}
