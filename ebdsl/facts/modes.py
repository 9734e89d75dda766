"""The second derivative of a quadratic as an operator, and the bases in which the algebra proves it to be diagonal.

A matrix that commutes with one whose eigenvalues all differ is diagonal in its eigenvectors. Along an axis that is the
matrix of differences with free ends, whose eigenvectors are the cosines (Strang, The discrete cosine transform, SIAM
Review 41, 1999), or the shift that comes round, whose eigenvectors are the waves of the Fourier transform.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ebdsl.facts.bands import Piece, piece
from ebdsl.facts.forms import flatten
from ebdsl.model.adjoint import gradient
from ebdsl.model.algebra import addends, contract, degree, expand, factors_of, multiply, transform, zeroed
from ebdsl.model.build import add, mul
from ebdsl.model.canonical import canonical
from ebdsl.model.derivative import NoDerivative, derivative, fresh_index
from ebdsl.model.ir import (
    ZERO,
    Add,
    Apply,
    Axis,
    Delta,
    Dim,
    Get,
    Lit,
    Mul,
    Node,
    Shift,
    Sum,
    Symbol,
    Tensor,
    difference,
)

if TYPE_CHECKING:
    import numpy as np
else:
    from ebdsl.lazy import numpy as np

CIRCULAR = frozenset({"circular_conv", "circular_correlate"})
ALONE, CHANNEL, COSINE, FOURIER = "alone", "channel", "cosine", "fourier"
ANY = (ALONE, COSINE, FOURIER)


@dataclass(frozen=True)
class Operator:
    """``½ z'Qz + b'z + c``: ``product`` is Q z and ``linear`` b, both over ``at``."""

    symbol: Symbol
    at: tuple[Axis, ...]
    linear: Node
    product: Node

    @property
    def shared(self) -> bool:
        """One operator for all samples."""
        return not any(s.per_sample for s in self.product.symbols - {self.symbol})


def operator(energy: Node, symbol: Symbol) -> Operator | None:
    """The energy's quadratic part in ``symbol``, through convolutions too; None where the energy is not quadratic."""
    if degree(energy, frozenset({symbol})) != 2:
        return None
    at = fresh_index(symbol)
    try:
        slope = gradient(energy, symbol, at)
    except NoDerivative:
        return None
    return Operator(symbol, at, at_zero(slope, symbol), without_constant(slope, frozenset({symbol})))


def at_zero(node: Node, symbol: Symbol) -> Node:
    """The node at ``symbol = 0``, where functions that are linear are 0 too."""
    from ebdsl.atoms import OPAQUES

    def leaf(n: Node) -> Node | None:
        if not (isinstance(n, Apply) and isinstance(n.function, str)):
            return None
        args = tuple(Tensor(transform(a.body, leaf), a.axes) for a in n.args)
        empty = any(o and a.body == ZERO for o, a in zip(OPAQUES[n.function].linear, args, strict=True))
        return ZERO if empty else Apply(n.function, args, n.index)

    return transform(zeroed(node, [symbol]), leaf)


def without_constant(node: Node, symbols: frozenset[Symbol]) -> Node:
    """What an affine node has besides its value where ``symbols`` are 0."""
    match node:
        case Add(terms):
            return add(*(without_constant(t, symbols) for t in terms if t.symbols & symbols))
        case Mul(factors):
            return multiply(*(without_constant(f, symbols) if f.symbols & symbols else f for f in factors))
        case Sum(body, axes):
            return contract(without_constant(body, symbols), axes)
        case Apply(function, args, index):
            inner = (Tensor(without_constant(a.body, symbols), a.axes) if a.symbols & symbols else a for a in args)
            return Apply(function, tuple(inner), index)
    return node if node.symbols & symbols else ZERO


# --------------------------------------------------------------------------- bases


