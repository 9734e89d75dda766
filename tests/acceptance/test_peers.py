"""The shipped specs beside the specialists of scikit-learn, from the same start on the same data, in float64."""

from __future__ import annotations

import sys
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ebdsl import driver
from ebdsl.diagnostics import Source

pytest.importorskip("sklearn")

SPECS = Path(__file__).parents[2] / "specs"


def generated(name: str, text: str | None = None) -> types.ModuleType:
    """The module compiled from a shipped spec, or from text."""
    source = Source(f"{name}.ebm", text if text is not None else (SPECS / f"{name}.ebm").read_text(encoding="utf-8"))
    found = driver.compile_source(source)
    assert found.value is not None, [(d.code, d.message) for d in found.diagnostics]
    module = types.ModuleType(f"peer_{name}")
    sys.modules[module.__name__] = module
    exec(compile(found.value, f"<{name}>", "exec"), module.__dict__)
    return module


def put(parameter: torch.Tensor, value: Any) -> None:
    with torch.no_grad():
        parameter.copy_(torch.as_tensor(np.asarray(value), dtype=parameter.dtype))


def run(learner: Any, data: dict[str, torch.Tensor], most: int) -> dict[str, torch.Tensor]:
    """Step until the learner says that it has converged."""
    metrics: dict[str, torch.Tensor] = {}
    for _ in range(most):
        metrics = learner.step(data)
        if learner.converged:
            break
    return metrics


