"""Batches of small convex problems to a relative gap: the generated inference against scikit-learn, CVXPY and by hand.

As in ``sparse_codes`` every method runs at the first of its settings whose answers reach the target, the sum of float64
energies over the sum of least ones, less 1. Those that take problems one by one (scikit-learn; CVXPY with one compiled
problem whose data is a parameter) get a few, and their seconds are scaled to the batch. Least energies are those of
float64 answers, whose residuals or gaps are below 1e-8, or the sum of those that are not is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softshrink

from bench.items.sparse_codes import TOLERANCES, Method
from bench.peers import regressions as by_hand
from bench.rounds import Row, clock, interleave, library
from ebdsl import driver
from ebdsl.diagnostics import Source
from ebdsl.run.load import load

TARGETS = (1e-4, 1e-6)
TILE = 512
FEW, FEWEST = 200, 4  # problems of a method that takes them one by one
FINE = [t * t for t in TOLERANCES]
WIDE = [f"{t:g} in float64" for t in (3e-5, 1e-5, 3e-6, 1e-6, 1e-7)]
FINER = [*TOLERANCES[:-2], *WIDE]
SOME, SLOW = 500, 3  # samples on which settings are tried first; seconds above which a round is one


@dataclass(frozen=True)
class Problem:
    """``text``: the spec. ``energy(y, z)``: of each sample, in float64. ``W``: what the spec's parameter is set to."""

    name: str
    text: str
    y: Tensor
    energy: Callable[[Tensor, Tensor], Tensor]
    peers: list[Method]
    W: Tensor | None = None
    sizes: dict[str, int] = field(default_factory=dict)


def run(quick: bool, threads: int) -> tuple[list[Row], dict[str, Any]]:
    rows: list[Row] = []
    more: dict[str, Any] = {}
    for make in (elastic_net, group_lasso, nonnegative, total_variation, trend_filtering, pictures):
        rows += compare(make(quick), quick, threads, more)
    return rows, more


def compare(p: Problem, quick: bool, threads: int, more: dict[str, Any]) -> list[Row]:
    model, exact = built(p, torch.float32), built(p, torch.float64)
    parts = [exact.infer(part.double(), tolerance=1e-8, max_steps=20_000) for part in p.y.split(2000)]
    left = sum(float(f.residual[~f.converged].sum()) for f in parts)
    if not left <= 1e-8 * sum(float(f.energy.sum()) for f in parts):
        raise AssertionError(f"{p.name}: the optimum was not found")
    least = p.energy(p.y.double(), torch.cat([f.latents["z"] for f in parts]))

    known: dict[tuple[str, Any], tuple[float, float]] = {}

    def gap(solve: Callable[[Any, Tensor], Any], setting: Any, count: int) -> float:
        z = torch.as_tensor(solve(setting, p.y[:count])).double()
        return float(p.energy(p.y[:count].double(), z).sum() / least[:count].sum()) - 1

    def first(method: Method, target: float) -> Any:
        """The first setting that reaches the target; what is far from it on some samples is not tried on all."""
        name, settings, solve, count = method
        for s in settings:
            if (name, s) not in known:
                begin = time.perf_counter()
                found = gap(solve, s, min(count, SOME))
                known[name, s] = found, (time.perf_counter() - begin) * count / min(count, SOME)
            if known[name, s][0] <= 1.5 * target and (count <= SOME or gap(solve, s, count) <= target):
                return s
        return None

    def infer(setting: Any, y: Tensor) -> Tensor:
        wide, tolerance = tolerance_of(setting)
        return (exact.infer(y.double(), tolerance=tolerance) if wide else model.infer(y, tolerance=tolerance)).latents[
            "z"
        ]

    ours: Method = ("ours", (*TOLERANCES, 3e-7, 1e-7, *WIDE), infer, len(p.y))
    rows = []
    for target in TARGETS:
        mine = first(ours, target)
        for method in p.peers:
            name, _, _, count = method
            found = first(method, target)
            if mine is None or found is None:
                more[f"{p.name}, gap {target:g}: not reached by"] = "ours" if mine is None else name
                continue
            scale = len(p.y) / count
            slow = quick or scale > 1 or known[name, found][1] > SLOW
            times = interleave(once(ours, mine, p.y), once(method, found, p.y), 1 if slow else 3, clock(threads))
            shown = f"{name} at {found}" if scale == 1 else f"{name} at {found}, {count} scaled"
            theirs = tuple(scale * t for t in times[1])
            rows.append(Row(f"{p.name}, gap {target:g}", times[0], theirs, shown, limit=1.0))
    return rows


