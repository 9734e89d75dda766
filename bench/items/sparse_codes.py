"""Sparse codes of natural patches to a relative gap: the generated inference against SPAMS, scikit-learn and by hand.

Every method is stopped by an oracle: it runs at the first of its settings whose codes reach the target, the sum of
float64 energies over the sum of least ones, less 1. The optimum is that of float64 codes whose residuals are all below
1e-9 of the slope at zero. Patches are whitened, or merely contrast-normalised (correlated atoms). The generated file
learns the dictionary, and λ is chosen for 10 % non-zero codes. Peers solve the same energy, in float32 where that
reaches the target. Ours runs as PyTorch does, and with its kernels in C++ (``native``). On one thread seconds are those
of the processor.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.device import Work
from bench.items.training_step import ROOT
from bench.peers import sparse_coding, sparse_coding_compiled
from bench.rounds import MISSING, Row, clock, interleave, library
from ebdsl import driver
from ebdsl.diagnostics import Source
from ebdsl.run.data import load as load_data
from ebdsl.run.load import load
from ebdsl.run.target import missing_compiler

TARGETS = (1e-4, 1e-6)
TOLERANCES = (3e-2, 1e-2, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 1e-4, 3e-5, 1e-5, 1e-6)
TILE = 512
FEW = 500  # samples of a method that takes them one by one; its seconds are scaled

Method = tuple[str, Iterable[Any], Callable[[Any, Tensor], Any], int]


def run(quick: bool, threads: int) -> tuple[list[Row], dict[str, Any]]:
    rows: list[Row] = []
    more: dict[str, Any] = {}
    for kind in ("whitened", "contrast-normalised"):
        rows += compare(kind, quick, threads, more)
    return rows, more


def compare(kind: str, quick: bool, threads: int, more: dict[str, Any]) -> list[Row]:
    model, y = problem(kind, quick)
    W, lam = model.W.detach(), float(model.lam)
    least, share = optimum(model, y)
    more[f"{kind}: non-zero"] = round(share, 4)
    rounds = 1 if quick else 3
    models = {"": model}
    if missing_compiler():
        MISSING["C++"] = None
    else:
        models[", native"] = native = load(driver.emit(plan(sized(quick)), "native")).build(lam=lam, seed=0)
        native.load_state_dict(model.state_dict())

    def gap(codes: Any, count: int) -> float:
        z = torch.as_tensor(codes.toarray().T if hasattr(codes, "toarray") else codes).double()
        return float(energies(W, y[:count], z, lam).sum() / least[:count].sum()) - 1

    rows = []
    for target, (how, net) in itertools.product(TARGETS, models.items()):
        ours = "ours", TOLERANCES, lambda t, y, net=net: net.infer(y, tolerance=t).latents["z"], len(y)
        mine = reach(ours, y, target, gap)
        for method in peers(W, lam, threads, len(y)):
            found = reach(method, y, target, gap)
            if mine is None or found is None:
                more[f"{kind}, gap {target:g}: not reached"] = "ours" if mine is None else method[0]
                continue
            scale = len(y) / method[3]
            times = interleave(
                lambda k, s=mine, o=ours: o[2](s, y),
                lambda k, m=method, s=found: m[2](s, y[: m[3]]),
                rounds if scale == 1 else 1,
                clock(threads),
            )
            theirs = tuple(scale * t for t in times[1])
            rows.append(Row(f"{kind}, gap {target:g}{how}", times[0], theirs, f"{method[0]} at {found}", limit=1.0))
    return rows


def reach(method: Method, y: Tensor, target: float, gap: Callable[[Any, int], float]) -> Any:
    """The first setting that reaches the target; None where there is none."""
    _, settings, solve, count = method
    return next((s for s in settings if gap(solve(s, y[:count]), count) <= target), None)


def peers(W: Tensor, lam: float, threads: int, count: int) -> list[Method]:
    def by_hand(tolerance: float, y: Tensor) -> Tensor:
        return torch.cat([sparse_coding.codes(W, part, lam, tolerance, 20_000)[0] for part in y.split(TILE)])

    def compiled(tolerance: float, y: Tensor) -> Tensor:
        backend = "inductor" if count > FEW else "eager"  # a quick run does not wait for a compiler
        codes = sparse_coding_compiled.codes
        return torch.cat([codes(W, part, lam, tolerance, 20_000, backend) for part in y.split(TILE)])

    methods: list[Method] = [("FISTA by hand", TOLERANCES, by_hand, count)]
    if missing_compiler():
        MISSING["torch.compile"] = None
    else:
        methods.append(("FISTA by hand, torch.compile", TOLERANCES, compiled, count))
    spams = library("spams")
    if spams:

        def arrays(y: Tensor, dtype: str) -> tuple[Any, Any]:
            return tuple(np.asfortranarray(a.numpy().astype(dtype)) for a in (y.T, W))

        def lars(dtype: str, y: Tensor) -> Any:
            x, d = arrays(y, dtype)
            return spams.lasso(x, D=d, lambda1=lam / 2, mode=2, numThreads=threads)

        def cd(tolerance: float, y: Tensor) -> Any:
            x, d = arrays(y, "float32")
            start = spams_zeros(W.shape[1], len(y))
            return spams.cd(x, d, start, lambda1=lam / 2, mode=2, itermax=10_000, tol=tolerance, numThreads=threads)

        def fista(tolerance: float, y: Tensor) -> Any:
            x, d = arrays(y, "float32")
            start = np.zeros((W.shape[1], len(y)), np.float32, order="F")
            codes = spams.fistaFlat(
                x, d, start, loss="square", regul="l1", lambda1=lam / 2, tol=tolerance, max_it=2000, numThreads=threads
            )
            return codes.T

        methods.append(("SPAMS lasso", ("float32", "float64"), lars, count))
        methods.append(("SPAMS cd", TOLERANCES, cd, count))
        methods.append(("SPAMS fistaFlat", TOLERANCES, fista, min(FEW, count)))

    def scikit(tolerance: float, y: Tensor) -> Any:
        from sklearn.linear_model import Lasso

        model = Lasso(alpha=lam / (2 * W.shape[0]), fit_intercept=False, tol=tolerance, max_iter=100_000)
        return model.fit(W.double().numpy(), y.double().numpy().T).coef_

    if library("sklearn"):
        methods.append(("scikit-learn Lasso", [t * t for t in TOLERANCES], scikit, min(FEW, count)))
    return methods


def spams_zeros(rows: int, columns: int) -> Any:
    from scipy.sparse import csc_matrix

    return csc_matrix((rows, columns), dtype=np.float32)


def energies(W: Tensor, y: Tensor, z: Tensor, lam: float) -> Tensor:
    return (y.double() - z @ W.double().T).square().sum(1) + lam * z.abs().sum(1)


def optimum(model: Any, y: Tensor) -> tuple[Tensor, float]:
    """Least energies in float64, and the share of codes that are not zero. Raises where a residual is not small."""
    exact = type(model)(M=model.M, N=model.N, lam=float(model.lam)).double().to(y.device)
    exact.load_state_dict(model.state_dict())
    parts = [exact.infer(part.double(), tolerance=1e-9) for part in y.split(4096)]
    if not all(bool(p.converged.all()) for p in parts):
        raise AssertionError("the optimum was not found")
    z = torch.cat([p.latents["z"] for p in parts])
    return energies(model.W.detach(), y, z, float(model.lam)), float((z != 0).double().mean())


def problem(kind: str, quick: bool) -> tuple[Any, Tensor]:
    """The generated model with a learned dictionary and the λ that leaves a tenth non-zero, and the patches."""
    m, _, count = sizes(quick)
    text = sized(quick)
    file = load(driver.emit(plan(text)))
    if quick:
        y = torch.randn(count, m, generator=torch.Generator().manual_seed(1))
    else:
        words = f"patches(natural, size = 12, count = {count}{'' if kind == 'whitened' else ', whiten = false'})"
        spec = plan(text.replace("patches(natural, size = 12)", words)).model
        found = load_data(spec.setting("data").value, spec).value
        y = torch.from_numpy(next(iter(found.arrays.values()))).reshape(count, m)
    if kind != "whitened":
        y = y - y.mean(1, keepdim=True)
        y = m**0.5 / 2 * y / y.norm(dim=1, keepdim=True).clamp_min(1e-3)
    model = file.build(lam=0.5, seed=0)
    learner = file.Learner(model)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(2))
    for rows in (order.repeat(1 if quick else 4)).split(256):
        learner.step({"y": y[rows]})
    low, high = 0.01, 5.0
    for _ in range(8):
        lam = (low * high) ** 0.5
        model = file.build(lam=lam, seed=0)
        model.load_state_dict(learner.model.state_dict())
        share = float((model.infer(y[:: 1 + count // 1000]).latents["z"] != 0).float().mean())
        low, high = (lam, high) if share > 0.1 else (low, lam)
    return model, y


def sizes(quick: bool) -> tuple[int, int, int]:
    """Entries of a sample and of its code, and samples."""
    return (16, 24, 200) if quick else (144, 256, 20_000)


def sized(quick: bool) -> str:
    """The spec's text."""
    m, n, _ = sizes(quick)
    text = (ROOT / "specs" / "sparse_coding.ebm").read_text(encoding="utf-8")
    return text.replace("144", str(m)).replace("256", str(n))


