"""Recurrences: linear ones against dense optimality conditions, others against the naive interpreter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ebdsl.model import reference
from tests.emit.compiled import Compiled, compile_spec

Array = np.ndarray
EXAMPLES = Path(__file__).parents[2] / "examples"
HEAD = "observed x : R[N]\nlatent a : R[T, M]\nparam A : R[N, N], unit columns, B : R[N, M], unit columns\ns[0] = x\n"
LINEAR: dict[str, tuple[str, dict[str, int]]] = {  # text, sizes
    "control": (HEAD + "s[t+1] = A s[t] + B a[t]\nF(x) = min_a Σ_t ||s[t]||^2 + 0.1 Σ_t ||a[t]||^2", {"T": 5}),
    "next_states": (HEAD + "s[t+1] = A s[t] + B a[t]\nF(x) = min_a Σ_t (||s[t+1]||^2 + 0.3 ||a[t]||^2)", {"T": 30}),
    "affine": (
        "observed x : R[N], g : R[N], u : R[T, N]\nlatent a : R[T, M]\nparam A : R[N, N], unit columns, "
        "B : R[N, M], unit columns, c : R[N]\ns[0] = 2 x + c\ns[t+1] = A s[t] + B a[t] + 0.5 u[t] + c\n"
        "F(x, g, u) = min_a 5||s[T] - g||^2 + Σ_t ||a[t]||^2 + Σ_t ||s[t] + 0.5 B a[t]||^2 "
        "+ 3 Σ_t ||s[t]||^2 + ||c||^2",
        {"T": 6},
    ),
    "of_each_sample": (
        "observed x : R[N], A : R[N, N], B : R[N, M], q : R[N]\nlatent a : R[T, M]\ns[0] = x\n"
        "s[t+1] = A s[t] + B a[t]\nF(x, A, B, q) = min_a Σ_t ||s[t] - q||^2 + 0.2 ||a||^2",
        {"T": 7},
    ),
    "smooth_actions": (
        HEAD + "s[t+1] = A s[t] + B a[t]\n"
        "F(x) = min_a Σ_t ||s[t]||^2 + 0.1||a||^2 + 2 Σ_t ||a[t+1] - a[t]||^2 + Σ_t ||s[t+2] - s[t]||^2",
        {"T": 9},
    ),
    "declared": (
        "observed x : R[N]\nlatent s : R[T, N], a : R[T-1, M]\nparam A : R[N, N], unit columns, B : R[N, M], unit columns\n"  # noqa: E501
        "s[0] = x\ns_{t+1} = A s_t + B a_t\nF(x) = min_{s, a} ||s||^2 + ||a||^2",
        {"T": 6},
    ),
    "before": (
        "observed x : R[N]\nlatent a : R[T, M]\nparam A : R[N, N], unit columns, B : R[N, M], unit columns\nindex t in 1..T-1\n"  # noqa: E501
        "s[t] = A s[t-1] + B (a[t] - 2 a[t-1])\ns[0] = x\nF(x) = min_a ||s||^2 + ||a||^2",
        {"T": 6},
    ),
    "second_order": (
        "observed x : R[N], v : R[N]\nlatent f : R[T, N]\ns[0] = x\ns[1] = x + 0.1 v\n"
        "s[t+1] = 1.8 s[t] - 0.85 s[t-1] + 0.01 f[t]\nF(x, v) = min_f 10||s[-1]||^2 + Σ_t ||s[t]||^2 + 0.01||f||^2",
        {"T": 8},
    ),
    "two_sequences": (
        "observed p : R[N], w : R[N]\nlatent f : R[T, N]\nconst h = 0.3\nx[0] = p\nv[0] = w\n"
        "v[t+1] = v[t] + h (f[t] - 0.2 x[t])\nx[t+1] = x[t] + h v[t+1]\n"
        "F(p, w) = min_f Σ_t ||x[t]||^2 + 0.5 Σ_t ||v[t]||^2 + 0.1||f||^2",
        {"T": 8},
    ),
    "one_feeds_the_other": (
        "observed x : R[N]\nlatent a : R[T, N]\nparam A : R[N, N], unit columns\nu[0] = 0 x\nu[t+1] = 0.5 u[t] + a[t]\n"
        "s[0] = x\ns[t+1] = A s[t] + u[t]\nF(x) = min_a Σ_t ||s[t]||^2 + 0.1||a||^2",
        {"T": 6},
    ),
    "free_start": (
        "observed y : R[T, P]\nlatent w : R[T-1, N], s_0 : R[N]\nparam A : R[N, N], unit columns, C : R[P, N], unit columns\n"  # noqa: E501
        "s[0] = s_0\ns[t+1] = A s[t] + w[t]\nF(y) = min_{w, s_0} Σ_t ||y[t] - C s[t]||^2 + ||w||^2 + 0.5||s_0||^2",
        {"T": 11},
    ),
    "only_a_start": (
        "observed y : R[T, N]\nlatent s[0] : R[N]\nparam A : R[N, N], unit columns\nlatent s : R[T, N]\n"
        "s[t+1] = A s[t]\nF(y) = min_s_0 Σ_t ||y[t] - s[t]||^2 + 0.1||s[0]||^2",
        {"T": 6},
    ),
    "matrices": (
        "observed x : R[P, N]\nlatent a : R[T, P, N]\nparam A : R[P, P], unit columns\ns[0] = x\n"
        "s[t+1] = A s[t] + a[t]\nF(x) = min_a ||s||^2 + 2||a||^2",
        {"T": 4},
    ),
    "numbers": (
        "observed x : R\nlatent a : R[T]\nconst d = 0.9\ntime t in 0..T-1\ns[0] = x\ns[t+1] = d s[t] + a[t]\n"
        "F(x) = min_a Σ_t s[t]^2 + Σ_t a[t]^2",
        {"T": 40},
    ),
    "changing": (
        "observed x : R[N]\nlatent a : R[T, N]\nparam A : R[T, N, N], g : R[T], > 0\ns[0] = x\n"
        "s[t+1] = A[t] s[t] + g[t] a[t]\nF(x) = min_a ||s||^2 + ||a||^2 - Σ_t log g[t]",
        {"T": 5},
    ),
    "plan": (
        "time t in 0..T\nobserved s[0] : R[N]\nlatent a[t] : R[M]\nparam A : R[N, N], unit columns, B : R[N, M], unit columns\n"  # noqa: E501
        "s[t+1] = A s[t] + B a[t]\nE(s, a) = Σ_t (||s[t]||^2 + 0.3||a[t]||^2)\nplan a by min_a E",
        {"T": 5},
    ),
}


def compiled(text: str, name: str, sizes: dict[str, int]) -> Compiled:
    c = compile_spec(text, name)
    return Compiled(c.plan, c.text, c.module, {**c.sizes, "N": 3, "P": 2, "M": 2, **sizes}, c.names)


def quadratic(c: Compiled, values: dict[Any, Array]) -> tuple[Array, Array, list[tuple[int, ...]]]:
    """Second derivative and slope at zero of one sample's energy in its latents, from the naive interpreter.

    Differences of a quadratic are exact.
    """
    latents = c.model.role("latent")
    shapes = [c.shape(s) for s in latents]
    sizes = [int(np.prod(s)) for s in shapes]

    def energy(v: Array) -> float:
        parts = np.split(v, np.cumsum(sizes)[:-1])
        there = {s: p.reshape(shape) for s, p, shape in zip(latents, parts, shapes, strict=True)}
        return reference.energy(c.model, {**values, **there})

    n = sum(sizes)
    eye = np.eye(n)
    zero = energy(np.zeros(n))
    one = np.array([energy(e) for e in eye])
    minus = np.array([energy(-e) for e in eye])
    slope = (one - minus) / 2
    second = np.diag(one + minus - 2 * zero)
    for i in range(n):
        for j in range(i):
            second[i, j] = second[j, i] = energy(eye[i] + eye[j]) - one[i] - one[j] + zero
    return second, slope, shapes


@pytest.mark.parametrize("name", LINEAR)
def test_against_dense_optimality(name: str) -> None:
    text, sizes = LINEAR[name]
    small = {k: min(v, 6) for k, v in sizes.items()}
    c = compiled(text, name, small)
    assert c.rule == "Riccati recursion", c.plan.inference[0].refused
    assert c.guarantee == "global"
    net = c.randomise(c.build(), seed=3)
    y = c.observed(2, seed=4)
    found = net.infer(*(y[c.python(s)] for s in c.model.role("observed")))
    assert bool(found.converged.all())
    for i in range(2):
        values = c.values(net, y, found.latents, at=i)
        second, slope, _ = quadratic(c, values)
        ours = np.concatenate([np.ravel(values[s]) for s in c.model.role("latent")])
        np.testing.assert_allclose(ours, -np.linalg.solve(second, slope), rtol=1e-8, atol=1e-9)
        assert float(found.energy[i]) == pytest.approx(reference.energy(c.model, values), rel=1e-9)


@pytest.mark.parametrize("name", ["next_states", "numbers", "smooth_actions", "free_start", "second_order"])
def test_longer_than_a_group(name: str) -> None:
    """Horizons that are several groups of steps, and none a multiple of them: the slope by autograd is zero."""
    text, _ = LINEAR[name]
    c = compiled(text, name, {"T": 43})
    net = c.randomise(c.build(), seed=3)
    y = c.observed(3, seed=4)
    given = [y[c.python(s)] for s in c.model.role("observed")]
    found = net.infer(*given)
    latents = [found.latents[c.python(s)].clone().requires_grad_() for s in c.model.role("latent")]
    energy = net.energy(*given, *latents)
    for slope in torch.autograd.grad(energy.sum(), latents):
        assert float(slope.abs().max()) < 1e-9 * (1 + float(energy.detach().abs().max()))
    torch.testing.assert_close(energy.detach(), found.energy)


OTHERS = {
    "logistic": (
        "observed x : R, y : R[T]\nlatent a : R[T]\nconst r = 2.5\ns[0] = sigmoid(x)\n"
        "s[t+1] = r s[t] (1 - s[t]) + 0.1 a[t]\nF(x, y) = min_a Σ_t (y[t] - s[t])^2 + ||a||^2",
        {"T": 4},
    ),
    "world_model": (
        "observed x : R[N], g : R[N]\nlatent a : R[T, M]\nmodule f : R[N], R[M] -> R[N] = mlp(8, tanh)\n"
        "s[0] = x\ns[t+1] = s[t] + f(s[t], a[t])\nE(x, g, a) = ||s[-1] - g||^2 + 0.1 ||a||^2\nplan a by min_a E",
        {"T": 3},
    ),
    "nothing_chosen": (
        "observed x : R[N], y : R[T, N]\nparam A : R[N, N]\ns[0] = x\ns[t+1] = tanh(A s[t])\n"
        "index t in 0..T-1\nF(x, y) = Σ_t ||y[t] - s[t]||^2 + 0.1||A||^2",
        {"T": 5},
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_recurrences(name: str) -> None:
    """The energy is the naive interpreter's, its gradient reaches the parameters, and answers are certified."""
    text, sizes = OTHERS[name]
    c = compiled(text, name, sizes)
    net = c.randomise(c.build(), seed=3)
    y = c.observed(3, seed=4)
    given = [y[c.python(s)] for s in c.model.role("observed")]
    found = net.infer(*given)
    assert bool(found.converged.all())
    latents = [found.latents[c.python(s)] for s in c.model.role("latent")]
    energy = net.energy(*given, *latents)
    if name != "world_model":  # the interpreter has no modules
        for i in range(3):
            values = c.values(net, y, found.latents, at=i)
            assert float(energy[i].detach()) == pytest.approx(reference.energy(c.model, values), rel=1e-9)
    if not list(net.parameters()):
        return
    energy.sum().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in net.parameters())


