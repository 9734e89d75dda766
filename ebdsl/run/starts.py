"""Several starts of a learning that can end in a local minimum: each is tried for a few steps, the lowest goes on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ebdsl.run.batches import Batches, permutation
from ebdsl.run.files import refuse
from ebdsl.run.loop import Learner
from ebdsl.run.options import Options

if TYPE_CHECKING:
    from ebdsl.run.session import Session

STEPS, BATCHES = 10, 100
"""Steps of a try: on all samples at once, or from batches."""
LEAST = 0.05
"""Share of the samples whose energies count as no lower than that of the next, where tries were not asked for: a state
that has shrunk to a few samples, whose likelihood has no bound, is no better start.
"""


def learner_of(namespace: Any, network: nn.Module, data: Batches, options: Options, seed: int) -> Learner:
    """The learner that the generated file has for so many samples.

    By batches it is where a size of these was asked for, or where the samples are not in memory.
    """
    if not hasattr(namespace, "learner"):
        return namespace.Learner(network, lr=options.lr, seed=seed)
    if data.tensors is None or options.batch != namespace.DEFAULTS["batch"]:
        return namespace.Learner(network, lr=options.lr, seed=seed, samples=len(data))
    return namespace.learner(network, len(data), lr=options.lr, seed=seed)


def try_starts(s: Session, rows: dict[str, Tensor], count: int, least: float = 0.0) -> None:
    """Start ``count`` times on ``rows`` ``(n, *shape)``, from as many seeds, and leave the best in the session.

    Measured is the mean free energy after the steps, the lowest ones cut off at their quantile ``least``: then it is
    where the best began that is left, so that a run shows all of its way. What happens is decided by the seed, before
    the first step that counts, so that a resumed run has nothing of it to know.
    Raises :class:`SpecError` (EB0727) with a strategy.
    """
    if s.program.plan.strategy is not None:
        word = s.program.plan.strategy.method.name
        raise refuse("EB0727", f"starts are told apart by their energy, which {word} also raises", "leave out starts")
    best, kept = math.inf, None
    for k in range(count):
        seed = s.options.seed + k
        if k:
            s.network.load_state_dict(s.program.namespace.build(seed=seed).state_dict())
        learner = learner_of(s.program.namespace, s.network, s.data, s.options, seed)
        learner.start(rows)
        begun = _now(s, learner) if least else None
        for batch in _batches(s, rows, seed) if not learner.full_batch else [rows] * STEPS:
            learner.step(batch)
        energy = _mean_energy(s, rows, least)
        if kept is None or energy < best or math.isnan(best):
            best, kept = energy, begun or _now(s, learner)
    assert kept is not None
    s.network.load_state_dict(kept[0])
    s.learner = learner_of(s.program.namespace, s.network, s.data, s.options, s.options.seed)
    s.learner.load_state_dict(kept[1])


def _now(s: Session, learner: Learner) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    network = {name: value.clone() for name, value in s.network.state_dict().items()}
    return network, {name: value.clone() for name, value in learner.state_dict().items()}


def _batches(s: Session, rows: dict[str, Tensor], seed: int) -> Iterator[dict[str, Tensor]]:
    n = len(next(iter(rows.values())))
    done = 0
    for epoch in range(BATCHES):
        for index in permutation(n, seed, -3 - epoch).split(s.options.batch):
            yield {name: value[index.to(value.device)] for name, value in rows.items()}
            done += 1
            if done == BATCHES:
                return


def _mean_energy(s: Session, rows: dict[str, Tensor], least: float) -> float:
    network: Any = s.network
    with torch.no_grad():
        parts = zip(*(value.split(8192) for value in rows.values()), strict=True)
        energies = torch.cat([network.free_energy(**dict(zip(rows, p, strict=True))).double() for p in parts])
    if least:
        energies = energies.maximum(energies.kthvalue(1 + int(least * len(energies))).values)
    return float(energies.mean())
