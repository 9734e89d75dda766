"""What is done to samples before the energy sees them: the same keywords for every source.

In this order: ``centre``, ``normalise``, ``whiten``, ``scale`` or ``times``, ``threshold``. What has to be estimated
(a mean, a
covariance, a scale) is estimated on the training samples alone and applied to the held-out ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ebdsl.run.data.core import Keyword, Trouble

UNIFORM = (
    Keyword(
        "centre",
        "option",
        False,
        "`true` (or `mean`) takes off the mean of each entry over the data, `sample` each sample's own mean",
        choices=("mean", "sample"),
    ),
    Keyword("normalise", "flag", False, "each sample is divided by sqrt(its variance + (a tenth of the data's rms)²)"),
    Keyword(
        "whiten",
        "option",
        False,
        "`true` (or `zca`) makes the covariance the identity with the least change, `pca` in the order of the "
        "variances; variances below `floor` times their mean are not blown up",
        choices=("zca", "pca"),
    ),
    Keyword("floor", "number", 0.01, "added to the variances before whitening, as a share of their mean", low=0),
    Keyword(
        "scale",
        "option",
        False,
        "a number: the root mean square that the entries are brought to; `unit` brings them from smallest to largest "
        "into [0, 1]",
        choices=("unit",),
        low=1e-12,
        high=1e12,
    ),
    Keyword("times", "number", 1.0, "each entry is multiplied by this number"),
    Keyword("threshold", "number", None, "entries above it become 1, the others 0"),
    Keyword("count", "count", None, "keep this many samples, chosen at random", low=1),
)


@dataclass(frozen=True)
class Stage:
    """One step: a row of :data:`STEPS`, the numbers it was fitted with, and what it does, in words."""

    kind: str
    said: str
    numbers: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return STEPS[self.kind](x, **self.numbers)


@dataclass(frozen=True)
class Transform:
    """A map on arrays ``(n, *shape)``. ``stages`` empty: the identity."""

    stages: tuple[Stage, ...] = ()

    @property
    def said(self) -> tuple[str, ...]:
        return tuple(s.said for s in self.stages)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        for stage in self.stages:
            x = stage(x)
        return x


ESTIMATED = ("centre", "normalise", "whiten", "scale", "times", "threshold")
"""Keywords that say how data is prepared: who says one of them for new data has said all."""


def settings(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Every uniform keyword's value: the user's, else the source's, else the general one."""
    return {k.name: given.get(k.name, defaults.get(k.name, k.default)) for k in UNIFORM}


def touches(options: Mapping[str, Any]) -> bool:
    """Whether these options change any entry."""
    return bool(
        options["centre"] or options["normalise"] or options["whiten"] or options["scale"] or options["times"] != 1
    ) or (options["threshold"] is not None)


def fit(x: np.ndarray, options: Mapping[str, Any]) -> tuple[Transform, np.ndarray]:
    """The transform that ``options`` ask for, with all that is estimated taken from ``x`` ``(n, *shape)``.

    Returns it together with its value at ``x``. Raises :class:`Trouble` (EB0603) where it is not possible.
    """
    stages: list[Stage] = []
    for made in (_centre, _normalise, _whiten, _scale, _times, _threshold):
        stage = made(x, options)
        if stage is not None:
            stages.append(stage)
            x = stage(x)
    return Transform(tuple(stages)), x


def _axes(x: np.ndarray) -> tuple[int, ...]:
    return tuple(range(1, x.ndim))


def _flat(a: np.ndarray) -> np.ndarray:
    return a.reshape(len(a), -1)


STEPS: dict[str, Callable[..., np.ndarray]] = {
    "centre each": lambda a: a - a.mean(axis=_axes(a), keepdims=True),
    "centre": lambda a, mean: (a - mean).astype(np.float32),
    "normalise": lambda a, floor: a / np.sqrt(a.var(axis=_axes(a), keepdims=True) + float(floor)),
    "whiten": lambda a, mean, matrix: ((_flat(a) - mean) @ matrix).astype(np.float32).reshape(a.shape),
    "unit": lambda a, low, width: np.clip((a - float(low)) / float(width), 0, 1),
    "times": lambda a, factor: a * np.float32(factor),
    "threshold": lambda a, level: (a > float(level)).astype(np.float32),
}
"""What a stage does to ``(n, *shape)`` with its numbers. A run keeps the numbers, so that new data is treated alike."""


def _stage(kind: str, said: str, **numbers: Any) -> Stage:
    return Stage(kind, said, {name: np.asarray(value, np.float64) for name, value in numbers.items()})


def _centre(x: np.ndarray, o: Mapping[str, Any]) -> Stage | None:
    if o["centre"] == "sample":
        return _stage("centre each", "each sample's mean taken off")
    if o["centre"]:
        return _stage("centre", "the mean taken off", mean=x.mean(axis=0, dtype=np.float64))
    return None


def _normalise(x: np.ndarray, o: Mapping[str, Any]) -> Stage | None:
    if not o["normalise"]:
        return None
    floor = 0.01 * float(np.mean(np.square(x, dtype=np.float64)))
    return _stage("normalise", "contrast normalised", floor=floor) if floor else None


def _whiten(x: np.ndarray, o: Mapping[str, Any]) -> Stage | None:
    kind = o["whiten"]
    if not kind:
        return None
    kind = "zca" if kind is True else kind
    flat = x.reshape(len(x), -1).astype(np.float64)
    if flat.shape[1] > 4096:
        raise Trouble(
            "EB0603",
            f"whitening {flat.shape[1]} entries needs a covariance of as many rows",
            "make the pictures smaller, or cut patches",
        )
    mean = flat.mean(axis=0)
    covariance = (flat - mean).T @ (flat - mean) / len(flat)
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = np.clip(values[::-1], 0, None), vectors[:, ::-1]
    gain = 1 / np.sqrt(values + max(o["floor"] * values.mean(), 1e-12))
    gain[values <= 1e-10 * values[0]] = 0.0
    matrix = vectors * gain
    if kind == "zca":
        matrix = matrix @ vectors.T
    else:
        signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(len(values))])
        matrix = matrix * signs

    said = f"whitened ({kind.upper()}, floor {o['floor']:g} of the mean variance)"
    return _stage("whiten", said, mean=mean, matrix=matrix)


def _scale(x: np.ndarray, o: Mapping[str, Any]) -> Stage | None:
    if o["scale"] is False:
        return None
    if o["scale"] == "unit" or o["scale"] is True:
        low, high = float(x.min()), float(x.max())
        return _stage("unit", f"brought from [{low:.4g}, {high:.4g}] into [0, 1]", low=low, width=high - low or 1.0)
    rms = float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))
    if rms == 0:
        raise Trouble("EB0603", "the data is zero everywhere and cannot be brought to a scale", "leave out  scale")
    return _stage("times", f"scaled to a root mean square of {o['scale']:g}", factor=o["scale"] / rms)


def _times(x: np.ndarray, o: Mapping[str, Any]) -> Stage | None:
    return None if o["times"] == 1 else _stage("times", f"multiplied by {o['times']:g}", factor=o["times"])


def _threshold(x: np.ndarray, o: Mapping[str, Any]) -> Stage | None:
    level = o["threshold"]
    return None if level is None else _stage("threshold", f"1 above {level:g}, else 0", level=level)
