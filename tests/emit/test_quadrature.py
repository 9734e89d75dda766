"""Integrals over few latents against integrals that are known, and the gradient of the free energy."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

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
        assert float(free[i]) == pytest.approx(low - math.log(total) / 2, abs=5e-7)
        assert float(found.latents["z"][i]) == pytest.approx(mean, abs=2e-6)
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
        assert float(free[i]) == pytest.approx(-math.log(total) / 3, abs=3e-5)


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


def log_integral(f: Callable[[float], float], places: list[float]) -> float:
    """``log ∫ exp(-f)`` by scipy between the places and a little around them, which hold all kinks and minima."""
    low = min(map(f, places))
    cuts = sorted({p + s * w for p in places for s in (-1, 0, 1) for w in (1e-4, 1e-3, 1e-2, 0.1, 1, 10)})
    parts = (integrate.quad(lambda z: math.exp(low - f(z)), a, b, epsabs=1e-15)[0] for a, b in pairwise(cuts))
    return math.log(sum(parts)) - low


@pytest.mark.parametrize("dtype, off", [(torch.float64, 1e-6), (torch.float32, 2e-5)])
def test_kinks_anywhere(dtype: torch.dtype, off: float) -> None:
    """Kinks that no panel ends at, also close to the end of one, where a panel by itself does not see them."""
    net = compile_spec("observed y : R[3]\nlatent z : R\nF(y) = softmin_z[1] y[0] |z - y[1]| + y[2] z^2").build()
    rng = np.random.default_rng(0)
    y = np.stack(
        [
            10 ** rng.uniform(0, 3 if dtype == torch.float64 else 2, 40),
            rng.normal(size=40),
            10 ** rng.uniform(0, 2, 40),
        ],
        1,
    )
    y[0] = (6.447, 0.12573, 1.2077)
    found = net.to(dtype).infer(torch.as_tensor(y, dtype=dtype))
    assert bool(found.converged.all())
    for (a, c, b), value in zip(torch.as_tensor(y, dtype=dtype).tolist(), found.energy.tolist(), strict=True):
        wanted = -log_integral(lambda z, a=a, b=b, c=c: a * abs(z - c) + b * z * z, [0.0, c])
        assert value == pytest.approx(wanted, abs=off * (1 + abs(wanted) / 10))


@pytest.mark.parametrize("beta", [1.0, 1e2, 1e4, 1e6, 1e8])
def test_both_wells_however_narrow(beta: float) -> None:
    """At β = 1e8 the wells are 5e-5 wide, and 16 apart; a learning step averages over the same nodes."""
    text = f"""
        observed y : R
        latent   z : R
        param    a : R
        F(y) = softmin_z[{beta:.0f}] 0.001 ((z - a)^2 - 64)^2 + 0.1 (y - a)^2
    """
    c = compile_spec(text)
    net = c.build()
    with torch.no_grad():
        net.a.fill_(0.3)
    y = torch.zeros(1, dtype=torch.float64)
    found = net.infer(y)
    sign = 0.1 * 0.09 * beta
    one = log_integral(lambda x: 0.001 * beta * (x * (x + 16)) ** 2, [0.0]) if beta > 100 else None
    wanted = sign - (one + math.log(2) if one is not None else log_integral(
        lambda x: 0.001 * beta * (x * x - 64) ** 2, [-8.0, -4.0, 0.0, 4.0, 8.0]))  # fmt: skip
    assert bool(found.converged.all())
    assert beta * float(found.energy) == pytest.approx(wanted, abs=1e-6 + 1e-15 * beta)
    assert float(found.latents["z"]) == pytest.approx(0.3, abs=2e-5)  # half of the probability in each well
    report = c.module.Learner(net, lr=1e-9).step({"y": y})
    assert np.isfinite(float(report["energy"]))


def test_what_a_grid_does_not_resolve_is_not_called_converged() -> None:
    """A ridge across the axes, 0.002 wide, is none for 64 nodes a side."""
    net = compile_spec(
        "observed y : R\nlatent z : R[2]\nF(y) = softmin_z[1] 100000 (z[0] - z[1])^2 + (z[0] - y)^4"
    ).build()
    found = net.infer(torch.zeros(1, dtype=torch.float64))
    assert not bool(found.converged.any()) and float(found.residual) > 1e-4


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