def modes(op: Operator) -> tuple[str, ...] | str:
    """What is known along each axis of the symbol, or why it is of no basis.

    ``cosine`` or ``fourier``: the operator is diagonal in that basis; ``alone``: nothing is coupled, all is the same;
    ``channel``: anything.
    """
    places = range(len(op.at))
    allowed = [set(ANY) for _ in places]
    plain: list[Node] = []
    for part in addends(op.product):
        if _through_function(part, op.symbol):
            found = _convolved(part, op)
            if isinstance(found, str):
                return found
            for p in places:
                allowed[p] &= found[p]
        else:
            plain.append(part)
    if plain:
        for p, found_ in enumerate(_neighbours(add(*plain), op)):
            allowed[p] &= found_
    return tuple(next((m for m in ANY if m in a), CHANNEL) for a in allowed)


def _through_function(node: Node, symbol: Symbol) -> bool:
    if isinstance(node, Apply):
        return symbol in node.symbols
    return any(_through_function(c, symbol) for c in node.children)


def _convolved(part: Node, op: Operator) -> list[set[str]] | str:
    """What one addend allows along each axis, which goes through convolutions."""
    inner: Node = part
    while not isinstance(inner, Apply):
        held = [c for c in inner.children if op.symbol in c.symbols]
        if len(held) != 1:
            return "its second derivative is no sequence of convolutions"
        (inner,) = held
    if inner.function not in CIRCULAR:
        name = inner.function if isinstance(inner.function, str) else inner.function.name
        return f"{name} is not diagonal in any known basis: it has ends"
    places = [op.at.index(i) if i in op.at else -1 for i in inner.index if isinstance(i, Axis)]
    if places != sorted(set(places)) or -1 in places or len(places) != len(inner.index):
        return "its second derivative is no sequence of convolutions"
    if not _commutes(part, op.symbol, tuple(op.at[p] for p in places), tuple(places)):
        return "what stands between two convolutions differs from place to place"
    held_alone = _carried(part, op)
    return [{FOURIER} if p in places else set(ANY) if held_alone[p] else set() for p in range(len(op.at))]


def _commutes(node: Node, symbol: Symbol, axes: tuple[Axis, ...], places: tuple[int, ...]) -> bool:
    """Whether moving ``symbol`` round along ``places`` moves the node, linear in it, along ``axes``, and no more."""
    moving = frozenset(axes)
    match node:
        case Get(_, index):
            rest = [i for p, i in enumerate(index) if p not in places]
            return tuple(index[p] for p in places) == axes and not moving & {i for i in rest if isinstance(i, Axis)}
        case Add(terms):
            return all(_commutes(t, symbol, axes, places) for t in terms)
        case Mul(factors):
            rest_ = [f for f in factors if symbol not in f.symbols]
            (held,) = (f for f in factors if symbol in f.symbols)
            return not any(f.free & moving for f in rest_) and _commutes(held, symbol, axes, places)
        case Sum(body, bound):
            return not moving & set(bound) and _commutes(body, symbol, axes, places)
        case Apply(str() as function, (kernel, x), index) if function in CIRCULAR:
            whole = symbol not in kernel.symbols and not kernel.free & moving and not x.free & moving
            return index == axes and whole and _commutes(x.body, symbol, x.axes, places)
    return False


def _carried(part: Node, op: Operator) -> list[bool]:
    """Along which axes entry ``k`` of the operator's value takes entry ``k`` alone, and all in the same way."""

    def go(n: Node) -> list[bool]:
        if isinstance(n, Get) and n.symbol == op.symbol:
            return [i == a for i, a in zip(n.index, op.at, strict=True)]
        found = [True] * len(op.at)
        for c in n.children:
            own = go(c) if op.symbol in c.symbols else [a not in c.free for a in op.at]
            found = [f and o for f, o in zip(found, own, strict=True)]
        return found

    return go(part)


# --------------------------------------------------------------------------- differences