def test_what_is_compared_with_several_is_not_reconstructed() -> None:
    c = compiled(*LINEAR["of_each_sample"][:1], "of_each_sample", LINEAR["of_each_sample"][1])
    assert not hasattr(c.build(), "reconstruct")


def test_control_is_riccatis() -> None:
    """The textbook's recursion with its gains, at horizons from 10 to 1000 steps."""
    c = compile_spec(
        (EXAMPLES / "linear_quadratic_control.ebm").read_text(encoding="utf-8").partition("\n")[2], "control"
    )
    rng = np.random.default_rng(1)
    n, m, rho = 3, 2, 0.1
    a, b, x = rng.standard_normal((n, n)) * 0.6, rng.standard_normal((n, m)), rng.standard_normal(n)
    for steps in (10, 1000):
        value, gains = np.eye(n), list[Array]()
        for _ in range(steps):
            gain = np.linalg.solve(rho * np.eye(m) + b.T @ value @ b, b.T @ value @ a)
            value = np.eye(n) + a.T @ value @ (a - b @ gain)
            gains.append(gain)
        actions, state = [], x
        for gain in gains[::-1]:
            actions.append(-gain @ state)
            state = a @ state + b @ actions[-1]
        net = c.module.build(N=n, M=m, T_=steps, dtype=torch.float64)
        net.A.data.copy_(torch.as_tensor(a))
        net.B.data.copy_(torch.as_tensor(b))
        found = net.infer(torch.as_tensor(x)[None], torch.zeros(1, n, dtype=torch.float64))
        assert bool(found.converged.all())
        np.testing.assert_allclose(found.latents["a"][0].numpy(), np.array(actions), atol=1e-9)
