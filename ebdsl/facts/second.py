"""The second derivative of an energy in one or several latents: blocks, or a diagonal where nothing is coupled."""

from __future__ import annotations

from dataclasses import dataclass

from ebdsl.facts.quadratic import has_delta, without_deltas
from ebdsl.model.adjoint import gradient
from ebdsl.model.algebra import addends, degree, zeroed
from ebdsl.model.build import add
from ebdsl.model.derivative import NoDerivative, derivative, fresh_index
from ebdsl.model.ir import Axis, Node, Symbol


@dataclass(frozen=True)
class Second:
    """``blocks[i][j]`` (``j <= i``) is the derivative by latents i and j, over ``at[i]`` and ``twin[j]``.

    ``diagonal``: each latent's entries stand alone, and ``blocks[i][i]`` is over ``at[i]`` only.
    """

    at: tuple[tuple[Axis, ...], ...]
    twin: tuple[tuple[Axis, ...], ...]
    blocks: tuple[tuple[Node, ...], ...]
    diagonal: bool

    @property
    def shared(self) -> bool:
        """One matrix for all samples."""
        return not any(s.per_sample for row in self.blocks for b in row for s in b.symbols)


def second(energy: Node, latents: tuple[Symbol, ...]) -> Second | None:
    """The second derivative, None where it cannot be written down (a learned function, a convolution)."""
    at = tuple(fresh_index(s) for s in latents)
    twin = tuple(fresh_index(s) for s in latents)
    try:
        slopes = [gradient(energy, s, a) for s, a in zip(latents, at, strict=True)]
        blocks = tuple(
            tuple(derivative(slopes[i], latents[j], twin[j]) for j in range(i + 1)) for i in range(len(latents))
        )
    except NoDerivative:
        return None
    if len(latents) == 1:
        pairs = list(zip(at[0], twin[0], strict=True))
        pieces = addends(blocks[0][0])
        if all(has_delta(p, a, b) for p in pieces for a, b in pairs):
            return Second(at, twin, ((add(*(without_deltas(p, pairs) for p in pieces)),),), True)
    return Second(at, twin, blocks, False)


@dataclass(frozen=True)
class Joint:
    """An energy of degree 2 in several latents as one vector: ``linear[i]`` over ``second.at[i]``, and its matrix."""

    latents: tuple[Symbol, ...]
    linear: tuple[Node, ...]
    second: Second

    @property
    def shared(self) -> bool:
        """One matrix for all samples."""
        return self.second.shared


def joint(energy: Node, latents: tuple[Symbol, ...]) -> Joint | None:
    """The quadratic form of ``energy`` in all latents as one vector, or None where its degree is not 2."""
    if degree(energy, frozenset(latents)) != 2:
        return None
    found = second(energy, latents)
    if found is None:
        return None
    slopes = [gradient(energy, s, a) for s, a in zip(latents, found.at, strict=True)]
    return Joint(latents, tuple(zeroed(g, latents) for g in slopes), found)
