"""Learning steps: exact blocks never raise the energy, gradients are those of the free energy, steps resume."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from ebdsl import settings
from ebdsl.model.ir import Symbol
from ebdsl.runtime import projections
from tests.emit.compiled import Compiled, case
from tests.emit.corpus import CORPUS

LEARNED = [n for n, text in CORPUS.items() if "param " in text or "module " in text]


def ready(name: str, count: int = 12) -> tuple[Compiled, Any, Any, dict[str, torch.Tensor]]:
    """A model with random parameters, its learner and some data."""
    c = case(name)
    net = c.randomise(c.build(), seed=1)
    return c, net, c.module.Learner(net, seed=3), c.observed(count, seed=4)


def free_energy(c: Compiled, net: Any, data: dict[str, torch.Tensor]) -> float:
    """The mean over the samples, latents found to full accuracy."""
    args = [data[c.python(s)] for s in c.model.role("observed")]
    return float(net.infer(*args, tolerance=1e-12, max_steps=20000).energy.mean())


def domains_hold(c: Compiled, net: Any) -> None:
    for s in c.model.role("param"):
        value = getattr(net, c.python(s)).detach().numpy()
        contains = s.domain.row.contains
        assert np.isfinite(value).all()
        assert contains is None or contains(value, s.domain.args, 1e-8), s.name


@pytest.mark.parametrize("name", LEARNED)
def test_exact_learning_lowers_the_energy(name: str) -> None:
    """Ten steps on all data: monotone where every block is exact, and always within the parameters' domains."""
    c, net, learner, data = ready(name)
    if c.plan.schedule == "batches":
        assert not learner.full_batch
        for _ in range(3):
            learner.step(data)
            domains_hold(c, net)
        return
    assert learner.full_batch
    random = free_energy(c, net, data)
    learner.start(data)
    energies = []
    for _ in range(10):
        before = free_energy(c, net, data)
        metrics = learner.step(data)
        assert float(metrics["energy"]) == pytest.approx(before, rel=1e-7, abs=1e-7)
        energies.append(before)
        domains_hold(c, net)
    energies.append(free_energy(c, net, data))
    rises = np.diff(energies)
    assert (rises <= 1e-8 * np.maximum(1, np.abs(energies[:-1]))).all(), energies
    assert energies[-1] < random - 1e-6


@pytest.mark.parametrize("name", LEARNED)
def test_first_exact_step_on_a_batch(name: str) -> None:
    """Where all blocks are exact and go by batches, the first step is an exact one on its batch."""
    c, net, learner, data = ready(name)
    if (
        c.plan.schedule != "batches"
        or c.plan.modules
        or any(d.rule == "stochastic gradient" for _, d in c.plan.learning)
    ):
        return
    before = free_energy(c, net, data)
    learner.step(data)
    assert free_energy(c, net, data) <= before + 2e-3 * max(1.0, abs(before))


@pytest.mark.parametrize("name", LEARNED)
def test_learning_comes_to_rest(name: str) -> None:
    """What sees all data ends where no feasible move of any parameter lowers the free energy to first order."""
    c, net, learner, data = ready(name)
    if c.plan.schedule == "batches":
        return
    began = steepest(c, net, data)
    learner.start(data)
    for _ in range(300):
        learner.step(data)
        if learner.converged:
            break
    ended = steepest(c, net, data)
    assert all(ended[n] <= 1e-3 * max(began.values()) + 1e-4 for n in ended), (began, ended)


@pytest.mark.parametrize("name", LEARNED)
def test_the_first_exact_step_is_all_but_a_minimum(name: str) -> None:
    """On its batch, at the latents it was given: a search by autograd from there finds little more to gain."""
    c, net, learner, data = ready(name)
    inexact = c.plan.modules or any(d.rule == "stochastic gradient" for _, d in c.plan.learning)
    if c.plan.schedule != "batches" or inexact or c.plan.weights is not None or c.plan.statistics:
        return
    args = [data[c.python(s)] for s in c.model.role("observed")]
    loose = settings.training_accuracy(c.plan)
    found = net.infer(*args, tolerance=0.001 if loose is None else loose[0]).latents
    args += [found[c.python(s)] for s in c.model.role("latent")]
    params = [s for s in c.model.role("param") if any(s is w for w, _ in c.plan.learning)]

    def energy() -> torch.Tensor:
        return net.energy(*args).mean()

    before = energy().item()
    learner.step(data)
    after = energy().item()
    lowest = min(after, searched(c, net, params, energy))
    one = len(params) == 1 and c.plan.learning[0][1].rule != "exact slices"
    share = 1e-6 if one else 0.3  # several blocks, or slices, take turns: a sweep is no joint minimum
    assert after - lowest <= share * (before - lowest), (before, after, lowest)


