"""Convex blocks without a formula, minimised by the rules of inference: against scipy, scikit-learn and CVXPY."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from sklearn.linear_model import Lasso, LogisticRegression

from ebdsl.runtime.interior import interior_point
from tests.emit.compiled import Compiled, compile_spec

HEAD = "observed x : R[P], y : R\nparam w : R[P]"
N = 60


def data(labels: bool) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(N, 2, dtype=torch.float64, generator=g)
    y = x @ torch.tensor([1.0, -2.0], dtype=torch.float64) + torch.randn(N, dtype=torch.float64, generator=g)
    return {"x": x, "y": y.sign() if labels else y}


def learned(c: Compiled, batch: dict[str, torch.Tensor], steps: int = 40) -> tuple[dict[str, np.ndarray], float]:
    """The parameters where learning rests, and the mean energy there."""
    net = c.randomise(c.build(), 1)
    learner = c.module.Learner(net, seed=2)
    learner.start(batch)
    for _ in range(steps):
        metrics = learner.step(batch)
        if learner.converged:
            break
    assert learner.converged
    assert all(float(v) < 1e-6 for k, v in metrics.items() if k.startswith("residual/"))
    params = {s.name: getattr(net, c.python(s)).detach().numpy() for s in c.model.role("param")}
    return params, float(metrics["energy"])


def absolute(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Least absolute deviations as a linear program."""
    n, p = x.shape
    cost = np.concatenate([np.zeros(p), np.ones(2 * n)])
    found = linprog(
        cost, A_eq=np.hstack([x, np.eye(n), -np.eye(n)]), b_eq=y, bounds=[(None, None)] * p + [(0, None)] * 2 * n
    )
    return found.x[:p]


