"""Interleaved rounds: ours and the peer by turns, so that a busy machine is busy for both."""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

MISSING: dict[str, None] = {}
"""Packages of peers that are not installed, in the order in which they were asked for."""


@dataclass(frozen=True)
class Row:
    """One line of a table: seconds of ours and of the peer in each round.

    ``limit`` is what the ratio should not exceed, where there is such a promise.
    """

    name: str
    ours: tuple[float, ...]
    peer: tuple[float, ...]
    peer_name: str = "by hand"
    limit: float | None = None

    @property
    def ratios(self) -> list[float]:
        """Ours over the peer's, round by round, ascending."""
        return sorted(a / b for a, b in zip(self.ours, self.peer, strict=True))

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return statistics.median(self.ratios)

    @property
    def spread(self) -> tuple[float, float]:
        """The quartiles of the rounds' ratios."""
        ratios = self.ratios
        if len(ratios) < 2:
            return ratios[0], ratios[0]
        low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
        return low, high

    def facts(self) -> dict[str, object]:
        """What goes to the results file; seconds are medians, ``least`` the quickest rounds."""
        low, high = self.spread
        return {
            "name": self.name,
            "peer": self.peer_name,
            "ratio": round(self.ratio, 3),
            "quartiles": [round(low, 3), round(high, 3)],
            "ratio of the quickest": round(min(self.ours) / min(self.peer), 3),
            "limit": self.limit,
            "rounds": len(self.ours),
            "ours seconds": _digits(statistics.median(self.ours)),
            "peer seconds": _digits(statistics.median(self.peer)),
        }


def interleave(
    ours: Callable[[int], object], peer: Callable[[int], object], rounds: int, clock: Callable[[], float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Seconds of ``ours(round)`` and ``peer(round)``; who goes first alternates."""
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for number in range(rounds):
        for mine in (True, False) if number % 2 == 0 else (False, True):
            call = ours if mine else peer
            begin = clock()
            call(number)
            seconds[mine].append(clock() - begin)
    return tuple(seconds[True]), tuple(seconds[False])


def library(module: str) -> Any:
    """A peer's module; None where it is not installed, which the item's table then says."""
    try:
        return importlib.import_module(module)
    except ImportError:
        MISSING[module.partition(".")[0]] = None
        return None


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """PyTorch on ``count`` threads, and afterwards on as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def clock(threads: int) -> Callable[[], float]:
    """Processor time where one thread works, as others may use the machine; else the time on the wall."""
    return time.process_time if threads == 1 else time.perf_counter


def _digits(seconds: float) -> float:
    return float(f"{seconds:.4g}")