@pytest.mark.parametrize("name", LEARNED)
def test_a_global_minimum_is_one(name: str) -> None:
    """No search by autograd from near it, nor from the random start, gets below what is called a global minimum."""
    c, net, learner, data = ready(name)
    if c.model.role("latent") or c.plan.modules or len(c.plan.learning) != 1:
        return
    if c.plan.learning[0][1].guarantee != "global":
        return
    (symbol,) = (s for s, _ in c.plan.learning)
    args = [data[c.python(s)] for s in c.model.role("observed")]
    parameter = getattr(net, c.python(symbol))

    def energy() -> torch.Tensor:
        return net.energy(*args).mean()

    random = parameter.detach().clone()
    learner.start(data)
    for _ in range(3):
        learner.step(data)
    after, answer = energy().item(), parameter.detach().clone()
    noise = torch.randn(answer.shape, dtype=answer.dtype, generator=torch.Generator().manual_seed(1))
    for start in (random, answer + 0.1 * noise):
        with torch.no_grad():
            parameter.copy_(start)
        assert after <= searched(c, net, [symbol], energy) + 1e-9 * max(1.0, abs(after))


def searched(c: Compiled, net: Any, params: list[Symbol], energy: Callable[[], torch.Tensor]) -> float:
    """The lowest energy that projected Adam finds, with a step that shrinks."""
    lowest = float("inf")
    optimiser = torch.optim.Adam([getattr(net, c.python(s)) for s in params], lr=0.02)
    for step in range(400):
        optimiser.param_groups[0]["lr"] = 0.02 * 0.99**step
        optimiser.zero_grad()
        energy().backward()
        optimiser.step()
        with torch.no_grad():
            for s in params:
                if s.domain.row.project:
                    getattr(net, c.python(s)).copy_(projected(s, getattr(net, c.python(s))))
        lowest = min(lowest, energy().item())
    return lowest


def steepest(c: Compiled, net: Any, data: dict[str, torch.Tensor]) -> dict[str, float]:
    """For each parameter the fastest descent of the mean free energy among 12 feasible directions, by differences."""
    rng = np.random.default_rng(9)
    result, h = {}, 1e-5
    here = free_energy(c, net, data)
    for s in c.model.role("param"):
        parameter, row = getattr(net, c.python(s)), s.domain.row
        at = parameter.detach().clone()
        sample = row.sample
        assert sample is not None
        slopes = [0.0]
        for _ in range(12):
            there = torch.as_tensor(np.asarray(sample(rng, c.shape(s), s.domain.args), dtype=float))
            if row.convex:
                moves = [at + h * (there - at)] + ([at - h * (there - at)] if s.domain.kind == "real" else [])
            else:
                moves = [projected(s, at + h * (there - at)), projected(s, at - h * (there - at))]
            for moved in moves:
                length = float((moved - at).norm())
                if length < 1e-3 * h:
                    continue
                with torch.no_grad():
                    parameter.copy_(moved)
                slopes.append((here - free_energy(c, net, data)) / length)
        with torch.no_grad():
            parameter.copy_(at)
        result[s.name] = max(slopes)
    return result


def projected(s: Symbol, x: torch.Tensor) -> torch.Tensor:
    """The nearest point of a domain, by the runtime's projection."""
    row = s.domain.row
    assert row.project is not None and row.torch is not None, s.domain.kind
    code = row.torch.format(*s.domain.args, x="x", ndim=x.ndim)
    return eval(code, {"x": x, **vars(projections)})  # a text of ours