def tolerance_of(setting: Any) -> tuple[bool, float]:
    """Whether it is one of ``WIDE``, and its number."""
    return (True, float(setting.split()[0])) if isinstance(setting, str) else (False, setting)


def once(method: Method, setting: Any, y: Tensor) -> Callable[[int], object]:
    return lambda _: method[2](setting, y[: method[3]])


def built(p: Problem, dtype: torch.dtype) -> Any:
    found = driver.plan_source(Source(f"{p.name}.ebm", p.text)).value
    assert found is not None
    model = load(driver.emit(found)).build(seed=0, dtype=dtype, **p.sizes)
    if p.W is not None:
        with torch.no_grad():
            model.W.copy_(p.W)
    return model


def tiled(solve: Callable[[Any, Tensor], Tensor]) -> Callable[[Any, Tensor], Tensor]:
    """In tiles that stay in the cache."""

    def found(setting: Any, y: Tensor) -> Tensor:
        wide, tolerance = tolerance_of(setting)
        return torch.cat([solve(tolerance, part.double() if wide else part) for part in y.split(TILE)])

    return found


def scikit_learn(settings: list[Any], solve: Callable[[Any, Tensor], Any], count: int) -> list[Method]:
    return [("scikit-learn", settings, solve, count)] if library("sklearn") else []


def one_by_one(problem: Callable[[Any, Any], tuple[Any, Any, list[Any]]], y: Tensor, count: int) -> list[Method]:
    """CVXPY, where it is installed: ``problem(cp, seen)`` gives variable, objective and constraints."""
    cp = library("cvxpy")
    if not cp:
        return []
    seen = cp.Parameter(y.shape[1:])
    z, objective, limits = problem(cp, seen)
    whole = cp.Problem(cp.Minimize(objective), limits)

    def solve(solver: str, y: Tensor) -> Any:
        found = []
        for row in y.double().numpy():
            seen.value = row
            whole.solve(solver=solver, warm_start=True)
            found.append(z.value.copy())
        return np.stack(found)

    return [("CVXPY", [s for s in ("OSQP", "CLARABEL") if s == "CLARABEL" or whole.is_qp()], solve, count)]


# --------------------------------------------------------------------------- a matrix for all


def data(quick: bool, m: int, n: int, nonnegative: bool = False) -> tuple[Tensor, Tensor]:
    """A matrix ``(m, n)`` with columns of norm 1 that are correlated (0.5), and noisy sparse mixtures of them."""
    if quick:
        m, n = m // 4, n // 4
    generator = torch.Generator().manual_seed(0)
    W = torch.randn(m, n, generator=generator) + torch.randn(m, 1, generator=generator)
    W = W.abs() if nonnegative else W
    W = W / W.norm(dim=0)
    count = 40 if quick else 10_000
    z = torch.randn(count, n, generator=generator) * (torch.rand(count, n, generator=generator) < 0.1)
    z = z.abs() if nonnegative else z
    return W, z @ W.T + 0.1 * torch.randn(count, m, generator=generator)


