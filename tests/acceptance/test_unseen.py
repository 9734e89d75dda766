"""Energies that a stranger wrote, each against an oracle that knows nothing of this compiler, and in other units."""

from __future__ import annotations

from collections.abc import Callable

import cvxpy as cp
import numpy as np
import pytest
import torch

from ebdsl import driver
from ebdsl.diagnostics import Source
from ebdsl.run.certify import Certifier
from tests.emit.compiled import compile_spec

Array = np.ndarray
Sample = dict[str, Array]
RNG = np.random.default_rng(11)
W, A, B = RNG.standard_normal((20, 4)), np.array([[1, 0.2], [0, 1.0]]), np.array([[0.02], [0.2]])
PARAMS = {"W": W, "A": A, "B": B}
X, T = RNG.standard_normal((3, 20, 3)), RNG.standard_normal((3, 20))
LABELS, MASK = np.sign(X[:, :, 0] + 0.5 * T + 0.3), (RNG.standard_normal((3, 6, 7)) > -0.3) * 1.0
WALKS, COUNTS = T.cumsum(1), RNG.poisson(3.0, (3, 20)).astype(float)
FEW, CHOICES, RATES = RNG.poisson(0.7, (3, 20)).astype(float), np.eye(3)[RNG.integers(0, 3, (3, 20))], np.exp(T)
SPIKED = WALKS + 4 * (np.arange(20) % 9 == 0)
CONTROL = "observed x : R[2]\nlatent u : box(-1, 1)[12, 1]\nparam A : R[2, 2], B : R[2, 1]\n" + (
    "s[0] = x\ns[t+1] = A s[t] + B u[t]\n"
)


def path(x: Array, u: cp.Variable) -> list[cp.Expression]:
    states: list[cp.Expression] = [cp.Constant(x)]
    for t in range(12):
        states.append(A @ states[-1] + B @ u[t])
    return states


def kept(s: Sample, u: cp.Variable) -> cp.Expression:
    states = path(s["x"], u)
    late = sum(cp.pos(-0.3 - q[1]) for q in states)
    return sum(cp.sum_squares(q) for q in states) + 0.1 * cp.sum_squares(u) + 5 * late


def seen(counts: Array, x: cp.Variable) -> cp.Expression:
    """``Σ y log x`` where y is not 0."""
    (at,) = counts.nonzero()
    return cp.sum(cp.multiply(counts[at], cp.log(x[at])))


def isotropic(s: Sample, x: cp.Variable) -> cp.Expression:
    turns = [cp.norm2(cp.hstack([x[i + 1, j] - x[i, j], x[i, j + 1] - x[i, j]])) for i in range(5) for j in range(6)]
    return cp.sum(cp.multiply(s["m"], cp.square(s["y"] - x))) + 0.3 * sum(turns)


