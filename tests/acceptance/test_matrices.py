"""Examples whose unknowns are matrices: completion against CVXPY, nonnegative factorisation against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ebdsl import driver
from ebdsl.diagnostics import Source
from ebdsl.run.load import load
from tests.acceptance.test_examples import EXAMPLES, example


def test_matrix_completion_is_cvxpys() -> None:
    cp = pytest.importorskip("cvxpy")
    rng = np.random.default_rng(0)
    low = rng.standard_normal((3, 8, 2)) @ rng.standard_normal((3, 2, 6))
    seen = (rng.random((3, 8, 6)) < 0.6).astype(float)
    y = low + 0.1 * rng.standard_normal(low.shape)
    text = (EXAMPLES / "matrix_completion.ebm").read_text(encoding="utf-8")
    plan = driver.plan_source(Source("matrix_completion.ebm", text)).value
    assert plan is not None
    net = load(driver.emit(plan)).build(M=8, N=6, lam=0.5, dtype=torch.float64)
    answers = net.infer(torch.as_tensor(seen), torch.as_tensor(y))
    assert bool(answers.converged.all())
    assert all(rule in plan.inference[0].algorithm for rule in ("proximal gradient", "singular values"))
    for i in range(3):
        z = cp.Variable((8, 6))
        objective = 0.5 * cp.sum_squares(cp.multiply(seen[i], y[i] - z)) + 0.5 * cp.normNuc(z)
        problem = cp.Problem(cp.Minimize(objective))
        problem.solve(solver=cp.CLARABEL)
        assert float(answers.energy[i]) == pytest.approx(problem.value, rel=1e-5)
        np.testing.assert_allclose(answers.latents["z"][i].numpy(), z.value, atol=2e-3)


def test_nonnegative_factorisation_reaches_the_error_of_scikit_learn() -> None:
    from sklearn.decomposition import NMF

    rng = np.random.default_rng(0)
    parts = rng.random((30, 4)) * (rng.random((30, 4)) < 0.5)
    amounts = rng.exponential(size=(2000, 4)) * (rng.random((2000, 4)) < 0.6)
    y = np.abs(amounts @ parts.T + 0.05 * rng.standard_normal((2000, 30)))
    spec = example("nonnegative_factorisation", K=4).fit(y, seed=0, device="cpu", epochs=60)
    theirs = NMF(4, init="nndsvda", tol=1e-6, max_iter=2000, random_state=0).fit(y)
    assert float(np.mean(spec.free_energy(y))) <= 1.01 * theirs.reconstruction_err_**2 / 2000
    w = spec.module().W.detach().numpy()
    assert (w >= 0).all()
    np.testing.assert_allclose(np.linalg.norm(w, axis=0), 1, rtol=1e-5)
