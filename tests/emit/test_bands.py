"""Banded solves against a dense solve of the naive energy, a Kalman smoother and a Riccati recursion."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.emit.compiled import Compiled, compile_spec

Array = np.ndarray
EXAMPLES = Path(__file__).parents[2] / "examples"
HEAD = "observed y : R[T, P]\nlatent s : R[T, N]\nparam A : R[N, N], unit columns, C : R[P, N], unit columns\n"
SPECS: dict[str, tuple[str, dict[str, int], int]] = {  # text, sizes, steps that are coupled
    "walk": (HEAD + "F(y) = min_s Σ_t ||y[t] - C s[t]||^2 + 3 Σ_t ||s[t+1] - s[t]||^2 + 0.1||s||^2", {"T": 7}, 1),
    "dynamics": (HEAD + "F(y) = min_s Σ_t ||y_t - C s_t||^2 + Σ_t ||s_{t+1} - A s_t||^2 + ||s[0]||^2", {"T": 7}, 1),
    "second": (
        HEAD + "F(y) = min_s Σ_t ||y[t] - C s[t]||^2 + ||s||^2 + Σ_t ||s_{t+1} - 2 s_t + s_{t-1}||^2",
        {"T": 7},
        2,
    ),
    "third": (HEAD + "F(y) = min_s Σ_t ||y[t] - C s[t]||^2 + ||s||^2 + Σ_t ||s[t+3] - A s[t]||^2", {"T": 11}, 3),
    "ends": (
        HEAD + "F(y) = min_s Σ_t ||y[t] - C s[t]||^2 + ||s||^2 + 2||s[1] - s[0]||^2 + 3||s[-1] - s[-2]||^2",
        {"T": 6},
        1,
    ),
    "weights_of_each_sample": (
        "observed y : R[T, P], m : {0,1}[T]\nlatent s : R[T, P]\n"
        "F(y, m) = min_s Σ_t m[t] ||y[t] - s[t]||^2 + Σ_t ||s[t+1] - s[t]||^2 + 0.1||s||^2",
        {"T": 7},
        1,
    ),
    "weights_along_time": (
        HEAD + "param g : R[T], > 0\n"
        "F(y) = min_s Σ_t g[t] ||y[t] - C s[t]||^2 + Σ_t g[t+1] ||s[t+1] - A s[t]||^2 + ||s||^2 - Σ_t log g[t]",
        {"T": 7},
        1,
    ),
    "time_last": (
        "observed y : R[P, T]\nlatent s : R[P, T]\nF(y) = min_s ||y - s||^2 + 5 Σ_{p,t} (s[p, t+1] - s[p, t])^2",
        {"T": 9},
        1,
    ),
    "states_and_actions": (
        "observed x : R[N]\nlatent s : R[T, N], a : R[T-1, M]\n"
        "param A : R[N, N], unit columns, B : R[N, M], unit columns\n"
        "F(x) = min_{a,s} Σ_t ||s[t]||^2 + 0.1||a||^2 + 9 Σ_t ||s[t+1] - A s[t] - B a[t]||^2 + 9||s[0] - x||^2",
        {"T": 6},
        1,
    ),
    "numbers": (
        "observed y : R[T]\nlatent s : R[T], u : R[T]\n"
        "F(y) = min_{s,u} Σ_t (y[t] - s[t] - u[t])^2 + 4 Σ_t (s[t+1] - s[t])^2 + Σ_t u[t]^2 + Σ_t (u[t+1] + s[t])^2",
        {"T": 8},
        1,
    ),
    "pictures": (
        "dim H = 9, L = 8\nobserved y : R[H, L], m : {0,1}[H, L]\nlatent x : R[H, L]\n"
        "F(y, m) = min_x Σ_{i,j} m[i, j] (y[i, j] - x[i, j])^2 + 0.1||x||^2"
        " + 2 Σ_{i,j} (x[i+1, j] - x[i, j])^2 + 3 Σ_{i,j} (x[i, j+1] - x[i, j])^2",
        {"H": 9, "L": 8},
        1,
    ),
}


def example(name: str) -> str:
    """An example's text without the line that names it."""
    return (EXAMPLES / f"{name}.ebm").read_text(encoding="utf-8").partition("\n")[2]


def build(c: Compiled, seed: int = 0, **sizes: int) -> Any:
    return c.module.build(**{c.python(d): n for d, n in sizes.items()}, seed=seed, dtype=torch.float64)


