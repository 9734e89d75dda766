"""The GPU column: what an item's work takes on a device, and what share of the device's peak that is.

Peaks are measured in the same run, by a large product of matrices and a large copy, so that no table of cards is
needed. A work's share is that of the bound which it meets first: the time that its operations, or its bytes, would take
at the peak, over the time that it took.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch


@dataclass(frozen=True)
class Work:
    """What a call has to do at least: floating-point operations, and bytes to and from the device's memory."""

    operations: float
    bytes: float


@dataclass(frozen=True)
class Peak:
    """What the device reached: operations and bytes a second."""

    operations: float
    bytes: float

    def share(self, work: Work, seconds: float) -> tuple[float, str]:
        """The share of the peak that binds ``work``, and which that is."""
        computing, moving = work.operations / self.operations, work.bytes / self.bytes
        return max(computing, moving) / seconds, "operations" if computing >= moving else "bandwidth"


@dataclass(frozen=True)
class Measured:
    """One work on the device: median seconds of ours and of the peer, the share of the peak, and of which."""

    name: str
    ours: float
    peer: float
    share: float
    bound: str

    def facts(self) -> dict[str, object]:
        return {
            "name": self.name,
            "ratio": round(self.ours / self.peer, 3),
            "ours seconds": float(f"{self.ours:.4g}"),
            "peer seconds": float(f"{self.peer:.4g}"),
            "share of peak": round(self.share, 3),
            "bound": self.bound,
        }


def available() -> str | None:
    """The device that ``python -m bench`` measures on besides the processor; None where there is none."""
    return "cuda" if torch.cuda.is_available() else None


def name(device: str) -> str:
    return torch.cuda.get_device_name() if device != "cpu" else "cpu"


def synchronize(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def seconds(work: Callable[[int], Any], device: str, calls: int = 5) -> float:
    """Seconds of one call when ``calls`` are made in a row; the host waits at both ends alone."""
    synchronize(device)
    begin = time.perf_counter()
    for k in range(calls):
        work(k)
    synchronize(device)
    return (time.perf_counter() - begin) / calls


def peak(device: str, size: int = 8192, rounds: int = 5) -> Peak:
    """The best of some products of ``size x size`` matrices in float32, and of some copies as large."""
    a = torch.randn(size, size, device=device)
    out, copy = torch.empty_like(a), torch.empty_like(a)
    torch.mm(a, a, out=out), copy.copy_(a)
    product = min(seconds(lambda _: torch.mm(a, a, out=out), device) for _ in range(rounds))
    moved = min(seconds(lambda _: copy.copy_(a), device) for _ in range(rounds))
    return Peak(2 * size**3 / product, 2 * a.numel() * a.element_size() / moved)


def measure(item: ModuleType, quick: bool, device: str, at: Peak) -> list[Measured]:
    """What ``item.on_device`` offers, by turns with its peers."""
    found = []
    for name, (ours, peer, work) in item.on_device(quick, device).items():
        ours(0), peer(0)  # what is compiled is compiled
        times: tuple[list[float], list[float]] = ([], [])
        for number in range(1 if quick else 9):
            for mine in (0, 1) if number % 2 == 0 else (1, 0):
                times[mine].append(seconds((ours, peer)[mine], device))
        first, second = map(statistics.median, times)
        found.append(Measured(name, first, second, *at.share(work, first)))
    return found


def facts(rows: list[Measured], at: Peak, device: str) -> dict[str, object]:
    """What goes to the results file."""
    peak = {"operations a second": float(f"{at.operations:.3g}"), "bytes a second": float(f"{at.bytes:.3g}")}
    return {"name": name(device), "torch": torch.__version__, "peak": peak, "rows": [r.facts() for r in rows]}


def table(rows: list[Measured], at: Peak, device: str) -> str:
    """One line a work, under the peaks."""
    width = max(len(r.name) for r in rows)
    head = f"  on {name(device)}: {at.operations / 1e12:.1f} Top/s and {at.bytes / 1e9:.0f} GB/s measured"
    lines = [
        f"  {r.name:{width}}  {r.ours / r.peer:5.2f}  {1000 * r.ours:9.3f} ms  {1000 * r.peer:9.3f} ms"
        f"  {r.share:5.0%} of {r.bound}"
        for r in rows
    ]
    return "\n".join([head, f"  {'GPU: ours / peer':{width}}  ratio       ours           peer     of peak", *lines])
