"""Whether the generated text runs as it is or through Inductor, and which is faster on the data at hand."""

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

PAYS = 0.95
"""Inductor is taken where its time is at most this share of the eager one."""
ROUNDS = 3


def settled(
    built: Program, options: Options, arrays: Mapping[str, Any], state: Mapping[str, Any] | None = None
) -> tuple[Program, Options, list[Diagnostic]]:
    """The program and options with ``target`` ``eager`` or ``inductor``, and what there is to say about it.

    ``auto`` measures inference on a batch of ``arrays`` (by the spec's names), with the parameters ``state``, once for
    each text, processor, shape and type. Inductor is not taken where there is no loop or no C++ compiler.
    """
    if options.target == "eager":
        return built, options, []
    plain = replace(options, target="eager")
    eager = built if built.target == "eager" else replace(built, target="eager", text=driver.emit(built.plan))
    fused = replace(built, target="inductor", text=driver.emit(built.plan, "inductor"))
    if fused.text == eager.text:
        return eager, plain, [] if options.target == "auto" else [_told("nothing in this plan is a fused loop")]
    where = device(options.device)
    reason = missing_compiler() if where.type == "cpu" else None
    if reason is not None:
        return eager, plain, [_told(reason)]
    if options.target == "auto" and faster(eager, fused, options, arrays, where, state) == "eager":
        return eager, plain, []
    return fused, replace(options, target="inductor"), []


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
    eager: Program,
    fused: Program,
    options: Options,
    arrays: Mapping[str, Any],
    where: torch.device,
    state: Mapping[str, Any] | None,
) -> str:
    """``eager`` or ``inductor``, measured on the first batch where this was not done before."""
    dtype = getattr(torch, options.dtype)
    batch = {k: torch.tensor(v[: options.batch], dtype=dtype, device=where) for k, v in renamed(eager, arrays).items()}
    shapes = {k: tuple(v.shape) for k, v in batch.items()}
    digest = cache.key(fused.text, shapes, options.dtype, where, torch.get_num_threads())
    known = cache.choice(digest)
    if known is not None:
        return known
    networks = [p.namespace.build(seed=options.seed, dtype=dtype).to(where) for p in (eager, fused)]
    if state is not None:
        networks[0].load_state_dict(state)
    networks[1].load_state_dict(networks[0].state_dict())
    exact = {"exact": True} if eager.model.answers_otherwise else {}
    seconds: list[list[float]] = [[], []]
    for _ in range(ROUNDS + 1):
        for mine, network in zip(seconds, networks, strict=True):
            begin = time.perf_counter()
            network.infer(**batch, **exact)
            if where.type == "cuda":
                torch.cuda.synchronize(where)
            mine.append(time.perf_counter() - begin)
    first, second = (statistics.median(s[1:]) for s in seconds)  # the first round compiles
    target = "inductor" if second <= PAYS * first else "eager"
    cache.remember(digest, target, eager=first, inductor=second)
    return target


def _told(reason: str) -> Diagnostic:
    return Diagnostic("EB0726", f"Inductor is not used: {reason}", (), ("the eager text runs instead",))
