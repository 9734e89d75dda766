"""A block of parameters as a problem of inference: the parameters are the latent variable of one sample, the data.

What varies with the samples gets an axis of its own, that of the samples, and is given; so "the codes given the
dictionary" and "the dictionary given the codes" are asked of the same rules.
"""

from __future__ import annotations

from dataclasses import replace

from ebdsl.facts.convexity import curvature
from ebdsl.facts.normal import is_smooth, parts
from ebdsl.infer.core import Problem
from ebdsl.learn.core import Block
from ebdsl.model.algebra import replace_symbol, transform
from ebdsl.model.build import add
from ebdsl.model.derivative import NoDerivative, derivative, fresh_index
from ebdsl.model.ir import BATCH, Axis, Delta, Get, Node, Size, Sum, Symbol
from ebdsl.model.model import Elimination

SAMPLES = "samples~"
"""The dimension over which the samples lie."""


def unknown(w: Symbol) -> Symbol:
    """The parameters as a latent variable."""
    return replace(w, role="latent")


def as_problem(block: Block) -> Problem:
    """``min`` over the block of the energy of all samples, their answers given."""
    z = unknown(block.symbol)
    energy = replace_symbol(given(block.total), block.symbol, lambda index: Get(z, index))
    symbols = (*(s for s in block.model.symbols if s.role in ("param", "const") and s != block.symbol), z)
    model = replace(block.model, symbols=symbols, eliminations=(Elimination("min", (z,)),), amortised={}, algorithms={})
    return Problem(model, "min", (z,), energy, convex=_convex(block))


def _convex(block: Block) -> bool:
    """Whether what is smooth in the block is convex, sample by sample: sums over the samples do not show it."""
    held = frozenset({block.symbol})
    smooth = add(*(a for a in parts(block.energy, held)[0] if is_smooth(a, held)))
    return curvature(smooth, held) in ("convex", "affine", "constant")


def given(node: Node) -> Node:
    """The node with the samples' axis as any other, over which what varies by sample is given."""

    def at(a: Axis | int) -> Axis | int:
        return Axis(a.name, SAMPLES) if isinstance(a, Axis) and a.dim == BATCH.dim else a

    def leaf(n: Node) -> Node | None:
        match n:
            case Get(symbol, index) if symbol.per_sample:
                shape = tuple(a.dim if isinstance(a, Axis) else 1 for a in map(at, index[:1])) + symbol.shape
                return Get(Symbol(symbol.name, "const", shape, symbol.domain), tuple(at(i) for i in index))
            case Sum(body, axes):
                moved = tuple(x for x in map(at, axes) if isinstance(x, Axis))
                return Sum(given(body), moved)
            case Delta(left, right):
                return Delta(at(left), at(right))
            case Size(dim) if dim == BATCH.dim:
                return Size(SAMPLES)
        return None

    return transform(node, leaf)


def falls_apart(total: Node, w: Symbol) -> tuple[int, ...]:
    """Places along which the energy is a sum over the entries of ``w``: its slope at one entry knows no other."""
    at = fresh_index(w)
    try:
        slope = derivative(total, w, at)
    except NoDerivative:
        return ()
    found: list[tuple[Axis | int, ...]] = []

    def go(n: Node) -> None:
        if isinstance(n, Get) and n.symbol == w:
            found.append(n.index)
        for child in n.children:
            if w in child.symbols:
                go(child)

    go(slope)
    return tuple(k for k in range(len(at)) if all(index[k] == at[k] for index in found))