def blobs(count: int, dims: int, centres: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping Gaussians, and samples of them to start from."""
    rng = np.random.default_rng(seed)
    means = 2.0 * rng.standard_normal((centres, dims))
    y = means[rng.integers(centres, size=count)] + rng.standard_normal((count, dims))
    return y, y[rng.choice(count, centres, replace=False)]


@pytest.mark.parametrize(("dims", "centres", "seed"), [(2, 20, 0), (2, 5, 1), (10, 7, 2), (30, 3, 3)])
def test_kmeans(dims: int, centres: int, seed: int) -> None:
    from sklearn.cluster import KMeans

    y, start = blobs(600, dims, centres, seed)
    peer = KMeans(centres, init=start, n_init=1, max_iter=1000, tol=0, algorithm="lloyd").fit(y)
    module = generated("kmeans")
    net = module.build(D=dims, K=centres, dtype=torch.float64)
    put(net.W, start.T)
    data = {"y": torch.as_tensor(y)}
    run(module.Learner(net), data, 1000)
    found = net.infer(data["y"])
    assert float(found.energy.sum()) == pytest.approx(peer.inertia_, rel=1e-5)
    assert np.array_equal(found.latents["z"].argmax(1).numpy(), peer.labels_)
    assert np.allclose(net.W.detach().numpy().T, peer.cluster_centers_, atol=1e-8)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_kmeans_by_its_own_start(seed: int) -> None:
    """Started from the data it ends about as low as scikit-learn's best of ten."""
    from sklearn.cluster import KMeans

    y, _ = blobs(600, 2, 12, seed)
    module = generated("kmeans")
    data = {"y": torch.as_tensor(y)}
    lowest = np.inf
    for s in range(5):
        net = module.build(D=2, K=12, dtype=torch.float64)
        learner = module.Learner(net, seed=s)
        learner.start(data)
        run(learner, data, 1000)
        lowest = min(lowest, float(net.infer(data["y"]).energy.sum()))
    assert lowest <= 1.05 * KMeans(12, n_init=10, random_state=0).fit(y).inertia_


@pytest.mark.parametrize(("dims", "centres", "seed"), [(2, 5, 0), (4, 3, 1), (1, 4, 2)])
def test_gmm(dims: int, centres: int, seed: int) -> None:
    """EM from the same start: the same log-likelihood after every number of steps."""
    from sklearn.mixture import GaussianMixture

    y, means = blobs(500, dims, centres, seed)
    weights = np.random.default_rng(seed).dirichlet(5 * np.ones(centres))
    precisions = np.stack([np.eye(dims)] * centres)
    module = generated("gmm")
    for steps in (1, 5, 40):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            peer = GaussianMixture(
                centres, max_iter=steps, tol=0, reg_covar=1e-12, means_init=means, precisions_init=precisions,
                weights_init=weights,
            ).fit(y)  # fmt: skip
        net = module.build(D=dims, K=centres, dtype=torch.float64)
        for parameter, value in ((net.mu, means), (net.Lam, precisions), (net.pi, weights)):
            put(parameter, value)
        learner, data = module.Learner(net), {"y": torch.as_tensor(y)}
        for _ in range(steps):
            learner.step(data)
        likelihood = -net.free_energy(data["y"]).detach().numpy() - dims / 2 * np.log(2 * np.pi)
        assert likelihood.mean() == pytest.approx(peer.score(y), rel=1e-6, abs=1e-6)
        assert np.allclose(net.mu.detach().numpy(), peer.means_, atol=1e-4)
        assert np.allclose(net.pi.detach().numpy(), peer.weights_, atol=1e-5)
        shares = net.infer(data["y"]).latents["z"].numpy()
        assert np.allclose(shares, peer.predict_proba(y), atol=1e-4)


@pytest.mark.parametrize(("dims", "code", "seed"), [(2, 1, 0), (10, 3, 1), (20, 8, 2)])
def test_pca(dims: int, code: int, seed: int) -> None:
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(seed)
    y = rng.standard_normal((400, dims)) @ rng.standard_normal((dims, dims))
    y = y - y.mean(0)
    peer = PCA(code).fit(y)
    module = generated("pca")
    net = module.build(D=dims, K=code, dtype=torch.float64)
    data = {"y": torch.as_tensor(y)}
    run(module.Learner(net), data, 20)
    w = net.W.detach().numpy()
    assert np.allclose(w.T @ w, peer.components_.T @ peer.components_, atol=1e-8)
    wanted = ((y - peer.inverse_transform(peer.transform(y))) ** 2).sum(1).mean()
    assert float(net.free_energy(data["y"]).detach().mean()) == pytest.approx(wanted, rel=1e-10)


def lasso_gap(y: np.ndarray, w: np.ndarray, z: np.ndarray, weight: float, positive: bool) -> float:
    """The largest violation of the optimality condition of ‖y - W z‖² + weight |z|."""
    slope = 2 * (z @ w.T - y) @ w
    at_zero = np.maximum(-slope - weight, 0) if positive else np.maximum(np.abs(slope) - weight, 0)
    return float(np.where(z == 0, at_zero, np.abs(slope + weight * np.sign(z))).max())


@pytest.mark.parametrize(("name", "positive"), [("sparse_coding", False), ("sparse_mnist", True)])
@pytest.mark.parametrize(("dims", "atoms", "weight"), [(30, 60, 0.5), (144, 256, 0.5), (20, 10, 0.1)])
def test_sparse_codes(name: str, positive: bool, dims: int, atoms: int, weight: float) -> None:
    from sklearn.linear_model import Lasso

    rng = np.random.default_rng(dims)
    module = generated(name)
    net = module.build(M=dims, N=atoms, lam=weight, dtype=torch.float64)
    w = rng.standard_normal((dims, atoms))
    w = np.abs(w) if positive else w
    w /= np.linalg.norm(w, axis=0)
    put(net.W, w)
    codes = rng.standard_normal((6, atoms)) * (rng.random((6, atoms)) < 0.1)
    y = (np.abs(codes) if positive else codes) @ w.T + 0.05 * rng.standard_normal((6, dims))
    found = net.infer(torch.as_tensor(y))
    z = found.latents["z"].numpy()
    assert bool(found.converged.all())
    assert lasso_gap(y, w, z, weight, positive) < 1e-6
    peer = Lasso(
        alpha=weight / (2 * dims),
        fit_intercept=False,
        tol=1e-14,
        max_iter=100_000,
        positive=positive,
        selection="cyclic",
    )
    for i in range(6):
        wanted = peer.fit(w, y[i]).coef_
        energy = ((y[i] - w @ wanted) ** 2).sum() + weight * np.abs(wanted).sum()
        assert float(found.energy[i]) == pytest.approx(energy, rel=1e-9)
        assert np.abs(z[i] - wanted).max() < 1e-5


def test_ridge() -> None:
    """A penalised code in closed form, and penalised weights of a regression."""
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(0)
    text = """
        observed y : R[M]
        latent z : R[N]
        param W : R[M, N], unit columns
        const λ = 0.7
        E(y, z) = ||y - W z||^2 + λ||z||^2
        F(y) = min_z E(y, z)
    """
    net = generated("ridge_code", text).build(M=9, N=5, dtype=torch.float64)
    y = rng.standard_normal((4, 9))
    w = net.W.detach().numpy()
    peer = Ridge(alpha=0.7, fit_intercept=False).fit(w, y.T)
    assert np.allclose(net.infer(torch.as_tensor(y)).latents["z"].numpy(), peer.coef_, atol=1e-10)

    text = """
        observed x : R[P], y : R[M]
        param A : R[M, P]
        const λ = 0.02
        F(x, y) = ||y - A x||^2 + λ||A||^2
    """
    module = generated("ridge_regression", text)
    net = module.build(M=3, P=6, dtype=torch.float64)
    x, y = rng.standard_normal((50, 6)), rng.standard_normal((50, 3))
    module.Learner(net).step({"x": torch.as_tensor(x), "y": torch.as_tensor(y)})
    peer = Ridge(alpha=50 * 0.02, fit_intercept=False).fit(x, y)  # ours is a mean over samples, theirs a sum
    assert np.allclose(net.A.detach().numpy(), peer.coef_, atol=1e-10)


def test_linear_regression_with_intercept() -> None:
    from sklearn.linear_model import LinearRegression

    rng = np.random.default_rng(1)
    module = generated("regression", "observed x : R[P], y : R\nparam a : R[P], b : R\nF(x, y) = (y - a'x - b)^2\n")
    net = module.build(P=4, dtype=torch.float64)
    x = rng.standard_normal((60, 4)) + 3
    y = x @ rng.standard_normal(4) + 2 + 0.1 * rng.standard_normal(60)
    learner, data = module.Learner(net), {"x": torch.as_tensor(x), "y": torch.as_tensor(y)}
    for _ in range(3000):
        learner.step(data)
    peer = LinearRegression().fit(x, y)
    assert np.allclose(net.a.detach().numpy(), peer.coef_, atol=1e-6)
    assert float(net.b) == pytest.approx(peer.intercept_, abs=1e-5)


def test_nonnegative_factorisation_of_one_code() -> None:
    """A code with entries that are not negative, beside nonnegative least squares."""
    from scipy.optimize import nnls

    text = "observed y : R[M], >= 0\nlatent z : R[K], >= 0\nparam W : R[M, K], >= 0\nF(y) = min_z ||y - W z||^2\n"
    net = generated("factors", text).build(M=12, K=5, dtype=torch.float64)
    y = np.abs(np.random.default_rng(2).standard_normal((5, 12)))
    found = net.infer(torch.as_tensor(y))
    for i in range(5):
        wanted, distance = nnls(net.W.detach().numpy(), y[i])
        assert np.allclose(found.latents["z"][i].numpy(), wanted, atol=1e-6)
        assert float(found.energy[i]) == pytest.approx(distance**2, rel=1e-8)


def test_group_penalty() -> None:
    """Groups of the code beside a plain proximal loop."""
    text = """
        observed y : R[M]
        latent z : R[G, J]
        param W : R[M, G, J], unit filters
        const λ = 0.4
        E(y, z) = ||y - Σ_g W[:, g, :] z[g]||^2 + λ Σ_g ||z[g]||
        F(y) = min_z E(y, z)
    """
    net = generated("groups", text).build(M=10, G=6, J=3, dtype=torch.float64)
    w = net.W.detach().numpy().reshape(10, 18)
    rng = np.random.default_rng(3)
    y = rng.standard_normal((4, 10))
    found = net.infer(torch.as_tensor(y))
    step = 0.5 / np.linalg.norm(w, 2) ** 2
    z = np.zeros((4, 18))
    for _ in range(20000):
        v = (z - step * 2 * (z @ w.T - y) @ w).reshape(4, 6, 3)
        norm = np.linalg.norm(v, axis=-1, keepdims=True)
        z = (v * np.maximum(0, 1 - step * 0.4 / np.maximum(norm, 1e-300))).reshape(4, 18)
    assert np.allclose(found.latents["z"].reshape(4, 18).numpy(), z, atol=1e-6)
    groups = np.linalg.norm(z.reshape(4, 6, 3), axis=-1)
    assert ((groups == 0) == (found.latents["z"].norm(dim=-1).numpy() == 0)).all() and (groups == 0).any()


def test_logistic_regression() -> None:
    """Gradient learning to the minimum that liblinear's family finds in closed loops."""
    from sklearn.linear_model import LogisticRegression

    text = """
        observed x : R[P], y : {-1,1}
        param a : R[P]
        F(x, y) = log(1 + exp(-y (a'x))) + 0.05||a||^2
        train
            lr 0.02
    """
    rng = np.random.default_rng(4)
    x = rng.standard_normal((200, 5))
    y = np.where(x @ rng.standard_normal(5) + 0.5 * rng.standard_normal(200) > 0, 1.0, -1.0)
    module = generated("logistic", text)
    net = module.build(P=5, dtype=torch.float64)
    learner, data = module.Learner(net), {"x": torch.as_tensor(x), "y": torch.as_tensor(y)}
    for _ in range(1000):
        learner.step(data)
    peer = LogisticRegression(C=1 / (2 * 0.05 * 200), fit_intercept=False, tol=1e-10, max_iter=10_000).fit(x, y)
    assert np.allclose(net.a.detach().numpy(), peer.coef_[0], atol=1e-4)
