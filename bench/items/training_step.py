"""The steady step of two generated files against the same mathematics by hand, and what the first step costs.

* Cold start: a fresh process, from the text of the spec to the end of the first step.
* Warm start: a fresh process that has the generated file already.
* Steady state: after ``WARM_UP`` steps, both from the same weights and fed the same batches.

Before anything is timed, the two sides have to give the same codes, energies and weights.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from bench.device import Work
from bench.peers import autoencoder, sparse_coding
from bench.rounds import Row, clock, interleave, torch_threads
from ebdsl import driver, settings
from ebdsl.diagnostics import Source
from ebdsl.run.data import load as load_data
from ebdsl.run.load import load

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 1.05
WARM_UP = 50
BATCH = 256
AUTOENCODER = """\
model autoencoder

observed y : R[{m}]
module   Enc : R[{m}] -> R[32] = mlp(256, relu)
module   Dec : R[32] -> R[{m}] = mlp(256, relu)

F(y) = ||y - Dec(Enc(y))||^2

train
    data digits
"""


def run(quick: bool, threads: int) -> tuple[list[Row], dict[str, Any]]:
    rows: list[Row] = []
    for count in sorted({1, threads}):
        with torch_threads(count):
            words = f"{count} thread{'s' * (count > 1)}"
            rows += sparse_steps(quick, words, clock(count)) + autoencoder_steps(quick, words, clock(count))
    rows += starts(quick, threads)
    return rows, {"batch": BATCH, "warm-up steps": WARM_UP}


# --------------------------------------------------------------------------- sparse coding


def sparse_source(quick: bool) -> tuple[Source, int, int]:
    """The shipped spec and its M and N; a tiny one in a quick run."""
    text = (ROOT / "specs" / "sparse_coding.ebm").read_text(encoding="utf-8")
    if quick:
        text = text.replace("M = 144, N = 256", "M = 16, N = 24").replace("size = 12", "size = 4")
    return Source("sparse_coding.ebm", text), *((16, 24) if quick else (144, 256))


def sparse_steps(quick: bool, words: str, now: Any) -> list[Row]:
    source, m, _ = sparse_source(quick)
    text, tolerance = generated(source)
    file = load(text)
    rounds, calls = (2, 1) if quick else (40, 3)
    batches = batched(source, m, WARM_UP + rounds * calls)
    model = file.build(seed=0)
    ours = file.Learner(model)
    for y in batches[:WARM_UP]:
        ours.step({"y": y})
    agree(file, ours, batches[WARM_UP], tolerance)
    peer = peer_of(ours, tolerance)
    ahead = batches[WARM_UP:]

    def mine(k: int) -> None:
        for y in ahead[calls * k : calls * (k + 1)]:
            ours.step({"y": y})

    def theirs(k: int) -> None:
        for y in ahead[calls * k : calls * (k + 1)]:
            peer.step(y)

    step = interleave(mine, theirs, rounds, now)
    W = model.W.detach()
    alone = interleave(
        lambda k: model.infer(ahead[k], tolerance=tolerance),
        lambda k: sparse_coding.codes(W, ahead[k], peer.lam, tolerance, each=True),
        rounds,
        now,
    )
    return [
        Row(f"sparse coding, steady step, {words}", *per_call(step, calls), limit=LIMIT),
        Row(f"sparse coding, inference in it, {words}", *alone),
    ]


def generated(source: Source) -> tuple[str, float]:
    """The generated file and the tolerance of inference in its training step."""
    plan = driver.plan_source(source).value
    assert plan is not None
    loose = settings.training_accuracy(plan)
    return driver.emit(plan), loose[0] if loose is not None else settings.tolerances(plan)[0]


def peer_of(ours: Any, tolerance: float, dtype: torch.dtype = torch.float32) -> sparse_coding.Learner:
    """The peer, as far as ours has come."""
    W, lam = ours.model.W.detach().to(dtype, copy=True), float(ours.model.lam)
    peer = sparse_coding.Learner(W, lam, tolerance, each=True)
    peer.steps = ours.steps
    peer.second.copy_(ours.statistics["W_matrix"] / 2)
    peer.first.copy_(ours.statistics["W_linear"].T / -2)
    return peer


def agree(file: ModuleType, ours: Any, y: Tensor, tolerance: float) -> None:
    """Raises ``AssertionError`` where the peer's codes, energies and next weights are not ours."""
    y = y.double()
    model = file.build(M=ours.model.M, N=ours.model.N, lam=ours.model.lam, dtype=torch.float64)
    model.load_state_dict(ours.model.state_dict())
    exact = file.Learner(model)
    exact.load_state_dict(ours.state_dict())
    found = model.infer(y, tolerance=1e-9)
    z, _ = sparse_coding.codes(model.W.detach(), y, float(model.lam), 1e-9)
    torch.testing.assert_close(found.latents["z"], z, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.energy, model.energy(y, z), atol=1e-9, rtol=1e-9)
    peer = peer_of(exact, tolerance, torch.float64)
    theirs, mine = peer.step(y), exact.step({"y": y})
    torch.testing.assert_close(mine["energy"], theirs["energy"], atol=0, rtol=10 * tolerance)
    torch.testing.assert_close(model.W.detach(), peer.W, atol=0.05, rtol=0)
    columns = peer_of(exact, tolerance, torch.float64)
    sparse_coding.update_columns(columns.W, columns.second, columns.first)
    project = file.normalise_columns
    again = file.minimise_slices(model.W, exact.statistics["W_matrix"], exact.statistics["W_linear"], project, 1)
    torch.testing.assert_close(again.detach(), columns.W, atol=1e-9, rtol=0)


