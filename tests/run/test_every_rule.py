"""Every rule of inference: its answers are certified, and answers that are wrong in one sample are not.

Right answers are never refused, in float32 and float64. A code, a mean or a state that is changed, an energy of another
answer, and a search that is cut short always are.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from ebdsl.infer.core import RULES, Problem, Refusal, load_rules, total_energy
from ebdsl.model.ir import Symbol
from ebdsl.run.certify import Certificates, Certifier
from tests.emit.compiled import Compiled, compile_spec

LINEAR = "observed y : R[6]\nlatent z : {latent}\nparam W : R[6, {n}], unit columns\nF(y) = {free} {energy}\n"


def linear(latent: str, energy: str, free: str = "min_z", n: int = 4) -> str:
    return LINEAR.format(latent=latent, energy=energy, free=free, n=n)


SAMPLES = 5


@dataclass(frozen=True)
class Case:
    """A spec whose latents leave by a rule. ``wrong`` is the share of an answer's size by which it is changed, where a
    thousandth is within the target."""

    text: str
    wrong: float = 1e-3


CASES: dict[tuple[str, str], Case | str] = {
    ("closed form", "min"): Case(linear("R[4]", "||y - W z||^2 + 0.3||z||^2")),
    ("banded solve", "min"): Case(
        "observed y : R[80]\nlatent z : R[80]\nF(y) = min_z ||y - z||^2 + 4 Σ_t (z[t+1] - z[t])^2"
    ),
    ("fast transform", "min"): Case(
        "observed y : R[9, 10]\nlatent x : R[9, 10]\n"
        "F(y) = min_x ||y - x||^2 + 2 Σ_{i,j} (x[i+1, j] - x[i, j])^2 + 2 Σ_{i,j} (x[i, j+1] - x[i, j])^2"
    ),
    ("conjugate gradients", "min"): Case(
        "observed y : R[1100]\nobserved m : {0,1}[1100]\nlatent x : R[1100]\nparam a : sphere[1100]\n"
        "F(y, m) = min_x Σ_i m[i] (y[i] - x[i])^2 + (a'x)^2 + 0.1||x||^2"
    ),
    ("Riccati recursion", "min"): Case(
        "dim T = 7\nobserved x : R[2]\nlatent a : R[T, 1]\nparam A : R[2, 2], B : R[2, 1]\n"
        "s[0] = x\ns[t+1] = A s[t] + B a[t]\nF(x) = min_a Σ_t ||s[t]||^2 + 0.5||a||^2 + ||A||^2 + ||B||^2"
    ),
    ("proximal gradient", "min"): Case(linear("R[4]", "||y - W z||^2 + 0.3|z|")),
    ("convolutional splitting", "min"): Case(
        "observed y : R[8, 9]\nlatent z : R[2, 8, 9]\nparam D : R[2, 3, 3], unit filters\n"
        "F(y) = min_z ||y - Σ_k cconv(D[k], z[k])||^2 + 0.2|z|"
    ),
    ("splitting", "min"): Case(linear("R[4]", "||y - W z||^2 + 0.3 Σ_k |z[k+1] - z[k]|"), wrong=5e-2),
    ("total variation", "min"): Case(
        "observed y : R[40]\nlatent z : R[40]\nparam m : R[40]\nF(y) = min_z ||y - m - z||^2 + 0.7 Σ_t |z[t+1] - z[t]|",
        wrong=5e-2,
    ),
    ("banded interior point", "min"): Case(
        "observed y : R[40]\nlatent z : R[40]\nparam m : R[40]\n"
        "F(y) = min_z ||y - m - z||^2 + 0.7 Σ_t |z[t+2] - 2 z[t+1] + z[t]|",
        wrong=5e-2,
    ),
    ("interior points", "min"): Case(
        "observed y : R[6], v : R[4], > 0\nlatent z : R[4]\nparam W : R[6, 4], unit columns\n"
        "F(y, v) = min_z ||y - W z||^2 + Σ_k v[k] |z[k]| + 0.2 Σ_k |z[k+1] - z[k]|",
        wrong=5e-2,
    ),
    ("coordinate descent", "min"): Case(linear("R[8]", "||y - W z||^2 + 0.3||z||_0", n=8), wrong=1e-2),
    ("Newton", "min"): Case(linear("R[4]", "Σ_i log cosh(y[i] - (W z)[i]) + 0.1||z||^2")),
    ("alternating minimisation", "min"): Case(
        "observed Y : R[5, 6]\nlatent u : R[5], v : R[6]\nparam A : R[5, 6]\n"
        "F(Y) = min_{u,v} ||Y - A - u v'||^2 + 0.3||u||^2 + 0.3||v||^2",
        wrong=1e-2,
    ),
    ("descent with restarts", "min"): Case(linear("sphere[4]", "||y - W z||^2")),
    ("enumeration", "min"): Case(linear("onehot[4]", "||y - W z||^2")),
    ("enumeration", "softmin"): Case(linear("{0,1}[4]", "||y - W z||^2", "softmin_z[2]")),
    ("variable elimination", "min"): Case(
        "observed y : R[20]\nlatent s : onehot[20, 3]\nparam A : R[3, 3], m : R[3]\n"
        "F(y) = min_s Σ_t Σ_k s[t, k] (y[t] - m[k])^2 + Σ_t s[t]' A s[t+1]"
    ),
    ("variable elimination", "softmin"): Case(
        "observed y : R[20]\nlatent s : onehot[20, 3], b : {0,1}[20]\nparam A : R[3, 3], m : R[3]\n"
        "F(y) = softmin_{s,b}[1.5] Σ_t Σ_k s[t, k] (y[t] - m[k] - 0.3 b[t])^2 + Σ_t s[t]' A s[t+1]"
        " + Σ_t (b[t+1] - b[t])^2"
    ),
    ("local search", "min"): Case(linear("{0,1}[18]", "||y - W z||^2 + 0.1 Σ_k z[k]", n=18)),
    ("every state solved", "min"): Case(
        "observed y : R[6]\nlatent k : onehot[3], z : R[2]\nparam W : R[6, 2], unit columns\nparam m : R[6, 3]\n"
        "F(y) = min_{k,z} ||y - m k - W z||^2 + 0.2|z|"
    ),
    ("softmin of minima", "softmin of min"): Case(
        "observed y : R[6]\nlatent k : onehot[3], z : R[2]\nparam W : R[6, 2], unit columns\nparam m : R[6, 3]\n"
        "F(y) = softmin_k[1.5] min_z ||y - m k - W z||^2 + 0.2|z|"
    ),
    ("minimum of a softmin", "min of softmin"): Case(
        "observed y : R[6]\nlatent k : onehot[3], z : R[2]\nparam W : R[6, 2], unit columns\nparam m : R[6, 3]\n"
        "F(y) = min_z softmin_k[1.5] ||y - m k - W z||^2 + 0.2||z||^2"
    ),
    ("Gaussian integral", "softmin"): Case(linear("R[4]", "||y - W z||^2 + 0.3||z||^2", "softmin_z[2]")),
    ("quadrature", "softmin"): Case(linear("R[2]", "||y - W z||^2 + 0.3|z| + z[0]^4", "softmin_z[2]", n=2)),
    ("interior point", "min"): "asked for blocks of parameters alone",
    ("Monte Carlo", "mean"): "noise has no answer",
}
CHECKED = {key: case for key, case in CASES.items() if isinstance(case, Case)}
ITERATIVE = (
    "proximal gradient",
    "splitting",
    "convolutional splitting",
    "conjugate gradients",
    "descent with restarts",
)


def test_no_rule_is_left_out() -> None:
    """Those that are not in the table refuse such problems whatever they are."""
    load_rules()
    assert {name for name, _ in CASES} == set(RULES)
    for name, rule in RULES.items():
        for kind in set(rule.kinds) - {kind for other, kind in CASES if other == name}:
            for key in CHECKED:
                model = built(key, "float64")[0].model
                problem = Problem(model, kind, model.role("latent"), total_energy(model))
                assert isinstance(rule.consider(problem), Refusal), (name, kind, key)
    for key in CHECKED:
        compiled = built(key, "float64")[0]
        assert compiled.rule == key[0]


@cache
def built(key: tuple[str, str], dtype: str) -> tuple[Compiled, Any, dict[str, torch.Tensor]]:
    """A spec, its network at random parameters, and samples."""
    c = compile_spec(CHECKED[key].text)
    net = c.randomise(c.build(), seed=1).to(getattr(torch, dtype))
    return c, net, {k: v.to(net_dtype(net)) for k, v in c.observed(SAMPLES, seed=2).items()}


def net_dtype(net: Any) -> torch.dtype:
    return next((p.dtype for p in net.parameters()), torch.float64)


def certified(
    key: tuple[str, str], dtype: str, change: Callable[[dict[str, Any]], None] = lambda _: None, **options: Any
) -> Certificates:
    """The certificates of what ``infer`` answers, after ``change`` of its arrays."""
    c, net, y = built(key, dtype)
    with torch.no_grad():
        found = net.infer(**y, **options)
    latents = {s.name: found.latents[c.python(s)].double().numpy() for s in c.model.role("latent")}
    answers: dict[str, Any] = {"energy": found.energy.double().numpy(), **latents}
    change(answers)
    energy = answers.pop("energy")
    certifier = Certifier(c.plan, net)
    posterior = {k: v.numpy() for k, v in (getattr(found, "posterior", None) or {}).items()}
    certifier.add({s.name: y[c.python(s)].numpy() for s in c.model.role("observed")}, answers, energy, posterior)
    assert certifier.found.reason is None
    return certifier.found


EVERY = pytest.mark.parametrize("key", CHECKED, ids=" ".join)
DTYPES = pytest.mark.parametrize("dtype", ["float64", "float32"])


@EVERY
@DTYPES
def test_right_answers_hold(key: tuple[str, str], dtype: str) -> None:
    found = certified(key, dtype)
    assert found.good.all(), (found.residual, found.allowed, found.off, found.off_allowed)


@EVERY
@DTYPES
def test_a_wrong_answer_is_found_in_its_sample(key: tuple[str, str], dtype: str) -> None:
    c, *_ = built(key, dtype)
    for s in c.model.role("latent"):

        def change(answers: dict[str, Any], s: Symbol = s) -> None:
            z = answers[s.name][2]
            share = CHECKED[key].wrong
            if s.domain.row.finite and key[1] == "min":
                z[...] = other_state(s, z)
            elif s.domain.kind == "sphere":
                z[...] += share * np.roll(z, 1)
                z /= np.linalg.norm(z)
            else:
                z[...] += (
                    share
                    * (np.abs(z).max() if key[1] == "min" else 1)
                    * np.where(np.arange(z.size).reshape(z.shape) % 2, 1, -1)
                )

        found = certified(key, dtype, change)
        assert not found.good[2] and np.delete(found.good, 2).all(), (found.residual, found.allowed)


def test_a_wrong_answer_is_found_beside_a_large_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    key = ("proximal gradient", "min")
    c, net, y = built(key, "float32")
    large = {"y": y["y"] * torch.tensor([1e13, 1, 1, 1, 1])[:, None]}
    monkeypatch.setitem(globals(), "built", lambda *_: (c, net, large))

    def change(answers: dict[str, Any]) -> None:
        answers["z"][2] *= 1.01

    assert certified(key, "float32").good[1:].all()
    assert not certified(key, "float32", change).good[2]


@EVERY
def test_parameters_that_are_zero(key: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Matrices are singular and slopes vanish; answers are right, and certified."""
    c, net, y = built(key, "float32")
    empty = copy.deepcopy(net)
    with torch.no_grad():
        for p in empty.parameters():
            p.zero_()
    monkeypatch.setitem(globals(), "built", lambda *_: (c, empty, y))
    assert certified(key, "float32").good.all()
    assert bool(empty.infer(**y).converged.all())


