"""The live objects of a training run, and how they go into a checkpoint and come out of it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import ebdsl
from ebdsl import settings
from ebdsl.diagnostics import Diagnostic
from ebdsl.run import batches as samples
from ebdsl.run.alternatives import Probe, probe
from ebdsl.run.batches import Batches
from ebdsl.run.checkpoint import Checkpoint, restore
from ebdsl.run.device import device
from ebdsl.run.evaluate import mean_energy
from ebdsl.run.files import refuse
from ebdsl.run.gauge import MORE, SAMPLES, Gauge, Reading, margin_of
from ebdsl.run.health import Watch
from ebdsl.run.load import digest
from ebdsl.run.loop import Learner, Position
from ebdsl.run.options import Options
from ebdsl.run.program import Program, renamed
from ebdsl.run.starts import LEAST, learner_of, try_starts

START_ROWS, TRIED_ROWS = 65_536, 4096
"""Samples a learner is started on where the data does not fit in memory, and where starts are tried unasked."""


@dataclass
class Session:
    program: Program
    options: Options
    network: nn.Module
    learner: Learner
    data: Batches
    held_out: Batches | None
    fingerprint: dict[str, list]
    points: Probe
    arrays: Mapping[str, np.ndarray]
    position: Position = field(default_factory=Position)

    @property
    def watch(self) -> Watch:
        return self._watch

    def __post_init__(self) -> None:
        self._watch = Watch(
            self.program.model,
            hasattr(self.learner, "optimizer"),
            holes=lambda: self.program.plan.volume.findings,
            margin=(margin_of(self.program.plan.strategy) or (None,))[0],
        )
        self.gauge = Gauge(
            self.network,
            self.program.model,
            self.points,
            self.data.device,
            getattr(torch, self.options.dtype),
            more=lambda: probe(self.program.model, self.arrays, self.data.rows.numpy(), MORE, 1).on,
        )

    def contrast(self) -> Reading:
        """The energy off the data beside that on it, and the codes in use. Raises as :func:`tensors`."""
        tensors(self)
        return self.gauge.read()

    def measure(self) -> float:
        """Mean free energy of the held-out samples; leaves no trace in the state of any generator."""
        assert self.held_out is not None
        devices = [self.data.device] if self.data.device.type == "cuda" else []
        self.network.eval()
        try:
            with torch.random.fork_rng(devices=devices):
                return mean_energy(self.network, self.held_out, self.options.batch)
        finally:
            self.network.train()


def session(
    program: Program,
    arrays: Mapping[str, np.ndarray],
    options: Options,
    held_out: Mapping[str, np.ndarray] | None = None,
) -> Session:
    """Build model and learner and put the samples in place. ``arrays`` (n, *shape) by the spec's names.

    Samples are held out of ``arrays`` as ``options`` say where no ``held_out`` ones are brought along.
    Raises :class:`SpecError` (EB0714, EB0720).
    """
    where, dtype = device(options.device), getattr(torch, options.dtype)
    by_name, arrays = arrays, renamed(program, arrays)
    n = len(next(iter(arrays.values())))
    train, held = samples.split(n, 0.0 if held_out else options.holdout, options.seed)
    if not len(train):
        out = f", {len(held)} of them held out" if len(held) else ""
        raise refuse("EB0720", f"the data has {n} sample{'s' * (n != 1)}{out}: none is left to train on")
    apart, rows = arrays, held
    if held_out:
        apart = renamed(program, held_out)
        rows = torch.arange(len(next(iter(apart.values()))))
    torch.manual_seed(options.seed)
    network = program.namespace.build(seed=options.seed, dtype=dtype).to(where)
    data = samples.batches(arrays, train, where, dtype)
    return Session(
        program,
        options,
        network,
        learner_of(program.namespace, network, data, options, options.seed),
        data,
        samples.batches(apart, rows, where, dtype) if len(rows) else None,
        samples.fingerprint(arrays),
        probe(program.model, held_out or by_name, (rows if len(rows) else train).numpy(), SAMPLES, 0),
        by_name,
    )


def begin(s: Session) -> None:
    """The data-driven start of a fresh run, the best of several where that is wise or asked for. Raises as there."""
    count = settings.starts(s.program.plan)
    asked = s.program.model.setting("starts") is not None
    most = TRIED_ROWS if count > 1 and not asked else len(s.data) if s.data.tensors is not None else START_ROWS
    order = samples.permutation(len(s.data), s.options.seed, -2)
    rows = s.data.all() if len(s.data) <= most else s.data.take(order[:most])
    if count > 1:
        try_starts(s, rows, count, 0.0 if asked else LEAST)
    else:
        s.learner.start(rows)
    spread = s.contrast().contrast.spread
    s.gauge.scale = spread if np.isfinite(spread) else 0.0


def tensors(s: Session) -> dict[str, Tensor]:
    """All tensors of a checkpoint. Raises :class:`SpecError` (EB0703) where a parameter is not finite."""
    for name, value in s.network.state_dict().items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise refuse(
                "EB0703",
                f"the parameter {name} is not finite after step {s.position.step}",
                "try --lr ten times smaller",
            )
    result = {f"model.{k}": v for k, v in s.network.state_dict().items()}
    result |= {f"learner.{k}": v for k, v in s.learner.state_dict().items()}
    result["rng.cpu"] = torch.get_rng_state()
    if s.data.device.type == "cuda":
        result["rng.cuda"] = torch.cuda.get_rng_state(s.data.device)
    return result


def facts(s: Session) -> dict[str, Any]:
    """The header of a checkpoint."""
    return {
        "version": ebdsl.__version__,
        "spec": s.program.source.text,
        "spec_digest": digest(s.program.source.text),
        "generated_digest": digest(s.program.text),
        "sizes": dict(s.program.model.dims),
        "options": s.options.to_json(),
        "position": asdict(s.position),
        "scale": s.watch.scale,
        "spread": s.gauge.scale,
        "suspect": s.watch.suspect,
        "data": s.fingerprint,
        "ground": ground(s),
    }


def ground(s: Session) -> dict[str, Any]:
    """What rounding depends on."""
    return {
        "ebdsl": ebdsl.__version__,
        "generated file": digest(s.program.text),
        "torch": torch.__version__,
        "device": s.data.device.type,
        "processor": platform.machine(),
        "threads": torch.get_num_threads(),
    }


def resume(s: Session, checkpoint: Checkpoint) -> tuple[Diagnostic, ...]:
    """Put a checkpoint's state in place. Raises :class:`SpecError` (EB0705, EB0709); may warn that bits can differ."""
    saved = checkpoint.facts
    if saved.get("data") != s.fingerprint:
        raise refuse("EB0709", difference(saved.get("data"), s.fingerprint), "bring the data back, or begin a new run")
    network, learner = checkpoint.part("model"), checkpoint.part("learner")
    restore(network, s.network.state_dict(), checkpoint.path, "model")
    s.network.load_state_dict(network)
    try:
        position = Position(**saved["position"])
        s.watch.scale = float(saved["scale"])
        s.gauge.scale = float(saved.get("spread", 0.0))
        s.watch.suspect = str(saved.get("suspect", ""))
        s.learner.load_state_dict(learner)
        torch.set_rng_state(checkpoint.part("rng")["cpu"])
        if s.data.device.type == "cuda" and "cuda" in checkpoint.part("rng"):
            torch.cuda.set_rng_state(checkpoint.part("rng")["cuda"], s.data.device)
    except (KeyError, TypeError, ValueError, RuntimeError):
        raise refuse(
            "EB0705", f"the checkpoint {checkpoint.path} does not hold the state of this spec's learner"
        ) from None
    s.position = position
    before, now = saved.get("ground", {}), ground(s)
    changed = [f"{k} was {before.get(k)}, is {v}" for k, v in now.items() if before.get(k) != v]
    if not changed:
        return ()
    return (Diagnostic("EB0710", f"the run goes on, but not to the bit: {'; '.join(changed)}"),)


def difference(before: Any, now: dict[str, list]) -> str:
    """In words, how data changed."""
    if isinstance(before, dict) and before.keys() == now.keys():
        for name, (shape, kind, _) in now.items():
            if before[name][0] != shape:
                return f"the data changed since the run began: {name} was {before[name][0]}, is {shape}"
            if before[name][1] != kind:
                return f"the data changed since the run began: {name} has another type"
        return "the data changed since the run began: same shape, other values"
    return "the data changed since the run began: it has other variables"
