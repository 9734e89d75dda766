"""What learning needs of a posterior: the expectation of an energy, written with statistics that inference gives.

``dF/dθ`` is the posterior's expectation of ``dE/dθ``, and lowering the expectation of E lowers F (Dempster, Laird &
Rubin 1977). So a rule that averages over latents says how any addend of the energy is averaged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ebdsl.model.ir import Node, Symbol


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
