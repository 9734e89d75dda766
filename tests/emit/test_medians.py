"""Sums of kinks entry by entry: one step is the minimum, against brute force and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from ebdsl.runtime.medians import weighted_medians
from tests.emit.compiled import compile_spec

N = 41


@pytest.mark.parametrize(
    "text",
    [
        "param W : R[M, K]\nF(y) = min_k |y - W k|",
        "param W : R[K, M]\nF(y) = min_k 3 Σ_{j, m} k_j |2 W[j, m] - 2 y_m|",
    ],
)
def test_k_medians(text: str) -> None:
    c = compile_spec(f"observed y : R[M]\nlatent k : onehot[K]\n{text}\n")
    ((_, decision),) = c.plan.learning
    assert (decision.rule, decision.guarantee, c.plan.schedule) == ("weighted median", "global", "full")
    net = c.randomise(c.build(), 1)
    y = c.observed(N, 3)["y"]
    state = net.state_energies(y).argmin(1).numpy()
    before = net.W.detach().numpy().copy()
    c.module.Learner(net).step({"y": y})
    wanted = [np.median(y.numpy()[state == k], 0) if (state == k).any() else None for k in range(3)]
    assert sum(w is not None for w in wanted) >= 2
    for k, w in enumerate(wanted):
        at = np.s_[:, k] if "R[M, K]" in text else np.s_[k]
        np.testing.assert_allclose(net.W.detach().numpy()[at], before[at] if w is None else w)


def test_starts_are_samples_and_the_energy_falls() -> None:
    c = compile_spec("observed y : R[M]\nlatent k : onehot[K]\nparam W : R[M, K]\nF(y) = min_k |y - W k|\n")
    net = c.randomise(c.build(), 1)
    y = c.observed(N, 3)["y"]
    learner = c.module.Learner(net, seed=1)
    learner.start({"y": y})
    apart = (y.numpy()[:, :, None] - net.W.detach().numpy()[None]).__abs__().sum(1)
    np.testing.assert_allclose(apart.min(0), 0, atol=1e-12)
    energies = [float(learner.step({"y": y})["energy"]) for _ in range(15)]
    assert learner.converged and (np.diff(energies) <= 1e-12).all()


@pytest.mark.parametrize("level", [0.2, 0.5, 0.9])
def test_quantiles(level: float) -> None:
    c = compile_spec(
        f"observed y : R[M]\nparam q : R[M]\nF(y) = Σ_m ({level} relu(y_m - q_m) + {1 - level} relu(q_m - y_m))\n"
    )
    assert [d.rule for _, d in c.plan.learning] == ["weighted median"]
    net = c.randomise(c.build(), 1)
    y = c.observed(N, 3)["y"]
    c.module.Learner(net).step({"y": y})
    np.testing.assert_allclose(net.q.detach().numpy(), np.quantile(y.numpy(), level, axis=0, method="inverted_cdf"))


MIXED = {
    "observed x : R, y : R\nparam a : R\nF(x, y) = |y - a x| + 0.3 a^2": None,
    "observed x : R, y : R\nparam a : R, >= 0\nF(x, y) = 2|x - a y| + relu(a - x) + 0.1 a": 0.0,
    "observed x : R, y : R\nparam a : R\nF(x, y) = (y - a x)^2 + 0.4|a| + 0.2|a - 1|": None,
    "observed x : R, y : R\nparam a : R\nF(x, y) = relu(1 - y x a) + 0.01 a^2": None,
}


@pytest.mark.parametrize("text", MIXED)
def test_weights_quadratics_and_bounds(text: str) -> None:
    c = compile_spec(f"{text}\n")
    assert [(d.rule, d.guarantee) for _, d in c.plan.learning] == [("weighted median", "global")]
    net = c.randomise(c.build(), 1)
    data = c.observed(N, 5)
    c.module.Learner(net).step(data)

    def energy(a: float) -> float:
        with torch.no_grad():
            old = net.a.clone()
            net.a.fill_(a)
            value = float(net.energy(data["x"], data["y"]).mean())
            net.a.copy_(old)
        return value

    low = -20.0 if MIXED[text] is None else MIXED[text]
    best = minimize_scalar(energy, bounds=(low, 20), method="bounded", options={"xatol": 1e-10})
    assert energy(float(net.a.detach())) <= best.fun + 1e-9


def test_against_brute_force() -> None:
    """Random kinks with ties and zero weights, some with a quadratic: no point of a fine grid is lower."""
    g = torch.Generator().manual_seed(0)
    for trial in range(20):
        points = torch.randn(9, 4, generator=g, dtype=torch.float64).mul_(2).round_().div_(2)
        jumps = torch.rand(9, 4, generator=g, dtype=torch.float64) * (torch.rand(9, 4, generator=g) > 0.3)
        below = torch.rand(9, 4, generator=g, dtype=torch.float64)
        curvature = torch.tensor([0.0, 0.5, 2.0, 0.0], dtype=torch.float64)
        linear = torch.zeros(4, dtype=torch.float64) if trial % 2 else 0.1 * curvature
        old = torch.full((4,), 7.0, dtype=torch.float64)
        found = weighted_medians([(points[:5], jumps[:5], below[:5]), (points[5:], jumps[5:], below[5:])],
                                 linear, curvature, old, None)  # fmt: skip

        grid = torch.linspace(-6, 6, 4801, dtype=torch.float64)[:, None].expand(-1, 4)
        x = torch.cat((found[None], grid))
        kinks = (jumps * ((x[:, None] - points).clamp_min(0) - below * x[:, None])).sum(1)
        energy = kinks + linear * x + curvature * x**2 / 2
        assert (energy[0] <= energy.amin(0) + 1e-9).all()


def test_entries_that_a_kink_ties_are_refused() -> None:
    c = compile_spec("observed x : R[P], y : R\nparam w : R[P]\nF(x, y) = |y - w' x|\n")
    ((_, decision),) = c.plan.learning
    assert any(r.rule == "weighted median" and "several entries" in r.reason for r in decision.refused)