def elastic_net(quick: bool) -> Problem:
    W, y = data(quick, 64, 128)
    m, n = W.shape
    gram, eye = W.T @ W, torch.eye(n)

    def energy(y: Tensor, z: Tensor) -> Tensor:
        penalty = 0.1 * z.abs().sum(1) + 0.05 * z.square().sum(1)
        return 0.5 * (y - z @ W.double().T).square().sum(1) + penalty

    def hand(t: float, y: Tensor) -> Tensor:
        return by_hand.accelerated(gram + 0.1 * eye, y @ W, lambda v, s: softshrink(v, 0.1 * s), t)

    def scikit(t: float, y: Tensor) -> Any:
        from sklearn.linear_model import ElasticNet

        # its objective is ours over m, with α (ratio |z| + ½ (1 - ratio) z²)
        model = ElasticNet(
            alpha=0.2 / m, l1_ratio=0.5, fit_intercept=False, tol=t, max_iter=100_000, precompute=gram.double().numpy()
        )
        return model.fit(W.double().numpy(), y.double().numpy().T).coef_

    def written(cp: Any, seen: Any) -> Any:
        z = cp.Variable(n)
        fit = 0.5 * cp.sum_squares(seen - W.double().numpy() @ z)
        return z, fit + 0.1 * cp.norm1(z) + 0.05 * cp.sum_squares(z), []

    few, fewest = min(FEW, len(y)), min(FEWEST, len(y))
    peers: list[Method] = [("FISTA by hand", TOLERANCES, tiled(hand), len(y)), *scikit_learn(FINE, scikit, few)]
    text = spec(m, f"R[{n}]", f"R[{m}, {n}]", "½||y - W z||^2 + 0.1|z| + 0.05||z||^2")
    return Problem("elastic net", text, y, energy, peers + one_by_one(written, y, fewest), W)


def group_lasso(quick: bool) -> Problem:
    W, y = data(quick, 64, 128)
    m, n = W.shape
    g = n // 4
    gram = W.T @ W

    def energy(y: Tensor, z: Tensor) -> Tensor:
        flat = z.reshape(-1, n)
        return 0.5 * (y - flat @ W.double().T).square().sum(1) + 0.3 * flat.reshape(-1, g, 4).norm(dim=2).sum(1)

    def shrink(v: Tensor, s: float) -> Tensor:
        groups = v.view(-1, g, 4)
        return (groups * (1 - 0.3 * s / groups.norm(dim=2, keepdim=True).clamp_min(1e-30)).clamp_min(0)).view(-1, n)

    def hand(t: float, y: Tensor) -> Tensor:
        return by_hand.accelerated(gram, y @ W, shrink, t).view(-1, g, 4)

    def written(cp: Any, seen: Any) -> Any:
        z = cp.Variable((g, 4))
        fit = 0.5 * cp.sum_squares(seen - W.double().numpy() @ cp.reshape(z, (n,), order="C"))
        return z, fit + 0.3 * cp.sum(cp.norm(z, 2, axis=1)), []

    peers: list[Method] = [("FISTA by hand", TOLERANCES, tiled(hand), len(y))]
    sum_ = "½||y - Σ_{g,p} W[:, g, p] z[g, p]||^2 + 0.3 Σ_g ||z[g]||"
    text = spec(m, f"R[{g}, 4]", f"R[{m}, {g}, 4]", sum_)
    return Problem("group lasso", text, y, energy, peers + one_by_one(written, y, min(FEWEST, len(y))), W.view(m, g, 4))


def nonnegative(quick: bool) -> Problem:
    W, y = data(quick, 64, 48, nonnegative=True)
    m, n = W.shape
    gram = W.T @ W

    def energy(y: Tensor, z: Tensor) -> Tensor:
        return 0.5 * (y - z @ W.double().T).square().sum(1) + torch.where((z < 0).any(1), torch.inf, 0.0)

    def hand(t: float, y: Tensor) -> Tensor:
        return by_hand.accelerated(gram, y @ W, lambda v, s: v.clamp_min(0), t)

    def scikit(t: Any, y: Tensor) -> Any:
        from sklearn.linear_model import LinearRegression

        return LinearRegression(fit_intercept=False, positive=True).fit(W.double().numpy(), y.double().numpy().T).coef_

    def written(cp: Any, seen: Any) -> Any:
        z = cp.Variable(n, nonneg=True)
        return z, 0.5 * cp.sum_squares(seen - W.double().numpy() @ z), []

    few, fewest = min(FEW, len(y)), min(FEWEST, len(y))
    peers: list[Method] = [("FISTA by hand", TOLERANCES, tiled(hand), len(y)), *scikit_learn(["exact"], scikit, few)]
    text = spec(m, f"R[{n}], >= 0", f"R[{m}, {n}]", "½||y - W z||^2")
    return Problem("nonnegative least squares", text, y, energy, peers + one_by_one(written, y, fewest), W)


def spec(m: int, latent: str, weights: str, energy: str) -> str:
    return (
        f"model m\nobserved y : R[{m}]\nlatent z : {latent}\nparam W : {weights}, unit columns\nF(y) = min_z {energy}\n"
    )


