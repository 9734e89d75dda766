"""Whether the generated text runs as it is, through Inductor or with kernels in C++, and what is fastest on data."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from ebdsl import driver
from ebdsl.diagnostics import Diagnostic
from ebdsl.run import cache
from ebdsl.run.device import device
from ebdsl.run.options import Options
from ebdsl.run.program import Program, renamed
from ebdsl.runtime.compiling import cpp_compiler

PAYS = 0.95
"""Another target is taken where its time is at most this share of the eager one."""
ROUNDS = 3


def settled(
    built: Program, options: Options, arrays: Mapping[str, Any], state: Mapping[str, Any] | None = None
) -> tuple[Program, Options, list[Diagnostic]]:
    """The program and options with a ``target`` that serves, and what there is to say about it.

    ``auto`` measures inference on a batch of ``arrays`` (by the spec's names), with the parameters ``state``, once for
    each text, processor, shape and type. What has nothing to compile, or no compiler, is not taken.
    """
    if options.target == "eager":
        return built, options, []
    eager = built if built.target == "eager" else replace(built, target="eager", text=driver.emit(built.plan))
    where = device(options.device)
    auto = options.target == "auto"
    able: list[Program] = []
    told: list[Diagnostic] = []
    for target in ("native", "inductor") if auto else (options.target,):
        other = replace(built, target=target, text=driver.emit(built.plan, target))
        nothing = other.text == eager.text
        what = "a fused loop" if target == "inductor" else "a kernel in C++"
        reason = f"nothing in this plan is {what}" if nothing else unserved(target, where)
        if reason is None:
            able.append(other)
        elif not (auto and nothing):
            told.append(_told(target, reason))
    chosen, *_ = able or [eager]
    if auto and able:
        fastest = faster([eager, *able], options, arrays, where, state)
        chosen = next(p for p in (eager, *able) if p.target == fastest)
    return chosen, replace(options, target=chosen.target), [] if able else told[:1]


def unserved(target: str, where: torch.device) -> str | None:
    """Why a target does not serve on this device; None where it does."""
    if target == "inductor":
        return missing_compiler() if where.type == "cpu" else None
    if where.type != "cpu":
        return f"its kernels serve a CPU, not {where}"
    return None if cpp_compiler() else "there is no C++ compiler"


def missing_compiler() -> str | None:
    """Why Inductor cannot compile for a CPU; None where it can."""
    try:
        from torch._inductor.cpp_builder import get_cpp_compiler
    except ImportError:  # another version of torch: what fails then is told at its first use
        return None
    try:
        get_cpp_compiler()
    except Exception:
        return "there is no C++ compiler that it can use"
    return None


def faster(
    programs: list[Program],
    options: Options,
    arrays: Mapping[str, Any],
    where: torch.device,
    state: Mapping[str, Any] | None,
) -> str:
    """The target that pays, measured on the first batch where this was not done before; the first is the eager one."""
    eager, *_ = programs
    dtype = getattr(torch, options.dtype)
    batch = {k: torch.tensor(v[: options.batch], dtype=dtype, device=where) for k, v in renamed(eager, arrays).items()}
    shapes = {k: tuple(v.shape) for k, v in batch.items()}
    digest = cache.key("\0".join(p.text for p in programs), shapes, options.dtype, where, torch.get_num_threads())
    known = cache.choice(digest)
    if known is not None:
        return known
    networks = [p.namespace.build(seed=options.seed, dtype=dtype).to(where) for p in programs]
    for network in networks:
        network.load_state_dict(networks[0].state_dict() if state is None else state)
    exact = {"exact": True} if eager.model.answers_otherwise else {}
    seconds: list[list[float]] = [[] for _ in programs]
    for _ in range(ROUNDS + 1):
        for mine, network in zip(seconds, networks, strict=True):
            begin = time.perf_counter()
            network.infer(**batch, **exact)
            if where.type == "cuda":
                torch.cuda.synchronize(where)
            mine.append(time.perf_counter() - begin)
    medians = {p.target: statistics.median(s[1:]) for p, s in zip(programs, seconds, strict=True)}  # the first compiles
    best = min(medians, key=lambda target: medians[target])
    found = best if medians[best] <= PAYS * medians["eager"] else "eager"
    cache.remember(digest, found, **medians)
    return found


def _told(target: str, reason: str) -> Diagnostic:
    name = {"inductor": "Inductor", "native": "C++"}[target]
    return Diagnostic("EB0726", f"{name} is not used: {reason}", (), ("the eager text runs instead",))
