"""What is done to samples before the energy sees them: the same keywords for every source.

In this order: ``centre``, ``normalise``, ``whiten``, ``scale`` or ``times``, ``threshold``. What has to be estimated
(a mean, a
covariance, a scale) is estimated on the training samples alone and applied to the held-out ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
class Transform:
    """A map on arrays ``(n, *shape)`` and what it does, in words. ``steps`` empty: the identity."""

    steps: tuple[Callable[[np.ndarray], np.ndarray], ...] = ()
    said: tuple[str, ...] = ()

    def __call__(self, x: np.ndarray) -> np.ndarray:
        for step in self.steps:
            x = step(x)
        return x


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
    steps: list[Callable[[np.ndarray], np.ndarray]] = []
    said: list[str] = []
    for stage in (_centre, _normalise, _whiten, _scale, _times, _threshold):
        made = stage(x, options)
        if made is not None:
            step, words = made
            steps.append(step)
            said.append(words)
            x = step(x)
    return Transform(tuple(steps), tuple(said)), x


Stage = tuple[Callable[[np.ndarray], np.ndarray], str] | None


def _axes(x: np.ndarray) -> tuple[int, ...]:
    return tuple(range(1, x.ndim))


def _centre(x: np.ndarray, o: Mapping[str, Any]) -> Stage:
    if o["centre"] == "sample":
        return lambda a: a - a.mean(axis=_axes(a), keepdims=True), "each sample's mean taken off"
    if o["centre"]:
        mean = x.mean(axis=0, dtype=np.float64)
        return lambda a: (a - mean).astype(np.float32), "the mean taken off"
    return None


def _normalise(x: np.ndarray, o: Mapping[str, Any]) -> Stage:
    if not o["normalise"]:
        return None
    floor = 0.01 * float(np.mean(np.square(x, dtype=np.float64)))
    if floor == 0:
        return None

    def step(a: np.ndarray) -> np.ndarray:
        return a / np.sqrt(a.var(axis=_axes(a), keepdims=True) + floor)

    return step, "contrast normalised"


def _whiten(x: np.ndarray, o: Mapping[str, Any]) -> Stage:
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

    def step(a: np.ndarray) -> np.ndarray:
        return ((a.reshape(len(a), -1) - mean) @ matrix).astype(np.float32).reshape(a.shape)

    return step, f"whitened ({kind.upper()}, floor {o['floor']:g} of the mean variance)"


def _scale(x: np.ndarray, o: Mapping[str, Any]) -> Stage:
    if o["scale"] is False:
        return None
    if o["scale"] == "unit" or o["scale"] is True:
        low, high = float(x.min()), float(x.max())
        width = high - low or 1.0
        return lambda a: np.clip((a - low) / width, 0, 1), f"brought from [{low:.4g}, {high:.4g}] into [0, 1]"
    rms = float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))
    if rms == 0:
        raise Trouble("EB0603", "the data is zero everywhere and cannot be brought to a scale", "leave out  scale")
    factor = o["scale"] / rms
    return lambda a: a * np.float32(factor), f"scaled to a root mean square of {o['scale']:g}"


def _times(x: np.ndarray, o: Mapping[str, Any]) -> Stage:
    if o["times"] == 1:
        return None
    return lambda a: a * np.float32(o["times"]), f"multiplied by {o['times']:g}"


def _threshold(x: np.ndarray, o: Mapping[str, Any]) -> Stage:
    level = o["threshold"]
    if level is None:
        return None
    return lambda a: (a > level).astype(np.float32), f"1 above {level:g}, else 0"
