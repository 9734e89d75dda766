"""Every shipped spec shows what its slide shows. Epochs and samples are fewer than in the specs."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

import ebdsl
from ebdsl import SpecError
from ebdsl.plots.gabor import oriented_share

SPECS = Path(ebdsl.__file__).parents[1] / "specs"
NAMES = sorted(path.stem for path in SPECS.glob("*.ebm"))


def shipped(name: str, **settings) -> ebdsl.Spec:
    return ebdsl.load(SPECS / f"{name}.ebm", **settings)


def fit(name: str, Y=None, **options) -> ebdsl.Spec:
    return shipped(name).fit(Y, seed=0, device="cpu", **options)


def energies(spec: ebdsl.Spec) -> list[float]:
    return [row["energy"] for row in spec.history if "energy" in row]


def never_rises(values: list[float]) -> bool:
    return len(values) > 1 and all(b <= a + 1e-6 * (1 + abs(a)) for a, b in pairwise(values))


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_spec_says_how_it_is_trained(name) -> None:
    text = (SPECS / f"{name}.ebm").read_text(encoding="utf-8")
    assert "\ntrain\n" in text and "\n    data " in text and "\n    epochs " in text
    assert not [d for d in shipped(name).check() if d.severity == "error" and d.code not in ("EB0510", "EB0516")]


# ---------------------------------------------------------------------- sparse codes


def patches(count: int) -> str:
    return f"patches(natural, size = 12, count = {count})"


def samples(spec: ebdsl.Spec, source: str) -> dict[str, np.ndarray]:
    from ebdsl.run.data import load

    data = load(source, spec._model, 1).value
    assert data is not None
    return data.arrays


@pytest.mark.slow
def test_sparse_coding_finds_oriented_atoms() -> None:
    start = shipped("sparse_coding").module(seed=0).W.detach().numpy()
    spec = fit("sparse_coding", patches(20_000), epochs=4, batch=64)
    W = spec.module().W.detach().numpy()
    np.testing.assert_allclose(np.linalg.norm(W, axis=0), 1, atol=1e-5)
    values = energies(spec)
    assert np.mean(values[-20:]) < 0.9 * np.mean(values[:20])
    random, learned = (oriented_share(w.T, 12)[0] for w in (start, W))
    assert random < 0.05 and learned > 0.6
    Y = samples(spec, patches(500))["y"]
    codes = spec.infer(Y)
    assert 0.03 < (np.abs(codes["z"]) > 0).mean() < 0.20
    rest = Y - codes["z"] @ W.T
    assert (rest**2).sum() < 0.35 * (Y**2).sum()


@pytest.mark.slow
def test_sparse_mnist_finds_strokes() -> None:
    spec = fit("sparse_mnist", "digits", epochs=3, batch=64)
    Y = samples(spec, "digits")["y"][:500]
    W = spec.module().W.detach().numpy()
    codes = spec.infer(Y)["z"]
    assert codes.min() >= 0 and (codes > 0).mean() < 0.2
    # an atom is a part of a stroke: it covers fewer pixels than a digit, and than a principal component
    mean = Y.mean(0)
    components = np.linalg.svd(Y - mean, full_matrices=False)[2]
    assert np.median(covered(W.T)) < 0.75 * np.median(covered(components[:32]))
    assert np.median(covered(W.T)) < 0.75 * np.median(covered(Y))
    # and the few that a digit uses say more of it than as many principal components
    used = round(float((codes > 0).sum(1).mean()))
    first = components[:used]
    kept = (Y - mean) @ first.T @ first + mean
    assert ((Y - codes @ W.T) ** 2).sum() < ((Y - kept) ** 2).sum()


def covered(pictures: np.ndarray) -> np.ndarray:
    """How many pixels hold the energy of each picture: (Σ x²)² / Σ x⁴, from 1 to all of them."""
    square = pictures.astype(np.float64) ** 2
    return square.sum(1) ** 2 / np.maximum((square**2).sum(1), 1e-30)


@pytest.mark.slow
def test_group_sparsity_uses_few_pools_and_all_of_each() -> None:
    spec = fit("group_sparsity", patches(4000), epochs=1)
    values = energies(spec)
    assert np.mean(values[-5:]) < np.mean(values[:5])
    Y = samples(spec, patches(300))["y"]
    z = spec.infer(Y)["z"]
    pools = np.linalg.norm(z, axis=2) > 0
    assert 0.005 < pools.mean() < 0.4
    assert (z[pools] != 0).mean() > 0.99  # within a pool the number of features does not matter


@pytest.mark.slow
def test_conv_sparse_coding_explains_photos_by_few_entries_of_its_maps() -> None:
    # a run looks at the contrast of what it holds out: four pictures take a sixteenth of the time of all
    spec = fit("conv_sparse_coding", "patches(natural, size = 32, count = 68)", epochs=1, batch=8, holdout=1 / 17)
    values = energies(spec)
    assert np.mean(values[-3:]) < np.mean(values[:3])
    Y = samples(spec, "patches(natural, size = 32, count = 3)")["y"]
    codes = spec.infer(Y)
    assert 0.001 < (codes["z"] != 0).mean() < 0.2
    W = spec.module().W.detach().numpy()
    np.testing.assert_allclose(np.linalg.norm(W.reshape(len(W), -1), axis=1), 1, atol=1e-5)


@pytest.mark.slow
def test_psd_encoder_answers_near_the_argmin() -> None:
    spec = fit("psd", patches(20_000), epochs=2)
    Y = torch.as_tensor(samples(spec, patches(2000))["y"])
    model = spec.module()

    with torch.no_grad():
        quick, exact = model.infer(Y), model.infer(Y, exact=True)
        of_quick, of_exact, of_zero = (
            model.energy(Y, z) for z in (quick.latents["z"], exact.latents["z"], torch.zeros_like(exact.latents["z"]))
        )
    assert int(quick.iterations.max()) == 0 and bool(exact.converged.all())
    assert bool((of_exact <= of_quick * (1 + 1e-4)).all())
    # of what inference gains over the code 0, the encoder gains most
    assert (of_zero - of_quick).mean() > 0.5 * (of_zero - of_exact).mean() > 0


# ---------------------------------------------------------------------- strategy 1


def test_kmeans_puts_wells_along_the_spiral() -> None:
    spec = fit("kmeans")
    assert never_rises(energies(spec))
    W = spec.module().W.detach().numpy().T
    t = np.linspace(0, 3 * np.pi, 4000)
    spiral = (t / (3 * np.pi))[:, None] * np.stack([np.cos(t), np.sin(t)], 1)
    far = np.linalg.norm(W[:, None] - spiral, axis=2).min(1)
    assert far.max() < 0.06
    # a quadratic well at each prototype
    np.testing.assert_allclose(spec.free_energy(W), 0, atol=1e-6)
    step = np.array([[0.01, -0.02]], dtype=np.float32)
    np.testing.assert_allclose(spec.free_energy(W + step), 5e-4, rtol=1e-2)
    # in between the arms it is higher than on the spiral
    between = spiral[2400:3400] * (1 - (1 / 3) / np.linalg.norm(spiral[2400:3400], axis=1, keepdims=True))
    arms = spec.free_energy(spiral.astype(np.float32))
    gap = spec.free_energy(((between + spiral[2400:3400]) / 2).astype(np.float32))
    assert gap.mean() > 3 * arms.mean()


MEANS = np.array([[-3, 0], [0, 3], [3, 0], [0, -3], [0, 0]], dtype=float)
WEIGHTS = np.array([0.1, 0.15, 0.2, 0.25, 0.3])


def a_mixture(n: int = 4000) -> np.ndarray:
    rng = np.random.default_rng(0)
    which = rng.choice(5, n, p=WEIGHTS)
    widths = np.array([[0.3, 0.6], [0.6, 0.3], [0.4, 0.4], [0.5, 0.2], [0.3, 0.3]])
    return MEANS[which] + widths[which] * rng.standard_normal((n, 2))


def test_gmm_recovers_a_mixture() -> None:
    Y = a_mixture()
    spec = fit("gmm", Y, dtype="float64")
    assert never_rises(energies(spec))
    model = spec.module()
    mu, share = model.mu.detach().numpy(), model.pi.detach().numpy()
    order = np.linalg.norm(MEANS[:, None] - mu, axis=2).argmin(1)
    assert sorted(order) == list(range(5))
    np.testing.assert_allclose(mu[order], MEANS, atol=0.1)
    np.testing.assert_allclose(share[order], WEIGHTS, atol=0.03)
    # the free energy is -log p, short of the constant of a Gaussian
    grid = np.stack(np.meshgrid(*[np.linspace(-7, 7, 281)] * 2), -1).reshape(-1, 2)
    mass = np.exp(-spec.free_energy(grid)).sum() * (14 / 280) ** 2
    assert mass == pytest.approx(2 * np.pi, rel=1e-4)


def test_gmm_without_log_det_is_refused() -> None:
    text = (SPECS / "gmm.ebm").read_text(encoding="utf-8")
    assert "- ½ log det Λ[k]" in text
    spec = ebdsl.load(text.replace(" - ½ log det Λ[k]", ""))
    with pytest.raises(SpecError) as refused:
        spec.fit(a_mixture(200), device="cpu")
    assert [d.code for d in refused.value.diagnostics if d.severity == "error"] == ["EB0513"]
    assert "log det" in str(refused.value)


@pytest.mark.parametrize("k", [1, 3])
def test_pca_drops_the_smallest_eigenvalues(k) -> None:
    rng = np.random.default_rng(0)
    Y = rng.standard_normal((500, 6)) @ rng.standard_normal((6, 6))
    Y -= Y.mean(0)
    spec = shipped("pca", K=k).fit(Y, device="cpu", dtype="float64")
    values, vectors = np.linalg.eigh(Y.T @ Y / len(Y))
    assert spec.free_energy(Y).mean() == pytest.approx(values[: 6 - k].sum(), rel=1e-6)
    W = spec.module().W.detach().numpy()
    kept = vectors[:, 6 - k :]
    np.testing.assert_allclose(W.T @ W, kept @ kept.T, atol=1e-5)
    # a tube: nothing changes along the kept directions
    np.testing.assert_allclose(spec.free_energy(100 * kept.T), 0, atol=1e-3)


# ---------------------------------------------------------------------- predictions


@pytest.mark.slow
def test_lv_predictor_goes_round_the_ellipse() -> None:
    spec = fit("lv_predictor", "ellipse(1000)", epochs=50, lr=0.01, batch=128)
    model = spec.module()
    t = torch.linspace(0, 2 * torch.pi, 181)[:-1]
    z = torch.stack([t.cos(), t.sin()], 1)
    for given in (0.1, 0.5, 0.9):
        x = torch.full((len(t), 1), given)
        half = torch.tensor([2 - 0.5 * given, 1.5 + 0.5 * given]) * np.exp(2 * given)
        ellipse = half * z
        with torch.no_grad():
            traced = model.Dec(model.Pred(x), z)
        apart = torch.cdist(traced, ellipse)
        size = float(half.mean())
        assert float(apart.min(1).values.max()) < 0.1 * size  # all that is predicted is on the ellipse
        assert float(apart.min(0).values.max()) < 0.15 * size  # and all of the ellipse is predicted
        on, inside, outside = (
            spec.free_energy({"x": x.numpy(), "y": (c * ellipse).numpy()}).mean() for c in (1.0, 0.5, 1.5)
        )
        assert on < 0.1 * min(inside, outside)
        # F is the least over all z, far from the ellipse too
        far = (6 * size * z).to(x.dtype)
        least = torch.cdist(far, traced).square().amin(1)
        found = torch.as_tensor(spec.free_energy({"x": x.numpy(), "y": far.numpy()}))
        assert bool((found <= 1.001 * least + 1e-3).all()) and bool((found > 0.97 * least - 1e-2).all())


@pytest.mark.slow
def test_ebm_conditional_has_a_minimum_at_each_branch() -> None:
    spec = fit("ebm_conditional", epochs=40, lr=0.005)
    y = np.linspace(-1.8, 1.8, 721, dtype=np.float32)
    for x in (0.6, 0.9):
        F = spec.free_energy({"x": np.full((len(y), 1), x, np.float32), "y": y[:, None]})
        branches = np.array([-1, 0, 1]) / (1 + np.exp(-6 * x)) + 0.2 * np.sin(3 * x)
        low = y[F < 0.02]
        assert np.abs(low[:, None] - branches).min(1).max() < 0.25  # low at the branches alone
        for branch in branches:
            assert np.abs(low - branch).min() < 0.08
        for a, b in pairwise(branches):  # with a wall between any two
            assert F[np.abs(y - (a + b) / 2).argmin()] > 0.05
    x = np.full((len(y), 1), -0.9, np.float32)
    assert np.ptp(y[spec.free_energy({"x": x, "y": y[:, None]}) < 0.01]) < 0.6  # one valley where they are together


@pytest.fixture(scope="module")
def bounces() -> dict[str, np.ndarray]:
    """x where the ball was, y one of two futures; ``mean`` and ``drift`` are known."""
    rng = np.random.default_rng(0)
    u, v = rng.uniform(-0.5, 0.5, (1000, 1)), rng.uniform(-0.3, 0.3, (1000, 1))
    side = rng.choice([-1.0, 1.0], (1000, 1))
    after = np.array([0.5, 1])
    x = u + v * np.array([-1, -0.5])
    mean = u + v * after
    y = mean + side * after + 0.02 * rng.standard_normal((1000, 2))
    return {name: value.astype(np.float32) for name, value in {"x": x, "y": y, "mean": mean}.items()}


@pytest.fixture(scope="module")
def blurred(bounces) -> ebdsl.Spec:
    return fit("mean_blur", {k: bounces[k] for k in ("x", "y")}, epochs=40, lr=0.005, batch=128)


def test_mean_blur_predicts_the_average_of_the_futures(bounces, blurred) -> None:
    with torch.no_grad():
        predicted = blurred.module().Pred(torch.as_tensor(bounces["x"])).numpy()
    assert np.sqrt(((predicted - bounces["mean"]) ** 2).mean()) < 0.25
    # no future is near what it predicts: the futures are ±(0.5, 1) away
    assert np.percentile(np.linalg.norm(predicted - bounces["y"], axis=1), 5) > 0.6
    free = blurred.free_energy({k: bounces[k] for k in ("x", "y")})
    assert free.mean() == pytest.approx(1.25, rel=0.1)


def test_multimodal_latent_holds_both_futures_and_not_their_average(bounces, blurred) -> None:
    spec = fit("multimodal_latent", {k: bounces[k] for k in ("x", "y")}, epochs=15, lr=0.005, batch=128)
    x, mean = bounces["x"], bounces["mean"]
    apart = np.array([0.5, 1], np.float32)
    futures = {"left": mean - apart, "right": mean + apart, "average": mean}
    low, high, average = (spec.free_energy({"x": x, "y": y}) for y in futures.values())
    assert max(low.mean(), high.mean()) < 0.03
    assert np.median(average) > 1  # the squared distance to either future is 1.25
    assert (average > 10 * np.maximum(low, high)).mean() > 0.98
    # one prediction without a latent does the contrary
    blur = {name: blurred.free_energy({"x": x, "y": y}).mean() for name, y in futures.items()}
    assert blur["average"] < 0.1 < 1 < min(blur["left"], blur["right"])
    # several plausible predictions: the two values of z give the two futures, and two guesses are better than one
    model = spec.module()
    with torch.no_grad():
        predicted = np.stack(
            [model.Dec(model.Pred(torch.as_tensor(x)), torch.full((len(x), 1), z)).numpy() for z in (-1.0, 1.0)]
        )
    errors = ((predicted - bounces["y"]) ** 2).sum(2)
    assert errors.min(0).mean() < 0.02 * errors.mean()
    assert (np.linalg.norm(predicted[0] - predicted[1], axis=1) > 1.5).mean() > 0.98


# ---------------------------------------------------------------------- a flat energy


def test_ae_identity_is_refused_with_the_ways_out() -> None:
    with pytest.raises(SpecError) as refused:
        fit("ae_identity")
    (error,) = refused.value.diagnostics
    assert error.code == "EB0510"
    ways = " ".join(error.help)
    assert "narrower" in ways and "λ|z|" in ways


def test_ae_identity_is_flat_where_it_is_allowed() -> None:
    Y = samples(shipped("ae_identity"), "spiral(2000)")["y"]
    grid = np.random.default_rng(0).uniform(Y.min(), Y.max(), (2000, 2)).astype(np.float32)
    away = grid[np.linalg.norm(grid[:, None] - Y[None, ::4], axis=2).min(1) > 0.1]
    flat = fit("ae_identity", epochs=60, lr=0.005, allow_flat=True)
    wells = fit("kmeans")
    on, off = flat.free_energy(Y).mean(), flat.free_energy(away).mean()
    scale = Y.var(0).sum()
    assert off < 0.02 * scale  # between the arms, as on them, everything is reconstructed
    assert off - on < 0.1 * (wells.free_energy(away).mean() - wells.free_energy(Y).mean())