def other_state(s: Symbol, z: np.ndarray) -> np.ndarray:
    """One variable at another value."""
    wrong = z.copy()
    if s.domain.kind == "onehot":
        wrong.reshape(-1, z.shape[-1])[0] = np.roll(z.reshape(-1, z.shape[-1])[0], 1)
    else:
        low, high = s.domain.row.points(())
        wrong.flat[0] = low + high - wrong.flat[0]
    return wrong


@EVERY
@DTYPES
def test_an_energy_that_is_not_the_answers_is_found(key: tuple[str, str], dtype: str) -> None:
    def change(answers: dict[str, Any]) -> None:
        answers["energy"][1] += 1e-2 * max(1, abs(answers["energy"][1]))

    found = certified(key, dtype, change)
    assert not found.good[1] and np.delete(found.good, 1).all()


@pytest.mark.parametrize("key", [k for k in CHECKED if k[0] in ITERATIVE], ids=" ".join)
@DTYPES
def test_a_search_that_is_cut_short_is_found(key: tuple[str, str], dtype: str) -> None:
    """What is not converged does not pass, unless it got there."""
    _, net, y = built(key, dtype)
    with torch.no_grad():
        converged = net.infer(**y, max_steps=2).converged.numpy()
    found = certified(key, dtype, max_steps=2)
    assert not converged.all() and not (found.good & ~converged).any()


