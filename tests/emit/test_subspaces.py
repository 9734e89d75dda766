"""Blocks with a closed form over all data, against numpy and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from tests.emit.compiled import compile_spec


@pytest.mark.parametrize("domain", ["", ", orthonormal columns"])
def test_codes_that_are_minimised_leave_the_principal_subspace(domain: str) -> None:
    text = f"observed y : R[6]\nlatent z : R[2]\nparam W : R[6, 2]{domain}\nF(y) = min_z ||y - W z||^2"
    c = compile_spec(text)
    assert (c.plan.schedule, c.plan.learning[0][1].rule) == ("full", "leading subspace")
    y = c.observed(50, 1)["y"] * torch.arange(1, 7)
    net = c.build()
    learner = c.module.Learner(net)
    for _ in range(2):
        learner.step({"y": y})
    lowest = np.linalg.eigvalsh((y.T @ y).numpy())[:4].sum() / 50
    assert float(net.free_energy(y).mean()) == pytest.approx(lowest, rel=1e-9)


def test_nonnegative_weights_of_a_number_are_those_of_scipy() -> None:
    c = compile_spec("observed x : R[6], y : R\nparam w : R[6], >= 0\nF(x, y) = (y - w' x)^2")
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(40, 6)))
    y = x @ torch.arange(-2.0, 4.0, dtype=x.dtype) + 0.1
    net = c.build()
    learner = c.module.Learner(net)
    for _ in range(200):
        learner.step({"x": x, "y": y})
        if learner.converged:
            break
    np.testing.assert_allclose(net.w.detach(), nnls(x.numpy(), y.numpy())[0], atol=1e-4)
