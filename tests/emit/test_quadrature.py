"""Integrals over few latents against integrals that are known, and the gradient of the free energy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate

from tests.emit.compiled import compile_spec

LAPLACE = """
    observed y : R
    latent   z : R
    F(y) = softmin_z[2] (y - z)^2 + 3|z - 0.7| + |z|
"""
POSITIVE = """
    observed y : R[2]
    latent   z : R[2], >= 0
    param    W : R[2, 2], unit columns
    F(y) = softmin_z[1] ||y - W z||^2 + Σ_k z[k]
"""
TWO = """
    observed y : R[2]
    latent   a : box(-1, 2), b : R
    F(y) = softmin_{a, b}[3] (y[0] - a b)^2 + (y[1] - b)^2 + 0.1 b^4
"""
CURVE = """
    observed y : R[2]
    latent   z : R[1]
    module   Dec : R[1] -> R[2] = mlp(8, tanh)
    F(y) = softmin_z[5] ||y - Dec(z)||^2 + 0.1||z||^2
"""


def test_one_number_with_kinks() -> None:
    c = compile_spec(LAPLACE)
    assert [d.rule for d in c.plan.inference] == ["quadrature"]
    net = c.build()
    y = torch.tensor([-1.0, 0.3, 40.0], dtype=torch.float64)
    with torch.no_grad():
        found, free = net.infer(y), net.free_energy(y)
    for i, value in enumerate(y.tolist()):

        def weight(z: float, value: float = value) -> float:
            low = min((value - s) ** 2 + 3 * abs(s - 0.7) + abs(s) for s in (value - 2, value, 0.7, 0))
            return math.exp(-2 * ((value - z) ** 2 + 3 * abs(z - 0.7) + abs(z) - low))

        low = min((value - s) ** 2 + 3 * abs(s - 0.7) + abs(s) for s in (value - 2, value, 0.7, 0))
        ends = (value - 15, value + 15)
        total = integrate.quad(weight, *ends, points=[0, 0.7, value - 2], limit=400)[0]
        mean = integrate.quad(lambda z, w=weight: z * w(z), *ends, points=[0, 0.7, value - 2], limit=400)[0] / total
        assert float(free[i]) == pytest.approx(low - math.log(total) / 2, abs=3e-4)
        assert float(found.latents["z"][i]) == pytest.approx(mean, abs=1e-3)
    assert bool(found.converged.all())


def test_an_orthant() -> None:
    c = compile_spec(POSITIVE)
    net = c.randomise(c.build(), seed=1)
    y = c.observed(2, seed=2)["y"]
    W = net.W.detach().numpy()
    with torch.no_grad():
        free = net.free_energy(y)
    for i in range(2):
        v = y[i].numpy()
        total = integrate.dblquad(
            lambda b, a, v=v: math.exp(-((v - W @ [a, b]) ** 2).sum() - a - b), 0, 12, 0, 12, epsabs=1e-10
        )[0]
        assert float(free[i]) == pytest.approx(-math.log(total), abs=1e-6)


def test_two_latents_and_a_box() -> None:
    c = compile_spec(TWO)
    net = c.build()
    y = torch.tensor([[0.5, 1.0], [-2.0, 0.1]], dtype=torch.float64)
    with torch.no_grad():
        free = net.free_energy(y)
    for i in range(2):
        v = y[i].numpy()
        total = integrate.dblquad(
            lambda b, a, v=v: math.exp(-3 * ((v[0] - a * b) ** 2 + (v[1] - b) ** 2 + 0.1 * b**4)), -1, 2, -6, 6
        )[0]
        assert float(free[i]) == pytest.approx(-math.log(total) / 3, abs=1e-6)


def test_three_latents() -> None:
    """A coupled quadratic with a quartic: the quartic's moments are those of a grid of ours, much finer."""
    text = """
        observed y : R[3]
        latent   z : R[3]
        F(y) = softmin_z[1] ||y - z||^2 + (z[0] - z[1])^2 + 0.3 (z[1] + z[2])^4
    """
    net = compile_spec(text).build()
    y = torch.tensor([[0.5, -1.0, 2.0]], dtype=torch.float64)
    side = torch.linspace(-7, 7, 181, dtype=torch.float64)
    grid = torch.cartesian_prod(side, side, side)
    with torch.no_grad():
        energy = torch.cat([net.energy(y.expand(len(x), -1), x) for x in grid.split(500_000)])
        free = net.free_energy(y)
    wanted = -(torch.logsumexp(-energy, 0) + 3 * math.log(float(side[1] - side[0])))
    assert float(free[0]) == pytest.approx(float(wanted), abs=2e-4)


def test_scales_and_places_are_found() -> None:
    """A peak a millionth wide, far from 0."""
    text = "observed y : R\nlatent z : R\nF(y) = softmin_z[1] 1e12 (y - z)^2 + 0.000001 |z|"
    net = compile_spec(text).build()
    y = torch.tensor([12345.0, -3e-3], dtype=torch.float64)
    with torch.no_grad():
        free = net.free_energy(y)
    wanted = -0.5 * math.log(math.pi / 1e12) + 1e-6 * y.abs()
    assert torch.allclose(free, wanted, atol=1e-6)


def test_an_integral_without_an_end_is_no_number() -> None:
    text = "observed y : R[2]\nlatent z : R\nF(y) = softmin_z[1] ||y||^2 + log(1 + z^2)"
    found = compile_spec(text).build().infer(torch.zeros(1, 2, dtype=torch.float64))
    assert not bool(found.converged.any()) and bool(found.energy.isnan().all())


def test_gradients_are_those_of_differences() -> None:
    c = compile_spec(CURVE)
    net = c.build(seed=1)
    y = c.observed(4, seed=2)["y"]
    weight = net.Dec[0].weight
    (slope,) = torch.autograd.grad(net.free_energy(y).sum(), weight)
    step = torch.zeros_like(weight)
    step[3, 0] = 1e-5
    with torch.no_grad():
        values = []
        for sign in (1, -1):
            weight += sign * step
            values.append(float(net.free_energy(y).sum()))
            weight -= sign * step
    assert float(slope[3, 0]) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5)


def test_learning_lowers_the_free_energy() -> None:
    c = compile_spec(CURVE)
    net = c.build(seed=1)
    x = np.linspace(-1, 1, 200)
    y = torch.as_tensor(np.stack([x, x**2], 1))
    learner = c.module.Learner(net, lr=0.01)
    with torch.no_grad():
        before = float(net.free_energy(y).mean())
    for _ in range(150):
        report = learner.step({"y": y})
    assert float(report["energy"]) < before - 0.1
    with torch.no_grad():
        assert float(net.free_energy(y).mean()) == pytest.approx(float(report["energy"]), abs=0.02)
