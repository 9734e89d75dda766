"""A step of Langevin dynamics on the energy of a trained network: ours, torchebm's and one by hand.

All three move the same number of chains by the same rule on the same network; the stationary variance of ours on a
quadratic is compared with its closed form, 1 / (1 - α/2), beside.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from bench.rounds import Row, clock, interleave, library
from ebdsl import driver
from ebdsl.diagnostics import Source
from ebdsl.run.load import load
from ebdsl.run.sampling import kernels
from ebdsl.run.sampling.kernels import Chains
from ebdsl.run.sampling.sampler import still

SPEC = """
model network
observed y : R[D]
module f : R[D] -> R = mlp({width}, {width}, silu)
F(y) = f(y)
train
    strategy score_matching
"""
SIZES = {"small": (2, 64, 256), "large": (64, 256, 1024)}
STEPS = 200


def run(quick: bool, threads: int) -> tuple[list[Row], dict[str, Any]]:
    rows: list[Row] = []
    for name, (d, width, chains) in SIZES.items():
        rows += compare(name, d, width, chains, quick, threads)
    return rows, {"variance over its closed form": round(variance(), 4)}


def compare(name: str, d: int, width: int, chains: int, quick: bool, threads: int) -> list[Row]:
    found = driver.compile_source(Source("network.ebm", SPEC.format(width=width)), {"D": d})
    assert found.value is not None, found.diagnostics
    model = load(found.value).build(D=d)
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(chains, d, generator=generator)
    steps, size = 20 if quick else STEPS, 0.05
    rounds = 1 if quick else 7

    def ours(_: int) -> Tensor:
        with still(model):
            c = Chains(model.free_energy, start, torch.ones(d), generator, size)
            for _ in range(steps):
                kernels.langevin(c)
            return c.y

    def by_hand(_: int) -> Tensor:
        y = start
        for _ in range(steps):
            y = y.detach().requires_grad_(True)
            (slope,) = torch.autograd.grad(model.f(y).sum(), y)
            with torch.no_grad():
                y = y - size**2 * slope + math.sqrt(2) * size * torch.randn(y.shape, generator=generator)
        return y.detach()

    peers = {"by hand": by_hand}
    theirs = torchebm(model, start, steps, size**2)
    if theirs is not None:
        peers["torchebm LangevinDynamics"] = theirs
    rows = []
    for peer, work in peers.items():
        ours(0), work(0)
        mine, other = interleave(ours, work, rounds, clock(threads))
        rows.append(Row(f"{name} network, {chains} chains, {steps} steps", mine, other, peer, limit=1.0))
    return rows


def torchebm(model: Any, start: Tensor, steps: int, step_size: float) -> Any:
    """Theirs on the same network; None where it is not installed."""
    core, samplers = library("torchebm.core"), library("torchebm.samplers")
    if not core:
        return None

    class Energy(core.BaseModel):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.f = model.f

        def forward(self, x: Tensor) -> Tensor:
            return self.f(x).squeeze(-1)

    sampler = samplers.LangevinDynamics(Energy(), step_size=step_size)
    return lambda _: sampler.sample(x=start, n_steps=steps)


def variance() -> float:
    """Of 4,000 chains on ½|y|², over 1 / (1 - α/2)."""
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(4000, 8, generator=generator)
    alpha = 0.2
    c = Chains(lambda y: 0.5 * y.square().sum(1), start, torch.ones(8), generator, math.sqrt(alpha))
    total = 0.0
    for k in range(150):
        kernels.langevin(c)
        total += float(c.y.var()) if k >= 50 else 0.0
    return total / 100 * (1 - alpha / 2)
