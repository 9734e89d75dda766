"""Moves of chains ``(C, *shape)`` that leave ``exp(-U)`` as it is, or nearly. All chains move at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

Potential = Callable[[Tensor], Tensor]
"""``U(y)``, ``(C,)``: inverse temperature times energy, infinite outside of the domain."""

TARGETS = {"mala": 0.574, "hmc": 0.8}
"""Shares of accepted proposals at which a chain moves fastest (Roberts & Rosenthal 1998; Beskos et al. 2013)."""


def slope_of(potential: Potential, y: Tensor) -> tuple[Tensor, Tensor]:
    """``U`` and its gradient."""
    y = y.detach().requires_grad_(True)
    with torch.enable_grad():
        value = potential(y)
        (slope,) = torch.autograd.grad(value.sum(), y)
    return value.detach(), slope


@dataclass
class Chains:
    """Where the chains are. ``scale`` ``(*shape)`` is the length of each entry, ``step`` a share of it.

    ``accepted`` and ``moves`` count since they were last set to zero.
    """

    potential: Potential
    y: Tensor
    scale: Tensor
    generator: torch.Generator
    step: float
    value: Tensor = field(init=False)
    slope: Tensor = field(init=False)
    accepted: Tensor = field(init=False)
    moves: int = 0

    def __post_init__(self) -> None:
        self.value, self.slope = slope_of(self.potential, self.y)
        self.accepted = torch.zeros((), dtype=self.y.dtype, device=self.y.device)
        self.noise = torch.empty_like(self.y)

    def normal(self) -> Tensor:
        """Standard normal numbers, in a buffer that the next call overwrites."""
        return self.noise.normal_(generator=self.generator)

    def choose(self, y: Tensor, value: Tensor, slope: Tensor, log_ratio: Tensor) -> Tensor:
        """Go to ``y`` where the test of Metropolis says so. Returns the chances ``(C,)``."""
        log_ratio = torch.nan_to_num(log_ratio, nan=-math.inf)
        drawn = torch.rand(len(y), generator=self.generator, dtype=y.dtype, device=y.device).log_()
        go = (drawn < log_ratio) & torch.isfinite(value)
        wide = go.reshape(-1, *[1] * (y.ndim - 1))
        self.y = torch.where(wide, y, self.y)
        self.slope = torch.where(wide, slope, self.slope)
        self.value = torch.where(go, value, self.value)
        self.accepted += go.to(y.dtype).mean()
        self.moves += 1
        return log_ratio.clamp_max(0).exp()

    def rate(self) -> float:
        """The share of proposals that was accepted."""
        return float(self.accepted) / max(self.moves, 1)

    def forget(self) -> None:
        self.accepted.zero_()
        self.moves = 0


def _rows(x: Tensor) -> Tensor:
    return x.flatten(1).sum(1) if x.ndim > 1 else x


def langevin(c: Chains) -> None:
    """``y ← y - α∇U + √(2α) ξ`` with ``α = (step · scale)²``, never refused: exact as α goes to zero."""
    length = c.step * c.scale
    c.y = (c.y - length.square() * c.slope).addcmul_(length.expand_as(c.y), c.normal(), value=math.sqrt(2))
    c.value, c.slope = slope_of(c.potential, c.y)
    c.accepted += 1
    c.moves += 1


def mala(c: Chains) -> Tensor:
    """A step of Langevin dynamics, accepted or refused (Roberts & Tweedie 1996): exact at any step."""
    alpha = (c.step * c.scale).square()
    noise = c.normal().clone()
    y = c.y - alpha * c.slope + (2 * alpha).sqrt() * noise
    value, slope = slope_of(c.potential, y)
    back = (c.y - y + alpha * slope) / (2 * alpha).sqrt()
    return c.choose(y, value, slope, c.value - value + 0.5 * (_rows(noise.square()) - _rows(back.square())))


def hmc(c: Chains, leaps: int = 8) -> Tensor:
    """Hamiltonian dynamics by leapfrog, accepted or refused (Neal 2011); its length varies, so that no orbit closes."""
    momentum = c.normal().clone()
    start = 0.5 * _rows(momentum.square())
    jitter = 0.8 + 0.4 * float(torch.rand((), generator=c.generator, device=c.y.device))
    size = c.step * jitter * c.scale
    y, slope = c.y, c.slope
    momentum = momentum - 0.5 * size * slope
    for leap in range(leaps):
        y = y + size * momentum
        value, slope = slope_of(c.potential, y)
        momentum = momentum - (size if leap + 1 < leaps else 0.5 * size) * slope
    return c.choose(y, value, slope, c.value - value + start - 0.5 * _rows(momentum.square()))


def gibbs_binary(c: Chains) -> None:
    """Every entry 0 or 1 drawn in turn, given all others."""
    flat = c.y.flatten(1).clone()
    before = flat.clone()
    for k in range(flat.shape[1]):
        flat[:, k] = 1
        on = c.potential(flat.reshape(c.y.shape))
        flat[:, k] = 0
        off = c.potential(flat.reshape(c.y.shape))
        drawn = torch.rand(len(flat), generator=c.generator, dtype=flat.dtype, device=flat.device)
        flat[:, k] = (drawn < torch.sigmoid(off - on)).to(flat.dtype)
    _drawn(c, flat, before)


def gibbs_choice(c: Chains) -> None:
    """Every choice ``(…, K)`` drawn in turn, given all others."""
    states = c.y.shape[-1]
    picks = c.y.reshape(len(c.y), -1, states).clone()
    before = picks.clone()
    eye = torch.eye(states, dtype=picks.dtype, device=picks.device)
    for k in range(picks.shape[1]):
        values = []
        for state in range(states):
            picks[:, k] = eye[state]
            values.append(c.potential(picks.reshape(c.y.shape)))
        drawn = torch.multinomial(torch.softmax(-torch.stack(values, 1), 1), 1, generator=c.generator)[:, 0]
        picks[:, k] = eye[drawn]
    _drawn(c, picks, before)


def _drawn(c: Chains, now: Tensor, before: Tensor) -> None:
    """For chains that never refuse, the rate is the share of entries that changed."""
    c.accepted += (now != before).to(now.dtype).mean()
    c.moves += 1
    c.y = now.reshape(c.y.shape)
    c.value = c.potential(c.y)