@pytest.mark.parametrize("name", LEARNED)
def test_gradients(name: str) -> None:
    """What the optimiser is given is the derivative of the mean free energy: differences agree (envelope theorem)."""
    c, net, learner, data = ready(name, count=5)
    by_gradient = [s for s, d in c.plan.learning if d.rule == "stochastic gradient"]
    if not by_gradient and not c.plan.modules:
        return
    infer = net.infer
    net.infer = lambda *args, **options: infer(*args, **options | {"tolerance": 1e-12, "max_steps": 20000})
    initial = {k: v.clone() for k, v in net.state_dict().items()}
    learner.step(data)
    _steps_downhill(net, learner, initial, {c.python(s) for s in by_gradient if not s.domain.row.torch})
    found = {n: p.grad.clone() for n, p in net.named_parameters() if p.grad is not None}
    net.load_state_dict(initial)
    wanted = {c.python(s) for s in by_gradient}
    wanted |= {n for n, _ in net.named_parameters() if any(n.startswith(f"{c.python(m)}.") for m in c.plan.modules)}
    assert wanted == set(found)
    for p in net.parameters():
        assert p.grad is None or p.grad.stride() == p.stride(), "a fused step goes through both in the order of memory"
    rng = np.random.default_rng(6)
    for n, p in net.named_parameters():
        if n not in found:
            continue
        direction = torch.as_tensor(rng.standard_normal(tuple(p.shape)))
        if p.ndim >= 2 and any(c.python(s) == n and s.domain.row.definite for s in c.model.role("param")):
            direction = direction + direction.mT
        h, sides = 1e-5, []
        for sign in (-1, 1):
            with torch.no_grad():
                p.copy_(initial[n] + sign * h * direction)
            sides.append(free_energy(c, net, data))
        with torch.no_grad():
            p.copy_(initial[n])
        slope = (sides[1] - sides[0]) / (2 * h)
        said = float((found[n] * direction).sum())
        assert said == pytest.approx(slope, rel=1e-4, abs=1e-6), n


def _steps_downhill(net: Any, learner: Any, before: dict[str, torch.Tensor], names: set[str]) -> None:
    """Adam's first step is as long in every entry, and against its slope."""
    if type(learner.optimizer) is not torch.optim.Adam:
        return
    rate = learner.optimizer.param_groups[0]["lr"]
    for n, p in net.named_parameters():
        if n in names and p.grad is not None:
            step = (p.detach() - before[n])[p.grad.abs() > 1e-3]
            slope = p.grad[p.grad.abs() > 1e-3]
            torch.testing.assert_close(step, -rate * slope.sign(), rtol=1e-3, atol=1e-3 * rate)


@pytest.mark.parametrize("name", LEARNED)
def test_steps_resume_to_the_bit(name: str) -> None:
    """A learner made anew from its state takes the same steps."""
    c, net, learner, data = ready(name)
    batches = [c.observed(6, seed=s) for s in range(6)]
    if learner.full_batch:
        batches = [data] * 6
        learner.start(data)
    for b in batches[:3]:
        learner.step(b)
    weights = {k: v.clone() for k, v in net.state_dict().items()}
    state = {k: v.clone() for k, v in learner.state_dict().items()}
    assert all(isinstance(v, torch.Tensor) for v in state.values())
    straight = [learner.step(b) for b in batches[3:]]
    end = {k: v.clone() for k, v in net.state_dict().items()}
    other = c.build(seed=9)
    other.load_state_dict(weights)
    again = c.module.Learner(other, seed=3)
    again.load_state_dict(state)
    resumed = [again.step(b) for b in batches[3:]]
    for one, two in zip(straight, resumed, strict=True):
        assert list(one) == list(two)
        assert all(torch.equal(one[k], two[k]) for k in one)
    assert all(torch.equal(v, other.state_dict()[k]) for k, v in end.items())


@pytest.mark.parametrize("name", LEARNED)
def test_metrics(name: str) -> None:
    """The energy first, then every term; numbers without axes or gradients; terms add up under a minimum."""
    c, _, learner, data = ready(name)
    metrics = learner.step(data)
    assert next(iter(metrics)) == "energy"
    assert all(v.ndim == 0 and not v.requires_grad for v in metrics.values())
    terms = [float(v) for k, v in metrics.items() if k.startswith("energy/")]
    soft = c.model.eliminations and c.model.eliminations[0].kind == "softmin"
    if not soft:
        assert float(metrics["energy"]) == pytest.approx(sum(terms), rel=1e-9)
        rest = {k.removeprefix("energy/") for k in metrics if not k.startswith("residual/")}
        assert rest - {"energy"} == {t.text for t in c.model.terms}


