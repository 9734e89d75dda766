"""How latents leave the energy: written minima, softmins, log-sum-exps, and what is assumed."""

from __future__ import annotations

import numpy as np
import pytest

from ebdsl.model import reference
from ebdsl.model.ir import Get, Lit, Node
from tests.check.checking import codes, model

HEAD = """
dim M = 3, K = 4
observed y : R[M]
latent   z : onehot[K]
latent   u : R[M]
latent   v : {0,1}[2]
param    W : R[M, K]
param    s : R, > 0
const    β = 2, σ = 0.5, λ = 0.7, μ = -1
E(y, z) = ||y - W z||^2
"""


def number(node: Node | None) -> float:
    """The value of an inverse temperature made of constants."""
    assert node is not None
    return reference.evaluate(node, {s: s.value for s in node.symbols}, sizes={})


BETAS = {
    "softmin_z E(y, z)": 1.0,
    "softmin_z[β] E(y, z)": 2.0,
    "softmin_z[1/β] E(y, z)": 0.5,
    "3 softmin_z[β] E(y, z)": 2 / 3,
    "-1/β log Σ_z exp(-β E(y, z))": 2.0,
    "-(1/β) log Σ_z exp(-β E(y, z))": 2.0,
    "-1/β log(Σ_z exp(-β E(y, z)))": 2.0,
    "-log(Σ_z exp(-β E(y, z)))/β": 2.0,
    "-log Σ_z exp(-E(y, z))": 1.0,
    "-σ^2 log Σ_z exp(-E(y, z)/σ^2)": 4.0,
    "-2σ² log Σ_z exp(-E(y, z)/(2σ²))": 2.0,
    "-½ log Σ_z exp(-2 E(y, z))": 2.0,
    "-0.5 log Σ_z exp(-(E(y, z) + E(y, z)))": 2.0,
    "-1/β log Σ_z exp(-β (E(y, z) + 1))": 2.0,
    "-1/β log Σ_z exp(-β E(y, z) - β|y|)": 2.0,
    "-1/β log Σ_z exp(-β E)": 2.0,
}


@pytest.mark.parametrize("formula", BETAS.keys())
def test_softmin(formula: str) -> None:
    m = model(HEAD + f"F(y) = {formula}\n")
    (e,) = m.eliminations
    assert e.kind == "softmin" and [s.name for s in e.latents] == ["z"]
    assert number(e.beta) == pytest.approx(BETAS[formula])


@pytest.mark.parametrize("formula", BETAS.keys())
def test_value_of_softmin(formula: str) -> None:
    """The model's free energy is the formula's value, summed over the four choices in numpy."""
    m = model(HEAD + f"F(y) = {formula}\n")
    rng = np.random.default_rng(1)
    values = reference.random_values(m, rng)
    named = {s.name: np.asarray(x) for s, x in values.items()}
    e = ((named["y"][:, None] - named["W"]) ** 2).sum(0)
    outer = 3.0 if formula.startswith("3") else 1.0
    beta = BETAS[formula] * outer
    if "+ 1" in formula:
        e = e + 1
    if "|y|" in formula:
        e = e + abs(named["y"]).sum()
    wanted = -outer / beta * np.log(np.exp(-beta * e).sum())
    kept = {s: x for s, x in values.items() if s.role != "latent"}
    assert reference.free_energy(m, kept) == pytest.approx(float(wanted), rel=1e-10)


def test_energy_without_a_name_keeps_its_weights() -> None:
    """With β = 1 outside, factors inside an unnamed energy are its weights: the mixture of Gaussians of width σ."""
    m = model(HEAD + "F(y) = -log Σ_z exp(-½||y - W z||^2)\n")
    (e,) = m.eliminations
    assert e.beta == Lit(1.0)
    values = reference.random_values(m, np.random.default_rng(0))
    named = {s.name: np.asarray(x) for s, x in values.items()}
    wanted = 0.5 * ((named["y"] - named["W"] @ named["z"]) ** 2).sum()
    assert reference.energy(m, values) == pytest.approx(float(wanted))


def test_temperature_that_is_learned() -> None:
    m = model(HEAD + "F(y) = -s log Σ_z exp(-E(y, z)/s)\n")
    (e,) = m.eliminations
    assert e.beta is not None and [x.name for x in e.beta.symbols] == ["s"]
    assert all("s" not in {x.name for x in t.node.symbols} for t in m.terms)


def test_energy_keeps_no_temperature() -> None:
    """1/β outside and β inside cancel exactly."""
    m = model(HEAD + "F(y) = -1/β log Σ_z exp(-β E(y, z))\n")
    assert all(not any(s.name == "β" for s in t.node.symbols) for t in m.terms)
    plain = model(HEAD + "F(y) = softmin_z[β] E(y, z)\n")
    assert [t.text for t in plain.terms] == [t.text for t in m.terms]
    assert isinstance(m.eliminations[0].beta, Get)