def _neighbours(product: Node, op: Operator) -> list[set[str]]:
    """What addends of entries and their neighbours allow along each axis."""
    twin = fresh_index(op.symbol)
    try:
        monomials = expand(derivative(product, op.symbol, twin))
    except NoDerivative:
        return [set() for _ in op.at]
    result = []
    for p in range(len(op.at)):
        pieces = [piece(m, 0, 0, op.at, twin, p, p) or _corner(m, op.at, twin, p) for m in monomials]
        groups: dict[Node, list[tuple[float, Piece]]] = {}
        for found in pieces:
            if found is None or (found.time is not None and found.time in found.value.free):
                break
            scale, rest = _scaled(found.value)
            groups.setdefault(canonical(rest), []).append((scale, found))
        else:
            result.append(set.intersection(*(_bases(g, op.symbol.shape[p]) for g in groups.values())))
            continue
        result.append(set())
    return result


def _corner(node: Node, at: tuple[Axis, ...], twin: tuple[Axis, ...], p: int) -> Piece | None:
    """The product of an entry at one end and one at the other, which no band has."""
    axes, factors = flatten(node)
    ends = {i: f for f in factors if isinstance(f, Delta) for i in f.free & {at[p], twin[p]}}
    if len(ends) != 2 or any(len(f.free) != 1 for f in ends.values()):
        return None
    first, second = ((f.left if isinstance(f.left, int) else f.right) for f in (ends[at[p]], ends[twin[p]]))
    assert isinstance(first, int) and isinstance(second, int)
    value = contract(multiply(*(f for f in factors if f not in ends.values())), axes)
    if value.free & {at[p], twin[p]}:
        return None
    left, right = (tuple(a for k, a in enumerate(x) if k != p) for x in (at, twin))
    return Piece(0, 0, None, first, second, left, right, value)


def _scaled(node: Node) -> tuple[float, Node]:
    axes, body = (node.axes, node.body) if isinstance(node, Sum) else ((), node)
    factors = factors_of(body)
    scale = 1.0
    for f in factors:
        scale *= f.value if isinstance(f, Lit) else 1.0
    return scale, contract(mul(*(f for f in factors if not isinstance(f, Lit))), axes)


def _bases(group: list[tuple[float, Piece]], dim: Dim) -> set[str]:
    """The bases in which the sum of the pieces, a matrix along one axis, is diagonal for every size.

    Pieces couple near entries, in the same way at each place and at either end, so that a small size shows all.
    """
    reach = max(max(abs(i) for i in _span(p)) for _, p in group)
    least = 2 * reach + 4
    n = least if not isinstance(dim, int) else min(dim, least)
    whole = np.zeros((n, n))
    for scale, p in group:
        if p.time is None:
            whole[p.first % n, p.second % n] += scale
            continue
        less = difference(dim, p.time.dim)
        if less is None:
            return set()
        for t in range(n - less):
            whole[t + p.first, t + p.second] += scale
    size = np.abs(whole).max()
    if np.allclose(whole, whole[0, 0] * np.eye(n), rtol=0, atol=1e-12 * size):
        return set(ANY)
    step = np.eye(n) - np.eye(n, k=1)
    free = step[:-1].T @ step[:-1]
    bases = {COSINE: free, FOURIER: np.roll(np.eye(n), 1, 0)}
    return {b for b, m in bases.items() if np.abs(whole @ m - m @ whole).max() <= 1e-9 * size}


def _span(p: Piece) -> tuple[int, int]:
    return (p.first, p.second) if p.time is not None else (p.first + (p.first < 0), p.second + (p.second < 0))


def tried(op: Operator) -> tuple[str, ...]:
    """A basis for each axis in which the operator is diagonal but for its ends and weights, if in any: waves where it
    convolves, cosines where it couples neighbours."""
    found = [ALONE for _ in op.at]

    def go(n: Node) -> None:
        if isinstance(n, Apply) and op.symbol in n.symbols:
            for i in n.index:
                if i in op.at:
                    found[op.at.index(i)] = FOURIER
            return
        if isinstance(n, Shift):
            for i in n.free & set(op.at):
                found[op.at.index(i)] = COSINE
        for c in n.children:
            go(c)

    go(op.product)
    return tuple(found)