@pytest.mark.parametrize("name", ["lasso", "prototypes_rows", "bottleneck", "ridge_code", "scalar_mixture", "decoder"])
def test_fit(name: str) -> None:
    """The loop of the generated file alone: seeded, reports once an epoch, and learns."""
    c = case(name)
    data = {k: v.float() for k, v in c.observed(30, seed=4).items()}
    free = {c.python(d): c.sizes[d] for d, size in c.model.dims.items() if size is None}
    results, said = [], []
    for _ in range(2):
        net = c.module.build(**free, seed=2)
        said = []
        c.module.fit(net, data, epochs=3, batch=8, seed=5, report=said.append)
        results.append({k: v.clone() for k, v in net.state_dict().items()})
    assert 1 <= len(said) <= 3
    assert all(torch.equal(v, results[1][k]) for k, v in results[0].items())


def test_a_state_with_one_sample() -> None:
    """A component that holds a single sample, or none, stays finite, in float32 as well."""
    from tests.emit.compiled import compile_spec

    c = compile_spec("""
        observed y : R[D]
        latent z : onehot[K]
        param μ : R[K, D]
        param Λ : R[K, D, D], positive definite
        param π : simplex[K]
        E(y, z) = Σ_k z_k (½ (y - μ[k])' Λ[k] (y - μ[k]) - ½ log det Λ[k] - log π_k)
        F(y) = softmin_z[1] E(y, z)
    """)
    y = torch.randn(30, 3, generator=torch.Generator().manual_seed(0))
    y = torch.cat([y, torch.full((1, 3), 40.0)])
    net = c.module.build(D=3, K=3)
    with torch.no_grad():
        net.mu.copy_(torch.tensor([[0.0, 0, 0], [40, 40, 40], [-400, 0, 0]]))
    learner = c.module.Learner(net)
    for _ in range(20):
        assert torch.isfinite(learner.step({"y": y})["energy"])
    assert all(torch.isfinite(p).all() for p in net.parameters())


def test_tight_components_far_away_keep_their_digits() -> None:
    """In float32, a component a thousand times as far away as it is wide has its energies and its precision."""
    from tests.emit.compiled import compile_spec

    c = compile_spec("""
        observed y : R[D]
        latent z : onehot[K]
        param μ : R[K, D]
        param Λ : R[K, D, D], positive definite
        param π : simplex[K]
        E(y, z) = Σ_k z_k (½ (y - μ[k])' Λ[k] (y - μ[k]) - ½ log det Λ[k] - log π_k)
        F(y) = softmin_z[1] E(y, z)
    """)
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(400, 3, generator=generator) + 1000 * torch.arange(2).repeat(200)[:, None]
    nets = []
    for dtype in (torch.float32, torch.float64):
        net = c.module.build(D=3, K=2, dtype=dtype)
        with torch.no_grad():
            net.mu.copy_(torch.tensor([[1.0, 0, 0], [1001, 1000, 1000]]))
        learner = c.module.Learner(net)
        for _ in range(3):
            learner.step({"y": y.to(dtype)})
        nets.append(net)
    single, double = nets
    torch.testing.assert_close(single.Lam.double(), double.Lam, rtol=2e-3, atol=2e-3)
    energies = [n.infer(y.to(n.mu.dtype)).energy.double() for n in nets]
    torch.testing.assert_close(*energies, rtol=2e-3, atol=5e-3)


@pytest.mark.parametrize("name", LEARNED)
def test_pieces_are_as_good_as_the_whole(name: str) -> None:
    """An update from data collected a piece at a time is that from all of them; changed data are seen."""
    c, net, learner, data = ready(name)
    if not learner.full_batch or not hasattr(learner, "collect"):
        return
    learner.start(data)
    learner.step(data)
    weights, state = {k: v.clone() for k, v in net.state_dict().items()}, learner.state_dict()
    metrics = learner.step(data)
    whole = {k: v.clone() for k, v in net.state_dict().items()}
    net.load_state_dict(weights)
    other = c.module.Learner(net, seed=3)
    other.load_state_dict(state)
    for part in (slice(0, 5), slice(5, 6), slice(6, None)):
        other.collect({k: v[part] for k, v in data.items()})
    again = other.finish()
    for k, v in metrics.items():
        torch.testing.assert_close(again[k], v, rtol=1e-9, atol=1e-9)
    for k, v in net.state_dict().items():
        torch.testing.assert_close(v, whole[k], rtol=1e-7, atol=1e-9)
    stale = c.module.Learner(net, seed=3)
    stale.step(data)
    for v in data.values():
        v.mul_(0.5)
    before = free_energy(c, net, data)
    assert float(stale.step(data)["energy"]) == pytest.approx(before, rel=1e-7, abs=1e-7)
