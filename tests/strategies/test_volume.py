"""The volume check: broken energies are refused, and do collapse where the check is overridden; sound ones pass."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from ebdsl import driver
from ebdsl.diagnostics import Source
from ebdsl.run.train import train

ROOT = Path(__file__).parents[2]
SOUND = sorted([*(ROOT / "specs").glob("*.ebm"), *(ROOT / "examples").glob("*.ebm")])
FLAT = {"EB0510", "EB0511", "EB0512", "EB0513", "EB0514", "EB0515", "EB0516"}

SIAMESE = "observed x : R[4], y : R[4]\nmodule h : R[4] -> R[3] = mlp(16, tanh)\n"
MLP = "observed y : R[2]\nmodule f : R[2] -> {} = mlp(16, tanh)\n"
MIXTURE = "observed y : R[3]\nlatent k : onehot[4]\nparam W : R[4, 3], c : R, > 0\n"
NOISY = (
    "observed y : R[2]\nnoise u ~ normal(0, 1) : R[2]\n"
    "module Enc : R[2] -> R[2] = mlp(16, tanh)\nmodule Dec : R[2] -> R[2] = mlp(16, tanh)\n"
)
SLOW = {"optimizer": "sgd", "lr": "0.1"}  # Adam's steps and a projection of whole matrices do not go together

COLLAPSES: dict[str, tuple[str, dict[str, str]]] = {
    "ica without log det": ("observed y : R[4]\nparam W : R[4, 4]\nF(y) = Σ_i log cosh((W y)_i)", {}),
    "experts without log Z": ("observed y : R[4]\nparam W : R[6, 4]\nF(y) = Σ_i log(1 + (W y)_i^2)", {}),
    "features pulled down": ("observed y : R[4]\nparam W : R[3, 4]\nF(y) = ||W y||^2", {}),
    "linear auto-encoder": ("observed y : R[6]\nparam W : R[8, 6], V : R[6, 8]\nF(y) = ||y - V (W y)||^2", {}),
    "full matrix": ("observed y : R[4]\nparam W : R[4, 4]\nF(y) = ||y - W y||^2", {}),
    "network pulled down": (MLP.format("R") + "F(y) = f(y)", {}),
    "square pulled down": (MLP.format("R[3]") + "F(y) = ||f(y)||^2", {}),
    "conditional pulled down": (
        "observed x : R[2], y : R[2]\nmodule f : R[2], R[2] -> R = mlp(16, tanh)\nF(x, y) = f(x, y)", {},
    ),
    "joint embedding": (SIAMESE + "module g : R[4] -> R[3] = mlp(16, tanh)\nF(x, y) = ||h(x) - g(y)||^2", {}),
    "one embedding": (SIAMESE + "F(x, y) = ||h(x) - h(y)||^2", {}),
    "two projections": (
        "observed x : R[3], y : R[3]\nparam A : R[2, 3], C : R[2, 3]\nF(x, y) = ||A x - C y||^2", {},
    ),
    "precision without log det": ("observed y : R[3]\nparam A : R[3, 3], positive definite\nF(y) = ½ y' A y", SLOW),
    "mean and precision": (
        "observed y : R[3]\nparam A : R[3, 3], positive definite, μ : R[3]\nF(y) = ½ (y - μ)' A (y - μ)", SLOW,
    ),
    "weights of a distance": (
        "observed y : R[3]\nparam g : R[3], > 0, m : R[3]\nF(y) = Σ_i g_i (y_i - m_i)^2", {},
    ),
    "mixture without log det": (
        "observed y : R[2]\nlatent k : onehot[3]\nparam μ : R[3, 2], Λ : R[3, 2, 2], positive definite\n"
        "F(y) = softmin_k[1] Σ_j k_j ½ (y - μ[j])' Λ[j] (y - μ[j])", SLOW,
    ),
    "weighed prototypes": (MIXTURE + "F(y) = min_k Σ_j k_j c ||y - W[j]||^2", {}),
    "weighed soft prototypes": (MIXTURE + "F(y) = softmin_k[1] Σ_j k_j c ||y - W[j]||^2", {}),
    "code without penalty": (
        "observed y : R[8]\nlatent z : R[16]\nparam W : R[8, 16], unit columns\nF(y) = min_z ||y - W z||^2", {},
    ),
    "code of full size": ("observed y : R[4]\nlatent z : R[4]\nparam W : R[4, 4]\nF(y) = min_z ||y - W z||^2", {}),
    "free dictionary": (
        "observed y : R[4]\nlatent z : R[4]\nparam W : R[4, 4]\nF(y) = min_z ||y - W z||^2 + ||z||^2", {},
    ),
    "free wide dictionary": (
        "observed y : R[3]\nlatent z : R[6]\nparam W : R[3, 6]\nF(y) = min_z ||y - W z||^2 + 0.5||z||^2", {},
    ),
    "free dictionary and weight": (
        "observed y : R[4]\nlatent z : R[8]\nparam D : R[4, 8], c : R, > 0\nF(y) = min_z c ||y - D z||^2 + c |z|", {},
    ),
    "binary units pulled down": (
        "observed y : binary[6]\nparam W : R[4, 6], b : R[6]\nlatent h : binary[4]\n"
        "F(y) = softmin_h[1] -h' W y - b' y", {},
    ),
}  # fmt: skip

REFUSED = {
    "sparse code": (
        "observed y : R[8]\nlatent z : R[16]\nparam W : R[8, 16]\nF(y) = min_z ||y - W z||^2 + 0.1|z|", "EB0512",
    ),
    "one of two dictionaries": (
        "observed y : R[8]\nlatent z : R[16], u : R[4]\nparam W : R[8, 16], unit columns, V : R[8, 4]\n"
        "F(y) = min_{z, u} ||y - W z - V u||^2 + 0.1|z| + 0.1|u|", "EB0512",
    ),
    "variance without log": ("observed y : R[3]\nparam s : R[3], > 0\nF(y) = Σ_i y_i^2 / s_i", "EB0513"),
    "auto-encoder": (
        "observed y : R[6]\nmodule Enc : R[6] -> R[10] = mlp(16, tanh)\nmodule Dec : R[10] -> R[6] = mlp(16, tanh)\n"
        "F(y) = ||y - Dec(Enc(y))||^2", "EB0510",
    ),
    "latent of full size": (
        "observed y : R[4]\nlatent z : R[4]\nmodule Dec : R[4] -> R[4] = mlp(16, tanh)\nF(y) = min_z ||y - Dec(z)||^2",
        "EB0510",
    ),
    "codes that fly away": (NOISY + "F(y) = E_u[||y - Dec(Enc(y) + u)||^2]", "EB0516"),
    "noise that vanishes": (
        NOISY + "module S : R[2] -> R[2] = mlp(16, tanh)\n"
        "F(y) = E_u[||y - Dec(Enc(y) + exp(S(y)) ⊙ u)||^2] + ½||Enc(y)||^2", "EB0516",
    ),
    "untied contractive": (
        "observed y : R[6]\nmodule Enc : R[6] -> R[6] = mlp(12, tanh)\nmodule Dec : R[6] -> R[6] = mlp(12, tanh)\n"
        "F(y) = ||y - Dec(Enc(y))||^2\ntrain\n    strategy contractive", "EB0514",
    ),
    "margin out of reach": (
        MLP.format("R") + "F(y) = sigmoid(f(y))\ntrain\n    strategy contrastive(loss = hinge, margin = 5)", "EB0515",
    ),
}  # fmt: skip


def planned(text: str) -> set[str]:
    found = driver.plan_source(Source("spec.ebm", text + "\n"))
    return {d.code for d in found.diagnostics} & FLAT


@pytest.mark.parametrize(
    "energy",
    [
        "E_u[||y - Dec(Enc(y) + u)||^2] + 0.1||Enc(y)||^2",
        "E_u[||y - Dec(Enc(y) + u)||^2] + 0.1|Enc(y)|",
        "E_u[||y - Dec(tanh(Enc(y)) + u)||^2]",
        "E_u[||y - Dec(Enc(y) + exp(S(y)) ⊙ u)||^2] + ½||Enc(y)||^2 - Σ_k S(y)[k] + ½ Σ_k exp(2 S(y)[k])",
    ],
)
def test_noise_that_says_something(energy: str) -> None:
    text = NOISY + ("module S : R[2] -> R[2] = mlp(16, tanh)\n" if "S(" in energy else "")
    assert not planned(text + f"F(y) = {energy}")


def samples(text: str) -> dict[str, np.ndarray]:
    """Laplace data that fill their space, for each observed vector of the text."""
    rng, found = np.random.default_rng(0), {}
    for name, kind, size in re.findall(r"(x|y) : (R|binary)\[(\d+)\]", text):
        d = int(size)
        v = rng.laplace(size=(400, d)) @ (np.eye(d) + 0.3 * np.random.default_rng(d).standard_normal((d, d)))
        found[name] = (v > 0 if kind == "binary" else v).astype(np.float32)
    return found


@pytest.mark.parametrize("name", COLLAPSES)
def test_broken_energies_are_refused_and_collapse(name: str, tmp_path: Path) -> None:
    """Overridden and trained, the energy tells data from nothing: its contrast is that of chance."""
    text, settings = COLLAPSES[name]
    assert planned(text)
    np.savez(tmp_path / "y.npz", **samples(text))  # type: ignore[arg-type]
    done = train(
        Source("spec.ebm", text + "\n"), data=str(tmp_path / "y.npz"), out=str(tmp_path / "run"), allow_flat=True,
        settings={"epochs": "1500", "batch": "400", "lr": "0.03", **settings},
    )  # fmt: skip
    contrast = done.session.contrast().contrast
    if name.startswith("weighed"):  # the first exact step already takes the weight to the end of its domain
        assert contrast.spread < 1e-3 and float(done.session.network.c) < 1e-5, contrast
        return
    assert contrast.flat or (contrast.best is not None and contrast.best < 0.62), contrast


@pytest.mark.parametrize("name", REFUSED)
def test_more_that_is_refused(name: str) -> None:
    text, code = REFUSED[name]
    assert planned(text) == {code}


@pytest.mark.parametrize("path", SOUND, ids=lambda p: p.stem)
def test_no_false_alarm(path: Path) -> None:
    assert not planned(path.read_text(encoding="utf-8")) or path.stem in (
        "ae_identity",
        "fuzzy_balls_codes",
        "fuzzy_balls_flyaway",
    )


def test_there_are_enough() -> None:
    assert len(COLLAPSES) >= 20 and len(SOUND) >= 20
