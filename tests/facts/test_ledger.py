"""The convention ledger against scikit-learn: the same numbers must give the same answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ebdsl import driver
from ebdsl.diagnostics import Source
from ebdsl.facts.ledger import ledger, penalised
from ebdsl.run.load import load

SPEC = """model m
dim M = 6, N = 4
observed y : R[M]
latent z : R[N]{domain}
param W : R[M, N]
const λ = 0.3, μ = 0.2
E(y, z) = {energy}
F(y) = {free} E(y, z)
"""


def text(energy: str, free: str = "min_z", domain: str = "") -> str:
    return SPEC.format(energy=energy, free=free, domain=domain)


def checked(spec: str):
    model = driver.check_source(Source("m.ebm", spec)).value
    assert model is not None
    return model


def answers(spec: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    plan = driver.plan_source(Source("m.ebm", spec), allow_flat=True).value
    network = load(driver.emit(plan)).build(seed=0, dtype=torch.float64)
    y = np.random.default_rng(0).standard_normal((10, 6))
    z = network.infer(torch.as_tensor(y), tolerance=1e-10, max_steps=20_000).latents["z"]
    return network.W.detach().numpy(), y, z.detach().numpy()


@pytest.mark.parametrize(
    ("energy", "domain"),
    [
        ("||y - W z||^2 + λ|z|", ""),
        ("½||y - W z||^2 + λ|z|", ""),
        ("3 (y - W z)'(y - W z) + 2 λ|z| + μ||z||^2", ""),
        ("Σ_m (y_m - Σ_n W[m, n] z_n)^2 + λ Σ_n |z_n| + ½ μ z'z", ", >= 0"),
    ],
)
def test_lasso_and_elastic_net(energy, domain) -> None:
    from sklearn.linear_model import ElasticNet, Lasso

    spec = text(energy, domain=domain)
    (row,) = penalised(checked(spec))
    assert row.elastic is not None
    alpha, ratio = row.elastic
    options = {"fit_intercept": False, "tol": 1e-12, "max_iter": 100_000, "positive": bool(domain)}
    peer = Lasso(alpha, **options) if ratio == 1 else ElasticNet(alpha=alpha, l1_ratio=ratio, **options)
    W, y, z = answers(spec)
    np.testing.assert_allclose(np.stack([peer.fit(W, v).coef_ for v in y]), z, atol=1e-6)
    said = " ".join(ledger(checked(spec)))
    assert (
        f"lambda1 = {row.half:.6g}" in said and f"alpha={alpha:.6g}" in said and ("pos = True" in said) == bool(domain)
    )


def test_ridge_and_sparse_encode() -> None:
    from sklearn.decomposition import sparse_encode
    from sklearn.linear_model import Ridge

    spec = text("2||y - W z||^2 + μ||z||^2")
    (row,) = penalised(checked(spec))
    W, y, z = answers(spec)
    np.testing.assert_allclose(Ridge(alpha=row.half_square, fit_intercept=False).fit(W, y.T).coef_, z, atol=1e-8)
    spec = text("2||y - W z||^2 + λ|z|")
    (row,) = penalised(checked(spec))
    W, y, z = answers(spec)
    codes = sparse_encode(y, W.T, algorithm="lasso_cd", alpha=row.half, max_iter=100_000)
    energies = [2 * ((y - c @ W.T) ** 2).sum(1) + 0.3 * np.abs(c).sum(1) for c in (codes, z)]
    np.testing.assert_allclose(*energies, rtol=1e-3)


def test_rescaled_energies_differ_in_their_conventions_as_they_should() -> None:
    one, two = (penalised(checked(text(e)))[0] for e in ("||y - W z||^2 + λ|z|", "½||y - W z||^2 + ½λ|z|"))
    assert one.half == two.half and one.elastic == two.elastic and one.l1 != two.l1


def test_other_terms_with_the_code_are_named() -> None:
    spec = text("||y - W z||^2 + λ|z| + ||z - Enc(y)||^2").replace("const", "module Enc : R[M] -> R[N] = linear\nconst")
    said = " ".join(ledger(checked(spec)))
    assert "the other terms" in said and "Lasso" not in said


def loaded(spec: str):
    plan = driver.plan_source(Source("m.ebm", spec), allow_flat=True).value
    assert plan is not None
    return load(driver.emit(plan)).build(seed=0, dtype=torch.float64), ledger(plan.model)


@pytest.mark.parametrize(("factor", "times"), [("", ""), ("2.5 ", ", times 2.5")])
def test_inertia_of_kmeans(factor: str, times: str) -> None:
    from sklearn.cluster import KMeans

    net, said = loaded(
        f"model k\nobserved y : R[3]\nlatent z : onehot[4]\nparam W : R[3, 4]\nF(y) = min_z {factor}||y - W z||^2\n"
    )
    y = np.random.default_rng(1).standard_normal((100, 3))
    peer = KMeans(4, n_init=1, random_state=0).fit(y)
    net.W.data.copy_(torch.as_tensor(peer.cluster_centers_.T))
    assert f"scikit-learn: KMeans(n_clusters = 4), whose inertia_{times} is F added up over the data" in said
    total = float(net.free_energy(torch.as_tensor(y)).sum().detach())
    assert total == pytest.approx(float(factor or 1) * peer.inertia_, rel=1e-12)


def test_what_a_softmin_over_codes_lacks_to_a_likelihood() -> None:
    from sklearn.decomposition import FactorAnalysis

    net, said = loaded("""model f
