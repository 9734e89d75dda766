"""Eliminations inside of each other, against plain loops over states and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import logsumexp

from ebdsl.run.certify import Certifier
from tests.emit.compiled import Compiled, compile_spec

HEAD = "observed y : R[5]\nlatent k : onehot[3], z : R[2]\nparam W : R[5, 2], m : R[5, 3]\nF(y) = "
LINE = "||y - m k - W z||^2 + ||z||^2 + 0.1||W||^2"
SPARSE = "||y - m k - W z||^2 + 0.7|z| + 0.1||W||^2"
SIGNS = HEAD.replace("k : onehot[3]", "k : onehot[3], s : {-1,1}[2]").replace("m : R[5, 3]", "m : R[5, 3], B : R[5, 2]")


def built(text: str) -> tuple[Compiled, object, dict[str, torch.Tensor]]:
    c = compile_spec(text)
    return c, c.randomise(c.build(), seed=1), c.observed(4, seed=2)


def free_energies(net: object, y: dict[str, torch.Tensor]) -> np.ndarray:
    return net.free_energy(**y).detach().numpy()  # type: ignore[attr-defined]


def test_softmins_of_one_temperature_are_one() -> None:
    apart, net, y = built(HEAD + "softmin_k[2] softmin_z[2] " + LINE)
    together, other, _ = built(HEAD + "softmin_{k, z}[2] " + LINE)
    assert apart.rule == together.rule == "Gaussian integral"
    assert np.allclose(free_energies(net, y), free_energies(other, y), rtol=1e-12)


def sparse_minimum(r: np.ndarray, W: np.ndarray) -> float:
    """``min_z ||r - W z||^2 + 0.7|z|`` by many small steps."""
    z, t = np.zeros(2), 0.4 / np.linalg.norm(W, 2) ** 2
    for _ in range(5000):
        z = z + 2 * t * W.T @ (r - W @ z)
        z = np.sign(z) * np.maximum(np.abs(z) - 0.7 * t, 0)
    return float(((r - W @ z) ** 2).sum() + 0.7 * np.abs(z).sum())


def test_minima_of_states_averaged() -> None:
    c, net, y = built(HEAD + "softmin_k[1.5] min_z " + SPARSE)
    assert (c.rule, c.guarantee) == ("softmin of minima", "exact")
    W, m = net.W.detach().numpy(), net.m.detach().numpy()  # type: ignore[attr-defined]
    found = net.infer(**y)  # type: ignore[attr-defined]
    assert bool(found.converged.all())
    for i, r in enumerate(y["y"].numpy()):
        each = np.array([sparse_minimum(r - m[:, k], W) for k in range(3)]) + 0.1 * (W**2).sum()
        assert free_energies(net, y)[i] == pytest.approx(-logsumexp(-1.5 * each) / 1.5, rel=1e-9)
        shares = np.exp(-1.5 * (each - each.min()))
        assert np.allclose(found.latents["k"][i], shares / shares.sum(), atol=1e-8)


@pytest.mark.parametrize("head, states", [(HEAD, 3), (SIGNS, 12)])
def test_minimum_of_an_average_over_states(head: str, states: int) -> None:
    text = head + "min_z softmin_k[2] " + LINE
    if states == 12:
        text = head + "min_z softmin_{k, s}[2] " + LINE.replace("W z", "W z - B s")
    c, net, y = built(text)
    assert (c.rule, c.guarantee) == ("minimum of a softmin", "local")
    found = net.infer(**y)  # type: ignore[attr-defined]
    assert bool(found.converged.all())
    W, m = net.W.detach().numpy(), net.m.detach().numpy()  # type: ignore[attr-defined]
    centres = m.T
    if states == 12:
        B = net.B.detach().numpy()  # type: ignore[attr-defined]
        centres = np.concatenate([m.T + B @ s for s in ((-1, -1), (-1, 1), (1, -1), (1, 1))])

    def energy(z: np.ndarray, r: np.ndarray) -> float:
        each = ((r - centres - W @ z) ** 2).sum(1) + z @ z + 0.1 * (W**2).sum()
        return float(-logsumexp(-2 * each) / 2)

    rng = np.random.default_rng(0)
    for i, r in enumerate(y["y"].numpy()):
        wanted = min(minimize(energy, rng.normal(size=2), (r,)).fun for _ in range(8))
        assert float(found.energy[i]) <= wanted + 1e-7
        assert energy(found.latents["z"][i].numpy(), r) == pytest.approx(float(found.energy[i]), rel=1e-9)
        assert float(found.latents["k"][i].sum()) == pytest.approx(1)
    certifier = Certifier(c.plan, net)
    certifier.add({"y": y["y"].numpy()}, {k: v.numpy() for k, v in found.latents.items()})
    assert certifier.found.reason is None and certifier.found.good.all()
    certifier.add({"y": y["y"].numpy()}, {k: v.numpy() + 1e-3 for k, v in found.latents.items()})
    assert not certifier.found.good[4:].any()


@pytest.mark.parametrize("text", ["softmin_k[1.5] min_z " + SPARSE, "min_z softmin_k[2] " + LINE])
def test_slopes_of_the_free_energy_and_learning(text: str) -> None:
    """Autograd's slopes, which hold answers fixed, against differences; batches lower the free energy."""
    c, net, y = built(HEAD + text)
    net.free_energy(**y).sum().backward()  # type: ignore[attr-defined]
    for name in ("W", "m"):
        w = getattr(net, name)
        with torch.no_grad():
            ends = []
            for sign in (1, -1):
                w[0, 0] += sign * 1e-5
                ends.append(free_energies(net, y).sum())
                w[0, 0] -= sign * 1e-5
        assert float(w.grad[0, 0]) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5)
    data = c.observed(100, seed=3)
    before = free_energies(net, data).mean()
    c.module.fit(net, data, epochs=5, batch=20, lr=0.01, report=None)
    assert free_energies(net, data).mean() < 0.9 * before
