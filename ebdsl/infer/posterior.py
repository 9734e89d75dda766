"""What learning needs of a posterior: the expectation of an energy, written with statistics that inference gives.

``dF/dθ`` is the posterior's expectation of ``dE/dθ``, and lowering the expectation of E lowers F (Dempster, Laird &
Rubin 1977). So a rule that averages over latents says how any addend of the energy is averaged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ebdsl.model.algebra import contract, multiply, replace_symbol
from ebdsl.model.domains import REAL, Domain
from ebdsl.model.ir import Axis, Get, Node, Symbol


@dataclass(frozen=True)
class Statistic:
    """``symbol`` stands in an expected energy for a tensor of ``Inference.posterior``.

    ``of`` is the latent that it is a statistic of, None for the shares of states; ``word`` says which. A symbol of the
    role ``const`` is the same for all samples.
    """

    symbol: Symbol
    of: Symbol | None
    word: str


@runtime_checkable
class Posterior(Protocol):
    """A payload by which learning sees an average over latents instead of their values."""

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        """The symbols that :meth:`expected` brings in."""

    @property
    def replaced(self) -> bool:
        """Whether the latents themselves do not occur in an expected energy."""

    def expected(self, node: Node) -> Node:
        """The posterior's expectation of a part of the energy."""


class Weighted:
    """A posterior on points: ``nodes`` holds a symbol for each of the ``latents``, with ``axis``, the points, first."""

    latents: tuple[Symbol, ...]
    axis: Axis
    nodes: tuple[Symbol, ...]
    weights: Symbol

    @property
    def replaced(self) -> bool:
        return True

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        own = [Statistic(n, z, "nodes") for n, z in zip(self.nodes, self.latents, strict=True)]
        return (Statistic(self.weights, None, "weights"), *own)

    def at_nodes(self, node: Node) -> Node:
        """The node with latents at the points: a number for each."""
        for z, n in zip(self.latents, self.nodes, strict=True):
            node = replace_symbol(node, z, lambda index, n=n: Get(n, (self.axis, *index)))  # type: ignore[misc]
        return node

    def expected(self, node: Node) -> Node:
        """``Σ_s w_s E(z_s)``."""
        if not node.symbols & {*self.latents}:
            return node
        return contract(multiply(Get(self.weights, (self.axis,)), self.at_nodes(node)), (self.axis,))


def points_of(latents: tuple[Symbol, ...], count: int) -> tuple[tuple[Symbol, ...], Symbol]:
    """Symbols for ``count`` values of each latent, and for their weights."""
    nodes = tuple(Symbol(f"{z.name}~nodes", "latent", (count, *z.shape), REAL) for z in latents)
    return nodes, Symbol("weights", "latent", (count,), Domain("nonnegative"))
