"""Specs that name their algorithm of inference, and those without a search: few samples, small patches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ebdsl
from ebdsl.plots.kinds.convergence import teach
from ebdsl.run.data import load

SPECS = Path(ebdsl.__file__).parents[1] / "specs"
SMALL = {"M": 36, "N": 48}


def shipped(name: str, **settings: Any) -> ebdsl.Spec:
    return ebdsl.load(SPECS / f"{name}.ebm", **settings)


def samples(source: str) -> np.ndarray:
    found = load(source, shipped("fista", **SMALL)._model, 0).value
    assert found is not None
    return found.arrays["y"]


@pytest.fixture(scope="module")
def patches() -> np.ndarray:
    return samples("patches(natural, size = 6, count = 1500)")


def other_steps(spec: ebdsl.Spec, by: str) -> Any:
    """The network of the same energy and parameters that answers by another algorithm."""
    (line,) = [line for line in spec.text.splitlines() if line.startswith("infer ")]
    other = ebdsl.load(spec.text.replace(line, f"infer z by {by}"), **SMALL).module()
    with torch.no_grad():
        other.W.copy_(spec.module().W)
    return other


def gap(network: Any, y: torch.Tensor) -> float:
    """How much more energy the answers have than the least, in the mean."""
    found, exact = network.infer(y), network.infer(y, exact=True, tolerance=1e-6)
    assert bool((found.energy >= exact.energy - 1e-4).all())
    return float((found.energy - exact.energy).mean())


@pytest.mark.parametrize("name", ["ista", "fista", "cod"])
def test_steps_converge_to_the_optimal_sparse_code(name, patches) -> None:
    spec = shipped(name, **SMALL).fit(patches, epochs=1, batch=250, seed=0, device="cpu")
    y = torch.as_tensor(patches[:200])
    at = [gap(other_steps(spec, f"{name}(steps = {steps})"), y) for steps in (1, 8, 200)]
    assert at[0] > at[1] > at[2] and at[2] < 1e-3 * at[0]
    # what the spec answers with is that of a named number of steps, and its energy is the slide's
    codes = spec.infer(patches[:200])
    W, z = spec.module().W.detach().numpy(), codes["z"]
    written = (0.5 if name == "cod" else 1.0) * ((patches[:200] - z @ W.T) ** 2).sum(1) + 0.5 * np.abs(z).sum(1)
    np.testing.assert_allclose(codes.energy, written, rtol=1e-4)
    assert (z != 0).mean() < 0.5


def test_momentum_is_faster_than_none(patches) -> None:
    spec = shipped("fista", **SMALL).fit(patches, epochs=1, batch=250, seed=0, device="cpu")
    y = torch.as_tensor(patches[:200])
    assert gap(other_steps(spec, "fista(steps = 30)"), y) < 0.5 * gap(other_steps(spec, "ista(steps = 30)"), y)


@pytest.mark.parametrize(("name", "plain", "steps"), [("lista", "ista", 3), ("lcod", "cod", 20)])
def test_trained_steps_are_worth_more_than_those_they_start_as(name, plain, steps, patches) -> None:
    spec = shipped(name, **SMALL, lr=0.002).fit(patches[:1000], epochs=8, batch=100, seed=0, device="cpu")
    y = torch.as_tensor(patches[:200])

    def distance(network: Any) -> float:
        far = network.infer(y).latents["z"] - network.infer(y, exact=True, tolerance=1e-6).latents["z"]
        return float(far.square().sum(1).mean())

    learned = distance(spec.module())
    assert learned < 0.8 * distance(other_steps(spec, f"{plain}(steps = {steps})"))
    # at their start they are the steps of the energy itself
    start = shipped(name, **SMALL).module(seed=0)
    same = shipped(name, **SMALL)
    ours = start.infer(y).latents["z"]
    (line,) = [line for line in same.text.splitlines() if line.startswith("infer ")]
    theirs = ebdsl.load(same.text.replace(line, f"infer z by {plain}(steps = {steps})"), **SMALL).module(seed=0)
    torch.testing.assert_close(ours, theirs.infer(y).latents["z"], atol=1e-5, rtol=0)


def test_a_sparse_auto_encoder_needs_no_search() -> None:
    y = load("digits(small)", shipped("sparse_ae")._model, 0).value.arrays["y"][:600]  # type: ignore[union-attr]
    spec = shipped("sparse_ae", N=32)
    assert not spec._model.role("latent")
    spec.fit(y, epochs=30, batch=50, lr=0.01, seed=0, device="cpu")
    model = spec.module()
    with torch.no_grad():
        code = model.Enc(torch.as_tensor(y)).numpy()
        rest = y - code @ model.W.numpy().T
    assert (rest**2).sum() < 0.5 * ((y - y.mean(0)) ** 2).sum()
    assert 0.02 < (code > 1e-3).mean() < 0.6
    np.testing.assert_allclose(spec.free_energy(y), (rest**2).sum(1) + 0.1 * np.abs(code).sum(1), rtol=1e-3)
    # what is no digit is not reconstructed: the same pixels in another order
    shuffled = np.random.default_rng(0).permuted(y, axis=1)
    assert (spec.free_energy(y)[:, None] < spec.free_energy(shuffled)[None]).mean() > 0.9


@pytest.mark.slow
def test_a_penalised_latent_draws_a_curve() -> None:
    spec = shipped("reg_lv_ebm").fit("parabola(300)", epochs=20, batch=50, lr=0.02, seed=0, device="cpu")
    t = np.linspace(-0.9, 0.9, 19, dtype=np.float32)
    on = spec.free_energy(np.stack([t, t**2], 1))
    off = spec.free_energy(np.stack([t, t**2 + 0.5], 1))
    assert on.max() < 0.5 * off.min()
    # E = C + λR at the answer, and R keeps z from running away
    codes = spec.infer(np.stack([t, t**2], 1))
    assert float(np.abs(codes["z"]).max()) < 4


@pytest.mark.slow
def test_a_learned_step_is_worth_ten_of_fista() -> None:
    """Gregor & LeCun 2010 at 10×10 patches and 100 codes: the error of one step, on held-out patches."""
    spec = shipped("lista", lr=0.02)
    (line,) = [line for line in spec.text.splitlines() if line.startswith("infer ")]
    one = ebdsl.load(spec.text.replace(line, "infer z by lista(steps = 1)"), lr=0.02)
    found = load("patches(natural, size = 10, count = 41000, whiten = false, centre = sample, normalise = true, "
                 "scale = 1)", one._model, 0).value  # fmt: skip
    assert found is not None
    y = np.random.default_rng(0).permutation(found.arrays["y"])
    one.fit(y[1000:], epochs=2, batch=256, seed=0, device="cpu")
    held, seen = torch.as_tensor(y[:1000]), torch.as_tensor(y[1000:])
    model = one.module()
    codes = model.infer(seen, exact=True).latents["z"]
    teach(model, [seen], codes, "z", "code", 0.02)  # as for the picture
    exact = model.infer(held, exact=True, tolerance=1e-6).latents["z"]
    fista = ebdsl.load(spec.text.replace(line, "infer z by fista(steps = 10)")).module()
    with torch.no_grad():
        fista.W.copy_(model.W)

    def error(network: Any) -> float:
        return float((network.infer(held).latents["z"] - exact).square().sum(1).mean())

    assert error(model) < error(fista)


@pytest.mark.slow
def test_a_conditional_sparse_auto_encoder_knows_which_class_a_digit_is_of() -> None:
    spec = shipped("sparse_cond_ae", N=32)
    found = load("digits(small)", spec._model, 0).value
    assert found is not None
    rows = np.random.default_rng(0).permutation(len(found.arrays["y"]))
    y, x = (found.arrays[k][rows] for k in "yx")
    spec.fit({"y": y[300:], "x": x[300:]}, epochs=15, batch=50, lr=0.005, seed=0, device="cpu")
    model, given = spec.module(), torch.as_tensor(y[:300])
    with torch.no_grad():
        F = torch.stack([model.free_energy(given, one.expand(300, 10)) for one in torch.eye(10)], 1)
    # nothing was trained to tell classes apart: the energy is lower where y and x go together
    assert float((F.argmin(1).numpy() == x[:300].argmax(1)).mean()) > 0.9
    # the encoder, where inference starts, is near where it ends
    encoded, exact = (model.infer(given, torch.as_tensor(x[:300]), exact=exact) for exact in (False, True))
    z, best = encoded.latents["z"], exact.latents["z"]
    assert float((z - best).square().sum()) < 0.2 * float(best.square().sum())
    assert bool((encoded.energy >= exact.energy - 1e-4).all()) and bool(exact.converged.all())
    assert 0.01 < float((best > 0).float().mean()) < 0.7