def margins(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    w = cp.Variable(2)
    cp.Problem(cp.Minimize(cp.sum(cp.pos(1 - cp.multiply(y, x @ w))) / N + 0.1 * cp.sum_squares(w))).solve()
    return w.value


CASES = {
    "|y - w' x|": (False, absolute),
    "2 |3 y - 3 Σ_j w_j x_j|": (False, absolute),
    "(y - w' x)^2 + 0.4|w|": (False, lambda x, y: Lasso(alpha=0.2, fit_intercept=False, tol=1e-12).fit(x, y).coef_),
    "softplus(-y w' x) + 0.1||w||^2": (
        True,
        lambda x, y: LogisticRegression(C=5 / N, fit_intercept=False, tol=1e-10).fit(x, y).coef_[0],
    ),
    "relu(1 - y w' x) + 0.1||w||^2": (True, margins),
}


@pytest.mark.parametrize("energy", CASES)
def test_regressions(energy: str) -> None:
    labels, oracle = CASES[energy]
    c = compile_spec(f"{HEAD}\nF(x, y) = {energy}\n")
    ((_, decision),) = c.plan.learning
    assert (decision.rule, decision.guarantee, c.plan.schedule) == ("convex program", "global", "full")
    batch = data(labels)
    params, _ = learned(c, batch)
    np.testing.assert_allclose(params["w"], oracle(batch["x"].numpy(), batch["y"].numpy()), atol=2e-5)


def kinked(x: np.ndarray, y: np.ndarray) -> float:
    w, b = cp.Variable(2), cp.Variable()
    loss = cp.sum(cp.pos(1 - cp.multiply(y, x @ w + b))) / N
    return float(cp.Problem(cp.Minimize(loss + 0.1 * cp.sum_squares(w) + 0.2 * cp.abs(b - 0.3))).solve())


def quantile(x: np.ndarray, y: np.ndarray) -> float:
    w, b = cp.Variable(2), cp.Variable()
    r = y - x @ w - b
    return float(cp.Problem(cp.Minimize(cp.sum(0.7 * cp.pos(r) + 0.3 * cp.pos(-r)) / N)).solve())


def softplus(x: np.ndarray, y: np.ndarray) -> float:
    w, b = cp.Variable(2), cp.Variable()
    loss = cp.sum(cp.logistic(-cp.multiply(y, x @ w + b))) / N
    return float(cp.Problem(cp.Minimize(loss + 0.1 * cp.sum_squares(w))).solve())


TOGETHER = {
    "relu(1 - y (w' x + b)) + 0.1||w||^2 + 0.2|b - 0.3|": (True, kinked),
    "0.7 relu(y - w' x - b) + 0.3 relu(b + w' x - y)": (False, quantile),
    "softplus(-y (w' x + b)) + 0.1||w||^2": (True, softplus),
}


@pytest.mark.parametrize("energy", TOGETHER)
def test_parameters_that_kinks_tie_are_minimised_together(energy: str) -> None:
    """In turn they would rest where neither alone can lower the energy."""
    labels, oracle = TOGETHER[energy]
    c = compile_spec(f"{HEAD}, b : R\nF(x, y) = {energy}\n")
    assert [d.rule for _, d in c.plan.learning] == ["convex program"] * 2
    assert all("together" in d.algorithm for _, d in c.plan.learning)
    batch = data(labels)
    _, found = learned(c, batch, steps=3)
    assert found == pytest.approx(oracle(batch["x"].numpy(), batch["y"].numpy()), abs=1e-6)


def test_an_interior_point_certifies_itself() -> None:
    """The gap holds at points on the way too, zero weights and flat directions do no harm."""
    g = torch.Generator().manual_seed(1)
    maps, c = torch.randn(3, 40, dtype=torch.float64, generator=g), torch.randn(40, dtype=torch.float64, generator=g)
    high = torch.rand(40, dtype=torch.float64, generator=g) * (torch.arange(40) % 4 != 0)
    low, start = -0.5 * high, torch.zeros(1, 4, dtype=torch.float64)

    def energy(x: np.ndarray) -> float:
        r = torch.as_tensor(x[:3]) @ maps + c
        return float(torch.maximum(low * r, high * r).sum())

    def forward(x: torch.Tensor) -> torch.Tensor:
        return x[:, :3] @ maps + c

    x = cp.Variable(3)
    r = maps.numpy().T @ x + c.numpy()
    best = cp.Problem(
        cp.Minimize(cp.sum(cp.maximum(cp.multiply(low.numpy(), r), cp.multiply(high.numpy(), r))))
    ).solve()
    for steps in (2, 5, 40):
        goal = torch.tensor([1e-9], dtype=torch.float64)
        ends = (low, high, torch.zeros_like(low))
        x_, gap, taken = interior_point(
            (forward, torch.zeros_like, None), ends, (-torch.inf, torch.inf), start, ((), ()), goal, steps
        )
        assert energy(x_[0].numpy()) - best <= float(gap) + 1e-7 and int(taken) <= steps
    assert float(gap) <= 1e-9


def test_data_of_a_lasso_may_come_in_pieces() -> None:
    """What holds data adds up, so that no more than sums are kept."""
    c = compile_spec(f"{HEAD}\nF(x, y) = (y - w' x)^2 + 0.4|w|\n")
    assert c.plan.sums is not None
    batch = data(False)
    whole, parts = (c.randomise(c.build(), 1) for _ in range(2))
    c.module.Learner(whole).step(batch)
    learner = c.module.Learner(parts)
    for k in range(0, N, 20):
        learner.collect({name: value[k : k + 20] for name, value in batch.items()})
    learner.finish()
    torch.testing.assert_close(whole.w, parts.w, rtol=1e-9, atol=1e-9)


def test_geometric_medians() -> None:
    """Given who is whose member, each prototype is the point with the least sum of distances."""
    c = compile_spec("observed y : R[M]\nlatent k : onehot[K]\nparam W : R[M, K]\nF(y) = min_k ||y - W k||\n")
    assert [d.rule for _, d in c.plan.learning] == ["convex program"] and c.plan.schedule == "full"
    net = c.randomise(c.build(), 1)
    y = c.observed(N, 3)["y"]
    state = net.state_energies(y).argmin(1).numpy()
    before = net.W.detach().numpy().copy()
    c.module.Learner(net).step({"y": y})
    for k in range(before.shape[1]):
        members, found = y.numpy()[state == k], net.W.detach().numpy()[:, k]
        if not len(members):
            np.testing.assert_allclose(found, before[:, k])
            continue
        m = cp.Variable(members.shape[1])
        best = cp.Problem(cp.Minimize(cp.sum(cp.norm(members - m[None], axis=1)))).solve()
        assert np.linalg.norm(members - found, axis=1).sum() <= best + 1e-6
    learned(c, {"y": y})


def test_columns_and_offsets_together() -> None:
    """A matrix whose size is known goes by the interior point with what its kinks tie it to."""
    head = "dim P = 2, M = 3\nobserved x : R[P], y : R[M]\nparam W : R[P, M], b : R[M]\n"
    c = compile_spec(f"{head}F(x, y) = |y - W' x - b|\n")
    assert all("interior" in d.algorithm and "together" in d.algorithm for _, d in c.plan.learning)
    batch = c.observed(N, 3)
    _, found = learned(c, batch, steps=3)
    x = np.hstack([batch["x"].numpy(), np.ones((N, 1))])
    best = sum(np.abs(y - x @ absolute(x, y)).sum() for y in batch["y"].numpy().T) / N
    assert found == pytest.approx(best, abs=1e-7)


def test_answers_from_a_table_of_values() -> None:
    """Codes of several bits are enumerated, and learning reads their values where the model keeps them."""
    spec = (
        "dim M = 3\nobserved y : R[M]\nlatent z : binary[2]\nparam W : R[M, 2]\nF(y) = min_z |y - W z| + 0.1||W||^2\n"
    )
    c = compile_spec(spec)
    assert [d.rule for _, d in c.plan.learning] == ["convex program"] and c.plan.schedule == "full"
    net = c.randomise(c.build(), 1)
    y = c.observed(N, 3)["y"]
    z = net.infer(y).latents["z"].numpy()
    c.module.Learner(net).step({"y": y})
    w = cp.Variable((3, 2))
    best = cp.Problem(cp.Minimize(cp.sum(cp.abs(y.numpy() - z @ w.T)) / N + 0.1 * cp.sum_squares(w))).solve()
    reached = np.abs(y.numpy() - z @ net.W.detach().numpy().T).sum() / N + 0.1 * (net.W.detach().numpy() ** 2).sum()
    assert reached == pytest.approx(best, abs=1e-6)


def test_what_is_not_convex_goes_by_gradient() -> None:
    c = compile_spec("observed x : R[P], y : R\nparam w : R[P]\nF(x, y) = (y - tanh(w' x))^2 + ||w||^2\n")
    ((_, decision),) = c.plan.learning
    assert decision.rule == "quasi-Newton"
    assert any(r.rule == "convex program" and "convex" in r.reason for r in decision.refused)
