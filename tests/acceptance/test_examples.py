"""The examples outside of the talk do what the field's own programs do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import ebdsl

EXAMPLES = Path(ebdsl.__file__).parents[1] / "examples"


def example(name: str, **settings) -> ebdsl.Spec:
    return ebdsl.load(EXAMPLES / f"{name}.ebm", **settings)


# ---------------------------------------------------------------------- averages over latents


def factor_data(n: int = 1000, d: int = 8, k: int = 3, seed: int = 0) -> np.ndarray:
    """Measurements of ``k`` factors, each with its own noise."""
    rng = np.random.default_rng(seed)
    loadings, noise = rng.standard_normal((d, k)), rng.uniform(0.3, 1, d)
    return rng.standard_normal((n, k)) @ loadings.T + rng.standard_normal((n, d)) * noise + rng.standard_normal(d)


def test_factor_analysis_reaches_the_likelihood_of_scikit_learn() -> None:
    from sklearn.decomposition import FactorAnalysis

    y = factor_data()
    spec = example("factor_analysis").fit(y, seed=0, device="cpu", epochs=1000)
    theirs = FactorAnalysis(3, svd_method="lapack", tol=1e-9, max_iter=5000).fit(y)
    ours = -float(np.mean(spec.free_energy(y))) - (8 + 3) / 2 * np.log(2 * np.pi)
    assert ours == pytest.approx(theirs.score(y), abs=2e-4)


def test_probabilistic_pca_has_its_closed_form() -> None:
    """Tipping & Bishop 1999: the noise is the mean of the dropped eigenvalues, the subspace that of the others."""
    y = factor_data()
    spec = example("probabilistic_pca").fit(y, seed=0, device="cpu", epochs=2000)
    values, vectors = np.linalg.eigh(np.cov(y.T, bias=True))
    noise = values[:-2].mean()
    net = spec.module()
    assert net.sigma2.item() == pytest.approx(noise, rel=1e-3)
    w = net.W.detach().numpy()
    kept = vectors[:, -2:]
    expected = kept @ np.diag(values[-2:] - noise) @ kept.T
    np.testing.assert_allclose(w @ w.T, expected, atol=2e-3 * np.abs(expected).max())


def hidden_chains(count: int, length: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Observations ``(count, length)`` of three states that mostly stay, and the states."""
    rng = np.random.default_rng(2)
    moves = np.array([[0.9, 0.1, 0.0], [0.0, 0.9, 0.1], [0.1, 0.0, 0.9]])
    states = np.zeros((count, length), dtype=int)
    for t in range(1, length):
        draws = rng.random(count)
        states[:, t] = (draws[:, None] > moves[states[:, t - 1]].cumsum(1)).sum(1)
    return np.array([-3.0, 0.0, 3.0])[states] + rng.standard_normal(states.shape), states


def test_hidden_markov_recovers_its_states_and_their_moves() -> None:
    """Baum-Welch comes out of the algebra: the free energy never rises, means and moves are found."""
    y, states = hidden_chains(300)
    spec = example("hidden_markov").fit(y, seed=3, device="cpu", epochs=100)
    falls = np.diff([row["energy"] for row in spec.history])
    assert (falls <= 1e-4).all()
    net = spec.module()
    order = net.mu.detach().numpy().argsort()
    np.testing.assert_allclose(net.mu.detach().numpy()[order], [-3, 0, 3], atol=0.15)
    np.testing.assert_allclose(net.A.detach().numpy()[np.ix_(order, order)].diagonal(), 0.9, atol=0.03)
    said = np.asarray(spec.infer(y)["s"])[:, :, order].argmax(2)
    assert (said == states).mean() > 0.93


# ---------------------------------------------------------------------- along time


def test_trend_filtering_is_hodrick_and_prescotts() -> None:
    """Against a dense solve of ``(I + λ D'D) x = y``; more than one length with one spec."""
    rng = np.random.default_rng(0)
    for steps in (30, 200):
        y = np.cumsum(rng.standard_normal((5, steps)), 1)
        d = np.diff(np.eye(steps), 2, axis=0)
        found = example("trend_filtering").fit(y, device="cpu").infer(y)["x"]
        np.testing.assert_allclose(found, np.linalg.solve(np.eye(steps) + 1600 * d.T @ d, y.T).T, atol=1e-2)


def test_time_is_solved_step_by_step() -> None:
    for name in ("trend_filtering", "kalman_smoothing"):
        said = example(name).explain()
        assert "block tridiagonal Cholesky along T" in said and "the global minimum" in said and "linear in T" in said


# ---------------------------------------------------------------------- pictures


def test_poisson_image_editing_is_the_sparse_solve() -> None:
    """Pérez, Gangnet & Blake 2003, equation 7: the discrete Poisson equation within, the target's values around it."""
    from scipy.sparse import csr_matrix, diags, eye, kron
    from scipy.sparse.linalg import spsolve

    rng = np.random.default_rng(0)
    h, w = 40, 31
    y, g = np.cumsum(rng.standard_normal((2, 3, h, w)), 2)
    m = np.zeros((3, h, w))
    m[0, 8:30, 5:22] = 1
    m[1] = (np.add.outer((np.arange(h) - 20) ** 2, (np.arange(w) - 15) ** 2) < 150) & (rng.random((h, w)) < 0.97)
    m[2, :12] = 1  # up to the picture's edge: nothing pulls there
    spec = example("poisson_image_editing", H=h, W=w)
    said = spec.explain()
    assert "conjugate gradients" in said and "the global minimum" in said
    found = spec.module().double().infer(*(torch.from_numpy(a) for a in (y, g, m)))
    assert bool(found.converged.all())
    differences = [diags([-np.ones(n), np.ones(n - 1)], [0, 1], shape=(n - 1, n)) for n in (h, w)]
    laplace = kron(differences[0].T @ differences[0], eye(w)) + kron(eye(h), differences[1].T @ differences[1])
    for k in range(3):
        inside = diags(m[k].ravel())
        outside = eye(h * w) - inside
        matrix = csr_matrix(inside @ laplace + outside)
        wanted = spsolve(matrix, inside @ (laplace @ g[k].ravel()) + outside @ y[k].ravel()).reshape(h, w)
        np.testing.assert_allclose(found.latents["x"][k].numpy(), wanted, atol=1e-6)


@pytest.mark.parametrize(
    "name", [p.stem for p in sorted(EXAMPLES.glob("*.ebm")) if "    data " in p.read_text("utf-8")]
)
def test_an_example_trains_on_the_data_that_it_names(name: str) -> None:
    net = example(name).fit(seed=0, device="cpu", epochs=1).module()
    assert all(bool(torch.isfinite(p).all()) for p in net.parameters())
