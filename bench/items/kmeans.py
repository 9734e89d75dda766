"""Lloyd's iterations of K-means from the same start: the generated learner against scikit-learn, faiss and by hand.

Each runs the same number of iterations on the same samples in float32; scikit-learn and ours stop before where nothing
changes any more. The prototypes have to have the same inertia, in float64, to a part in a thousand: sums in another
order may send single samples elsewhere.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.device import Work
from bench.items.training_step import ROOT
from bench.rounds import Row, clock, interleave, library
from ebdsl import driver
from ebdsl.diagnostics import Source
from ebdsl.run.load import load

CASES = {"100,000 x 144, k = 256": (100_000, 144, 256), "5,000 x 784, k = 10": (5_000, 784, 10),
         "5,000 x 784, k = 100": (5_000, 784, 100)}  # fmt: skip
QUICK = {"1,000 x 16, k = 8": (1_000, 16, 8)}
ITERATIONS = 25


def run(quick: bool, threads: int) -> tuple[list[Row], dict[str, Any]]:
    rows: list[Row] = []
    for name, size in (QUICK if quick else CASES).items():
        rows += compare(name, *size, 1 if quick else 3, threads)
    return rows, {}


def compare(name: str, n: int, d: int, k: int, rounds: int, threads: int) -> list[Row]:
    cluster, faiss = library("sklearn.cluster"), library("faiss")
    rng = np.random.default_rng(0)
    y = (rng.standard_normal((n, d)) * (1 + np.arange(d)) ** -0.5).astype(
        np.float32
    )  # a cloud that falls off, as patches
    start = y[rng.choice(n, k, replace=False)]
    data = torch.from_numpy(y)
    path = ROOT / "specs" / "kmeans.ebm"
    found = driver.compile_source(Source("kmeans.ebm", path.read_text(encoding="utf-8")), {"K": k})
    assert found.value is not None, found.diagnostics
    module = load(found.value)

    def ours(_: int) -> Tensor:
        model = module.build(D=d, K=k)
        with torch.no_grad():
            model.W.copy_(torch.from_numpy(start).T)
        learner = module.Learner(model)
        for _ in range(ITERATIONS):
            learner.step({"y": data})
            if learner.converged:
                break
        return model.W.detach().T

    def scikit(algorithm: str) -> Any:
        from threadpoolctl import threadpool_limits

        def work(_: int) -> Tensor:
            with warnings.catch_warnings(), threadpool_limits(threads):
                warnings.simplefilter("ignore")
                model = cluster.KMeans(k, init=start, n_init=1, max_iter=ITERATIONS, tol=0, algorithm=algorithm)
                return torch.from_numpy(model.fit(y).cluster_centers_)

        return work

    def faiss_kmeans(_: int) -> Tensor:
        faiss.omp_set_num_threads(threads)
        model = faiss.Kmeans(d, k, niter=ITERATIONS, min_points_per_centroid=1, max_points_per_centroid=n)
        model.train(y, init_centroids=start)
        return torch.from_numpy(model.centroids.copy())

    peers = {f"scikit-learn {name}": scikit(name) for name in ("lloyd", "elkan") if cluster}
    if faiss:
        peers["faiss"] = faiss_kmeans
    peers["by hand"] = lambda _: by_hand(data, start)
    wanted = inertia(data, ours(0))
    rows = []
    for peer, work in peers.items():
        other = inertia(data, work(0))
        if not abs(wanted / other - 1) < 1e-3 and n > 2000:
            raise AssertionError(f"{peer}: inertia {other:g}, ours {wanted:g}")
        mine, theirs = interleave(ours, work, rounds, clock(threads))
        rows.append(Row(f"{name}, {ITERATIONS} iterations", mine, theirs, peer, limit=1.0))
    return rows


def by_hand(y: Tensor, start: np.ndarray | Tensor, iterations: int = ITERATIONS) -> Tensor:
    """Distances by a product, sums by index_add_, all samples at once."""
    w = torch.as_tensor(start).clone()
    for _ in range(iterations):
        state = (w.square().sum(1) - 2 * y @ w.T).argmin(1)
        count = torch.bincount(state, minlength=len(w))
        sums = torch.zeros_like(w).index_add_(0, state, y)
        w = torch.where(count[:, None] > 0, sums / count[:, None].clamp_min(1), w)
    return w


def on_device(quick: bool, device: str) -> dict[str, tuple[Any, Any, Work]]:
    """One iteration: ours, by hand, and the product of samples and prototypes with one reading of the samples."""
    found = {}
    for name, (n, d, k) in (QUICK if quick else CASES).items():
        data = torch.randn(n, d, generator=torch.Generator().manual_seed(0)).to(device)
        text = driver.compile_source(Source("kmeans.ebm", (ROOT / "specs" / "kmeans.ebm").read_text("utf-8")), {"K": k})
        assert text.value is not None
        module = load(text.value)
        model = module.build(D=d, K=k).to(device)
        with torch.no_grad():
            model.W.copy_(data[:k].T)
        learner, start = module.Learner(model), data[:k].clone()
        found[f"{name}, one iteration"] = (
            lambda _, learner=learner, data=data: learner.step({"y": data}),
            lambda _, start=start, data=data: by_hand(data, start, 1),
            Work(2 * n * k * d, 4 * (n * d + 2 * k * d)),
        )
    return found


def inertia(y: Tensor, w: Tensor) -> float:
    """The sum of squared distances to the nearest prototype, in float64."""
    parts = [torch.cdist(p.double(), w.double()).square().amin(1).sum() for p in y.split(4096)]
    return float(torch.stack(parts).sum())
