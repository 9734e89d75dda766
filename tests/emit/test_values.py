"""What a generated file computes is what the naive interpreter computes, term by term and sample by sample."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from ebdsl.model import reference
from tests.emit.compiled import Compiled, case
from tests.emit.corpus import CORPUS, FINITE

SOFT = [n for n, text in FINITE.items() if "min_" not in text or "softmin" in text]


def latent_values(c: Compiled, count: int) -> dict[str, torch.Tensor]:
    return c.draw("latent", count, seed=5)


def call(c: Compiled, method: object, *batches: dict[str, torch.Tensor]) -> object:
    """A method of the model with observed and latents in the order of the spec."""
    order = [c.python(s) for role in ("observed", "latent") for s in c.model.role(role)]
    found = {k: v for batch in batches for k, v in batch.items()}
    return method(*(found[n] for n in order if n in found))  # type: ignore[operator]


@pytest.mark.parametrize("name", CORPUS)
def test_terms_and_energy(name: str) -> None:
    c = case(name)
    net = c.randomise(c.build(), seed=1)
    y, z = c.observed(3, seed=2), latent_values(c, 3)
    with torch.no_grad():
        terms, energy = call(c, net.terms, y, z), call(c, net.energy, y, z)
    assert energy.shape == (3,) and energy.dtype == torch.float64
    for i in range(3):
        values = c.values(net, y, z, at=i)
        wanted = c.terms(net, values)
        assert set(terms) == set(wanted)
        for text, value in wanted.items():
            assert terms[text].shape == (3,)
            assert float(terms[text][i]) == pytest.approx(value, rel=1e-9, abs=1e-9), text
        assert float(energy[i]) == pytest.approx(sum(wanted.values()), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", FINITE)
def test_energies_of_all_states(name: str) -> None:
    """``state_energies`` and the free energy, by trying all values."""
    c = case(name)
    net = c.randomise(c.build(), seed=1)
    y = c.observed(3, seed=2)
    with torch.no_grad():
        table, free = call(c, net.state_energies, y), call(c, net.free_energy, y)
        found = call(c, net.infer, y)
    latents = c.model.role("latent")
    points = [list(reference.points(s, c.sizes)) for s in latents]
    assert table.shape == (3, *(len(p) for p in points))
    for i in range(3):
        values = c.values(net, y, at=i)
        wanted = np.empty(table.shape[1:])
        for place in itertools.product(*(range(len(p)) for p in points)):
            state = {s: p[k] for s, p, k in zip(latents, points, place, strict=True)}
            wanted[place] = c.energy(net, {**values, **state})
        if all(s.domain.kind == "onehot" and len(s.shape) == 1 for s in latents):
            assert np.allclose(table[i].numpy(), wanted, rtol=1e-9, atol=1e-9)
        assert np.allclose(np.sort(table[i].numpy().ravel()), np.sort(wanted.ravel()), rtol=1e-9, atol=1e-9)
        expected = reference.free_energy(c.model, values, c.functions(net))
        assert float(free[i]) == pytest.approx(expected, rel=1e-9, abs=1e-9)
        assert float(found.energy[i]) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert bool(found.converged.all())


@pytest.mark.parametrize("name", SOFT)
def test_responsibilities(name: str) -> None:
    """``infer`` under softmin answers with the mean of the latent: its values weighted by exp(-β E)."""
    c = case(name)
    net = c.randomise(c.build(), seed=1)
    y = c.observed(2, seed=2)
    found = call(c, net.infer, y)
    latents = c.model.role("latent")
    points = [list(reference.points(s, c.sizes)) for s in latents]
    beta_node = c.model.eliminations[0].beta
    for i in range(2):
        values = c.values(net, y, at=i)
        beta = reference.evaluate(beta_node, values, sizes=dict(c.sizes)) if beta_node is not None else 1.0
        total, mean = 0.0, dict.fromkeys(latents, 0.0)
        for state in itertools.product(*points):
            weight = np.exp(-beta * c.energy(net, {**values, **dict(zip(latents, state, strict=True))}))
            total += weight
            for s, v in zip(latents, state, strict=True):
                mean[s] = mean[s] + weight * v
        for s in latents:
            assert np.allclose(found.latents[c.python(s)][i].numpy(), mean[s] / total, atol=1e-9)


@pytest.mark.parametrize("name", CORPUS)
@pytest.mark.parametrize("count", [0, 1])
def test_few_samples(name: str, count: int) -> None:
    """One sample and none are batches like any other."""
    c = case(name)
    net = c.randomise(c.build(), seed=1)
    y, z = c.observed(count, seed=2), latent_values(c, count)
    with torch.no_grad():
        assert call(c, net.energy, y, z).shape == (count,)
        assert call(c, net.free_energy, y).shape == (count,)
    found = call(c, net.infer, y)
    assert found.energy.shape == found.residual.shape == found.iterations.shape == found.converged.shape == (count,)
    for s in c.model.role("latent"):
        assert found.latents[c.python(s)].shape == (count, *c.shape(s))