def plan(text: str) -> Any:
    found = driver.plan_source(Source("sparse_coding.ebm", text)).value
    assert found is not None
    return found


def on_device(quick: bool, device: str) -> dict[str, tuple[Any, Any, Work]]:
    """All codes to a gap of 1e-4 and 1e-6, against FISTA by hand on all samples at once; products that steps need."""
    found = {}
    for kind in ("whitened", "contrast-normalised"):
        model, y = problem(kind, quick)
        model, y = model.to(device), y.to(device)
        W, lam = model.W.detach(), float(model.lam)
        least, _ = optimum(model, y)

        def gap(
            codes: Tensor, count: int, y: Tensor = y, W: Tensor = W, lam: float = lam, least: Tensor = least
        ) -> float:
            return float(energies(W, y[:count], codes.double(), lam).sum() / least[:count].sum()) - 1

        def ours(tolerance: float, y: Tensor, model: Any = model) -> Tensor:
            return model.infer(y, tolerance=tolerance).latents["z"]

        def hand(tolerance: float, y: Tensor, W: Tensor = W, lam: float = lam) -> Tensor:
            return sparse_coding.codes(W, y, lam, tolerance, 20_000)[0]

        for target in TARGETS:
            at = [reach(("", TOLERANCES, solve, len(y)), y, target, gap) for solve in (ours, hand)]
            if None in at:
                continue
            steps = float(model.infer(y, tolerance=at[0]).iterations.sum())
            m, n = W.shape
            found[f"{kind}, gap {target:g}"] = (
                lambda _, s=at[0], y=y, ours=ours: ours(s, y),
                lambda _, s=at[1], y=y, hand=hand: hand(s, y),
                Work(2 * steps * n * n + 2 * len(y) * m * n, 4 * len(y) * (m + n)),
            )
    return found
