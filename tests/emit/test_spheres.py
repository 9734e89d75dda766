"""Quadratics on spheres and among orthonormal matrices: the global minimum, convex or not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ebdsl.runtime.learning import lowest_on_spheres
from tests.emit.compiled import Compiled, compile_spec

N = 50


def stepped(c: Compiled) -> tuple[np.ndarray, dict[str, np.ndarray], float]:
    """The first parameter after one step on all data, the data, and the mean energy then."""
    ((w, decision),) = c.plan.learning
    assert (decision.rule, decision.guarantee, c.plan.schedule) == ("eigenvectors", "global", "full")
    net = c.randomise(c.build(), 1)
    data = c.observed(N, 3)
    c.module.Learner(net).step(data)
    found = float(net.free_energy(**data).mean().detach())
    return getattr(net, c.python(w)).detach().numpy(), {k: v.numpy() for k, v in data.items()}, found


def test_the_leading_direction() -> None:
    w, data, _ = stepped(compile_spec("observed y : R[M]\nparam w : R[M], unit\nF(y) = -(w' y)^2\n"))
    leading = np.linalg.eigh(data["y"].T @ data["y"])[1][:, -1]
    assert abs(w @ leading) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("declared", "energy"),
    [
        ("orthonormal columns[M, P]", "-2||W' y||^2"),
        ("orthonormal rows[P, M]", "-2||W y||^2"),
        ("orthonormal columns[M, P]", "||y - W W' y||^2"),
    ],
)
def test_leading_directions(declared: str, energy: str) -> None:
    domain, shape = declared.split("[")
    c = compile_spec(f"observed y : R[M]\nparam W : R[{shape}, {domain}\nF(y) = {energy}\n")
    ((_, decision),) = c.plan.learning
    assert decision.rule in ("eigenvectors", "leading subspace") and decision.guarantee == "global"
    net = c.randomise(c.build(), 1)
    y = c.observed(N, 3)["y"]
    c.module.Learner(net).step({"y": y})
    w = net.W.detach().numpy() if domain.endswith("columns") else net.W.detach().numpy().T
    top = np.linalg.eigh(y.numpy().T @ y.numpy())[1][:, -2:]
    np.testing.assert_allclose(w @ w.T, top @ top.T, atol=1e-10)


@pytest.mark.parametrize(
    "energy",
    [
        "observed x : R[P], y : R\nparam w : R[P], unit\nF(x, y) = (y - w' x)^2",
        "observed x : R[P], y : R\nparam w : R[P], unit\nF(x, y) = y w[0] - 3 (w' x)^2",
        "observed x : R[P], y : R[M]\nparam w : R[P, M], unit columns\nF(x, y) = Σ_m (y_m - Σ_p w[p, m] x_p)^2",
    ],
)
def test_regressions_of_norm_one(energy: str) -> None:
    """Against all directions of a fine circle."""
    w, data, _ = stepped(compile_spec(f"{energy}\n"))
    c = compile_spec(f"{energy}\n")
    net = c.randomise(c.build(), 1)
    angle = np.linspace(0, 2 * np.pi, 20001)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    batch = {k: torch.as_tensor(v) for k, v in data.items()}
    columns = w.reshape(2, -1)
    for m in range(columns.shape[1]):

        def mean(v: np.ndarray, m: int = m) -> float:
            whole = columns.copy()
            whole[:, m] = v
            with torch.no_grad():
                net.w.copy_(torch.as_tensor(whole.reshape(w.shape)))
            return float(net.energy(**batch).mean().detach())

        near = circle[:, ::200]
        best = min(mean(v) for v in near.T)
        assert mean(columns[:, m]) <= best + 1e-9


def test_hard_cases() -> None:
    """No pull along the lowest eigenvector, no pull at all, nothing at all; each beaten by no random point."""
    g = torch.Generator().manual_seed(0)
    q = torch.randn(6, 5, 5, dtype=torch.float64, generator=g)
    q = q + q.mT
    b = torch.randn(6, 5, dtype=torch.float64, generator=g)
    lowest = torch.linalg.eigh(q)[1][..., 0]
    b[1:3] -= (b[1:3] * lowest[1:3]).sum(-1, keepdim=True) * lowest[1:3]
    b[2] *= 1e-3
    b[3] = 0
    q[4], b[4] = 0, 0
    q[5] = 1e8 * q[5]
    old = torch.nn.functional.normalize(torch.randn(6, 5, dtype=torch.float64, generator=g), dim=-1)
    w = lowest_on_spheres(q, b, old)
    torch.testing.assert_close(w.norm(dim=-1), torch.ones(6, dtype=torch.float64))
    torch.testing.assert_close(w[4], old[4])

    def energy(x: torch.Tensor) -> torch.Tensor:
        return ((x[..., None, :] @ q)[..., 0, :] * x).sum(-1) / 2 + (b * x).sum(-1)

    others = torch.nn.functional.normalize(torch.randn(20000, 6, 5, dtype=torch.float64, generator=g), dim=-1)
    near = torch.nn.functional.normalize(w + 1e-3 * others, dim=-1)
    least = torch.minimum(energy(others).amin(0), energy(near).amin(0))
    assert (energy(w) <= least + 1e-9 * q.abs().amax((1, 2)).clamp_min(1)).all()
