"""The training loop: steps, a watch over the energy, and a checkpoint now and then.

The loop never waits for the device inside a step: metrics stay tensors until some have gathered,
and come over together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ebdsl.run.batches import Batches, permutation
from ebdsl.run.gauge import EVERY, Reading
from ebdsl.run.health import Record, Watch
from ebdsl.run.options import Options

GATHER_STEPS, GATHER_SECONDS = 64, 0.2


class Learner(Protocol):
    """What the generated file's learner offers."""

    full_batch: bool
    converged: bool

    def start(self, data: dict[str, Tensor]) -> None: ...
    def step(self, batch: dict[str, Tensor], *rows: Tensor) -> dict[str, Tensor]: ...
    def state_dict(self) -> dict[str, Tensor]: ...
    def load_state_dict(self, state: dict[str, Tensor]) -> object: ...


class Listener(Protocol):
    """Told of progress: a progress bar, a file of metrics."""

    def steps(self, records: list[Record]) -> None: ...
    def held_out(self, step: int, epoch: int, energy: float) -> None: ...
    def measured(self, step: int, epoch: int, contrast: Mapping[str, float]) -> None: ...


@dataclass
class Position:
    """How far a run is: all of the loop's own state.

    ``seconds`` are of training, those before a resumption included. ``converged``: the learner saw nothing left to do.
    """

    step: int = 0
    seconds: float = 0.0
    energy: float | None = None
    converged: bool = False
    held_out: float | None = None


def steps_per_epoch(learner: Learner, n: int, options: Options) -> int:
    return 1 if learner.full_batch else -(-n // options.batch)


def run(
    learner: Learner,
    data: Batches,
    options: Options,
    *,
    position: Position,
    watch: Watch,
    listeners: tuple[Listener, ...] = (),
    save: Callable[[Position], None] = lambda position: None,
    stopped: Callable[[], bool] = lambda: False,
    measure: Callable[[], float] | None = None,
    contrast: Callable[[], Reading] | None = None,
) -> str:
    """Train from ``position`` on; it is moved along. Returns ``"finished"``, ``"converged"`` or ``"interrupted"``.

    ``save`` is called with every energy up to ``position`` known to be finite. ``measure`` gives the
    energy of held-out samples, at the end of each epoch, ``contrast`` the energy off the data beside that on it, at
    the end of those that :func:`due` says. Raises :class:`SpecError` (EB0703, EB0704, EB0750, EB0751) and what
    ``save`` and ``contrast`` raise.
    """
    n, per_epoch = len(data), steps_per_epoch(learner, len(data), options)
    looked = saved_at = time.monotonic()
    began = looked - position.seconds
    saved = position.step
    pending: list[tuple[int, int, float, dict[str, Tensor]]] = []

    def gather() -> None:
        nonlocal looked
        records = to_host(pending)
        pending.clear()
        looked = time.monotonic()
        good = 0
        try:
            for record in records:
                watch.look(record)
                good += 1
                position.energy = record.values.get("energy")
        finally:  # the step that went wrong is on record too
            for listener in listeners if records else ():
                listener.steps(records[: good + 1])

    def keep() -> None:
        nonlocal saved, saved_at
        gather()
        if saved != position.step:
            save(position)
        saved, saved_at = position.step, time.monotonic()

    def ending() -> str:
        return "converged" if position.converged else "finished"

    last = options.epochs * per_epoch
    while position.step < last and not position.converged:
        epoch, first = divmod(position.step, per_epoch)
        order = None if learner.full_batch else permutation(n, options.seed, epoch)
        for within in range(first, per_epoch):
            at = within * options.batch
            rows = () if order is None else (order[at : at + options.batch],)
            batch = data.take(*rows) if rows else everything(learner, data)
            known = tuple(r.to(data.device) for r in rows) if getattr(learner, "kept", None) else ()
            metrics = learner.step(batch, *known) if batch is not None else streamed(learner, data)
            now = time.monotonic()
            position.step, position.seconds = position.step + 1, now - began
            pending.append((position.step, epoch, position.seconds, metrics))
            position.converged = learner.converged
            if len(pending) >= GATHER_STEPS or now - looked > GATHER_SECONDS:
                gather()
            if within + 1 == per_epoch and measure is not None:
                gather()
                position.held_out = measure()
                for listener in listeners:
                    listener.held_out(position.step, epoch, position.held_out)
            last_one = position.step == last or position.converged
            if (within + 1 == per_epoch or last_one) and contrast is not None and (last_one or due(epoch, n)):
                gather()
                reading = contrast()
                for listener in listeners:
                    listener.measured(position.step, epoch, reading.contrast.numbers())
                watch.judge(reading, position.step, epoch, last=last_one)
            late = options.checkpoint_steps is not None and position.step - saved >= options.checkpoint_steps
            if not watch.suspect and (late or now - saved_at > options.checkpoint_seconds):
                keep()
            if stopped():
                keep()
                return "interrupted" if position.step < last and not position.converged else ending()
            if position.converged:
                break
    keep()
    return ending()


def everything(learner: Learner, data: Batches) -> dict[str, Tensor] | None:
    """All samples at once, or None where they are better read a piece at a time."""
    return None if data.tensors is None and hasattr(learner, "collect") else data.all()


def streamed(learner: Any, data: Batches) -> dict[str, Tensor]:
    """A step on all data that are read a piece at a time."""
    for batch in data.pieces():
        learner.collect(batch)
    metrics = learner.finish()
    if hasattr(learner, "refit_unused"):
        learner.refit_unused(data.pieces)
    return metrics


def due(epoch: int, n: int) -> bool:
    """Whether contrast is measured at the end of an epoch of ``n`` samples: wherever another ``EVERY`` are full."""
    return (epoch + 1) * n // EVERY > epoch * n // EVERY


def to_host(pending: list[tuple[int, int, float, dict[str, Tensor]]]) -> list[Record]:
    """All numbers of the gathered steps, in one transfer."""
    flat = [value.detach().reshape(()) for *_, metrics in pending for value in metrics.values()]
    if not flat:
        return []
    numbers = iter(torch.stack(flat).tolist())
    return [
        Record(step, epoch, wall, {name: next(numbers) for name in metrics}) for step, epoch, wall, metrics in pending
    ]
