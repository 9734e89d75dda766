"""One spec for each method of each strategy: it does what its slide says, on few samples and epochs."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ebdsl
from ebdsl.run.data import load

SPECS = Path(ebdsl.__file__).parents[1] / "specs"
RNG = np.random.default_rng


def shipped(name: str, **settings: Any) -> ebdsl.Spec:
    return ebdsl.load(SPECS / f"{name}.ebm", **settings)


def fit(spec: str, Y: Any, *, epochs: int, lr: float = 0.005, batch: int = 50, **settings: Any) -> ebdsl.Spec:
    return shipped(spec, **settings).fit(Y, epochs=epochs, batch=batch, lr=lr, seed=0, device="cpu")


def auc(spec: ebdsl.Spec, data: np.ndarray, other: np.ndarray) -> float:
    """Chance that a point of ``data`` has less energy than one of ``other``."""
    return float((spec.free_energy(data)[:, None] < spec.free_energy(other)[None]).mean())


def parabola(n: int, seed: int) -> np.ndarray:
    rng = RNG(seed)
    t = rng.uniform(-1, 1, n)
    return (np.stack([t, t**2], 1) + 0.03 * rng.standard_normal((n, 2))).astype(np.float32)


BOX = np.array([[-1.5, -0.75], [1.5, 1.75]])
UNIFORM = RNG(1).uniform(*BOX, (1000, 2)).astype(np.float32)
HELD_OUT = parabola(500, 1)


@cache
def toy(name: str) -> ebdsl.Spec:
    """A spec of the parabola after a short training."""
    epochs = {"toy_parabola": 15, "maxlik_exact": 20, "nce": 60}.get(name, 30)
    return fit(name, parabola(500, 0), epochs=epochs)


def integral(spec: ebdsl.Spec) -> float:
    """∫ exp(-F) over the box, by a sum of 200 × 200 points."""
    sides = [np.linspace(a, b, 200) for a, b in BOX.T]
    points = np.stack(np.meshgrid(*sides), -1).reshape(-1, 2).astype(np.float32)
    return float(np.exp(-spec.free_energy(points).astype(np.float64)).mean() * np.prod(BOX[1] - BOX[0]))


def blurred_score(at: np.ndarray, data: np.ndarray, sigma: float) -> np.ndarray:
    """∇ log of the density of ``data`` with Gaussian noise, in closed form: (n, d)."""
    apart = data[None] - at[:, None]
    weight = -(apart**2).sum(2) / (2 * sigma**2)
    weight = np.exp(weight - weight.max(1, keepdims=True))
    return (weight[:, :, None] * apart).sum(1) / weight.sum(1, keepdims=True) / sigma**2


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))


@pytest.mark.parametrize(
    "name",
    ["toy_parabola", "maxlik_exact", "contrastive_divergence", "persistent_cd", "nce", "denoising_score_matching",
     "contractive_ae"],
)  # fmt: skip
def test_a_valley_along_the_parabola(name) -> None:
    spec = toy(name)
    assert auc(spec, HELD_OUT, UNIFORM) > 0.9
    t = np.linspace(-0.8, 0.8, 17, dtype=np.float32)
    on, above, below = (spec.free_energy(np.stack([t, t**2 + c], 1)) for c in (0, 0.5, -0.5))
    assert ((on < above) & (on < below)).mean() > 0.9


def test_energy_becomes_the_negative_log_density() -> None:
    """Held-out points are likelier than under the best Gaussian: both normalised, by a sum over the box."""
    y = parabola(500, 0)
    spec = toy("maxlik_exact")
    ours = -spec.free_energy(HELD_OUT).mean() - np.log(integral(spec))
    mean, covariance = y.mean(0), np.cov(y.T)
    apart = HELD_OUT - mean
    gauss = -0.5 * np.einsum("ni,ij,nj->n", apart, np.linalg.inv(covariance), apart).mean()
    gauss -= 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]
    assert ours > gauss + 0.2


def test_noise_contrastive_learns_the_constant() -> None:
    spec = toy("nce")
    assert spec._session is not None
    constant = float(spec._session.learner.log_normaliser.detach())
    assert constant == pytest.approx(np.log(integral(spec)), abs=0.3)  # log 2, of the ratio, is 0.69


def test_negative_gradient_is_the_score_of_noisy_data() -> None:
    spec, data = toy("denoising_score_matching"), parabola(500, 0)
    at = torch.as_tensor(HELD_OUT + 0.1 * RNG(2).standard_normal(HELD_OUT.shape).astype(np.float32))
    at.requires_grad_()
    (slope,) = torch.autograd.grad(spec.module().free_energy(at).sum(), at)
    assert cosine(-slope.numpy(), blurred_score(at.detach().numpy(), data, 0.1)) > 0.85


def test_score_matching_recovers_a_precision() -> None:
    y = (RNG(0).standard_normal((1000, 2)) @ np.array([[1, 0], [0.6, 0.8]])).astype(np.float32)
    spec = fit("score_matching", y, epochs=25, lr=0.05)
    precision = np.linalg.inv(y.T @ y / len(y))
    np.testing.assert_allclose(spec.module().P.detach().numpy(), precision, atol=0.15)


@pytest.mark.parametrize("name", ["ratio_matching", "min_prob_flow"])
def test_couplings_of_an_ising_model(name) -> None:
    """Against the log probabilities of all 16 states, which the samples follow."""
    rng = RNG(0)
    states = (np.arange(16)[:, None] >> np.arange(4) & 1).astype(np.float32)
    J, b = np.triu(rng.standard_normal((4, 4)), 1), 0.5 * rng.standard_normal(4)
    log_p = np.einsum("si,ij,sj->s", states, J, states) + states @ b
    p = np.exp(log_p) / np.exp(log_p).sum()
    y = states[rng.choice(16, 4000, p=p)]
    spec = fit(name, y, epochs=20, lr=0.05, batch=400, D=4)
    F = spec.free_energy(states).astype(np.float64)
    learned = np.exp(-F) / np.exp(-F).sum()
    assert np.abs(np.log(learned / p)).max() < 0.35
    assert 0.5 * np.abs(learned - p).sum() < 0.05 < 0.5 * np.abs(1 / 16 - p).sum()


@pytest.mark.parametrize(
    ("source", "epochs", "batch", "least"),
    [
        ("parabola(500)", 60, 50, 0.85),
        pytest.param("spiral(2000)", 1000, 500, 0.95, marks=pytest.mark.slow),  # as the spec has it
    ],
)
def test_denoising_points_up_the_density(source, epochs, batch, least) -> None:
    """G(ỹ) - ỹ = σ² ∇ log of the density of the noisy data (Vincent 2011; Alain & Bengio 2014)."""
    data = load(source, shipped("denoising_ae")._model, 0).value.arrays["y"]  # type: ignore[union-attr]
    spec = fit("denoising_ae", data, epochs=epochs, batch=batch, lr=0.005 if batch == 50 else 0.002)
    at = data + 0.1 * RNG(0).standard_normal(data.shape).astype(np.float32)
    model = spec.module()
    with torch.no_grad():
        moved = model.Dec(model.Enc(torch.as_tensor(at))).numpy() - at
    field = 0.1**2 * blurred_score(at, data, 0.1)
    assert cosine(moved, field) > least
    assert (moved**2).sum() == pytest.approx((field**2).sum(), rel=0.2)


def test_contraction_makes_the_code_constant_across_the_curve() -> None:
    """Along the curve the code has to tell the points apart; across it the penalty alone counts."""
    spec = toy("contractive_ae")
    free = shipped("contractive_ae").text.replace("weight = 0.1", "weight = 0.000001")
    loose = ebdsl.load(free).fit(parabola(500, 0), epochs=30, batch=50, lr=0.005, seed=0, device="cpu")
    y = torch.as_tensor(HELD_OUT[:100])

    def slopes(fitted: ebdsl.Spec) -> np.ndarray:
        each = torch.func.vmap(torch.func.jacrev(fitted.module().Enc))(y).detach()
        return torch.linalg.svdvals(each).mean(0).numpy()

    tight, wide = slopes(spec), slopes(loose)
    assert (tight**2).sum() < 0.5 * (wide**2).sum()
    assert tight[1] / tight[0] < 0.8 * wide[1] / wide[0]


def test_masked_pixels_are_filled_in() -> None:
    y = load("digits(small)", shipped("masked_ae")._model, 0).value.arrays["y"]  # type: ignore[union-attr]
    train, held = y[:1000], y[1000:]
    spec = fit("masked_ae", train, epochs=20, lr=0.002)
    hidden = RNG(0).random(held.shape) < 0.3
    with torch.no_grad():
        filled = spec.module().G(torch.as_tensor(np.where(hidden, 0, held).astype(np.float32))).numpy()
    error = ((filled - held)[hidden] ** 2).mean()
    assert error < 0.6 * ((np.broadcast_to(train.mean(0), held.shape) - held)[hidden] ** 2).mean()


def test_a_classifier_is_an_energy_over_categories() -> None:
    found = load("digits(small)", shipped("softmax_classifier")._model, 0).value
    assert found is not None
    x, y = found.arrays["x"], found.arrays["y"]
    spec = fit("softmax_classifier", {"x": x[:1000], "y": y[:1000]}, epochs=20, lr=0.02)
    held, truth = x[1000:], y[1000:].argmax(1)
    each = [np.tile(np.eye(10, dtype=np.float32)[k], (len(held), 1)) for k in range(10)]
    F = np.stack([spec.free_energy({"x": held, "y": label}) for label in each], 1)
    assert (F.argmin(1) == truth).mean() > 0.88
    # P(y|x) = exp(-F) / Σ exp(-F), whose likelihood was maximised
    log_p = -F - np.log(np.exp(-F).sum(1, keepdims=True))
    assert -log_p[np.arange(len(held)), truth].mean() < 0.5


def amari(product: np.ndarray) -> float:
    """0 where W A is a scaled permutation, 1 at the worst (Amari, Cichocki & Yang, NIPS 1996), per entry."""
    p, n = np.abs(product), len(product)
    rows = (p / p.max(1, keepdims=True)).sum(1) - 1
    columns = (p / p.max(0, keepdims=True)).sum(0) - 1
    return float((rows.sum() + columns.sum()) / (2 * n * (n - 1)))


@pytest.mark.parametrize("d", [4, 8])
def test_square_ica_takes_laplace_sources_apart(d: int) -> None:
    model = shipped("square_ica")._model
    data = load(f"laplace(20000, d = {d})", model, 0).value
    assert data is not None
    spec = fit("square_ica", data.arrays["y"], epochs=30)
    W = spec.module().W.detach().double().numpy()
    assert amari(W @ data.truth["mixing"]) < 0.02
    # normalised: the energy is the negative log-density of the data, up to a constant of the density alone
    A = np.linalg.inv(W)
    y = np.random.default_rng(0).laplace(scale=2**-0.5, size=(4000, d)) @ A.T
    assert spec.free_energy(y.astype(np.float32)).mean() == pytest.approx(d - np.log(abs(np.linalg.det(W))), abs=0.1)


@pytest.mark.slow
def test_experts_are_oriented() -> None:
    from ebdsl.plots.gabor import oriented_share

    spec = fit("product_of_experts", None, epochs=20)
    assert oriented_share(spec.module().W.detach().numpy(), 8)[0] > 0.4


def test_saturating_units_reconstruct_less_off_the_data() -> None:
    """The penalty drives units to where they are flat: points off the curve are then reconstructed less well."""
    y = parabola(2000, 0)
    text = shipped("saturating_ae").text
    off = np.random.default_rng(0).uniform(-1.5, 1.5, (4000, 2)).astype(np.float32)
    off = off[np.abs(off[:, 1] - off[:, 0] ** 2) > 0.2]
    away, far = [], []
    for weight in ("0.000001", "0.05"):
        spec = ebdsl.load(text.replace("0.05", weight)).fit(y, epochs=60, batch=50, lr=0.005, seed=0, device="cpu")
        with torch.no_grad():
            a = spec.module().Enc[0](torch.as_tensor(y))
        far.append(float(torch.minimum(a, 1 - a).clamp_min(0).sum(1).mean()))
        away.append(float(np.median(spec.free_energy(off))))
        assert spec.free_energy(y).mean() < 0.01
    assert far[1] < 0.3 * far[0] and away[1] > 1.4 * away[0]


@pytest.mark.parametrize("name", ["sliced_score_matching", "gibbs"])
def test_valleys_of_other_data(name: str) -> None:
    spec = fit(name, None, epochs=30)
    source = {"sliced_score_matching": "parabola(1000)", "gibbs": "moons(1000)"}[name]
    data = load(source, spec._model, 1).value
    assert data is not None
    y = data.arrays["y"]
    span = np.ptp(y, axis=0)
    off = np.random.default_rng(0).uniform(y.min(0) - 0.25 * span, y.max(0) + 0.25 * span, (1000, 2)).astype(np.float32)
    assert (spec.free_energy(y)[:, None] < spec.free_energy(off)[None]).mean() > 0.85