def dense(c: Compiled, net: Any, given: list[torch.Tensor]) -> torch.Tensor:
    """The minimiser of one sample's energy by its second derivative, all latents side by side."""
    shapes = [c.shape(s) for s in c.model.role("latent")]
    sizes = [int(np.prod(s)) for s in shapes]

    def energy(v: torch.Tensor) -> torch.Tensor:
        parts = [p.reshape(1, *shape) for p, shape in zip(v.split(sizes), shapes, strict=True)]
        return net.energy(*given, *parts)[0]

    zero = torch.zeros(sum(sizes), dtype=torch.float64)
    slope = torch.autograd.functional.jacobian(energy, zero)
    return torch.linalg.solve(torch.autograd.functional.hessian(energy, zero), -slope)


@pytest.mark.parametrize("name", SPECS)
def test_against_a_dense_solve(name: str) -> None:
    text, sizes, width = SPECS[name]
    c = compile_spec(text, name)
    c = Compiled(c.plan, c.text, c.module, {**c.sizes, "N": 3, "P": 2, "M": 2, **sizes}, c.names)
    assert c.rule == "banded solve"
    assert c.plan.inference[0].payload.width == width  # type: ignore[attr-defined]
    net = c.randomise(c.build(), seed=3)
    y = c.observed(3, seed=4)
    order = [y[c.python(s)] for s in c.model.role("observed")]
    found = net.infer(*order)
    assert bool(found.converged.all())
    for i in range(3):
        wanted = dense(c, net, [v[i : i + 1] for v in order])
        ours = torch.cat([found.latents[c.python(s)][i].reshape(-1) for s in c.model.role("latent")])
        torch.testing.assert_close(ours, wanted, rtol=1e-9, atol=1e-10)
        assert float(found.energy[i]) == pytest.approx(c.energy(net, c.values(net, y, found.latents, at=i)), rel=1e-9)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("F(y) = min_s ||y - s||^2 + Σ_t ||s[t+1] - s[t]||^2 + 2||s[-1] - s[0]||^2", "no axis along which only near"),
        ("F(y) = min_s ||y - s||^2 + ||Σ_t s[t]||^2", "no axis along which only near"),
        ("F(y) = min_s ||y - s||^2", "no axis along which only near"),
        ("F(y) = min_s ||y - s||^2 + Σ_t ||s[t+1] - s[t]||^4", "not quadratic"),
    ],
)
def test_refusals(text: str, reason: str) -> None:
    c = compile_spec("observed y : R[T, P]\nlatent s : R[T, P]\n" + text)
    assert c.rule != "banded solve"
    assert any(r.rule == "banded solve" and reason in r.reason for r in c.plan.inference[0].refused)


def test_names_factors_and_order_change_nothing() -> None:
    one = compile_spec(SPECS["dynamics"][0])
    two = compile_spec(
        "observed k : R[H, M]\nlatent w : R[H, J]\nparam Q : R[J, J], unit columns, V : R[M, J], unit columns\n"
        "F(k) = min_w ||w[0]||^2 + Σ_{i=1}^{H-1} (w[i] - Q w[i-1])'(w[i] - Q w[i-1]) + Σ_i ||V w[i] - k[i]||^2"
    )
    payloads = [c.plan.inference[0].payload for c in (one, two)]
    assert one.rule == two.rule == "banded solve"
    assert payloads[0].width == payloads[1].width == 1  # type: ignore[attr-defined]


def test_kalman_smoother() -> None:
    """The states of the example are the means of a Rauch-Tung-Striebel smoother (1965), written out in numpy."""
    c = compile_spec(example("kalman_smoothing"), "kalman")
    rng = np.random.default_rng(0)
    n, p, steps = 3, 2, 40
    net = build(c, T=steps, N=n, P=p)
    a, h = rng.standard_normal((n, n)) * 0.5, rng.standard_normal((p, n))
    net.A.data.copy_(torch.as_tensor(a))
    net.C.data.copy_(torch.as_tensor(h))
    y = rng.standard_normal((steps, p))
    found = net.infer(torch.as_tensor(y)[None]).latents["s"][0].numpy()
    q, r = 0.1 * np.eye(n), 0.5 * np.eye(p)
    before, after = [], []
    mean, cov = np.zeros(n), np.eye(n)
    for t in range(steps):
        if t:
            mean, cov = a @ mean, a @ cov @ a.T + q
        before.append((mean, cov))
        gain = cov @ h.T @ np.linalg.inv(h @ cov @ h.T + r)
        mean, cov = mean + gain @ (y[t] - h @ mean), cov - gain @ h @ cov
        after.append((mean, cov))
    smooth = [after[-1][0]]
    for t in reversed(range(steps - 1)):
        back = after[t][1] @ a.T @ np.linalg.inv(before[t + 1][1])
        smooth.append(after[t][0] + back @ (smooth[-1] - before[t + 1][0]))
    np.testing.assert_allclose(found, np.array(smooth[::-1]), rtol=1e-8, atol=1e-9)