@pytest.mark.parametrize(
    "formula",
    [
        "(min_z E(y, z)) + λ||y||^2",
        "λ||y||^2 + min_z E(y, z)",
        "min_z (E(y, z) + λ||y||^2)",
        "2 (½ min_z E(y, z)) + λ||y||^2",
        "min_z E(y, z) + λ||y||^2",
    ],
)
def test_minimum_takes_in_what_is_free_of_it(formula: str) -> None:
    m = model(HEAD + f"F(y) = {formula}\n")
    assert [t.text for t in m.terms if "λ" in t.text] == ["λ||y||^2"]
    assert len(m.terms) == 2
    assert [e.kind for e in m.eliminations] == ["min"]
    values = reference.random_values(m, np.random.default_rng(0))
    named = {s.name: np.asarray(x) for s, x in values.items()}
    e = ((named["y"][:, None] - named["W"]) ** 2).sum(0).min() + 0.7 * (named["y"] ** 2).sum()
    assert reference.free_energy(m, {s: x for s, x in values.items() if s.role != "latent"}) == pytest.approx(float(e))


def test_two_minima_side_by_side() -> None:
    m = model(HEAD + "F(y) = (min_z E(y, z)) + (min_u ||y - u||^2 + |u|)\n")
    assert [(e.kind, [s.name for s in e.latents]) for e in m.eliminations] == [("min", ["z", "u"])]


def test_nested_outermost_first() -> None:
    m = model(HEAD + "F(y) = min_u softmin_z[β] (E(y, z) + ||y - u||^2 + |u|)\n")
    assert [(e.kind, [s.name for s in e.latents]) for e in m.eliminations] == [("min", ["u"]), ("softmin", ["z"])]


def test_several_latents() -> None:
    m = model(HEAD + "F(y) = min_{z, u} E(y, z) + ||y - u||^2 + |u|\n")
    assert [s.name for s in m.eliminations[0].latents] == ["z", "u"]


def test_nothing_is_silent() -> None:
    m = model("observed y : R[M]\nlatent z : R[M]\nE(y, z) = ||y - z||^2 + |z|\n")
    assert [(e.kind, [s.name for s in e.latents]) for e in m.eliminations] == [("min", ["z"])]
    assert any("minimum over z" in n for n in m.notes)
    assert any("not ½" in n for n in m.notes)
    m = model(HEAD + "F(y) = softmin_z E(y, z)\n")
    assert any("β is 1" in n for n in m.notes)


def test_names_of_the_energies() -> None:
    m = model(HEAD + "F(y) = min_z E(y, z)\n")
    assert (m.energy_name, m.free_energy_name) == ("E", "F")
    m = model("observed y : R[M]\nloss(y) = ||y||^2\n")
    assert (m.energy_name, m.free_energy_name) == ("loss", "loss")


WRONG = {
    "log Σ_z exp(-E(y, z))": "EB0307",
    "1/β log Σ_z exp(-β E(y, z))": "EB0307",
    "-log Σ_z exp(E(y, z))": "EB0307",
    "-log Σ_z exp(||y - W z||^2)": "EB0307",
    "-1/β log Σ_z exp(-E(y, z))": "EB0308",
    "-log Σ_z exp(-β E(y, z))": "EB0308",
    "-½ log Σ_z exp(-E(y, z))": "EB0308",
    "-1/β log Σ_z exp(-λ E(y, z))": "EB0308",
    "-β log Σ_z exp(-β E(y, z))": "EB0308",
    "-log ∫ exp(-E(y, z)) dz": "EB0311",
    "-log Σ_u exp(-||y - u||^2)": "EB0311",
    "-log Σ_z E(y, z)": "EB0306",
    "Σ_z exp(-E(y, z))": "EB0306",
    "-1/β log Σ_y exp(-β E(y, z))": "EB0305",
    "min_y E(y, z)": "EB0305",
    "min_W E(y, z)": "EB0305",
    "min_β E(y, z)": "EB0305",
    "(min_z E(y, z))^2": "EB0306",
    "exp(min_z E(y, z))": "EB0306",
    "||y||^2 min_z E(y, z)": "EB0310",
    "-min_z E(y, z)": "EB0310",
    "0 min_z E(y, z)": "EB0310",
    "Σ_m min_u (y_m - u_m)^2": "EB0306",
    "(min_z E(y, z)) + (min_z E(y, z))": "EB0309",
    "min_z min_z E(y, z)": "EB0309",
    "(min_z E(y, z)) + z[0]": "EB0309",
    "softmin_z[y] E(y, z)": "EB0312",
    "softmin_z[||y||] E(y, z)": "EB0312",
    "softmin_z[0] E(y, z)": "EB0312",
    "softmin_z[-1] E(y, z)": "EB0312",
    "(softmin_z E(y, z)) + (softmin_v ||v||^2)": "EB0306",
    "-1/μ log Σ_z exp(-μ E(y, z))": "EB0312",
    "max_z E(y, z)": "EB0230",
    "min_z ||u - W z||^2": "EB0304",
}


@pytest.mark.parametrize("formula", WRONG.keys())
def test_wrong(formula: str) -> None:
    """One finding, and no other."""
    assert codes(HEAD + f"F(y) = {formula}\n") == [WRONG[formula]]
