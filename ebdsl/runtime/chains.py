"""Chains of a model's samples, for generated learners. Torch only; copied into generated files by name.

Each gives states ``(B, *shape)`` near ``exp(-β F)`` and a report of 0-dim tensors.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def langevin_chain(
    free_energy: Callable[..., Tensor],
    y: Tensor,
    given: tuple[Tensor, ...],
    generator: torch.Generator,
    steps: int,
    step_size: float | Tensor,
    beta: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """``y ← y - α∇F(y) + √(2α/β) ξ``, ``steps`` times: near ``exp(-β F)`` for small α.

    Also which share of the last squared move is noise: none at temperature zero, where a chain only descends.
    """
    spread = (2 * step_size / beta) ** 0.5
    for _ in range(steps):
        y = y.detach().requires_grad_(True)
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(free_energy(y, *given).sum(), y)
        noise = torch.randn(y.shape, generator=generator, device=y.device, dtype=y.dtype)
        y = y.detach() - step_size * slope + spread * noise
    kick, drift = (spread * noise).square().sum(), (step_size * slope).square().sum()
    return y.detach(), {"chain noise": kick / (kick + drift)}


def mala_chain(
    free_energy: Callable[..., Tensor],
    y: Tensor,
    given: tuple[Tensor, ...],
    generator: torch.Generator,
    steps: int,
    step_size: float | Tensor,
    beta: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Steps of :func:`langevin_chain`, each accepted or refused (Roberts & Tweedie 1996): exact at any α.

    Also which share of the proposals was accepted.
    """
    spread = (2 * step_size / beta) ** 0.5
    energy, slope = energy_and_slope(free_energy, y, given)
    accepted = torch.zeros((), dtype=y.dtype, device=y.device)
    for _ in range(steps):
        noise = torch.randn(y.shape, generator=generator, device=y.device, dtype=y.dtype)
        to = y - step_size * slope + spread * noise
        there, rise = energy_and_slope(free_energy, to, given)
        back = (y - to + step_size * rise) / spread
        chance = beta * (energy - there) + 0.5 * (noise.square() - back.square()).flatten(1).sum(1)
        (y, slope, energy), share = metropolis((y, slope, energy), (to, rise, there), chance, generator)
        accepted += share / steps
    return y, {"chain acceptance": accepted}


def hmc_chain(
    free_energy: Callable[..., Tensor],
    y: Tensor,
    given: tuple[Tensor, ...],
    generator: torch.Generator,
    steps: int,
    step_size: float | Tensor,
    beta: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Hamiltonian dynamics on ``β F``: five leaps of about ``√(2α/β)``, accepted or refused (Neal 2011).

    Their length differs from move to move, so that no orbit closes.

    Also which share of the proposals was accepted.
    """
    length = (2 * step_size / beta) ** 0.5
    energy, slope = energy_and_slope(free_energy, y, given)
    accepted = torch.zeros((), dtype=y.dtype, device=y.device)
    for _ in range(steps):
        start = torch.randn(y.shape, generator=generator, device=y.device, dtype=y.dtype)
        momentum, to, there, rise = start, y, energy, slope
        leap = length * (0.6 + 0.6 * torch.rand((), generator=generator, device=y.device, dtype=y.dtype))
        for _ in range(5):
            momentum = momentum - 0.5 * leap * beta * rise
            to = to + leap * momentum
            there, rise = energy_and_slope(free_energy, to, given)
            momentum = momentum - 0.5 * leap * beta * rise
        chance = beta * (energy - there) + 0.5 * (start.square() - momentum.square()).flatten(1).sum(1)
        (y, slope, energy), share = metropolis((y, slope, energy), (to, rise, there), chance, generator)
        accepted += share / steps
    return y, {"chain acceptance": accepted}


def metropolis(
    here: tuple[Tensor, Tensor, Tensor],
    there: tuple[Tensor, Tensor, Tensor],
    log_chance: Tensor,
    generator: torch.Generator,
) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
    """States, slopes and energies after each chain has gone ``there`` with its chance, and the share that has."""
    y, slope, energy = here
    drawn = torch.rand(len(y), generator=generator, device=y.device, dtype=y.dtype)
    go = drawn.log() < log_chance
    wide = go.reshape(-1, *[1] * (y.ndim - 1))
    to, rise, other = there
    return (
        (torch.where(wide, to, y), torch.where(wide, rise, slope), torch.where(go, other, energy)),
        go.to(y.dtype).mean(),
    )


def energy_and_slope(free_energy: Callable[..., Tensor], y: Tensor, given: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """``F(y)`` ``(B,)`` and its gradient in y, without a graph."""
    y = y.detach().requires_grad_(True)
    with torch.enable_grad():
        energy = free_energy(y, *given)
        (slope,) = torch.autograd.grad(energy.sum(), y)
    return energy.detach(), slope


@torch.no_grad()
def gibbs_chain(
    free_energy: Callable[..., Tensor],
    y: Tensor,
    given: tuple[Tensor, ...],
    generator: torch.Generator,
    sweeps: int,
    beta: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Entries 0 and 1 drawn in turn from ``exp(-β F)`` given all others, ``sweeps`` times over all.

    Also which share of them the last sweep has flipped.
    """
    flat = y.flatten(1).clone()
    before = flat
    for _ in range(sweeps):
        before = flat.clone()
        for k in range(flat.shape[1]):
            flat[:, k] = 1
            on = free_energy(flat.reshape(y.shape), *given)
            flat[:, k] = 0
            off = free_energy(flat.reshape(y.shape), *given)
            drawn = torch.rand(len(flat), generator=generator, device=y.device, dtype=y.dtype)
            flat[:, k] = (drawn < torch.sigmoid(beta * (off - on))).to(y.dtype)
    return flat.reshape(y.shape), {"chain flips": (flat != before).to(y.dtype).mean()}
