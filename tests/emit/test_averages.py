"""Softmins in closed form, against closed forms put together from values of the naive interpreter."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch

from ebdsl.model import reference
from ebdsl.model.ir import Symbol
from tests.emit.averages import ELIMINATED, GAUSSIAN
from tests.emit.compiled import Compiled, case

Array = np.ndarray


def ready(name: str, count: int = 3) -> tuple[Compiled, Any, dict[str, torch.Tensor]]:
    c = case(name)
    return c, c.randomise(c.build(), seed=1), c.observed(count, seed=2)


def arguments(c: Compiled, y: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    return [y[c.python(s)] for s in c.model.role("observed")]


def beta_of(c: Compiled, values: dict[Symbol, Array]) -> float:
    (step,) = c.model.eliminations
    return 1.0 if step.beta is None else reference.evaluate(step.beta, values, sizes=c.sizes)


def by_state(c: Compiled, net: Any, y: dict[str, torch.Tensor], i: int) -> tuple[list[Any], float]:
    """For each value of the finite latents: its values, ``log ∫``, mean and covariance; and β.

    A quadratic is known from its values at zero, at the unit vectors and at their sums.
    """
    values = c.values(net, y, at=i)
    beta = beta_of(c, values)
    finite = [s for s in c.model.role("latent") if s.domain.row.finite]
    smooth = [s for s in c.model.role("latent") if s not in finite]
    shapes = [c.shape(s) for s in smooth]
    cuts = np.cumsum([math.prod(s) for s in shapes])
    n = int(cuts[-1])
    found = []
    for chosen in itertools.product(*(list(reference.points(s, dict(c.sizes))) for s in finite)):

        def energy(x: Array, chosen: tuple[Array, ...] = chosen) -> float:
            parts = [p.reshape(s) for p, s in zip(np.split(x, cuts[:-1]), shapes, strict=True)]
            here = {**values, **dict(zip(finite, chosen, strict=True)), **dict(zip(smooth, parts, strict=True))}
            return c.energy(net, here)

        eye, zero = np.eye(n), energy(np.zeros(n))
        up, down = np.array([energy(e) for e in eye]), np.array([energy(-e) for e in eye])
        bend = np.diag(up + down - 2 * zero)
        for a, b in itertools.combinations(range(n), 2):
            bend[a, b] = bend[b, a] = energy(eye[a] + eye[b]) - up[a] - up[b] + zero
        mean = -np.linalg.solve(bend, (up - down) / 2)
        log = -beta * energy(mean) - 0.5 * np.linalg.slogdet(beta * bend / (2 * math.pi))[1]
        found.append((chosen, log, mean, np.linalg.inv(beta * bend)))
    return found, beta


@pytest.mark.parametrize("name", GAUSSIAN)
def test_gaussian_integrals(name: str) -> None:
    """Free energies, posterior means and covariances, with and without finite latents beside."""
    c, net, y = ready(name)
    assert (c.rule, c.guarantee) == ("Gaussian integral", "exact")
    found = net.infer(*arguments(c, y))
    assert bool(found.converged.all())
    energies = net.free_energy(*arguments(c, y)).detach()
    for i in range(3):
        states, beta = by_state(c, net, y, i)
        logs = np.array([log for _, log, _, _ in states])
        shares = np.exp(logs - np.logaddexp.reduce(logs))
        assert float(found.energy[i]) == pytest.approx(-np.logaddexp.reduce(logs) / beta, rel=1e-9, abs=1e-9)
        assert float(energies[i]) == pytest.approx(float(found.energy[i]), rel=1e-12)
        whole = sum(w * mean for w, (_, _, mean, _) in zip(shares, states, strict=True))
        smooth = [s for s in c.model.role("latent") if not s.domain.row.finite]
        answer = np.concatenate([found.latents[c.python(s)][i].numpy().ravel() for s in smooth])
        np.testing.assert_allclose(answer, whole, rtol=1e-8, atol=1e-9)
        for k, s in enumerate(s for s in c.model.role("latent") if s.domain.row.finite):
            expected = sum(w * chosen[k] for w, (chosen, _, _, _) in zip(shares, states, strict=True))
            np.testing.assert_allclose(found.latents[c.python(s)][i].numpy(), expected, rtol=1e-8, atol=1e-9)
        if len(smooth) == 1 and name not in ("averaged_offset", "averaged_rows"):
            covariance = found.posterior[f"{c.python(smooth[0])}_covariance"][i].numpy()
            expected = np.array([cov for _, _, _, cov in states]).reshape(covariance.shape)
            np.testing.assert_allclose(covariance, expected, rtol=1e-8, atol=1e-10)
        elif name == "averaged_offset":
            np.testing.assert_allclose(found.posterior["z_covariance"][i], np.diag(states[0][3]), rtol=1e-8)


@pytest.mark.parametrize("name", GAUSSIAN)
def test_gradient_of_the_free_energy(name: str) -> None:
    """What autograd gives through ``free_energy`` is the derivative of what ``infer`` says."""
    c, net, y = ready(name)
    slopes = torch.autograd.grad(net.free_energy(*arguments(c, y)).sum(), list(net.parameters()))
    rng = np.random.default_rng(3)
    for p, slope in zip(net.parameters(), slopes, strict=True):
        direction = torch.as_tensor(rng.standard_normal(tuple(p.shape)))
        if p.ndim >= 2 and "q" in dict(net.named_parameters()) and p is net.q:
            direction = direction + direction.mT
        start, sides = p.detach().clone(), []
        for h in (-1e-5, 1e-5):
            with torch.no_grad():
                p.copy_(start + h * direction)
                sides.append(float(net.infer(*arguments(c, y)).energy.sum()))
                p.copy_(start)
        assert float((slope * direction).sum()) == pytest.approx((sides[1] - sides[0]) / 2e-5, rel=1e-5, abs=1e-7)


def test_a_matrix_that_is_not_definite_is_not_answered() -> None:
    """Parameters may leave the region in which the integral exists: then nothing has converged."""
    c, net, y = ready("switched_precision")
    with torch.no_grad():
        net.q.copy_(-2 * torch.eye(4, dtype=torch.float64))
    found = net.infer(*arguments(c, y))
    assert bool(found.energy.isnan().all()) and not bool(found.converged.any())


# --------------------------------------------------------------------------- elimination


@pytest.mark.parametrize("name", ELIMINATED)
def test_elimination_is_enumeration(name: str) -> None:
    """Free energies, answers and posteriors of single sites, against all values tried in numpy."""
    c, net, y = ready(name, count=2)
    assert c.rule == "variable elimination"
    found = net.infer(*arguments(c, y))
    latents = c.model.role("latent")
    choices = [np.array(list(reference.points(s, dict(c.sizes)))) for s in latents]
    places = np.array(list(itertools.product(*(range(len(x)) for x in choices))))
    tried = {
        c.python(s): torch.as_tensor(x[places[:, k]]) for k, (s, x) in enumerate(zip(latents, choices, strict=True))
    }
    free = net.free_energy(*arguments(c, y)).detach()
    for i in range(2):
        given = [v[i : i + 1].expand(len(places), *v.shape[1:]) for v in arguments(c, y)]
        energies = net.energy(*given, *tried.values()).detach().numpy()
        at = int(energies.argmin())
        values = c.values(net, y, {k: v[at : at + 1].expand(2, *v.shape[1:]) for k, v in tried.items()}, at=i)
        assert energies[at] == pytest.approx(c.energy(net, values), rel=1e-9)
        if c.model.eliminations[0].kind == "min":
            assert float(found.energy[i]) == pytest.approx(energies[at], rel=1e-12)
            expected = {k: v[at].numpy() for k, v in tried.items()}
        else:
            beta = beta_of(c, values)
            total = np.logaddexp.reduce(-beta * energies)
            assert float(found.energy[i]) == pytest.approx(-total / beta, rel=1e-10)
            shares = np.exp(-beta * energies - total)
            expected = {k: np.tensordot(shares, v.numpy(), 1) for k, v in tried.items()}
        assert float(free[i]) == pytest.approx(float(found.energy[i]), rel=1e-10)
        for k, z in expected.items():
            np.testing.assert_allclose(found.latents[k][i].numpy(), z, rtol=1e-8, atol=1e-9)


def test_a_long_chain_is_planned_by_its_structure() -> None:
    """Ten thousand steps: as quick to plan as forty, and 3^10000 values frighten nobody."""
    from tests.emit.compiled import planned

    text = """
        observed y : R[10000]
        latent   s : onehot[10000, 3]
        param    A : R[3, 3], m : R[3]
        E(y, s) = Σ_t Σ_k s[t, k] (y_t - m_k)^2 + Σ_t s[t]' A s[t+1] + ||A||^2
        F(y) = min_s E(y, s)
    """
    (decision,) = planned(text).inference
    assert decision.rule == "variable elimination" and "Viterbi" in decision.algorithm
    assert "10000 variables" in decision.cost
