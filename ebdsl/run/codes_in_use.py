"""Which parts of a code are in use: states that are chosen, entries and units that differ between samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ebdsl.model.ir import Symbol

STILL = 1e-6
"""A spread over samples, in the size of the numbers, that counts as none."""


@dataclass(frozen=True)
class InUse:
    """Of ``count`` ``parts`` of a code (states, entries, units), ``dead`` are never used or never change."""

    name: str
    parts: str
    count: int
    dead: int

    @property
    def died(self) -> bool:
        """Nothing is left: whatever the sample, the code says the same."""
        alone = self.parts == "states" and self.dead == self.count - 1
        return (self.count > 1 and (alone or self.dead == self.count)) or (self.count == 1 and self.dead == 1)

    def sentence(self) -> str:
        never = "never chosen" if self.parts == "states" else "the same for every sample"
        if self.died:
            return f"the code {self.name} is dead: it is the same for every sample"
        return f"{self.dead} of {self.count} {self.parts} of {self.name} are {never}"


def in_use(latents: Mapping[str, np.ndarray], symbols: tuple[Symbol, ...]) -> tuple[InUse, ...]:
    """Of latents (n, *shape) by name. A softmin's are posterior means: of a choice, the likeliest state counts."""
    found = []
    for s in symbols:
        z = latents.get(s.name)
        if z is None or len(z) < 2 or not z[0].size:
            continue
        if s.domain.kind == "onehot":
            count = z.shape[-1]
            still = _still(z.reshape(len(z), -1)).all()
            used = 1 if still else len(np.unique(z.reshape(-1, count).argmax(1)))
            if count > 1:
                found.append(InUse(s.name, "states", count, count - used))
        else:
            found.append(units(s.name, "entries", z))
    return tuple(found)


def units(name: str, parts: str, x: np.ndarray) -> InUse:
    """Of numbers (n, *shape): those that are the same in every row."""
    still = _still(x.reshape(len(x), -1))
    return InUse(name, parts, len(still), int(still.sum()))


@dataclass(frozen=True)
class Blurred:
    """A code with noise: how far codes are from the centre, and what every unit tells of a sample.

    ``divergence`` (units,): mean over samples of KL(N(μ, σ²) ‖ N(0, 1)) in nats (Kingma & Welling 2014, appendix B).
    """

    distance: float
    spread: float
    divergence: np.ndarray

    def sentence(self) -> str:
        d = self.divergence
        used = int((d > 0.01).sum())
        many = f"{used} of {len(d)} units tell more than 0.01 nats of a sample, all together {d.sum():.3g}"
        return f"codes with noise: mean ‖μ‖ {self.distance:.3g}, mean σ {self.spread:.3g}; {many}"


def blurred(mean: np.ndarray, spread: np.ndarray) -> Blurred:
    """Of codes (n, units) with their standard deviations."""
    each = 0.5 * (mean**2 + spread**2 - 1) - np.log(spread)
    return Blurred(float(np.linalg.norm(mean, axis=1).mean()), float(spread.mean()), each.mean(0))


def _still(flat: np.ndarray) -> np.ndarray:
    size = max(float(np.abs(flat).max(initial=0.0)), 1e-30)
    return (np.ptp(flat, axis=0) <= STILL * size) if np.isfinite(flat).all() else np.zeros(flat.shape[1], bool)
