"""Expectations over noise: written out where moments say all, else drawn, the same way every time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ebdsl.model.laws import LAWS, Law
from ebdsl.runtime.noise import mirrored_normal, mirrored_uniform
from tests.emit.compiled import Compiled, compile_spec

CODE = """
    observed y : R[3]
    noise    u ~ normal(0.5, 2) : R[2]
    noise    m ~ bernoulli(0.3) : R[3]
    param    W : R[3, 2], V : R[2, 3]
    F(y) = E[½||y - W (V (m ⊙ y) + u)||^2] + ||y||^4
"""
NETWORK = """
    observed y : R[3]
    noise    u ~ uniform(-1, 2) : R[2]
    module   Enc : R[3] -> R[2] = mlp(8, tanh)
    module   Dec : R[2] -> R[3] = mlp(8, tanh)
    F(y) = 2 E_u[||y - Dec(Enc(y) + 0.3 u)||^2] + ||Enc(y)||^2
"""


def at(c: Compiled, net: object, y: torch.Tensor, noise: dict[str, torch.Tensor]) -> torch.Tensor:
    """The energy by the naive interpreter's values, averaged over many draws ``(n, *shape)``."""
    from ebdsl.model import reference

    count = len(next(iter(noise.values())))
    values = c.values(net, {"y": y}, at=0)
    found = []
    for k in range(count):
        drawn = {c.model.symbol(n): x[k].numpy() for n, x in noise.items()}
        found.append(reference.energy(c.model, {**values, **drawn}, c.functions(net)))
    return torch.tensor(found, dtype=torch.float64)


def test_a_quadratic_needs_mean_and_variance_alone() -> None:
    c = compile_spec(CODE)
    assert len(c.plan.averaged) == 1 and not c.plan.inference
    net = c.randomise(c.build(), seed=1)
    y = c.observed(1, seed=2)["y"]
    values = {s.name: v for s, v in c.values(net, {"y": y}, at=0).items()}
    W, V, y0 = values["W"], values["V"], y[0].numpy()
    rng = np.random.default_rng(0)
    u = 0.5 + 2 * rng.standard_normal((400_000, 2))
    m = (rng.random((400_000, 3)) < 0.3).astype(float)
    drawn = 0.5 * ((y0 - ((m * y0) @ V.T + u) @ W.T) ** 2).sum(1) + (y0 @ y0) ** 2
    with torch.no_grad():
        free = float(net.free_energy(y)[0])
    assert free == pytest.approx(drawn.mean(), abs=5 * drawn.std() / len(drawn) ** 0.5)


def test_the_free_energy_is_that_of_fixed_draws() -> None:
    c = compile_spec(NETWORK)
    assert [d.rule for d in c.plan.inference] == ["Monte Carlo"]
    net = c.build(seed=3)
    y = c.observed(4, seed=2)["y"]
    with torch.no_grad():
        free, alone, found = net.free_energy(y), net.free_energy(y[2:3]), net.infer(y)
        terms = net.mean_terms(y)
        many = net.energy(y[:1].expand(200_000, -1), -1 + 3 * torch.rand(200_000, 2, dtype=torch.float64))
    assert torch.equal(free, net.free_energy(y).detach())
    torch.testing.assert_close(free[2:3], alone)  # whatever else is in the batch
    torch.testing.assert_close(found.energy, free)
    torch.testing.assert_close(sum(terms.values()), free)
    assert bool(found.converged.all()) and found.latents == {}
    assert abs(float(free[0] - many.mean())) < 3 * float(found.residual[0])
    wanted = at(c, net, y[:1], {"u": net.u_draws}).mean()
    assert float(free[0]) == pytest.approx(float(wanted), rel=1e-9)


def test_the_code_is_where_the_noise_has_its_mean() -> None:
    c = compile_spec(NETWORK)
    net = c.build(seed=3)
    y = c.observed(5, seed=2)["y"]
    with torch.no_grad():
        mean, spread = net.code(y)
        u = net.noise(y.repeat(20_000, 1), torch.Generator().manual_seed(0))["u"].reshape(20_000, 5, 2)
        codes = net.Enc(y) + 0.3 * u
    assert torch.allclose(mean, codes.mean(0), atol=0.01) and torch.allclose(spread, codes.std(0), atol=0.01)
    torch.testing.assert_close(net.decode(mean), net.reconstruct(y))


@pytest.mark.parametrize("kind", LAWS)
def test_draws_have_the_moments_that_the_law_states(kind: str) -> None:
    law = Law(kind, {"normal": (1.0, 2.0), "uniform": (-1.0, 3.0), "bernoulli": (0.3,)}[kind])
    generator = torch.Generator().manual_seed(0)
    draw = torch.rand if law.row.uniform else torch.randn
    x = eval(law.row.torch("base", *law.args), {"base": draw((200_000,), generator=generator), "torch": torch})
    assert float(x.mean()) == pytest.approx(law.mean, abs=0.02)
    assert float(x.var()) == pytest.approx(law.variance, rel=0.02)


def test_mirrored_draws() -> None:
    generator = torch.Generator().manual_seed(0)
    n = mirrored_normal((16, 5), generator, torch.float64)
    assert torch.allclose(n.mean(0), torch.zeros(5, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(n.square().mean(0), torch.ones(5, dtype=torch.float64))
    u = mirrored_uniform((16, 5), generator, torch.float64)
    assert torch.allclose(u.mean(0), torch.full((5,), 0.5, dtype=torch.float64)) and bool(((u > 0) & (u < 1)).all())
    assert torch.equal((u * 16).floor().sort(0).values, torch.arange(16.0)[:, None].expand(-1, 5).double())


def test_a_step_follows_the_slope_of_the_mean() -> None:
    """Fresh draws in every step: their mean gradient is that of the free energy."""
    c = compile_spec(NETWORK)
    net = c.build(seed=3)
    y = c.observed(3, seed=2)["y"]
    net.free_energy(y).mean().backward()
    exact = torch.cat([p.grad.flatten() for p in net.parameters()])
    learner = c.module.Learner(net, lr=0.0, seed=0)
    steps = []
    for _ in range(1500):
        learner.step({"y": y})
        steps.append(torch.cat([p.grad.flatten() for p in net.parameters()]))
    found = torch.stack(steps)
    assert torch.equal(steps[0], steps[0]) and not torch.equal(steps[0], steps[1])
    error = (found.mean(0) - exact).norm() / exact.norm()
    assert float(error) < 0.1
