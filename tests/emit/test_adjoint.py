"""Gradients written out through convolutions, against autograd."""

from __future__ import annotations

import pytest
import torch

from ebdsl.runtime import convolution
from tests.emit.compiled import compile_spec

ENERGIES = {
    "channels": "||y - Σ_k D[k] * z[k]||^2 + 0.1 Σ_k |z[k]|",
    "with a ridge": "½||y - Σ_k D[k] * z[k]||^2 + 0.3||z||^2 + 0.1|z|",
    "each map alone": "Σ_k ||y - D[k] * z[k]||^2 + 0.1|z|",
    "twice": "||y - Σ_k D[k] * (D[k] * z[k])||^2 + 0.1|z|",
    "correlated": "Σ_k ||y - correlate(D[k], z[k])||^2 + Σ_{k,i,j} logcosh(z[k, i, j]) + 0.1|z|",
}


@pytest.mark.parametrize("name", ENERGIES)
def test_convolutions_are_differentiated(name: str) -> None:
    c = compile_spec(f"""
        observed y : R[6, 5]
        latent   z : R[3, 6, 5]
        param    D : R[3, 4, 3], unit filters
        E(y, z) = {ENERGIES[name]}
        F(y) = min_z E(y, z)
    """)
    assert "slope_of" not in c.text and "autograd.grad" not in c.text.split("def infer")[1].split("def free_energy")[0]
    net, given = c.randomise(c.build()), c.observed(3)
    answer = net.infer(**given)
    assert bool(answer.converged.all())
    z = answer.latents["z"].requires_grad_(True)
    net.energy(given["y"], z).sum().backward()
    assert z.grad is not None
    held = z.detach() != 0
    assert bool(held.any()) and float(z.grad[held].abs().max()) < 1e-6
    values = c.values(net, given, {"z": z.detach()})
    assert abs(c.energy(net, values) - float(answer.energy[0])) < 1e-9


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_channels_are_the_sum_of_convolutions(ndim: int) -> None:
    generator = torch.Generator().manual_seed(0)
    kernel = torch.randn((3, *(4, 3, 2)[:ndim]), dtype=torch.float64, generator=generator)
    x = torch.randn((2, 5, 3, *(6, 5, 4)[:ndim]), dtype=torch.float64, generator=generator)
    whole = convolution.convolve_channels(kernel, x, ndim)
    torch.testing.assert_close(whole, convolution.convolve(kernel, x, ndim).sum(2))
    alone = torch.stack([convolution.correlate(k, x[:, :, 0], ndim) for k in kernel], 2)
    torch.testing.assert_close(convolution.correlate(kernel, x[:, :, :1], ndim), alone)
