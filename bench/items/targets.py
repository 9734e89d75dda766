"""The same plan through Inductor, with kernels in C++, and as PyTorch runs it: steps, inference, and a first run.

Both have the same float64 energies before a clock starts. Starts are whole processes, from nothing to the first codes:
a cold one finds no compiled code, a warm one that of the run before.
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
from bench.items.training_step import ROOT
from bench.rounds import Row, clock, interleave
from ebdsl import driver
from ebdsl.diagnostics import Source
from ebdsl.infer.loops.cost import cost
from ebdsl.run.load import load
from ebdsl.run.target import missing_compiler

CODES = """
observed y : R[{m}]
latent   z : R[{n}]{domain}
param    W : R[{m}, {n}], unit columns
const    λ = 0.5
E(y, z) = {energy}
F(y)    = min_z E(y, z)
"""
CASES = {
    "lasso": ("||y - W z||^2 + λ|z|", ""),
    "nonnegative": ("||y - W z||^2 + λ|z|", ", >= 0"),
}
SIZES = {False: (144, 256, 4096), True: (9, 16, 40)}
TOLERANCE = 1e-4


def run(quick: bool, threads: int) -> tuple[list[Row], dict[str, Any]]:
    more: dict[str, Any] = {}
    missing = missing_compiler()
    if missing:
        more["not compiled"] = missing
    rows: list[Row] = []
    for name in ("lasso",) if quick else CASES:
        rows += compare(name, quick, threads, missing is None, more)
    if missing is None:
        rows += starts(quick, threads)
    return rows, more


def texts(name: str, quick: bool) -> tuple[str, str, Any]:
    """Eager text, that for Inductor, and the plan."""
    m, n, _ = SIZES[quick]
    energy, domain = CASES[name]
    text = f"model {name}\n" + CODES.format(m=m, n=n, energy=energy, domain=domain)
    plan = driver.plan_source(Source(f"{name}.ebm", text)).value
    assert plan is not None
    return driver.emit(plan), driver.emit(plan, "inductor"), plan


def pair(name: str, quick: bool, compiled: bool, device: str = "cpu") -> tuple[Any, Any, Tensor, Any]:
    """Networks for Inductor and eager with the same parameters, the samples, and the plan's loop."""
    m, _, count = SIZES[quick]
    eager, fused, plan = texts(name, quick)
    if not compiled:
        fused = fused.replace("    @compiled\n", "")
    files: tuple[ModuleType, ModuleType] = load(fused), load(eager)
    ours, peer = (f.build(seed=0).to(device) for f in files)
    y = torch.randn(count, m, generator=torch.Generator().manual_seed(1)).to(device)
    return ours, peer, y, plan.loops[0]


def compare(name: str, quick: bool, threads: int, compiled: bool, more: dict[str, Any]) -> list[Row]:
    ours, peer, y, loop = pair(name, quick, compiled)
    begin = time.perf_counter()
    found = ours.infer(y, tolerance=TOLERANCE)
    more[f"{name}: seconds of the first call"] = round(time.perf_counter() - begin, 3)
    theirs = peer.infer(y, tolerance=TOLERANCE)
    torch.testing.assert_close(found.energy.double(), theirs.energy.double(), rtol=1e-4, atol=1e-4)
    rounds = 1 if quick else 9
    whole = interleave(
        lambda _: ours.infer(y, tolerance=TOLERANCE),
        lambda _: peer.infer(y, tolerance=TOLERANCE),
        rounds,
        clock(threads),
    )
    rows = []
    if compiled:
        _, _, plan = texts(name, quick)
        native = load(driver.emit(plan, "native")).build(seed=0)
        found = native.infer(y, tolerance=TOLERANCE)
        torch.testing.assert_close(found.energy.double(), theirs.energy.double(), rtol=1e-4, atol=1e-4)
        times = interleave(
            lambda _: native.infer(y, tolerance=TOLERANCE),
            lambda _: peer.infer(y, tolerance=TOLERANCE),
            rounds,
            clock(threads),
        )
        rows.append(Row(f"{name}, inference, C++", *times, "eager kernel"))
    mine, plain = steps_of(ours, y, loop)
    mine(0), plain(0)
    one = interleave(mine, plain, 2 if quick else 40, clock(threads))
    words = "Inductor" if compiled else "not compiled"
    return [
        Row(f"{name}, inference, {words}", *whole, "eager kernel"),
        *rows,
        Row(f"{name}, {loop.every} steps of {loop.tile} samples, {words}", *one, "the same text, eager"),
    ]


def steps_of(network: Any, y: Tensor, loop: Any) -> tuple[Any, Any]:
    """The network's steps on one tile, compiled and as they are, with what its own inference hands to them."""
    kept: list[Any] = []
    steps = network.z_steps

    def seen(*arguments: Any) -> Any:
        kept.append(arguments)
        return steps(*arguments)

    network.z_steps = seen
    try:
        network.infer(y[: loop.tile], tolerance=TOLERANCE)
    finally:
        del network.z_steps
    arguments = kept[0]
    plain = getattr(type(network).z_steps, "plain", type(network).z_steps)

    def ours(_: int) -> Any:
        with torch.no_grad():
            return steps(*arguments)

    def as_it_is(_: int) -> Any:
        with torch.no_grad():
            return plain(network, *arguments)

    return ours, as_it_is


def on_device(quick: bool, device: str) -> dict[str, tuple[Any, Any, Work]]:
    """A tile's steps: through Inductor, as they are, and what they cost."""
    found = {}
    for name in ("lasso", "nonnegative"):
        ours, _, y, loop = pair(name, quick, device != "cpu", device)
        mine, plain = steps_of(ours, y, loop)
        one = cost(loop, lambda d: int(str(d)), min(loop.tile, len(y)))
        work = Work(loop.every * one.operations, loop.every * one.bytes)
        found[f"{name}, {loop.every} steps of {loop.tile} samples"] = mine, plain, work
    return found


START = """
import sys, torch
torch.set_num_threads({threads})
import file_{which} as file
y = torch.randn({count}, {m}, generator=torch.Generator().manual_seed(1))
file.build(seed=0).infer(y, tolerance={tolerance})
"""


def starts(quick: bool, threads: int) -> list[Row]:
    """Whole processes up to the first codes."""
    m, _, count = SIZES[quick]
    eager, fused, plan = texts("lasso", quick)
    native = driver.emit(plan, "native")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for which, text in (("eager", eager), ("inductor", fused), ("native", native)):
            (Path(folder) / f"file_{which}.py").write_text(text, encoding="utf-8")

        def fresh(which: str, cache: str) -> None:
            code = START.format(threads=threads, which=which, count=count, m=m, tolerance=TOLERANCE)
            path = os.pathsep.join((str(ROOT), folder))
            kept = dict.fromkeys(("TORCHINDUCTOR_CACHE_DIR", "EBDSL_CACHE_DIR"), str(Path(folder) / cache))
            environment = {**os.environ, "PYTHONPATH": path, **kept}
            subprocess.run([sys.executable, "-c", code], check=True, cwd=folder, env=environment)

        fresh("eager", "none")  # byte code is cached
        for which, words in (("inductor", "Inductor"), ("native", "C++")):
            for state, rounds in (("cold", 1),) if quick else (("cold", 1), ("warm", 3)):
                times = interleave(
                    lambda _, which=which: fresh(which, which),
                    lambda _: fresh("eager", "none"),
                    rounds,
                    time.perf_counter,
                )
                rows.append(Row(f"lasso, {state} start, {words}", *times, "eager"))
    return rows
