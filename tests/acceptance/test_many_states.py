"""Finite latents with more states than are tried: as low as all states, certified by changes of one variable."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from ebdsl.run.certify import Certifier
from tests.emit.compiled import Compiled, compile_spec

BITS = (
    "observed y : R[6]\nlatent z : {0,1}[17]\nparam W : R[6, 17]\n"
    "F(y) = min_z ||y - W z||^2 + 0.3 Σ_k z[k] + 0.1||W||^2"
)
SPINS = BITS.replace("{0,1}[17]", "{-1,1}[9], b : {0,1}[8]").replace("min_z", "min_{z,b}").replace(
    "W : R[6, 17]", "W : R[6, 9], B : R[6, 8]"
).replace("W z", "W z - B b")  # fmt: skip
CHOICES = (
    "observed y : R[6]\nlatent z : onehot[9, 4]\nparam W : R[6, 9, 4]\n"
    "F(y) = min_z Σ_i (y[i] - Σ_{a,b} W[i,a,b] z[a,b])^2 + 0.1||W||^2"
)
ROUGH = BITS.replace("||y - W z||^2", "Σ_i log cosh(3 (y[i] - (W z)[i]))")


def inferred(text: str) -> tuple[Compiled, object, dict[str, torch.Tensor], object]:
    c = compile_spec(text)
    net = c.randomise(c.build(), seed=1)
    y = c.observed(4, seed=2)
    return c, net, y, net.infer(*y.values())


def certified(c: Compiled, net: object, y: dict[str, torch.Tensor], latents: dict[str, torch.Tensor]) -> np.ndarray:
    certifier = Certifier(c.plan, net)
    names = {c.python(s): s.name for s in c.model.symbols}
    certifier.add({names[k]: v.numpy() for k, v in y.items()}, {names[k]: v.numpy() for k, v in latents.items()})
    assert certifier.found.reason is None
    return certifier.found.good


@pytest.mark.parametrize("text", [BITS, SPINS, CHOICES, ROUGH])
def test_no_change_of_one_variable_lowers(text: str) -> None:
    c, net, y, found = inferred(text)
    assert (c.rule, c.guarantee) == ("local search", "local")
    assert bool(found.converged.all())  # type: ignore[attr-defined]
    assert certified(c, net, y, found.latents).all()  # type: ignore[attr-defined]
    worse = {k: v.flip(0) for k, v in found.latents.items()}  # type: ignore[attr-defined]
    assert not certified(c, net, y, worse).all()


def test_quadratics_in_bits_reach_the_lowest_state() -> None:
    _, net, y, found = inferred(BITS)
    W = net.W.detach().numpy()  # type: ignore[attr-defined]
    half = np.array(list(itertools.product((0.0, 1.0), repeat=17)))
    for i in range(4):
        energies = ((y["y"][i].numpy() - half @ W.T) ** 2).sum(1) + 0.3 * half.sum(1) + 0.1 * (W**2).sum()
        assert float(found.energy[i]) == pytest.approx(energies.min(), rel=1e-9)  # type: ignore[attr-defined]


def test_learning_lowers_the_energy() -> None:
    c = compile_spec(BITS)
    net = c.randomise(c.build(), seed=1)
    y = c.observed(200, seed=2)
    before = float(net.free_energy(**y).detach().mean())
    c.module.fit(net, y, epochs=5, batch=50, report=None)  # type: ignore[attr-defined]
    assert float(net.free_energy(**y).detach().mean()) < 0.8 * before