def batched(source: Source, width: int, count: int, batch: int = BATCH) -> list[Tensor]:
    """``count`` batches ``(batch, width)`` of the spec's data; of noise where the data is not to be had."""
    model = driver.check_source(source).value
    assert model is not None
    word = model.setting("data")
    data = load_data(word.value, model).value if word is not None and width > 64 else None
    generator = torch.Generator().manual_seed(1)
    if data is None:
        y = torch.rand(min(count, 20) * batch, width, generator=generator) - 0.5
    else:
        y = torch.from_numpy(next(iter(data.arrays.values()))).reshape(-1, width)
    order = torch.cat([torch.randperm(len(y), generator=generator) for _ in range(-(-count * batch // len(y)))])
    return [y[i] for i in order[: count * batch].split(batch)]


def per_call(
    seconds: tuple[tuple[float, ...], tuple[float, ...]], calls: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    ours, peer = (tuple(s / calls for s in side) for side in seconds)
    return ours, peer


# --------------------------------------------------------------------------- auto-encoder


def autoencoder_steps(quick: bool, words: str, now: Any) -> list[Row]:
    m = 64 if quick else 784
    source = Source("autoencoder.ebm", AUTOENCODER.format(m=m))
    text, _ = generated(source)
    rounds, calls = (2, 1) if quick else (40, 10)
    batches = batched(source, m, WARM_UP + rounds * calls)
    file = load(text)
    model = file.build(seed=0)
    net = autoencoder.network((m, 256, 32, 256, m))
    with torch.no_grad():
        for a, b in zip(net.parameters(), [*model.Enc.parameters(), *model.Dec.parameters()], strict=True):
            a.copy_(b)
    ours, peer = file.Learner(model), autoencoder.Learner(net)
    for y in batches[:WARM_UP]:
        mine, theirs = ours.step({"y": y})["energy"], peer.step(y)
    torch.testing.assert_close(mine, theirs, atol=0, rtol=1e-2)
    ahead = batches[WARM_UP:]

    def my_steps(k: int) -> None:
        for y in ahead[calls * k : calls * (k + 1)]:
            ours.step({"y": y})

    def their_steps(k: int) -> None:
        for y in ahead[calls * k : calls * (k + 1)]:
            peer.step(y)

    seconds = per_call(interleave(my_steps, their_steps, rounds, now), calls)
    return [Row(f"auto-encoder, steady step, {words}", *seconds, limit=LIMIT)]


# --------------------------------------------------------------------------- on a device


def on_device(quick: bool, device: str) -> dict[str, tuple[Any, Any, Work]]:
    """The same two steps, on one batch again and again: products of codes, moments, columns; of layers, thrice."""
    source, m, n = sparse_source(quick)
    text, tolerance = generated(source)
    file = load(text)
    y = batched(source, m, 1)[0].to(device)
    ours = file.Learner(file.build(seed=0).to(device))
    for _ in range(2 if quick else WARM_UP):
        ours.step({"y": y})
    peer = peer_of(ours, tolerance)
    taken = float(ours.model.infer(y, tolerance=tolerance).iterations.sum())
    count = len(y)
    sparse = Work(2 * taken * n * n + count * (4 * m * n + 2 * n * n) + 2 * m * n * n, 4 * count * m + 8 * n * (n + m))
    found = {"sparse coding, steady step": (lambda _: ours.step({"y": y}), lambda _: peer.step(y), sparse)}

    m = 64 if quick else 784
    source = Source("autoencoder.ebm", AUTOENCODER.format(m=m))
    x, file = batched(source, m, 1)[0].to(device), load(generated(source)[0])
    mine = file.Learner(file.build(seed=0).to(device))
    theirs = autoencoder.Learner(autoencoder.network((m, 256, 32, 256, m)).to(device))
    weights = 2 * (m * 256 + 256 * 32)
    dense = Work(6 * len(x) * weights, 4 * (len(x) * m + 7 * weights))  # weights, gradients, two moments; read, written
    found["auto-encoder, steady step"] = (lambda _: mine.step({"y": x}), lambda _: theirs.step(x), dense)
    return found


# --------------------------------------------------------------------------- first steps

COLD = """
from pathlib import Path
from ebdsl import driver
from ebdsl.diagnostics import Source
from ebdsl.run.load import load
file = load(driver.compile_source(Source("spec.ebm", Path("spec.ebm").read_text(encoding="utf-8"))).value)
import torch
torch.set_num_threads({threads})
file.Learner(file.build()).step({{"y": torch.rand({batch}, {m})}})
"""
WARM = """
import torch, file
torch.set_num_threads({threads})
file.Learner(file.build()).step({{"y": torch.rand({batch}, {m})}})
"""
SPARSE_PEER = """
import torch
from bench.peers.sparse_coding import Learner
torch.set_num_threads({threads})
W = torch.nn.functional.normalize(torch.randn({m}, {n}), dim=0)
Learner(W, 0.5, 1e-3).step(torch.rand({batch}, {m}))
"""
AUTOENCODER_PEER = """
import torch
from bench.peers.autoencoder import Learner, network
torch.set_num_threads({threads})
Learner(network(({m}, 256, 32, 256, {m}))).step(torch.rand({batch}, {m}))
"""


def starts(quick: bool, threads: int) -> list[Row]:
    """Whole processes, from nothing to the end of the first step."""
    source, m, n = sparse_source(quick)
    wide = 64 if quick else 784
    written = Source("autoencoder.ebm", AUTOENCODER.format(m=wide))
    rounds = 1 if quick else 7
    rows = []
    for name, text, sizes, peer in (
        ("sparse coding", source.text, {"m": m, "n": n}, SPARSE_PEER),
        ("auto-encoder", written.text, {"m": wide}, AUTOENCODER_PEER),
    ):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "spec.ebm").write_text(text, encoding="utf-8")
            (Path(folder) / "file.py").write_text(generated(Source("spec.ebm", text))[0], encoding="utf-8")
            filled = {"threads": threads, "batch": BATCH, **sizes}
            for kind, code in (("cold start", COLD), ("warm start", WARM)):
                pair = (code.format(**filled), peer.format(**filled))
                if not quick:  # byte code is cached
                    fresh(pair[0], folder), fresh(pair[1], folder)
                ours, theirs = interleave(
                    lambda k, c=pair[0], f=folder: fresh(c, f),
                    lambda k, c=pair[1], f=folder: fresh(c, f),
                    rounds,
                    time.perf_counter,
                )
                rows.append(Row(f"{name}, {kind}", ours, theirs))
    return rows


def fresh(code: str, folder: str) -> None:
    """Run ``code`` in a process of its own. Raises ``CalledProcessError`` where it fails."""
    path = os.pathsep.join((str(ROOT), folder))
    subprocess.run([sys.executable, "-c", code], check=True, cwd=folder, env={**os.environ, "PYTHONPATH": path})
