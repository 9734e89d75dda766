"""What no sample uses is put to use: empty clusters, unused prototypes of a batch, atoms that are in no code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ebdsl import explain
from tests.emit.compiled import Compiled, compile_spec

CLUSTERS = """
    observed p : R[D]
    latent q : onehot[K]
    param V : R[K, D]
    E(p, q) = 3 + ½ ||V' q - p||^2
    F(p) = min_q E(p, q)
"""
MIXTURE = """
    observed y : R[D]
    latent z : onehot[K]
    param μ : R[K, D]
    param Λ : R[K, D, D], positive definite
    param π : simplex[K]
    E(y, z) = Σ_k z_k (½ (y - μ[k])' Λ[k] (y - μ[k]) - ½ log det Λ[k] - log π_k)
    F(y) = softmin_z[1] E(y, z)
"""
STREAMED = """
    observed x : R[P], y : R[D]
    latent z : onehot[K]
    param W : R[D, K]
    module f : R[P] -> R[D] = linear
    E(x, y, z) = ||y - f(x) - W z||^2
    F(x, y) = min_z E(x, y, z)
"""
DICTIONARY = """
    observed y : R[M]
    latent z : R[N], >= 0
    param W : R[M, N], unit columns
    const λ = 0.1
    E(y, z) = ||y - W z||^2 + λ|z|
    F(y) = min_z E(y, z)
"""
RIDGE = DICTIONARY.replace(", unit columns", "").replace("λ|z|", "λ|z| + 0.001||W||^2")


def groups(count: int, k: int, d: int, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    centres = 10 * rng.standard_normal((k, d))
    return torch.as_tensor(centres[rng.integers(k, size=count)] + rng.standard_normal((count, d)))


def test_empty_clusters_as_scikit_learn_does() -> None:
    """Prototypes far from all data: nobody is left without samples, and the inertia is scikit-learn's."""
    from sklearn.cluster import KMeans

    y = groups(300, 5, 3)
    start = torch.cat([y[:2], torch.full((3, 3), 1e3, dtype=y.dtype)])
    c = compile_spec(CLUSTERS)
    net = c.module.build(D=3, K=5, dtype=torch.float64)
    with torch.no_grad():
        net.V.copy_(start)
    learner = c.module.Learner(net)
    energies = [float(learner.step({"p": y})["energy"]) for _ in range(50)]
    assert (np.diff(energies) <= 1e-9).all()
    theirs = KMeans(5, init=start.numpy(), n_init=1, max_iter=50, tol=0).fit(y.numpy())
    found = net.infer(y)
    assert (found.latents["q"].sum(0) > 0).all()
    assert float(2 * (found.energy - 3).sum()) <= theirs.inertia_ * (1 + 1e-9)


def test_an_unused_component_of_a_mixture() -> None:
    y = groups(400, 3, 2, seed=1)

    def trained(refit: bool) -> float:
        c = compile_spec(MIXTURE)
        net = c.module.build(D=2, K=3, dtype=torch.float64)
        with torch.no_grad():
            net.mu.copy_(torch.cat([y[:2], torch.full((1, 2), 1e3, dtype=y.dtype)]))
        learner = c.module.Learner(net)
        if not refit:
            learner.refit_unused = lambda *_: None
        for _ in range(60):
            learner.step({"y": y})
        assert torch.isfinite(net.Lam).all()
        assert float(net.pi.detach().sum()) == pytest.approx(1)
        return float(net.infer(y).energy.mean())

    assert trained(True) < trained(False) - 0.3


def streamed(seed: int = 0) -> tuple[Compiled, Any, Any, list[dict[str, torch.Tensor]]]:
    y = groups(600, 4, 3, seed=2)
    x = torch.as_tensor(np.random.default_rng(3).standard_normal((600, 2)))
    c = compile_spec(STREAMED)
    net = c.module.build(P=2, D=3, K=4, dtype=torch.float64, seed=seed)
    with torch.no_grad():
        net.W[:, 1:] = 1e3
    batches = [{"x": x[i], "y": y[i]} for i in torch.arange(600).split(30)]
    return c, net, c.module.Learner(net, seed=seed), batches


def test_unused_prototypes_of_batches() -> None:
    usages = []
    for refit in (True, False):
        _, net, learner, batches = streamed()
        assert not learner.full_batch
        if not refit:
            learner.refit_unused = lambda *_: None
        for b in batches * 5:
            learner.step(b)
        whole = {k: torch.cat([b[k] for b in batches]) for k in batches[0]}
        usages.append((net.infer(**whole).latents["z"].sum(0) > 0).sum())
    assert usages == [4, 1]


def dictionary(text: str) -> tuple[Compiled, Any, Any, list[dict[str, torch.Tensor]]]:
    rng = np.random.default_rng(4)
    true = np.concatenate([np.abs(rng.standard_normal((12, 6))), np.zeros((1, 6))])
    codes = rng.exponential(size=(960, 6)) * (rng.random((960, 6)) < 0.3)
    y = torch.as_tensor(codes @ true.T)
    c = compile_spec(text)
    net = c.module.build(M=13, N=6, dtype=torch.float64)
    with torch.no_grad():
        net.W.copy_(torch.as_tensor(true / np.linalg.norm(true, axis=0)))
        net.W[:, 4:] = torch.eye(13, dtype=torch.float64)[:, -1:]  # of no use: this entry of the data is always 0
    return c, net, c.module.Learner(net), [{"y": part} for part in y.split(32)]


@pytest.mark.parametrize("text", [DICTIONARY, RIDGE])
def test_unused_atoms(text: str) -> None:
    _, net, learner, batches = dictionary(text)
    for b in batches * 2:  # 60 steps: one look
        learner.step(b)
    found = net.infer(torch.cat([b["y"] for b in batches]))
    assert (found.latents["z"].mean(0) > 0).all()
    error = [float(net.free_energy(torch.cat([b["y"] for b in batches])).detach().mean())]
    _, net, learner, batches = dictionary(text)
    learner.refit_unused_W = lambda *_: None
    for b in batches * 2:
        learner.step(b)
    error.append(float(net.free_energy(torch.cat([b["y"] for b in batches])).detach().mean()))
    assert error[0] < 0.8 * error[1]


def test_an_unused_atom_becomes_the_worst_residual() -> None:
    _, net, learner, batches = dictionary(DICTIONARY)
    for b in batches:
        learner.step(b)
    y = batches[0]["y"]
    found = net.infer(y, tolerance=1e-12)
    worst = found.energy.topk(2).indices
    z = found.latents["z"]
    residual = torch.nn.functional.normalize(y - z @ net.W.T)[worst]
    kept = net.W[:, :4].clone()
    learner.refit_unused_W(found.energy, y, z)
    assert torch.allclose(net.W[:, 4:].T, residual, atol=1e-9)
    assert torch.equal(net.W[:, :4], kept)


@pytest.mark.parametrize("samples", [0, 120])
def test_a_slice_that_costs_more_than_it_explains_is_not_left_behind(samples: int) -> None:
    """By batches a look at the last step, and in sweeps any step, ends no higher than without one."""
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((120, 6)) * (rng.random((120, 6)) < 0.3)
    y = torch.as_tensor(codes @ rng.standard_normal((6, 5)) + 0.1 * rng.standard_normal((120, 5)))
    c = compile_spec("""
        observed y : R[M]
        latent z : R[6]
        param W : R[M, 6]
        F(y) = min_z ||y - W z||^2 + 0.3|z| + 0.1||z||^2 + 0.15||W||^2
    """)
    ended = []
    for refit in (True, False):
        net = c.module.build(M=5, dtype=torch.float64)
        learner = c.module.learner(net, samples) if samples else c.module.Learner(net)
        if not refit:
            learner.refit_unused_W = lambda *_: None
        for _ in range(20 if samples else 50):
            metrics = learner.step({"y": y})
        ended.append(float(net.infer(y).energy.mean()))
        assert ended[-1] <= float(metrics["energy"]) + 1e-4
    assert ended[0] <= 1.01 * ended[1]


@pytest.mark.parametrize("made", [streamed, lambda: dictionary(DICTIONARY)])
def test_resuming_across_a_refit(made: Any) -> None:
    """From a state before the look at unused parts to after it, to the bit."""
    c, net, learner, batches = made()
    batches = batches * 3
    before = 7 if len(batches) == 60 else 47
    for b in batches[:before]:
        learner.step(b)
    weights = {k: v.clone() for k, v in net.state_dict().items()}
    state = {k: v.clone() for k, v in learner.state_dict().items()}
    refits = []
    name = next(n for n in dir(learner) if n.startswith("refit_unused"))
    own = getattr(learner, name)
    setattr(learner, name, lambda *a: (refits.append(1), own(*a)))
    straight = [learner.step(b) for b in batches[before : before + 6]]
    assert refits
    other = made()[1]
    other.load_state_dict(weights)
    again = c.module.Learner(other)
    again.load_state_dict(state)
    resumed = [again.step(b) for b in batches[before : before + 6]]
    assert all(torch.equal(a[k], b[k]) for a, b in zip(straight, resumed, strict=True) for k in a)
    assert all(torch.equal(v, other.state_dict()[k]) for k, v in net.state_dict().items())


@pytest.mark.parametrize(
    "text, said",
    [
        (CLUSTERS, "a state that no sample takes is fitted to the sample of highest energy"),
        (MIXTURE, "the part of a state that no sample takes is that of the state used most"),
        (STREAMED, "a state that takes under 1% of an even share is fitted"),
        (DICTIONARY, "a slice that no code uses takes what the sample of highest energy lacks"),
    ],
)
def test_explain(text: str, said: str) -> None:
    assert said in explain.text(compile_spec(text).plan)


def test_as_many_prototypes_as_numbers_are_told_apart_by_their_place() -> None:
    """``R[4, 4]``: which axis numbers the states is read off the energy, not off a size."""
    same = compile_spec("observed y : R[4]\nlatent z : onehot[4]\nparam W : R[4, 4]\nF(y) = min_z ||y - W z||^2")
    generator = torch.Generator().manual_seed(0)
    centres = torch.eye(4, dtype=torch.float64)
    y = (centres[:, None] + 0.01 * torch.randn(4, 50, 4, generator=generator, dtype=torch.float64)).reshape(-1, 4)
    for seed in range(5):
        net = same.build(seed=seed)
        learner = same.module.Learner(net, seed=seed)
        learner.start({"y": y})
        with torch.no_grad():
            assert float(net.free_energy(y).mean()) < 0.01