def test_riccati_recursion() -> None:
    """Where steps off the system have a price, the actions tend to those of a Riccati recursion as it grows."""
    text = """
        observed x : R[N], g : R[N]
        latent s : R[T, N], a : R[T-1, M]
        param A : R[N, N], B : R[N, M]
        const ρ = 0.1, κ = 1000
        E(x, g, s, a) = Σ_t ||s[t] - g||^2 + ρ Σ_t ||a[t]||^2 + κ Σ_t ||s[t+1] - A s[t] - B a[t]||^2 + κ ||s[0] - x||^2
                      + 0.01||A||^2 + 0.01||B||^2
        F(x, g) = min_{s, a} E(x, g, s, a)
    """
    rng = np.random.default_rng(1)
    n, m, steps, rho = 3, 2, 12, 0.1
    a, b, x = rng.standard_normal((n, n)) * 0.6, rng.standard_normal((n, m)), rng.standard_normal(n)
    value, gains = np.eye(n), []
    for _ in range(steps - 1):
        gain = np.linalg.solve(rho * np.eye(m) + b.T @ value @ b, b.T @ value @ a)
        value = np.eye(n) + a.T @ value @ (a - b @ gain)
        gains.append(gain)
    actions, state = [], x
    for gain in gains[::-1]:
        actions.append(-gain @ state)
        state = a @ state + b @ actions[-1]
    errors = []
    for price in (1e3, 1e6):
        c = compile_spec(text, "control", {"κ": price})
        net = build(c, T=steps, N=n, M=m)
        net.A.data.copy_(torch.as_tensor(a))
        net.B.data.copy_(torch.as_tensor(b))
        found = net.infer(torch.as_tensor(x)[None], torch.zeros(1, n, dtype=torch.float64))
        errors.append(float(abs(found.latents["a"][0].numpy() - np.array(actions)).max()))
    assert errors[1] < 1e-4 and errors[1] < errors[0] / 500


def test_memory_and_time_are_linear() -> None:
    """No array of a long horizon is larger than its band."""
    c = compile_spec(example("trend_filtering"), "trend")
    rng = np.random.default_rng(2)
    net = build(c, T=20_001)
    y = torch.as_tensor(np.cumsum(rng.standard_normal((1, 20_001)), 1))
    found = net.infer(y)  # a matrix of 20,001² entries would be 3 GB
    from scipy.linalg import solveh_banded

    steps = 20_001
    d = np.zeros((3, steps))
    d[2] = 1 + 1600 * np.r_[1, 5, np.full(steps - 4, 6.0), 5, 1]
    d[1, 1:] = 1600 * np.r_[-2, np.full(steps - 3, -4.0), -2]
    d[0, 2:] = 1600
    np.testing.assert_allclose(found.latents["x"][0].numpy(), solveh_banded(d, y[0].numpy()), rtol=1e-6, atol=1e-6)


def test_a_system_is_learned() -> None:
    """Block after block lowers the energy, each exactly, until it stands."""
    c = compile_spec(example("kalman_smoothing"), "kalman")
    assert {d.rule for _, d in c.plan.learning} == {"normal equations"} or c.plan.schedule == "full"
    rng = np.random.default_rng(3)
    turn = np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    y = np.zeros((8, 60, 3))
    h = rng.standard_normal((3, 2))
    for i in range(8):
        state = rng.standard_normal(2)
        for t in range(60):
            y[i, t] = h @ state + 0.05 * rng.standard_normal(3)
            state = turn @ state
    data = {"y": torch.as_tensor(y)}
    net = build(c, T=60, N=2, P=3, seed=0)
    learner = c.module.Learner(net)
    energies = [float(net.free_energy(data["y"]).mean())]
    for _ in range(60):
        learner.step(data)
        energies.append(float(net.free_energy(data["y"]).mean()))
    assert all(b <= a + 1e-9 for a, b in itertools.pairwise(energies))
    angles = np.sort(np.angle(np.linalg.eigvals(net.A.detach().numpy())))
    np.testing.assert_allclose(angles, [-0.4, 0.4], atol=0.03)