MASKED = (
    "observed y : R[6], m : {{0,1}}[6]\nlatent z : {latent}\nparam W : R[6, 4], unit columns\nF(y, m) = min_z {energy}"
)
MASKS = {
    ("masks", latent): Case(MASKED.format(latent=latent, energy="Σ_i m[i] (y[i] - (W z)[i])^2 + 0.3|z|" + more))
    for latent, more in (("R[4]", ""), ("R[4], >= 0", ""), ("box(-1, 0.5)[4]", ""), ("simplex[4]", " + 0.1||z||^2"))
}

GROUPED = (
    "observed y : R[6]\nlatent z : R[3, 2]{domain}\nparam W : R[6, 3, 2]\n"
    "F(y) = min_z Σ_i (y[i] - Σ_{{g,k}} W[i,g,k] z[g,k])^2 + 0.1||W||^2 + {term}"
)
NORMS = {
    (term, domain): Case(GROUPED.format(domain=domain, term=term))
    for term in (
        "0.3 Σ_g step(||z[g,:]||)",
        "0.3 Σ_g √||z[g,:]||",
        "Σ_g (0.6 ||z[g,:]|| - ½ huber(||z[g,:]||, 1.2))",
        "0.3 Σ_g ||z[g,:]||^1.5",
    )
    for domain in ("", ", >= 0")
}


@pytest.mark.parametrize("key", [*MASKS, *NORMS], ids=" ".join)
@DTYPES
def test_systems_that_differ_by_sample_and_norms_of_groups(
    key: tuple[str, str], dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right answers at bounds and kinks in float32 are no further from them than their digits."""
    monkeypatch.setitem(CHECKED, key, (MASKS | NORMS)[key])
    found = certified(key, dtype)
    assert found.good.all(), (found.residual, found.allowed, found.off, found.off_allowed)

    def change(answers: dict[str, Any]) -> None:
        z = answers["z"][np.abs(answers["z"]).reshape(SAMPLES, -1).sum(1).argmax()]
        z[...] = 0.99 * z + 0.01 * np.roll(z, 1)

    assert (~certified(key, dtype, change).good).sum() == 1


def test_reasons_are_those_of_the_table() -> None:
    for (name, kind), reason in CASES.items():
        if isinstance(reason, str):
            assert RULES[name].single or kind == "mean"