Oracle = Callable[..., cp.Expression]
CASES: dict[str, tuple[str, str, Sample, list[tuple[int, ...]], Oracle, str]] = {
    "least absolute errors with an offset": (
        "observed y : R[20]\nlatent z : R[4], b : R\nparam W : R[20, 4]",
        "min_{z,b} Σ_i |y[i] - (W z)[i] - b| + 0.2||z||^2",
        {"y": T + 3}, [(4,), ()], lambda s, z, b: cp.norm1(s["y"] - W @ z - b) + 0.2 * cp.sum_squares(z),
        "interior points",
    ),
    "sparse codes and an offset": (
        "observed y : R[20]\nlatent z : R[4], b : R\nparam W : R[20, 4]",
        "min_{z,b} Σ_i (y[i] - (W z)[i] - b)^2 + 3|z|", {"y": T + 3}, [(4,), ()],
        lambda s, z, b: cp.sum_squares(s["y"] - W @ z - b) + 3 * cp.norm1(z), "proximal gradient",
    ),
    "weights that are given": (
        "observed y : R[20], v : R[4], > 0\nlatent z : R[4]\nparam W : R[20, 4]",
        "min_z ||y - W z||^2 + Σ_k v[k] |z[k]|", {"y": T, "v": np.abs(T[:, :4]) + 0.1}, [(4,)],
        lambda s, z: cp.sum_squares(s["y"] - W @ z) + cp.sum(cp.multiply(s["v"], cp.abs(z))), "interior points",
    ),
    "support vectors of given data": (
        "observed X : R[20, 3], l : {-1,1}[20]\nlatent w : R[3], b : R",
        "min_{w,b} 0.1||w||^2 + Σ_i max(0, 1 - l[i] (X[i]·w + b))", {"X": X, "l": LABELS}, [(3,), ()],
        lambda s, w, b: 0.1 * cp.sum_squares(w) + cp.sum(cp.pos(1 - cp.multiply(s["l"], s["X"] @ w + b))),
        "interior points",
    ),
    "a dead zone": (
        "observed X : R[20, 3], t : R[20]\nlatent w : R[3], b : R",
        "min_{w,b} 0.05||w||^2 + Σ_i relu(|t[i] - X[i]·w - b| - 0.2)", {"X": X, "t": T}, [(3,), ()],
        lambda s, w, b: 0.05 * cp.sum_squares(w) + cp.sum(cp.pos(cp.abs(s["t"] - s["X"] @ w - b) - 0.2)),
        "interior points",
    ),
    "squared hinges": (
        "observed X : R[20, 3], l : {-1,1}[20]\nlatent w : R[3]", "min_w 0.1 w'w + Σ_i relu(1 - l[i] X[i]·w)^2",
        {"X": X, "l": LABELS}, [(3,)],
        lambda s, w: 0.1 * cp.sum_squares(w) + cp.sum(cp.square(cp.pos(1 - cp.multiply(s["l"], s["X"] @ w)))), "Newton",
    ),
    "trend and spikes": (
        "observed y : R[20]\nlatent x, e : R[20]",
        "min_{x,e} ||y - x - e||^2 + 2 Σ_i |x[i+1] - 2x[i] + x[i-1]| + 0.8|e|",
        {"y": SPIKED}, [(20,), (20,)],
        lambda s, x, e: cp.sum_squares(s["y"] - x - e) + 2 * cp.norm1(cp.diff(x, 2)) + 0.8 * cp.norm1(e),
        "interior points",
    ),
    "isotonic, weighted": (
        "observed y : R[20], w : R[20], >= 0\nlatent f : R[20]",
        "min_f Σ_t w[t] (y[t] - f[t])^2 + 50 Σ_t max(0, f[t] - f[t+1])", {"y": WALKS, "w": np.abs(T) + 0.1}, [(20,)],
        lambda s, f: cp.sum(cp.multiply(s["w"], cp.square(s["y"] - f))) + 50 * cp.sum(cp.pos(-cp.diff(f))),
        "total variation",
    ),
    "Huber's errors, steps": (
        "observed y : R[20]\nlatent x : R[20]",
        "min_x Σ_i huber(y[i] - x[i], 0.5) + 0.7 Σ_i |x[i+1] - x[i]|", {"y": WALKS},
        [(20,)], lambda s, x: 0.125 * cp.sum(cp.huber(2 * (s["y"] - x), 1)) + 0.7 * cp.norm1(cp.diff(x)),
        "interior points",
    ),
    "labels, steps": (
        "observed y : {-1,1}[20]\nlatent x : R[20]",
        "min_x Σ_i softplus(-y[i] x[i]) + 0.8 Σ_i |x[i+1] - x[i]| + 0.01||x||^2", {"y": LABELS}, [(20,)],
        lambda s, x: (
            cp.sum(cp.logistic(-cp.multiply(s["y"], x))) + 0.8 * cp.norm1(cp.diff(x)) + 0.01 * cp.sum_squares(x)
        ),
        "interior points",
    ),
    "counts, steps": (
        "observed y : R[20], >= 0\nlatent x : R[20], >= 0",
        "min_x Σ_i (x[i] + 0.1 - y[i] log(x[i] + 0.1)) + 0.5 Σ_i |x[i+1] - x[i]|", {"y": COUNTS + 1}, [(20,)],
        lambda s, x: cp.sum(x + 0.1 - cp.multiply(s["y"], cp.log(x + 0.1))) + 0.5 * cp.norm1(cp.diff(x)),
        "interior points",
    ),
    "two signals that agree": (
        "observed a, b : R[20]\nlatent u, v : R[20]", "min_{u,v} ||a - u||^2 + ||b - v||^2 + 0.9|u - v|",
        {"a": T, "b": WALKS}, [(20,), (20,)],
        lambda s, u, v: cp.sum_squares(s["a"] - u) + cp.sum_squares(s["b"] - v) + 0.9 * cp.norm1(u - v),
        "interior points",
    ),
    "a weighted median of points": (
        "observed P : R[20, 3], w : R[20], >= 0\nlatent x : R[3]", "min_x Σ_i w[i] ||x - P[i,:]||",
        {"P": X, "w": np.abs(T) + 0.2}, [(3,)],
        lambda s, x: sum(s["w"][i] * cp.norm2(x - s["P"][i]) for i in range(20)), "splitting",
    ),
    "isotropic steps behind a mask": (
        "observed y : R[6, 7], m : {0,1}[6, 7]\nlatent x : R[6, 7]",
        "min_x Σ_{i,j} m[i,j] (y[i,j] - x[i,j])^2 + 0.3 Σ_{i,j} √((x[i+1,j] - x[i,j])^2 + (x[i,j+1] - x[i,j])^2)",
        {"y": RNG.standard_normal((3, 6, 7)), "m": MASK}, [(6, 7)], isotropic, "splitting",
    ),
    "soft bounds on states": (
        CONTROL,
        "min_u Σ_t ||s[t]||^2 + 0.1 Σ_t ||u[t]||^2 + 5 Σ_t relu(-0.3 - s[t,1])", {"x": 2 * T[:, :2]}, [(12, 1)],
        kept, "interior points",
    ),
    "the smallest ball around points": (
        "observed P : R[20, 3]\nlatent c : R[3]", "min_c max_i ||c - P[i,:]||", {"P": X}, [(3,)],
        lambda s, c: cp.max(cp.hstack([cp.norm2(c - s["P"][i]) for i in range(20)])), "splitting",
    ),
    "the least greatest error": (
        "observed X : R[20, 3], t : R[20]\nlatent w : R[3], b : R", "min_{w,b} max_i |t[i] - X[i]·w - b|",
        {"X": X, "t": T}, [(3,), ()], lambda s, w, b: cp.norm_inf(s["t"] - s["X"] @ w - b), "interior points",
    ),
    "the greater of each pair": (
        "observed y : R[20]\nlatent z : R[4]\nparam W : R[20, 4]",
        "min_z ½||y - W z||^2 + 0.3 Σ_{i,j} max(|z[i]|, |z[j]|)", {"y": 2 * T}, [(4,)],
        lambda s, z: 0.5 * cp.sum_squares(s["y"] - W @ z) + 0.3 * sum(
            cp.maximum(cp.abs(z[i]), cp.abs(z[j])) for i in range(4) for j in range(4)
        ),
        "interior points",
    ),
    "counts of which many are 0, steps": (
        "observed y : R[20], >= 0\nlatent x : R[20], >= 0",
        "min_x Σ_i (x[i] - y[i] log x[i]) + 0.5 Σ_i |x[i+1] - x[i]|", {"y": FEW}, [(20,)],
        lambda s, x: cp.sum(x) - seen(s["y"], x) + 0.5 * cp.norm1(cp.diff(x)), "interior points",
    ),
    "a dead zone, squared": (
        "observed y : R[20]\nlatent z : R[4]\nparam W : R[20, 4]",
        "min_z Σ_i max(0, |y[i] - (W z)[i]| - 0.3)^2 + 0.5|z|", {"y": T}, [(4,)],
        lambda s, z: cp.sum(cp.square(cp.pos(cp.abs(s["y"] - W @ z) - 0.3))) + 0.5 * cp.norm1(z), "Newton",
    ),
    "waiting times by their logarithm": (
        "observed X : R[20, 3], y : R[20], > 0\nlatent w : R[3], b : R",
        "min_{w,b} Σ_i (y[i] / exp(X[i]·w + b) + X[i]·w + b) + 0.1||w||^2", {"X": X, "y": RATES}, [(3,), ()],
        lambda s, w, b: (
            cp.sum(cp.multiply(s["y"], cp.exp(-(s["X"] @ w + b))) + s["X"] @ w + b) + 0.1 * cp.sum_squares(w)
        ),
        "Newton",
    ),
    "one dictionary for two codes": (
        "observed y : R[20]\nlatent z, v : R[4]\nparam W : R[20, 4]", "min_{z,v} ||y - W z - W v||^2 + 3|z| + 5|v|",
        {"y": 2 * T}, [(4,), (4,)],
        lambda s, z, v: cp.sum_squares(s["y"] - W @ (z + v)) + 3 * cp.norm1(z) + 5 * cp.norm1(v), "proximal gradient",
    ),
    "suffixes that overlap": (
        "index k in 0..3\nobserved y : R[20]\nlatent z : R[4]\nparam W : R[20, 4]",
        "min_z ½||y - W z||^2 + 2 √(Σ_{k=1}^{3} z[k]^2) + 3 √(Σ_{k=2}^{3} z[k]^2) + ||z||", {"y": 2 * T}, [(4,)],
        lambda s, z: 0.5 * cp.sum_squares(s["y"] - W @ z) + 2 * cp.norm2(z[1:]) + 3 * cp.norm2(z[2:]) + cp.norm2(z),
        "splitting",
    ),
    "choices among three": (
        "observed X : R[20, 3], l : onehot[20, 3]\nlatent w : R[3, 3]",
        "min_w Σ_i (logsumexp(w' X[i]) - l[i]·(w' X[i])) + 0.1||w||^2", {"X": X, "l": CHOICES}, [(3, 3)],
        lambda s, w: sum(
            cp.log_sum_exp(w.T @ s["X"][i]) - s["l"][i] @ (w.T @ s["X"][i]) for i in range(20)
        ) + 0.1 * cp.sum_squares(w),
        "Newton",
    ),
    "one number": (
        "observed y : R[20]\nlatent b : R", "min_b |y - b| + 0.1 b^2", {"y": T}, [()],
        lambda s, b: cp.norm1(s["y"] - b) + 0.1 * cp.square(b), "splitting",
    ),
    "steps and bends": (
        "observed y : R[20]\nlatent u, v : R[20]",
        "min_{u,v} ½||y - u - v||^2 + 0.4 Σ_t |u[t+1] - u[t]| + 0.8 Σ_t |v[t+1] - 2v[t] + v[t-1]|", {"y": WALKS},
        [(20,), (20,)],
        lambda s, u, v: (
            0.5 * cp.sum_squares(s["y"] - u - v) + 0.4 * cp.norm1(cp.diff(u)) + 0.8 * cp.norm1(cp.diff(v, 2))
        ),
        "interior points",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_against_an_oracle(name: str) -> None:
    declared, body, data, shapes, oracle, rule = CASES[name]
    held = [k for k in PARAMS if f"param {k} :" in declared or f", {k} :" in declared]
    size = sum(0.01 * float((PARAMS[k] ** 2).sum()) for k in held)
    best = []
    for i in range(3):
        z = [cp.Variable(s) for s in shapes]
        inside = (
            [z[0] >= -1, z[0] <= 1]
            if "box" in declared
            else [z[0] >= 0]
            if "latent x : R[20], >= 0" in declared
            else []
        )
        problem = cp.Problem(cp.Minimize(oracle({k: v[i] for k, v in data.items()}, *z)), inside)
        best.append(problem.solve(solver=cp.CLARABEL) + size)
    least, over = body.split(" ", 1)
    weights = "".join(f" + 0.01||{k}||^2" for k in held)
    for scale, dtype, excess in ((1.0, torch.float64, 1e-6), (1e3, torch.float64, 1e-6), (1e-3, torch.float32, 1e-3)):
        c = compile_spec(f"{declared.strip()}\nF({', '.join(data)}) = {least} {scale!r} ({over}{weights})")
        assert c.rule == rule
        assert c.guarantee == "global"
        net = c.module.build(seed=0, dtype=dtype)
        with torch.no_grad():
            for k in held:
                getattr(net, k).copy_(torch.as_tensor(PARAMS[k]))
        given = {k: torch.as_tensor(v, dtype=dtype) for k, v in data.items()}
        found = net.infer(*given.values())
        assert bool(found.converged.all())
        energy = found.energy.double().numpy() / scale
        assert np.abs(energy - best).max() <= excess * np.abs(best).max()
        certifier = Certifier(c.plan, net)
        latents = {s.name: found.latents[c.python(s)].numpy() for s in c.model.role("latent")}
        certifier.add({k: v.numpy() for k, v in given.items()}, latents)
        assert certifier.found.reason is None
        assert certifier.found.good.all()


def lowest_sinusoid(t: Array, y: Array) -> float:
    """At each of many frequencies a least-squares fit of sine and cosine."""
    waves = np.linspace(0, 8, 8001)
    basis = np.stack([np.sin(waves[:, None] * t), np.cos(waves[:, None] * t)], 2)
    fitted = (basis @ (np.linalg.pinv(basis) @ y)[..., None])[..., 0]
    return float((((y - fitted) ** 2).sum(1) + 0.001 * waves**2).min())


TIMES = np.linspace(0, 5, 20)
TONES = np.stack([1.5 * np.sin(w * TIMES + 0.7) for w in (0.9, 2.7, 5.2)]) + 0.2 * T
FAR = 1000 * X[:, :9, 0]
LOW: dict[str, tuple[str, Sample, Callable[[Sample], float], float]] = {
    "a frequency": (
        "observed t, y : R[20]\nlatent a, w, b : R\nF(t, y) = min_{a,w,b} Σ_i (y[i] - a sin(w t[i] + b))^2 + 0.001 w^2",
        {"t": np.tile(TIMES, (3, 1)), "y": TONES}, lambda s: lowest_sinusoid(s["t"], s["y"]), 1e-4,
    ),
    "a mean angle": (
        "observed θ : R[20], κ : R[20], >= 0\nlatent φ : R\nF(θ, κ) = min_φ -Σ_i κ[i] cos(θ[i] - φ)",
        {"θ": 3 * T, "κ": np.abs(X[:, :, 0])}, lambda s: -abs((s["κ"] * np.exp(1j * s["θ"])).sum()), 1e-9,
    ),
    "a place far away": (
        "observed y : R[9]\nlatent m : R\nF(y) = min_m Σ_i log(100 + (y[i] - m)^2)", {"y": FAR},
        lambda s: float(np.log(100 + (s["y"] - np.linspace(-4e3, 4e3, 400_001)[:, None]) ** 2).sum(1).min()), 1e-6,
    ),
    "a product of two": (
        "observed y : R\nlatent z, w : R\nF(y) = min_{z,w} (y - z w)^2 + 0.1 z^2 + 0.4 w^2", {"y": 2 * T[:, 0]},
        lambda s: float(s["y"] ** 2 - np.maximum(np.abs(s["y"]) - 0.2, 0) ** 2), 1e-9,
    ),
    "corners of a box": (
        "observed b : R[4]\nlatent x : box(-1, 1)[4]\nF(b) = min_x b·x - Σ_i Σ_j x[i] x[j]", {"b": T[:, :4]},
        lambda s: min(float(s["b"] @ c - c.sum() ** 2) for c in np.sign(np.indices((2,) * 4).reshape(4, -1).T - 0.5)),
        1e-9,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LOW)
def test_the_lowest_of_many_valleys(name: str) -> None:
    text, data, oracle, tolerance = LOW[name]
    c = compile_spec(text)
    assert c.guarantee == "local"
    found = c.module.build(seed=0, dtype=torch.float64).infer(*(torch.as_tensor(v) for v in data.values()))
    assert bool(found.converged.all())
    for i in range(3):
        best = oracle({k: v[i] for k, v in data.items()})
        assert float(found.energy[i]) <= best + tolerance * (1 + abs(best))


def test_what_has_no_minimum_has_not_converged() -> None:
    """A flat direction that the data pull along, and a descent that is stuck on a kink."""
    flat = "observed y : R[4]\nlatent s : R[4]\nF(y) = min_s Σ_t (s[t+1] - s[t])^2 - 0.3 Σ_t y[t] s[t]"
    kinks = "observed P : R[8, 2]\nlatent c : R[2]\nF(P) = min_c max_i (||c - P[i,:]|| + sin(c[0]))"
    for text in (flat, kinks):
        c = compile_spec(text)
        found = c.build().infer(*c.observed(5, seed=1).values())
        assert not bool(found.converged.any())


@pytest.mark.parametrize("energy, codes", [
    ("y[0] - Σ_i log z[i]", {"EB0501"}),
    ("Σ_i (exp(-z[i]) + y[i]^2 / z[i]) - 0.5 Σ_i log(2 z[i] + 1)", {"EB0501"}),
    ("Σ_i z[i] - Σ_i log z[i] + y[0]", set()),
])  # fmt: skip
def test_a_logarithm_that_nothing_holds_is_refused(energy: str, codes: set[str]) -> None:
    text = f"model m\nobserved y : R[4]\nlatent z : R[4], > 0\nF(y) = min_z {energy}"
    assert {d.code for d in driver.plan_source(Source("m.ebm", text)).diagnostics if d.severity == "error"} == codes
