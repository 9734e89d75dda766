"""Where an energy is quadratic in a block: ``½ x'Q x + b'x + c``, with the structure of ``Q``.

``b`` and ``Q`` are derivatives, so how the energy was spelled does not matter. A Kronecker delta
between an axis and its twin says that ``Q`` does not couple along it: the problem falls apart
there, and if ``Q`` does not even vary along it, all parts share one matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

from ebdsl.facts.orthonormal import with_grams
from ebdsl.model.algebra import degree, expand, factors_of, rename, zeroed
from ebdsl.model.build import add, mul
from ebdsl.model.derivative import NoDerivative, derivative, fresh_index
from ebdsl.model.ir import Axis, Delta, Node, Symbol


@dataclass(frozen=True)
class Quadratic:
    """The quadratic part of an energy in one symbol.

    ``at``: an axis for each axis of the symbol. ``linear``: ``b``, over ``at``. ``matrix``: ``Q`` without
    the deltas, over the axes at ``coupled`` places, their twins, and those at ``varies`` places.
    ``coupled``: places along which ``Q`` couples entries; ``separable``: the others; ``varies``: the
    separable places along which the matrix differs. ``orthonormal``: what the structure owes to orthonormal symbols.
    """

    symbol: Symbol
    at: tuple[Axis, ...]
    twin: tuple[Axis, ...]
    linear: Node
    matrix: Node
    coupled: tuple[int, ...]
    separable: tuple[int, ...]
    varies: tuple[int, ...]
    orthonormal: tuple[str, ...] = ()

    @property
    def diagonal(self) -> bool:
        """Every entry stands alone."""
        return not self.coupled

    @property
    def shared(self) -> bool:
        """One matrix for all samples (for a latent)."""
        return not any(s.per_sample for s in self.matrix.symbols)


def quadratic(energy: Node, symbol: Symbol) -> Quadratic | None:
    """The quadratic form of ``energy`` in ``symbol``, or None where its degree is not 1 or 2."""
    d = degree(energy, frozenset({symbol}))
    if d is None or d not in (1, 2):
        return None
    at, twin = fresh_index(symbol), fresh_index(symbol)
    try:
        gradient = derivative(energy, symbol, at)
        hessian = derivative(gradient, symbol, twin)
    except NoDerivative:
        return None
    linear = zeroed(gradient, [symbol])
    whole = expand(hessian) if symbol in gradient.symbols else ()
    pieces = [with_grams(p) for p in whole]
    separable = tuple(k for k in range(len(at)) if all(has_delta(p, at[k], twin[k]) for p in pieces))
    coupled = tuple(k for k in range(len(at)) if k not in separable)
    matrix = add(*(without_deltas(p, [(at[k], twin[k]) for k in separable]) for p in pieces))
    varies = tuple(k for k in separable if at[k] in matrix.free)
    owed = sorted({s.name for p in whole for s in p.symbols} - {s.name for p in pieces for s in p.symbols})
    return Quadratic(symbol, at, twin, linear, matrix, coupled, separable, varies, tuple(owed))


def not_quadratic(energy: Node, symbol: Symbol) -> str:
    """Why :func:`quadratic` gives nothing."""
    if degree(energy, frozenset({symbol})) in (1, 2):
        return (
            f"the second derivative in {symbol.name} goes through a function of tensors: no matrix of it is written out"
        )
    return f"the energy is not quadratic in {symbol.name}"


def has_delta(piece: Node, a: Axis, b: Axis) -> bool:
    """Whether a product is 0 except where the two indices are equal."""
    return any(isinstance(f, Delta) and {f.left, f.right} == {a, b} for f in factors_of(piece))


def without_deltas(piece: Node, pairs: list[tuple[Axis, Axis]]) -> Node:
    """The piece without the deltas of ``pairs``, each twin renamed to its axis."""
    kept = [
        f
        for f in factors_of(piece)
        if not (isinstance(f, Delta) and any({f.left, f.right} == {a, b} for a, b in pairs))
    ]
    return rename(mul(*kept), {b: a for a, b in pairs})
