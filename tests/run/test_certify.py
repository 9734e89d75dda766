"""Certificates against closed forms, scikit-learn, and answers that are wrong on purpose."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ebdsl import driver
from ebdsl.diagnostics import Source
from ebdsl.run.certify import Certificates, Certifier, report
from ebdsl.run.load import load

HEAD = "model m\ndim M = 6, N = 5\nobserved y : R[M]\n"
SPARSE = HEAD + "latent z : R[N]{domain}\nparam W : R[M, N]\nE(y, z) = ||y - W z||^2 + {rest}\nF(y) = min_z E(y, z)\n"
CONVEX = {
    "ridge": SPARSE.format(domain="", rest="0.5||z||^2"),
    "lasso": SPARSE.format(domain="", rest="0.8|z|"),
    "nonnegative": SPARSE.format(domain=", >= 0", rest="0.8|z|"),
    "box": SPARSE.format(domain=", box(-0.2, 0.3)", rest="0.3|z|"),
    "simplex": SPARSE.format(domain=", simplex", rest="0.1||z||^2"),
    "group": SPARSE.format(domain="", rest="1.5||z||"),
    "largest size": SPARSE.format(domain="", rest="1.5||z||_inf"),
    "largest entry": SPARSE.format(domain="", rest="1.5 max_k z[k] + 0.1||z||^2"),
    "neighbours": SPARSE.format(domain="", rest="0.8 Σ_i |z[i+1] - z[i]| + 0.1|z|"),
    "errors": SPARSE.format(domain="", rest="0.5||z||^2").replace("||y - W z||^2", "|y - W z|"),
    "entropy on the simplex": SPARSE.format(domain=", simplex", rest="0.05 Σ_k z[k] log z[k]"),
    "weighted entropy": SPARSE.format(domain=", >= 0", rest="Σ_k (1 + k) 0.1 z[k] log z[k] + 0.3|z|"),
    "sizes and entries": SPARSE.format(domain=", >= 0", rest="0.5|z| + 1.5||z||_inf"),
}


def certified(text: str, change=lambda name, z: z, tolerance: float | None = None) -> Certificates:
    source = Source("m.ebm", text)
    plan = driver.plan_source(source, allow_flat=True).value
    assert plan is not None
    network = load(driver.emit(plan)).build(seed=1, dtype=torch.float64)
    y = np.random.default_rng(0).standard_normal((50, 6))
    answers = network.infer(torch.as_tensor(y))
    certifier = Certifier(plan, network, tolerance)
    certifier.add({"y": y}, {k: change(k, v.detach().numpy()) for k, v in answers.latents.items()})
    return certifier.found


SIZES = {
    "count": "0.3||z||_0",
    "root": "0.3 Σ_k √|z[k]|",
    "logarithm": "0.3 Σ_k log(1 + |z[k]|/0.1)",
    "capped": "0.3 Σ_k min(|z[k]|, 0.5)",
    "MCP": "0.3|z| - 1/3 Σ_k huber(z[k], 0.9)",
}


@pytest.mark.parametrize("domain", ["", ", >= 0", ", box(-0.2, 0.3)"])
@pytest.mark.parametrize("name", SIZES)
def test_no_entry_alone_lowers_an_answer(name: str, domain: str) -> None:
    """What is moved, doubled or on the wrong support does not pass."""
    text = SPARSE.format(domain=domain, rest=SIZES[name])
    good = certified(text)
    assert good.reason is None and good.good.all() and len(good.residual) == 50
    used = certified(text, lambda _, z: np.where((z != 0).any(1, keepdims=True), 0.5 * z, np.nan)).good
    assert not certified(text, lambda _, z: 0.999 * z + 0.002).good.any() and not used.any()
    others = certified(text, lambda _, z: np.roll(z, 1, axis=1)).good
    assert others.mean() < 0.4


@pytest.mark.parametrize("rest", ["0.1||z||_0", "0.1 Σ_k √|z[k]|"])
def test_slopes_of_entries_beside_a_loss_that_is_no_quadratic(rest: str) -> None:
    text = SPARSE.format(domain="", rest=rest).replace("||y - W z||^2", "Σ_m (y - W z)[m]^4 + ||y - W z||^2")
    assert certified(text).good.all()
    assert not certified(text, lambda _, z: 0.99 * z + 0.02).good.any()


@pytest.mark.parametrize("name", CONVEX)
def test_answers_hold_and_worse_ones_do_not(name) -> None:
    good = certified(CONVEX[name])
    assert good.reason is None and good.good.all() and len(good.residual) == 50
    assert not certified(CONVEX[name], lambda _, z: 0.999 * z + 0.002).good.any()


def test_the_residual_is_the_distance_to_the_subdifferential() -> None:
    rng = np.random.default_rng(1)
    shift = rng.standard_normal((50, 5)) * (rng.random((50, 5)) < 0.5)
    text = CONVEX["lasso"]
    plan = driver.plan_source(Source("m.ebm", text), allow_flat=True).value
    network = load(driver.emit(plan)).build(seed=1, dtype=torch.float64)
    W = network.W.detach().numpy()
    y = rng.standard_normal((50, 6))
    certifier = Certifier(plan, network)
    certifier.add({"y": y}, {"z": shift})
    slope = 2 * (shift @ W.T - y) @ W
    expected = np.where(shift != 0, np.abs(slope + 0.8 * np.sign(shift)), np.maximum(np.abs(slope) - 0.8, 0)).max(1)
    np.testing.assert_allclose(certifier.found.residual, expected, rtol=1e-6)


def test_a_lost_factor_does_not_pass() -> None:
    """The update of the slide solves the energy with half the distance: a certificate from the energy sees it."""
    from sklearn.linear_model import Lasso

    plan = driver.plan_source(Source("m.ebm", CONVEX["lasso"]), allow_flat=True).value
    network = load(driver.emit(plan)).build(seed=1, dtype=torch.float64)
    W = network.W.detach().numpy()
    y = np.random.default_rng(2).standard_normal((20, 6))
    for factor, holds in ((2.0, True), (1.0, False)):
        peer = Lasso(alpha=0.8 / (factor * 6), fit_intercept=False, tol=1e-14, max_iter=100_000)
        z = np.stack([peer.fit(W, row).coef_ for row in y])
        certifier = Certifier(plan, network, 1e-6)
        certifier.add({"y": y}, {"z": z})
        assert bool(certifier.found.good.all()) is holds


def test_points_outside_the_domain_do_not_pass() -> None:
    found = certified(CONVEX["nonnegative"], lambda _, z: z - 0.01)
    assert np.isinf(found.residual).all() and not found.good.any()


def test_what_is_not_a_number_does_not_pass() -> None:
    found = certified(CONVEX["lasso"], lambda _, z: z * np.nan)
    assert not found.good.any() and any("0 of 50" in line for line in report(found))


@pytest.mark.parametrize("free", ["min_z", "softmin_z[2]"])
@pytest.mark.parametrize("latent", ["onehot[N]", "{0, 1}[N]"])
def test_finite_latents(free, latent) -> None:
    text = SPARSE.format(domain="", rest="0.1 Σ_n z_n").replace("R[N]\nparam", f"{latent}\nparam")
    text = text.replace("min_z", free)
    assert certified(text).good.all()
    assert not certified(text, lambda _, z: np.roll(z, 1, axis=1)).good.all()


def test_finite_and_continuous_latents() -> None:
    text = HEAD + (
        "latent z : onehot[N]\nlatent u : R\nparam W : R[M, N]\n"
        "E(y, z, u) = ||y - u * (W z)||^2 + 0.3|u|\nF(y) = min_{z, u} E(y, z, u)\n"
    )
    good = certified(text)
    assert good.good.all() and "finite" in good.measure
    assert not certified(text, lambda name, z: 1.01 * z + 0.01 if name == "u" else z).good.any()


def test_a_latent_inside_a_learned_function() -> None:
    text = HEAD + (
        "latent z : box(-1, 1)[2]\nmodule Dec : R[2] -> R[M] = mlp(8, tanh)\n"
        "E(y, z) = ||y - Dec(z)||^2 + 0.1|z|\nF(y) = min_z E(y, z)\n"
    )
    good = certified(text, tolerance=1e-3)
    assert good.good.mean() > 0.9
    assert not certified(text, lambda _, z: 0.9 * z + 0.05, tolerance=1e-3).good.any()


def test_what_no_one_tries_is_certified_against_single_changes() -> None:
    text = SPARSE.format(domain="", rest="0.8|z|").replace("R[N]\nparam", "{0, 1}[N]\nparam").replace("N = 5", "N = 40")
    plan = driver.plan_source(Source("m.ebm", text), allow_flat=True).value
    assert plan is not None
    network = load(driver.emit(plan)).build(seed=1, dtype=torch.float64)
    assert "one changed variable" in Certifier(plan, network).found.measure


GAUSSIAN = {
    "one latent": HEAD + "latent z : R[N]\nparam W : R[M, N]\nF(y) = softmin_z[3] ||y - W z||^2 + 0.5||z||^2\n",
    "two latents": HEAD
    + "latent u : R[N], v : R\nparam W : R[M, N]\nF(y) = softmin_{u, v}[1] ||y - W u - v||^2 + 0.5||u||^2 + v^2\n",
    "a mixture": HEAD
    + "latent k : onehot[3], z : R[N]\nparam W : R[M, N], μ : R[M, 3], s : R[3], > 0\n"
    + "F(y) = softmin_{k, z}[2] Σ_c k[c] s[c] ||y - μ[:, c] - W z||^2 + ||z||^2\n",
}


@pytest.mark.parametrize("name", GAUSSIAN)
def test_means_of_gaussian_integrals(name) -> None:
    good = certified(GAUSSIAN[name])
    assert good.reason is None and good.good.all() and len(good.residual) == 50
    assert not certified(GAUSSIAN[name], lambda _, z: 0.999 * z + 0.002).good.any()
