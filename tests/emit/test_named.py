"""Algorithms asked for by name and encoders unrolled from them, against numpy, the exact answer and each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ebdsl import driver
from ebdsl.diagnostics import Source
from ebdsl.run.load import load
from ebdsl.runtime.inference import largest_eigenvalue

SPEC = """model m
dim M = 8, N = 12
observed y : R[M]
latent   z : R[N]{domain}
param    W : R[M, N], unit columns
const    λ = 0.4, α = 0.3
E(y, z) = {energy}
F(y)    = min_z E(y, z)
infer z by {by}
"""
ENERGIES = {
    "half": ("½||y - W z||^2 + λ|z|", ""),
    "one": ("||y - W z||^2 + λ|z|", ""),
    "nonnegative": ("||y - W z||^2 + λ|z|", ", >= 0"),
    "elastic": ("3 (y - W z)'(y - W z) + λ|z| + α||z||^2", ""),
    "group": ("||y - W z||^2 + λ||z||", ""),
    "box": ("||y - W z||^2", ", box(-0.2, 0.2)"),
}


def spec(energy: str, by: str) -> str:
    text, domain = ENERGIES[energy]
    return SPEC.format(energy=text, domain=domain, by=by)


def network(text: str, dtype: torch.dtype = torch.float64):
    checked = driver.compile_source(Source("m.ebm", text), allow_flat=True)
    assert checked.value is not None, checked.diagnostics
    return load(checked.value).build(seed=3, dtype=dtype)


def samples(n: int = 40) -> torch.Tensor:
    return torch.as_tensor(np.random.default_rng(0).standard_normal((n, 8)))


@pytest.mark.parametrize("steps", [0, 1, 4, 20])
@pytest.mark.parametrize("weights", ["shared", "untied"])
@pytest.mark.parametrize("energy", ENERGIES)
def test_lista_starts_as_ista(energy, weights, steps) -> None:
    y = samples().float()
    start = network(spec(energy, f"lista(steps = {steps}, weights = {weights})"), torch.float32)
    ista = network(spec(energy, f"ista(steps = {max(steps, 1)})"), torch.float32)
    if steps:
        expected = ista.infer(y).latents["z"]
        torch.testing.assert_close(start.infer(y).latents["z"], expected, atol=1e-6, rtol=0)
    assert start.encode(y)["z"].requires_grad


@pytest.mark.parametrize("by", ["ista", "fista"])
def test_proximal_steps_are_those_of_the_papers(by) -> None:
    """Daubechies et al. 2004 and Beck & Teboulle 2009, in numpy, for the energy as it is written."""
    model = network(spec("one", f"{by}(steps = 7)"))
    W, y = model.W.detach().numpy(), samples().numpy()
    L = float(largest_eigenvalue(torch.as_tensor(2 * W.T @ W)))
    assert np.linalg.eigvalsh(2 * W.T @ W)[-1] <= L

    def pass_(v: np.ndarray) -> np.ndarray:
        v = v - 2 * (v @ W.T - y) @ W / L
        return np.sign(v) * np.maximum(np.abs(v) - 0.4 / L, 0)

    x = v = np.zeros((40, 12))
    t = 1.0
    for _ in range(1 + 7):  # a first pass, and the steps
        new = pass_(v)
        ahead = (1 + np.sqrt(1 + 4 * t * t)) / 2
        v = new + (t - 1) / ahead * (new - x) if by == "fista" else new
        x, t = new, ahead
    np.testing.assert_allclose(model.infer(samples()).latents["z"].numpy(), x, atol=1e-12)


@pytest.mark.parametrize("energy", [e for e in ENERGIES if e != "group"])
def test_coordinate_steps_are_greedy_and_exact(energy) -> None:
    """One coordinate a step, the one that moves furthest: by trying every coordinate with the energy itself."""
    y = samples(10)
    for steps in (1, 3):
        model = network(spec(energy, f"cod(steps = {steps})"))
        z = torch.zeros(10, 12, dtype=torch.float64)
        grid = network(spec(energy, "ista"))

        def best(z: torch.Tensor, model=model) -> torch.Tensor:
            W = model.W.detach()
            hessian = {"half": 1.0, "elastic": 6.0}.get(energy, 2.0)
            extra = 0.6 if energy == "elastic" else 0.0
            gram = hessian * W.T @ W + extra * torch.eye(12, dtype=torch.float64)
            free = z - (z @ gram - hessian * y @ W) / gram.diagonal()
            if energy == "box":
                return free.clamp(-0.2, 0.2)
            t = 0.4 / gram.diagonal()
            return (free - t).clamp_min(0) if energy == "nonnegative" else free.sign() * (free.abs() - t).clamp_min(0)

        for _ in range(steps):
            target = best(z)
            place = (target - z).abs().argmax(1)
            rows = torch.arange(10)
            z[rows, place] = target[rows, place]
        torch.testing.assert_close(model.infer(y).latents["z"], best(z), atol=1e-10, rtol=0)
        assert bool((grid.energy(y, z) <= grid.energy(y, torch.zeros_like(z)) + 1e-12).all())


@pytest.mark.parametrize("by", ["ista", "fista", "cod"])
@pytest.mark.parametrize("energy", ENERGIES)
def test_without_steps_they_go_to_the_minimum(energy, by) -> None:
    if (energy, by) == ("group", "cod"):
        return
    model = network(spec(energy, by))
    found = model.infer(samples(), max_steps=50_000)
    exact = model.infer(samples(), exact=True, max_steps=50_000)
    assert bool(found.converged.all())
    torch.testing.assert_close(found.energy, exact.energy, atol=1e-7, rtol=0)


def test_few_steps_are_said_not_to_have_converged() -> None:
    found = network(spec("half", "fista(steps = 2)")).infer(samples())
    assert not bool(found.converged.all()) and bool((found.residual > 0).any())


@pytest.mark.parametrize("energy", [e for e in ENERGIES if e != "group"])
def test_lcod_starts_as_coordinate_descent(energy) -> None:
    y = samples()
    for weights in ("shared", "untied"):
        start = network(spec(energy, f"lcod(steps = 6, weights = {weights})"))
        expected = network(spec(energy, "cod(steps = 6)")).infer(y).latents["z"]
        torch.testing.assert_close(start.infer(y).latents["z"], expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize("by", ["lista(steps = 2, on = code)", "lista(steps = 2, on = energy, weights = untied)",
                                "lcod(steps = 5, on = code)", "lcod(steps = 5, on = energy)"])  # fmt: skip
def test_learned_encoders_get_nearer_and_leave_the_energy_alone(by) -> None:
    text = spec("half", by)
    module = load(driver.compile_source(Source("m.ebm", text), allow_flat=True).value or "")
    model = module.build(seed=3, dtype=torch.float64)
    y = samples(400)

    def errors() -> tuple[float, float]:
        exact = model.infer(y, exact=True)
        code = model.infer(y)
        return (
            float((code.latents["z"] - exact.latents["z"]).square().sum(1).mean()),
            float((code.energy - exact.energy).mean()),
        )

    learner = module.Learner(model, lr=0.01)
    alone_text = driver.compile_source(Source("m.ebm", spec("half", "ista"))).value or ""
    assert "tolerance=0.03" in alone_text  # an encoder gets answers as they are
    before, plain = errors(), load(alone_text.replace("tolerance=0.03", "tolerance=None"))
    other = plain.build(seed=3, dtype=torch.float64)
    alone = plain.Learner(other)
    for k in range(60):
        part = {"y": y[(k % 4) * 100 : (k % 4 + 1) * 100]}
        learner.step(part)
        alone.step(part)
    torch.testing.assert_close(model.W, other.W)  # the energy's own learning is what it is without an encoder
    after = errors()
    which = 1 if "energy" in by else 0
    assert after[which] < 0.8 * before[which]


def test_renaming_and_rescaling_change_nothing() -> None:
    y = samples()
    one = network(spec("half", "fista(steps = 5)")).infer(y).latents["z"]
    text = spec("one", "fista(steps = 5)").replace("λ = 0.4", "λ = 0.8")
    torch.testing.assert_close(network(text).infer(y).latents["z"], one, atol=1e-10, rtol=0)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (spec("group", "cod"), "EB0503", "ties entries"),
        (spec("half", "ista").replace("½||y - W z||^2", "||y - Dec(z)||^2").replace(
            "const", "module Dec : R[N] -> R[M] = linear\nconst"), "EB0503", "learned function"),
        (spec("half", "ista").replace("||y - W z||^2", "||z||^2 - y' W z"), "EB0503", "one step"),
        (spec("half", "fista(step = 3)"), "EB0229", "no option step"),
        (spec("half", "fista(steps = 2.5)"), "EB0229", "whole number"),
        (spec("half", "lista(on = Code)"), "EB0229", "code or energy"),
        (spec("half", "ista(on = code)"), "EB0229", "no option on"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(text, code, words) -> None:
    found = driver.plan_source(Source("m.ebm", text), allow_flat=True)
    said = [d for d in found.diagnostics if d.severity == "error"]
    assert [d.code for d in said] == [code], found.diagnostics
    assert words in " ".join([said[0].message, *said[0].help])


def test_what_the_spec_calls_so_comes_first() -> None:
    text = spec("half", "ista").replace("const", "module ista : R[M] -> R[N] = linear\nconst")
    model = driver.plan_source(Source("m.ebm", text), allow_flat=True).value
    assert model is not None and not model.named and "z" in model.model.amortised


def test_explain_says_what_answers() -> None:
    from ebdsl.explain import text as explained

    plan = driver.plan_source(Source("m.ebm", spec("half", "lista(steps = 3, on = energy)")), allow_flat=True).value
    assert plan is not None
    said = explained(plan)
    assert "with lista" in said and "energy of its answer" in said and "Gregor & LeCun" in said


@pytest.mark.parametrize("by", ["lista(steps = 2)", "lcod(steps = 4)"])
@pytest.mark.parametrize("energy", ["one", "nonnegative", "elastic", "box"])
def test_encoders_tell_how_far_they_are_from_the_minimum(energy, by) -> None:
    model, y = network(spec(energy, by)), samples()
    found = model.infer(y)
    assert bool((found.residual > 1e-3).any()) and not bool(found.converged.all())
    # after many steps most samples have arrived, which is said of those alone
    far = network(spec(energy, f"{by.split('(')[0]}(steps = 2000)"))
    exact, found = far.infer(y, exact=True), far.infer(y, tolerance=1e-4)
    assert float(found.converged.double().mean()) > 0.8
    good = found.converged
    torch.testing.assert_close(found.energy[good], exact.energy[good], atol=1e-5, rtol=0)


def test_a_module_that_encodes_is_measured_too() -> None:
    text = spec("one", "Enc") + "module Enc : R[M] -> R[N] = linear >> tanh\n"
    model = network(text)
    found = model.infer(samples())
    assert bool((found.residual > 0).all()) and not bool(found.converged.any())


def test_an_encoder_of_a_learned_function_is_not_measured() -> None:
    text = """model m
observed y : R[3]
latent z : R[2]
module Enc : R[3] -> R[2] = linear
module Dec : R[2] -> R[3] = linear >> tanh
E(y, z) = ||y - Dec(z)||^2 + 0.1||z||^2
F(y) = min_z E(y, z)
infer z by Enc
"""
    found = network(text).infer(torch.randn(5, 3, dtype=torch.float64))
    assert bool(found.residual.isnan().all()) and not bool(found.converged.any())
