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


def as_problem(block: Block, symbols: tuple[Symbol, ...]) -> Problem:
    """``min`` over the block, and over others beside it, of the energy of all samples, their answers given."""
    energy = given(block.total)
    for w in symbols:
        energy = replace_symbol(energy, w, lambda index, w=w: Get(unknown(w), index))  # type: ignore[misc]
    latents = tuple(map(unknown, symbols))
    fixed = tuple(s for s in block.model.symbols if s.role in ("param", "const") and s not in symbols)
    model = replace(
        block.model, symbols=fixed + latents, eliminations=(Elimination("min", latents),), amortised={}, algorithms={}
    )
    return Problem(model, "min", latents, energy, convex=_convex(block, frozenset(symbols)), single=True)


def linked(block: Block) -> tuple[Symbol, ...]:
    """The parameters that addends tie to the block, itself among them, in the order of the spec."""
    params = frozenset(block.model.role("param"))
    found, before = frozenset({block.symbol}), frozenset[Symbol]()
    addends = parts(block.total, params)[0]
    while found != before:
        before = found
        found |= frozenset(s for a in addends if a.symbols & found for s in a.symbols & params)
    return tuple(s for s in block.model.role("param") if s in found)


def _convex(block: Block, held: frozenset[Symbol]) -> bool:
    """Whether what is smooth in the symbols is convex, sample by sample: sums over the samples do not show it."""
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
