"""Whether the energy is higher off the data than on it, measured.

AUC is the chance that a point off the data has more energy than a sample, ties counted half (Mann & Whitney 1947):
1 where the energy tells all of them apart, 0.5 where it says nothing. The gap is the difference of medians, in the
energy's units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ebdsl.run.alternatives import Arrays, Probe, box

GOOD, CHANCE = 0.9, 0.6
"""AUC from which the energy is called higher off the data, and below which it is called no better than chance."""
FLAT = 1e-3
"""Differences below this share of those before training count as none: what is nearly zero everywhere has an order."""
EPS = float(np.finfo(np.float32).eps)
CELLS = {1: 2000, 2: 100, 3: 25}
"""Grid points along each axis, by dimension."""
HELD = 8
"""Samples at whose given values a volume is measured."""

Energy = Callable[[Mapping[str, np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class Against:
    """One kind of points off the data. ``auc`` and ``gap`` are None where the energy is no number at some of them.

    ``active``: the share of the hinges of a margin loss that are not met.
    """

    kind: str
    said: str
    auc: float | None
    gap: float | None
    undefined: int = 0
    active: float | None = None


@dataclass(frozen=True)
class Contrast:
    """``spread``: the largest median difference to the data's median energy; ``below``: the share of the box with less
    energy than half of the data; ``undefined``: samples whose energy is no number. ``flat``: no difference counts, none
    is above ``resolution``.
    """

    samples: int
    against: tuple[Against, ...]
    spread: float
    flat: bool = False
    undefined: int = 0
    below: float | None = None
    resolution: float = 0.0

    @property
    def best(self) -> float | None:
        """The largest AUC."""
        return max((a.auc for a in self.against if a.auc is not None), default=None)

    def numbers(self) -> dict[str, float]:
        """For curves: ``contrast/KIND`` is the AUC, ``gap/KIND`` the gap. What is no number stays NaN."""
        nan = float("nan")
        rows = {f"contrast/{a.kind}": nan if a.auc is None else a.auc for a in self.against}
        return rows | {f"gap/{a.kind}": nan if a.gap is None else a.gap for a in self.against}

    def to_json(self) -> dict[str, Any]:
        each = {
            a.kind: {"points": a.said, "auc": a.auc, "gap": _finite(a.gap), "undefined": a.undefined}
            | ({} if a.active is None else {"active hinges": a.active})
            for a in self.against
        }
        return {
            "samples": self.samples, "against": each, "volume below the median": self.below, "flat": self.flat,
            "undefined": self.undefined, "said": list(self.sentences()),
        }  # fmt: skip

    def sentences(self) -> tuple[str, ...]:
        """What it means, for a reader who meets the word contrast for the first time."""
        said = []
        if self.undefined:
            said.append(
                f"the energy is not a number at {self.undefined} of {self.samples} samples: nothing can be said of it"
            )
        for a in self.against:
            if a.undefined:
                said.append(f"against {a.kind}: the energy is not a number at {a.undefined} of {self.samples} points")
        if self.flat:
            said.append("the energy is flat: on the data and off it, it differs by next to nothing")
        for a in self.against if not self.flat else ():
            if a.auc is not None:
                said.append(f"AUC {a.auc:.2f} against {a.kind}: {verdict(a.auc)}")
        if self.below is not None and not self.flat:
            said.append(f"{100 * self.below:.3g} % of the box has less energy than half of the data")
        return tuple(said)


def verdict(auc: float) -> str:
    """An AUC in words."""
    if round(auc, 2) >= GOOD:
        return "the energy is higher off the data"
    if auc >= CHANCE:
        return "the energy is mostly higher off the data"
    if auc > 1 - CHANCE:
        return "no better than chance: the energy does not tell these points from the data"
    return "the energy is lower off the data than on it"


def auc(on: np.ndarray, off: np.ndarray, resolution: float = 0.0) -> float:
    """The chance that one of ``off`` is above one of ``on``, differences up to ``resolution`` counted half."""
    a, b = on[:, None], off[None]
    above, below = (b > a + resolution).mean(), (b < a - resolution).mean()
    return float(0.5 + 0.5 * (above - below))


def measure(
    energy: Energy, points: Probe, *, scale: float = 0.0, margin: tuple[float, bool] | None = None, volume: bool = False
) -> Contrast:
    """``scale``: the spread before training, 0 where unknown. ``margin``: its size, and whether it is between pairs."""
    on = energy(points.on)
    n, good = len(on), on[~np.isnan(on)]
    each = [energy(p.arrays) for p in points.off]
    finite = np.concatenate([x[np.isfinite(x)] for x in (on, *each)])
    rounding = 8 * EPS * float(np.median(np.abs(finite))) if finite.size else 0.0
    resolution = max(FLAT * scale, rounding, 8 * _noise(energy, points, each))
    middle = float(np.median(good)) if good.size else float("nan")
    against, spreads = [], []
    for p, off in zip(points.off, each, strict=True):
        undefined = int(np.isnan(off).sum())
        if undefined or len(good) < n or not n:
            against.append(Against(p.kind, p.said, None, None, undefined))
            continue
        spreads.append(float(np.median(np.abs(off - middle))) if np.isfinite(middle) else float("nan"))
        active = None
        if margin is not None:
            size, pairs = margin
            active = float(((off - on < size) if pairs else (off < size)).mean())
        gap = float(np.median(off)) - middle if np.isfinite(middle) else float("nan")
        against.append(Against(p.kind, p.said, auc(on, off, resolution), gap, 0, active))
    spread = max(spreads, default=float("nan"))
    below = _below(energy, points, middle) if volume and np.isfinite(middle) else None
    return Contrast(n, tuple(against), spread, spread <= resolution, n - len(good), below, resolution)


def _noise(energy: Energy, points: Probe, each: list[np.ndarray]) -> float:
    """What the last digits of points off the data do to the energy: differences of that size say nothing."""
    if points.over.domain.row.finite or not each or not len(each[0]):
        return 0.0
    off = points.off[0].arrays
    y = off[points.over.name]
    moved = energy({**off, points.over.name: y * (1 + 4 * EPS * (-1.0) ** np.arange(y.size).reshape(y.shape))})
    with np.errstate(invalid="ignore"):
        change = np.abs(moved - each[0])
    return float(np.median(change)) if np.isfinite(change).all() else 0.0


def _below(energy: Energy, points: Probe, middle: float) -> float | None:
    """The share of the data's box with less energy than ``middle``, by a grid; None beyond three dimensions."""
    y = points.on[points.over.name]
    size = int(np.prod(y.shape[1:], dtype=int))
    if points.over.domain.row.finite or size not in CELLS or points.over.domain.kind in ("simplex", "sphere"):
        return None
    low, high = box(y)
    ends = points.over.domain.row.bounds(points.over.domain.args)
    low, high = np.clip(low, *ends).ravel(), np.clip(high, *ends).ravel()
    given: list[Arrays] = [{}]
    cells = CELLS[size]
    if len(points.on) > 1:
        rows = np.unique(np.linspace(0, len(y) - 1, HELD).astype(int))
        given = [{k: x[i : i + 1] for k, x in points.on.items() if k != points.over.name} for i in rows]
        cells = {1: 400, 2: 40, 3: 15}[size]
    middles = [a + (b - a) * (np.arange(cells) + 0.5) / cells for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*middles, indexing="ij"), -1).reshape(-1, *y.shape[1:])
    shares = []
    for held in given:
        found = energy({**{k: np.repeat(x, len(grid), 0) for k, x in held.items()}, points.over.name: grid})
        if np.isnan(found).any():
            return None
        shares.append(float((found < middle).mean()))
    return float(np.mean(shares))


def _finite(x: float | None) -> float | None:
    return None if x is None or not np.isfinite(x) else x
