"""Sweeps over all data with codes that are kept: the energy never rises, and ends where independent solvers end."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import pytest
import torch

from ebdsl import driver, explain
from ebdsl.plan import Plan
from tests.emit.compiled import load, planned

NMF = """
    observed y : R[M]
    latent z : R[K], >= 0
    param W : R[M, K], >= 0, unit columns
    E(y, z) = ||y - W z||^2
    F(y) = min_z E(y, z)
"""
SPECS = {
    "nonnegative": NMF,
    "sparse nonnegative": NMF.replace("||y - W z||^2", "½||y - W z||^2 + 0.2|z|"),
    "dictionary": """
        observed x : R[M]
        latent c : R[K]
        param D : R[M, K], unit columns
        const λ = 0.3
        E(x, c) = λ|c| + (x - D c)'(x - D c)
        F(x) = min_c E(x, c)
    """,
    "bounded": NMF.replace("z : R[K], >= 0", "z : box(0, 1)[K]").replace(", unit columns", ""),
    "rows with an offset": """
        observed Y : R[P, M]
        latent Z : R[P, K], >= 0
        param W : R[K, M]
        param b : R[M]
        E(Y, Z) = Σ_p ||Y[p] - W' Z[p] - b||^2 + 0.1 Σ_{p,k} Z[p, k] + 0.01||W||^2
        F(Y) = min_Z E(Y, Z)
    """,
}


def compiled(text: str, **sizes: int) -> tuple[Plan, Any]:
    plan = planned("".join(f"dim {name} = {size}\n" for name, size in sizes.items()) + textwrap.dedent(text))
    return plan, load(driver.emit(plan))


def samples(n: int, m: int, k: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    parts = rng.random((m, k)) * (rng.random((m, k)) < 0.5)
    amounts = rng.exponential(size=(n, k)) * (rng.random((n, k)) < 0.4)
    return np.abs(amounts @ parts.T + 0.1 * rng.standard_normal((n, m)))


@pytest.mark.parametrize("name", SPECS)
def test_the_energy_never_rises_and_is_that_of_the_codes(name: str) -> None:
    """Sweep by sweep in float64; at the end the kept codes are those that exact inference finds."""
    plan, file = compiled(SPECS[name], M=7, K=4, **({"P": 3} if "P" in SPECS[name] else {}))
    assert plan.sweeps is not None
    shape = (60, 3, 7) if "P" in SPECS[name] else (60, 7)
    y = torch.as_tensor(samples(60 * (len(shape) == 3) * 2 + 60, 7, 4)).reshape(shape)
    model = file.build(dtype=torch.float64, seed=1)
    learner = file.learner(model, 60)
    (observed,), (latent,) = model.OBSERVED, model.LATENT
    learner.start({observed: y})
    before = np.inf
    while not learner.converged and learner.steps < 150:
        energy = float(learner.step({observed: y})["energy"])
        assert energy <= before * (1 + 1e-12)
        kept = getattr(learner, latent)
        assert energy == pytest.approx(float(model.energy(y, kept).detach().mean()), rel=1e-12)
        before = energy
    exact = model.infer(y, tolerance=1e-10)
    assert bool(exact.converged.all())
    assert before == pytest.approx(float(exact.energy.mean()), rel=1e-4)


def test_parts_are_as_good_as_those_of_scikit_learn() -> None:
    from sklearn.decomposition import NMF as Peer

    y = samples(300, 12, 5)
    peer = Peer(5, init="nndsvd", tol=1e-6, max_iter=3000, random_state=0).fit(y)
    _, file = compiled(NMF, K=5)
    model = file.build(M=12, dtype=torch.float64)
    learner = file.learner(model, 300)
    learner.start({"y": torch.as_tensor(y)})
    while not learner.converged and learner.steps < 100:
        learner.step({"y": torch.as_tensor(y)})
    found = model.infer(torch.as_tensor(y)).energy.sum()
    assert float(found) <= peer.reconstruction_err_**2 * 1.005


def test_a_dictionary_of_few_samples_ends_lower_than_by_batches() -> None:
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((12, 20))
    truth /= np.linalg.norm(truth, axis=0)
    y = torch.as_tensor((rng.laplace(size=(400, 20)) * (rng.random((400, 20)) < 0.2)) @ truth.T)
    _, file = compiled(SPECS["dictionary"], K=20)
    energies = []
    for kind in ("learner", "Learner"):
        model = file.build(M=12, dtype=torch.float64)
        learner = file.learner(model, 400) if kind == "learner" else file.Learner(model)
        for epoch in range(40):
            order = torch.randperm(400, generator=torch.Generator().manual_seed(epoch))
            for part in [y] if learner.full_batch else [y[i] for i in order.split(100)]:
                learner.step({"x": part})
        energies.append(float(model.infer(y).energy.mean()))
    assert energies[0] <= energies[1] * 1.01


def test_a_slice_that_no_code_uses_is_used_again() -> None:
    _, file = compiled(NMF, K=3)
    y = torch.as_tensor(samples(200, 6, 3))
    model = file.build(M=6, dtype=torch.float64)
    learner = file.learner(model, 200)
    with torch.no_grad():
        model.W.copy_(torch.eye(6, 3))
        y[:, 2] = 0  # nobody needs the third part
    for _ in range(3):
        learner.step({"y": y})
    assert bool((learner.z.amax(0) > 0).all())


def test_codes_are_kept_over_an_interruption() -> None:
    _, file = compiled(NMF, K=3)
    y = torch.as_tensor(samples(100, 6, 3))
    found = []
    for interrupted in (False, True):
        model = file.build(M=6)
        learner = file.learner(model, 100)
        learner.start({"y": y.float()})
        for step in range(6):
            if interrupted and step == 3:
                state = {k: v.clone() for k, v in learner.state_dict().items()}
                learner = file.learner(model, 100)
                learner.load_state_dict(state)
            learner.step({"y": y.float()})
        found.append((model.W.detach().clone(), learner.z.clone()))
    assert all(map(torch.equal, *found))


def test_many_samples_and_batches_that_were_asked_for_go_by_batches() -> None:
    plan, file = compiled(NMF, M=20, K=5)
    assert plan.sweeps is not None
    assert isinstance(file.learner(file.build(), plan.sweeps.samples + 1), file.Learner)
    assert compiled(NMF + "\n    train\n        batch 32\n")[0].sweeps is None
    assert "sweeps over all data" in explain.text(plan)


@pytest.mark.parametrize(
    "text",
    [
        NMF.replace("z : R[K], >= 0", "z : simplex[K]"),  # entries are tied
        NMF.replace("||y - W z||^2", "||y - W z||^2 + 0.1||z||").replace("z : R[K], >= 0", "z : R[K]"),  # in a group
        NMF.replace("||y - W z||^2", "||y - W z||^2 + Σ_{i,k} W[i, k]^4"),  # no exact minimum
    ],
)
def test_what_has_no_minimum_entry_by_entry_goes_by_batches(text: str) -> None:
    assert compiled(text, M=5, K=3)[0].sweeps is None