observed y : R[5]
latent z : R[2]
param W : R[5, 2], μ : R[5], τ : R[5], > 0
F(y) = softmin_z[1] (½ Σ_d τ[d] (y[d] - μ[d] - Σ_k W[d, k] z[k])^2 - ½ Σ_d log τ[d] + ½||z||^2)
""")
    assert any("less than the negative log-likelihood by ½ log 2π for each of their numbers" in line for line in said)
    rng = np.random.default_rng(2)
    y = rng.standard_normal((50, 2)) @ rng.standard_normal((2, 5)) + rng.standard_normal((50, 5))
    peer = FactorAnalysis(2, max_iter=20, tol=1.0).fit(y)
    for name, value in (("W", peer.components_.T), ("mu", peer.mean_), ("tau", 1 / peer.noise_variance_)):
        getattr(net, name).data.copy_(torch.as_tensor(value))
    energies = net.free_energy(torch.as_tensor(y)).detach().numpy()
    np.testing.assert_allclose(-peer.score_samples(y), energies + 0.5 * 7 * np.log(2 * np.pi), rtol=1e-9)


NOT_THEIRS: dict[str, str] = {
    "a decoder is no matrix": "latent z : R[2]\nmodule Dec : R[2] -> R[6] = mlp(4, tanh)\n"
    "F(y) = min_z ||y - Dec(z)||^2 + 0.1||z||^2",
    "two latents": "latent z : R[6], u : R[6]\nF(y) = min_{z,u} ||y - z - u||^2 + 0.1|z| + 0.2||u||^2",
    "convolved": "latent z : R[6]\nparam k : R[3], sphere\nF(y) = min_z ||y - k * z||^2 + 0.1|z|",
    "predicted centres": "observed x : R[2]\nlatent z : onehot[3]\nmodule f : R[2] -> R[6, 3] = linear(18) >> reshape\n"
    "F(x, y) = min_z ||y - f(x) z||^2",
    "a chain of states": "latent s : onehot[6, 3]\nparam μ : R[3]\n"
    "F(y) = softmin_s[1] ½ Σ_t Σ_k s[t, k] (y[t] - μ[k])^2 - 0.5 Σ_t Σ_k s[t, k] s[t+1, k]",
}


@pytest.mark.parametrize("name", NOT_THEIRS)
def test_packages_are_named_for_their_own_problems_alone(name: str) -> None:
    plan = driver.plan_source(Source("m.ebm", f"observed y : R[6]\n{NOT_THEIRS[name]}\n"), allow_flat=True)
    assert plan.value is not None, plan.diagnostics
    said = " ".join(ledger(plan.value.model))
    assert said and not any(word in said for word in ("scikit-learn", "SPAMS")), said


def test_the_energy_of_an_argmin_has_conventions_too() -> None:
    text = """observed y : R[6], x : R[2]
latent z : R[8]
param D : R[6, 8], unit columns
param V : R[2, 8]
F(y, x) = ||x - V argmin_z (||y - D z||^2 + 0.4|z|)||^2 + 0.1||V||^2
"""
    assert "SPAMS: lasso(mode = 2, lambda1 = 0.2)" in ledger(checked(text))


MIXTURE = """model m
dim K = 3
observed y : R[2]
latent z : onehot[K]
param W : R[2, K]
param Λ : R[K, 2, 2], positive definite
const β = {beta}
E(y, z) = {energy}
F(y) = softmin_z[β] E(y, z)
"""


@pytest.mark.parametrize(("beta", "factor"), [(1.0, 1.0), (1.0, 0.5), (2.5, 1.0), (2.5, 0.5)])
def test_covariance_of_a_mixture(beta, factor) -> None:
    spec = MIXTURE.format(beta=beta, energy=f"{factor}||y - W z||^2")
    said = " ".join(ledger(checked(spec)))
    variance = 1 / (2 * beta * factor)
    assert f"covariances_ = {variance:g}" in said
    # exp(-β E) at distance r of a state is the density of that covariance, short of its constant
    r = 0.7
    assert np.exp(-beta * factor * r**2) == pytest.approx(np.exp(-(r**2) / (2 * variance)))


@pytest.mark.parametrize(("factor", "written"), [("½", "precisions_ = Λ"), ("1", "precisions_ = 2·Λ")])
def test_precision_of_a_mixture(factor, written) -> None:
    energy = f"Σ_k z_k ({factor} (y - W[:, k])' Λ[k] (y - W[:, k]) - ½ log det Λ[k])"
    said = " ".join(ledger(checked(MIXTURE.format(beta=1, energy=energy))))
    assert written in said
