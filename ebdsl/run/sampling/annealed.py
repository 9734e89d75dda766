"""The partition function by annealed importance sampling (Neal, Statistics and Computing 11, 2001)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ebdsl.run.sampling import kernels
from ebdsl.run.sampling.kernels import TARGETS, Chains, Potential, slope_of

PILOT = 0.2
"""Share of the temperatures that a first run goes through to find the step of each."""


@dataclass(frozen=True)
class Base:
    """Where chains begin: ``draw(n)`` gives states ``(n, *shape)`` of ``exp(-energy) / exp(log_z)``. ``scale`` is the
    length of each entry."""

    draw: Callable[[int], Tensor]
    energy: Potential
    log_z: float
    scale: Tensor


@dataclass(frozen=True)
class Annealed:
    """``log_z`` of ``exp(-U)`` with its standard ``error``; ``effective`` chains of ``chains`` bear the weight.

    ``states`` are where the chains came to.
    """

    log_z: float
    error: float
    effective: float
    chains: int
    states: Tensor


def gaussian(mean: Tensor, factor: Tensor, shape: tuple[int, ...], generator: torch.Generator) -> Base:
    """Normal with a Cholesky ``factor`` ``(d, d)`` of its covariance."""
    d = len(mean)
    log_z = 0.5 * d * math.log(2 * math.pi) + float(factor.diagonal().log().sum())

    def draw(n: int) -> Tensor:
        noise = torch.randn((n, d), generator=generator, dtype=mean.dtype, device=mean.device)
        return (mean + noise @ factor.T).reshape(n, *shape)

    def energy(y: Tensor) -> Tensor:
        apart = torch.linalg.solve_triangular(factor, (y.reshape(len(y), d) - mean).T, upper=False)
        return 0.5 * apart.square().sum(0)

    return Base(draw, energy, log_z, factor.square().sum(1).sqrt().reshape(shape))


def uniform(low: Tensor, high: Tensor, generator: torch.Generator) -> Base:
    """All of a box alike."""
    side = high - low

    def draw(n: int) -> Tensor:
        drawn = torch.rand((n, *low.shape), generator=generator, dtype=low.dtype, device=low.device)
        return low + side * drawn

    def energy(y: Tensor) -> Tensor:
        outside = ((y < low) | (y > high)).flatten(1).any(1)
        return torch.where(outside, math.inf, 0 * y.flatten(1).sum(1))

    return Base(draw, energy, float(side.log().sum()), side)


def bernoulli(mean: Tensor, generator: torch.Generator) -> Base:
    """Entries 0 and 1, each for itself."""
    odds = torch.logit(mean)

    def draw(n: int) -> Tensor:
        u = torch.rand((n, *mean.shape), generator=generator, dtype=mean.dtype, device=mean.device)
        return (u < mean).to(mean.dtype)

    def energy(y: Tensor) -> Tensor:
        return -(y * odds).flatten(1).sum(1)

    return Base(draw, energy, float(torch.nn.functional.softplus(odds).sum()), torch.ones_like(mean))


def anneal(
    potential: Potential, base: Base, generator: torch.Generator, *, chains: int = 256, temperatures: int = 500,
    discrete: bool = False,
) -> Annealed:  # fmt: skip
    """``log ∫ exp(-U)`` along ``(1 - t) U_0 + t U``: weights of chains that are moved at every ``t``.

    Continuous chains move by Hamiltonian dynamics, whose step at each ``t`` a first, shorter run has found, so that
    the run that counts does not adapt. Discrete ones by Gibbs sampling.
    """
    lengths: Callable[[float], float] | None = None
    if not discrete:
        lengths = _lengths(potential, base, generator, max(chains // 4, 16), max(int(PILOT * temperatures), 20))
    weights, y = _run(potential, base, generator, chains, temperatures, lengths, discrete)
    top = weights.max()
    shares = (weights - top).exp()
    log_z = base.log_z + float(top) + float(shares.mean().log())
    error = float(shares.std() / shares.mean()) / math.sqrt(chains)
    effective = float(shares.sum().square() / shares.square().sum())
    return Annealed(log_z, error, effective, chains, y)


def schedule(count: int) -> list[float]:
    """From 0 to 1, closer together at the ends."""
    ends = [1 / (1 + math.exp(-(8.0 * k / count - 4.0))) for k in range(count + 1)]
    return [(e - ends[0]) / (ends[-1] - ends[0]) for e in ends]


def _path(potential: Potential, base: Base, at: list[float]) -> Potential:
    def mixed(y: Tensor) -> Tensor:
        t = at[0]
        below = base.energy(y)
        return below if t == 0 else (1 - t) * below + t * potential(y) if t < 1 else potential(y) + 0 * below

    return mixed


def _lengths(
    potential: Potential, base: Base, generator: torch.Generator, chains: int, count: int
) -> Callable[[float], float]:
    """Steps at which the wanted share of proposals is accepted, by ``t``."""
    at, found = [0.0], []
    c = Chains(_path(potential, base, at), base.draw(chains), base.scale, generator, 0.2)
    for t in schedule(count)[1:]:
        at[0] = t
        for _ in range(3):
            c.value, c.slope = slope_of(c.potential, c.y)
            share = float(torch.nan_to_num(kernels.hmc(c)).mean())
            c.step = min(max(c.step * math.exp(0.5 * (share - TARGETS["hmc"])), 1e-5), 2.0)
        found.append((t, c.step))

    def length(t: float) -> float:
        return next((step for s, step in found if s >= t), found[-1][1])

    return length


def _run(
    potential: Potential, base: Base, generator: torch.Generator, chains: int, count: int,
    lengths: Callable[[float], float] | None, discrete: bool,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    at = [0.0]
    y = base.draw(chains)
    weights = torch.zeros(chains, dtype=torch.float64, device=y.device)
    steps = schedule(count)
    c: Chains | None = None
    for before, t in itertools.pairwise(steps):
        with torch.no_grad():
            weights += (t - before) * (base.energy(y) - potential(y)).double()
        at[0] = t
        if c is None:
            c = Chains(_path(potential, base, at), y, base.scale, generator, 1.0)
        if discrete:
            kernels.gibbs_binary(c)
        else:
            assert lengths is not None
            c.step = lengths(t)
            c.value, c.slope = slope_of(c.potential, c.y)
            kernels.hmc(c)
        y = c.y
    return weights, y