# --------------------------------------------------------------------------- total variation


def steps(count: int, n: int) -> Tensor:
    """Noisy signals that are constant between a few jumps."""
    generator = torch.Generator().manual_seed(0)
    jumps = torch.randn(count, n, generator=generator) * (torch.rand(count, n, generator=generator) < 0.05)
    return jumps.cumsum(1) + 0.3 * torch.randn(count, n, generator=generator)


def total_variation(quick: bool) -> Problem:
    y = steps(40, 24) if quick else steps(10_000, 256)
    n = y.shape[1]

    def energy(y: Tensor, z: Tensor) -> Tensor:
        return 0.5 * (y - z).square().sum(1) + 0.5 * z.diff(dim=1).abs().sum(1)

    def written(cp: Any, seen: Any) -> Any:
        z = cp.Variable(n)
        return z, 0.5 * cp.sum_squares(seen - z) + 0.5 * cp.norm1(cp.diff(z)), []

    peers: list[Method] = [
        ("ADMM by hand", FINER, tiled(lambda t, y: by_hand.total_variation(y, 0.5, t)), len(y)),
        *one_by_one(written, y, min(FEWEST, len(y))),
    ]
    text = f"model m\nobserved y : R[{n}]\nlatent z : R[{n}]\nF(y) = min_z ½||y - z||^2 + 0.5 Σ_i |z[i+1] - z[i]|\n"
    return Problem("total variation", text, y, energy, peers)


def trend_filtering(quick: bool) -> Problem:
    """Second differences instead of first ones (Kim, Koh, Boyd & Gorinevsky 2009)."""
    y = steps(40, 40) if quick else steps(10_000, 256)
    n = y.shape[1]

    def energy(y: Tensor, z: Tensor) -> Tensor:
        return 0.5 * (y - z).square().sum(1) + 5 * z.diff(n=2, dim=1).abs().sum(1)

    def written(cp: Any, seen: Any) -> Any:
        z = cp.Variable(n)
        return z, 0.5 * cp.sum_squares(seen - z) + 5 * cp.norm1(cp.diff(z, 2)), []

    peers: list[Method] = [
        ("ADMM by hand", FINER, tiled(lambda t, y: by_hand.total_variation(y, 5, t, 2)), len(y)),
        *one_by_one(written, y, min(FEWEST, len(y))),
    ]
    text = (
        f"model m\nobserved y : R[{n}]\nlatent z : R[{n}]\n"
        "F(y) = min_z ½||y - z||^2 + 5 Σ_i |z[i+1] - 2 z[i] + z[i-1]|\n"
    )
    return Problem("trend filtering", text, y, energy, peers)


def pictures(quick: bool) -> Problem:
    count, n = (8, 6) if quick else (500, 16)
    y = (steps(count * n, n).view(count, n, n) + steps(count * n, n).view(count, n, n).mT) / 2

    def energy(y: Tensor, z: Tensor) -> Tensor:
        here = z[:, :-1, :-1]
        slopes = torch.stack([z[:, 1:, :-1] - here, z[:, :-1, 1:] - here])
        return 0.5 * (y - z).square().sum((1, 2)) + 0.3 * slopes.norm(dim=0).sum((1, 2))

    def written(cp: Any, seen: Any) -> Any:
        z = cp.Variable((n, n))
        here = z[:-1, :-1]
        slopes = cp.vstack([cp.vec(z[1:, :-1] - here, order="C"), cp.vec(z[:-1, 1:] - here, order="C")])
        return z, 0.5 * cp.sum_squares(seen - z) + 0.3 * cp.sum(cp.norm(slopes, 2, axis=0)), []

    peers: list[Method] = [
        ("dual FISTA by hand", FINER, tiled(lambda t, y: by_hand.chambolle(y, 0.3, t)), len(y)),
        *one_by_one(written, y, min(FEWEST, len(y))),
    ]
    text = (
        f"model m\nobserved y : R[{n}, {n}]\nlatent z : R[{n}, {n}]\nF(y) = min_z ½||y - z||^2 + "
        "0.3 Σ_{i,j} sqrt((z[i+1, j] - z[i, j])^2 + (z[i, j+1] - z[i, j])^2)\n"
    )
    return Problem("total variation of pictures", text, y, energy, peers)
