"""Shipped specs against scikit-learn, from the same start on the same data."""

from __future__ import annotations

import types
import warnings

import numpy as np
import pytest
import torch

from ebdsl import driver
from ebdsl.diagnostics import Source
from ebdsl.resources import folder

sklearn = pytest.importorskip("sklearn")
DOUBLE = torch.float64


@pytest.fixture(autouse=True)
def _quiet() -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def generated(name: str, **sizes: int) -> types.ModuleType:
    """The generated file of a shipped spec as a module."""
    path = folder("specs") / f"{name}.ebm"
    model = driver.check_source(Source(path.name, path.read_text(encoding="utf-8"))).value
    assert model is not None
    plan = driver.plan(model.bind(sizes)).value
    assert plan is not None
    module = types.ModuleType(f"generated_{name}")
    exec(compile(driver.emit(plan), f"{name}.py", "exec"), module.__dict__)
    return module


def steps(learner: object, data: torch.Tensor, most: int) -> None:
    for _ in range(most):
        learner.step({"y": data})  # type: ignore[attr-defined]
        if learner.converged:  # type: ignore[attr-defined]
            return


def test_kmeans_reaches_the_inertia_of_kmeans() -> None:
    from sklearn.cluster import KMeans

    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 2))
    start = x[rng.choice(1000, 20, replace=False)]
    g = generated("kmeans", D=2)
    model = g.build(D=2, dtype=DOUBLE)
    model.W.data.copy_(torch.tensor(start.T))
    steps(g.Learner(model), torch.tensor(x), 300)
    peer = KMeans(20, init=start, n_init=1, tol=0, max_iter=300).fit(x)
    assert model.infer(torch.tensor(x)).energy.sum().item() == pytest.approx(peer.inertia_, rel=1e-5)


def test_gmm_reaches_the_likelihood_of_gaussian_mixture() -> None:
    from sklearn.mixture import GaussianMixture

    rng = np.random.default_rng(1)
    clouds = ((0.5, (0, 0)), (1.0, (4, 0)), (0.3, (0, 4)), (0.7, (-4, 0)), (0.4, (3, -4)))
    x = np.concatenate([rng.normal(size=(300, 2)) * s + c for s, c in clouds])
    means = x[rng.choice(len(x), 5, replace=False)]
    g = generated("gmm", D=2)
    model = g.build(D=2, dtype=DOUBLE)
    model.mu.data.copy_(torch.tensor(means))
    model.Lam.data.copy_(torch.eye(2, dtype=DOUBLE).expand(5, 2, 2))
    model.pi.data.fill_(0.2)
    learner = g.Learner(model)
    for _ in range(60):
        learner.step({"y": torch.tensor(x)})
    peer = GaussianMixture(
        5,
        means_init=means,
        precisions_init=np.tile(np.eye(2), (5, 1, 1)),
        weights_init=np.full(5, 0.2),
        reg_covar=1e-12,
        max_iter=60,
        tol=0,
    ).fit(x)
    ours = -model.free_energy(torch.tensor(x)).mean().item() - np.log(2 * np.pi)
    assert ours == pytest.approx(peer.score(x), abs=1e-8)


def test_pca_finds_the_subspace_of_pca() -> None:
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(2)
    x = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6))
    x -= x.mean(0)
    g = generated("pca", D=6)
    model = g.build(D=6, K=3, dtype=DOUBLE)
    g.fit(model, {"y": torch.tensor(x)}, report=None)
    w = model.W.detach().numpy()
    axes = PCA(3).fit(x).components_
    np.testing.assert_allclose(w.T @ w, axes.T @ axes, atol=1e-9)


@pytest.mark.parametrize("spec, positive, weight", [("sparse_coding", False, 0.5), ("sparse_mnist", True, 0.2)])
def test_sparse_codes_are_those_of_lasso(spec: str, positive: bool, weight: float) -> None:
    from sklearn.linear_model import Lasso

    rng = np.random.default_rng(3)
    m = 64
    g = generated(spec, M=m)
    model = g.build(M=m, lam=weight, dtype=DOUBLE)
    x = rng.normal(size=(12, m)) * 0.5
    found = model.infer(torch.tensor(x))
    w, z = model.W.detach().numpy(), found.latents["z"].numpy()
    lasso = Lasso(alpha=weight / (2 * m), fit_intercept=False, positive=positive, tol=1e-14, max_iter=100_000)
    np.testing.assert_allclose(z, np.stack([lasso.fit(w, sample).coef_ for sample in x]), atol=1e-5)
    assert bool(found.converged.all())
    slope = 2 * (z @ w.T - x) @ w
    on = np.abs(slope + weight * np.sign(z)) * (z != 0)
    off = np.maximum((-slope if positive else np.abs(slope)) - weight, 0) * (z == 0)
    assert max(on.max(), off.max()) < 1e-6
