"""Blocks on spheres and among orthonormal matrices: one step is the best point, found here by numpy and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes

from tests.emit.compiled import Compiled, compile_spec

HEAD = "observed x : R[P], y : R[M]\n"


def learned(c: Compiled, data: dict[str, torch.Tensor], steps: int = 1, seed: int = 1) -> tuple[np.ndarray, object]:
    net = c.randomise(c.build(), seed)
    learner = c.module.Learner(net)
    for _ in range(steps):
        learner.step(data)
    name = c.python(c.model.role("param")[0])
    return getattr(net, name).detach().numpy(), net


def draws(c: Compiled, count: int = 50) -> dict[str, torch.Tensor]:
    return c.observed(count, 3)


@pytest.mark.parametrize(
    "energy", ["||y - Q x||^2", "||y||^2 - 3 y' Q x", "2.5 Σ_i (y_i - Σ_j Q[i, j] x_j)^2 + ||Q||^2", "||Q' y - x||^2"]
)
def test_procrustes(energy: str) -> None:
    c = compile_spec(f"observed x : R[M], y : R[M]\nparam Q : R[M, M], orthonormal\nF(x, y) = {energy}\n")
    ((_, decision),) = c.plan.learning
    assert (decision.rule, decision.guarantee, c.plan.schedule) == ("projected moment", "global", "full")
    data = draws(c)
    q, _ = learned(c, data)
    wanted, _ = orthogonal_procrustes(data["x"].numpy(), data["y"].numpy())
    np.testing.assert_allclose(q, wanted.T, atol=1e-10)


@pytest.mark.parametrize(("domain", "shape"), [("orthonormal columns", "M, P"), ("orthonormal rows", "P, M")])
def test_matrices_that_are_not_square(domain: str, shape: str) -> None:
    """``W'W = I`` makes ``‖W x‖²`` a constant; ``‖W'y‖²`` it does not."""
    product = "W x" if shape == "M, P" else "W' x"
    spec = f"{HEAD}param W : R[{shape}], {domain}\nF(x, y) = "
    c = compile_spec(f"{spec}||y - {product}||^2\n")
    assert [d.rule for _, d in c.plan.learning] == ["projected moment"]
    data = draws(c)
    w, _ = learned(c, data)
    u, _, v = np.linalg.svd(data["y"].numpy().T @ data["x"].numpy(), full_matrices=False)
    np.testing.assert_allclose(w if shape == "M, P" else w.T, u @ v, atol=1e-10)
    across = "W' y" if shape == "M, P" else "W y"
    other = compile_spec(f"{spec}||x - {across}||^2\n")
    assert [d.rule for _, d in other.plan.learning] != ["projected moment"]


@pytest.mark.parametrize("energy", ["||y - W z||^2 + 0.3|z|", "||W' y - z||^2 + 0.3|z|"])
def test_sparse_codes_in_an_orthonormal_basis(energy: str) -> None:
    """Codes are thresholded products, the basis is a polar factor, in turn (Lesage et al. 2005)."""
    c = compile_spec(
        f"observed y : R[M]\nlatent z : R[M]\nparam W : R[M, M], orthonormal columns\nF(y) = min_z {energy}\n"
    )
    assert [d.rule for _, d in c.plan.learning] == ["projected moment"]
    assert "nothing couples the entries" in c.plan.inference[0].algorithm and c.plan.schedule == "full"
    data = draws(c)
    y = data["y"].numpy()
    w, net = learned(c, data, steps=5)
    found = net.infer(data["y"])
    v = c.randomise(c.build(), 1).W.detach().numpy()
    for _ in range(5):
        z = np.sign(y @ v) * np.maximum(np.abs(y @ v) - 0.15, 0)
        left, _, right = np.linalg.svd(y.T @ z, full_matrices=False)
        v = left @ right
    z = np.sign(y @ v) * np.maximum(np.abs(y @ v) - 0.15, 0)
    np.testing.assert_allclose(w, v, atol=1e-9)
    np.testing.assert_allclose(found.latents["z"].numpy(), z, atol=1e-9)
    wanted = ((y - z @ v.T) ** 2).sum(1) + 0.3 * np.abs(z).sum(1)
    np.testing.assert_allclose(found.energy.numpy(), wanted, atol=1e-9)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("param W : R[M, K], unit columns\nF(y) = min_z -y' W z", 0),
        ("param W : R[K, M], unit rows\nF(y) = min_z -2 Σ_k z_k (Σ_m W[k, m] y_m)", 1),
        ("param W : R[M, K], unit columns\nF(y) = min_z ||y||^2 - y' W z + 2||W||^2", 0),
    ],
)
def test_spherical_k_means(text: str, place: int) -> None:
    c = compile_spec(f"observed y : R[M]\nlatent z : onehot[K]\n{text}\n")
    assert [(d.rule, d.guarantee) for _, d in c.plan.learning] == [("projected moment", "global")]
    assert c.plan.schedule == "full"
    data = draws(c)
    y = data["y"].numpy()
    w, net = learned(c, data)
    v = c.randomise(c.build(), 1).W.detach().numpy()
    v = v if place == 0 else v.T
    taken = (y @ v).argmax(1)
    wanted = np.stack([y[taken == k].sum(0) if (taken == k).any() else v[:, k] for k in range(v.shape[1])], 1)
    np.testing.assert_allclose(w if place == 0 else w.T, wanted / np.linalg.norm(wanted, axis=0), atol=1e-10)
    learner = c.module.Learner(net, seed=2)
    learner.start(data)  # each prototype at a sample: unit vectors along data
    began = net.W.detach().numpy() if place == 0 else net.W.detach().numpy().T
    cosine = (y / np.linalg.norm(y, axis=1, keepdims=True)) @ began
    np.testing.assert_allclose(cosine.max(0), 1, atol=1e-9)


def test_batches_keep_the_running_moment() -> None:
    c = compile_spec(
        f"{HEAD}param W : R[M, P], orthonormal columns\nmodule f : R[P] -> R[P] = linear\nF(x, y) = ||y - W f(x)||^2\n"
    )
    assert c.plan.schedule == "batches" and [d.rule for _, d in c.plan.learning] == ["projected moment"]
    data = draws(c)
    net = c.randomise(c.build(), 1)
    learner = c.module.Learner(net)
    learner.step(data)  # by gradient in f, then exactly in W
    moment = (data["y"].T @ net.f(data["x"])).detach().numpy()
    u, _, v = np.linalg.svd(moment, full_matrices=False)
    np.testing.assert_allclose(net.W.detach().numpy(), u @ v, atol=1e-10)
    state = learner.state_dict()
    assert "statistics.W_linear" in state and "statistics.W_matrix" not in state


def test_a_quadratic_that_the_constraint_leaves_is_refused() -> None:
    c = compile_spec(f"{HEAD}param w : R[P], unit\nF(x, y) = (y[0] - w'x)^2\n")
    ((_, decision),) = c.plan.learning
    assert decision.rule != "projected moment"
    assert any("not constant" in r.reason for r in decision.refused)
