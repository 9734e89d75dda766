"""How many atoms look like simple cells of V1: one orientation, one place.

An atom counts where its energy sits in *one* pair of peaks of the frequency plane, in one direction, and
in *one* spot of the patch. All three are measured directly. A least-squares Gabor fit (Jones & Palmer, J.
Neurophysiology 58,
1987) says the same of clean atoms and does not converge on the others, which are what a measure is for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PEAK = 0.5
"""Least share of the spectrum's energy in the main pair of peaks (down to a quarter of its height). One Gaussian
peak holds
3/4 there, two equal ones 3/8 each."""
ORIENTED = 0.5
"""Least length of the mean doubled-angle vector: 1 for a single direction, 0 for a ring or for white noise."""
SPREAD = 0.8
"""Largest radius of gyration of the energy, in that of a uniform patch. A line across the whole patch has
0.71, a grating 1."""
_PAD = 4


@dataclass(frozen=True)
class Details:
    """Per atom ``(n,)``: whether it counts, and the numbers that say so (see the module's constants).

    ``angle`` is the direction in which the atom waves, radians in [0, π); ``frequency`` is in cycles per pixel.
    """

    counts: np.ndarray
    peak: np.ndarray
    oriented: np.ndarray
    spread: np.ndarray
    angle: np.ndarray
    frequency: np.ndarray


def oriented_share(atoms: np.ndarray, side: int) -> tuple[float, Details]:
    """The share of ``atoms`` ``(n, side²)`` with exactly one oriented, localised peak, and the details.

    Atoms that are zero do not count. Raises ``ValueError`` for another shape.
    """
    x = np.asarray(atoms, np.float64)
    if x.ndim != 2 or x.shape[1] != side * side or side < 4:
        raise ValueError(f"atoms must be (n, {side * side}) with a side of 4 or more, and are {x.shape}")
    x = x.reshape(len(x), side, side)
    norm = np.sqrt((x**2).sum(axis=(1, 2), keepdims=True))
    alive = norm[:, 0, 0] > 1e-12
    x = x / np.where(alive[:, None, None], norm, 1)
    spread = _spread(x)
    power, fy, fx = _power(x)
    oriented, angle = _direction(power, fy, fx)
    peak, frequency = _main_peak(power, np.hypot(fy, fx))
    counts = alive & (peak >= PEAK) & (oriented >= ORIENTED) & (spread <= SPREAD)
    share = float(counts.mean()) if len(x) else 0.0
    return share, Details(counts, peak, oriented, spread, angle, frequency)


def _spread(x: np.ndarray) -> np.ndarray:
    """Radius of gyration of the energy, in that of a uniform patch."""
    energy = x**2
    total = energy.sum(axis=(1, 2))
    total[total == 0] = 1
    place = np.arange(x.shape[1])
    square = np.zeros(len(x))
    for axis in (1, 2):
        along = energy.sum(axis=3 - axis) / total[:, None]
        mean = along @ place
        square += along @ place**2 - mean**2
    return np.sqrt(square / (2 * place.var()))


def _power(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Energy spectra ``(n, k, k)`` that sum to 1, the mean taken off first, and the frequencies ``(k, k)``
    of their cells."""
    k = _PAD * x.shape[1]
    power = np.abs(np.fft.fft2(x - x.mean(axis=(1, 2), keepdims=True), s=(k, k))) ** 2
    total = power.sum(axis=(1, 2), keepdims=True)
    fy, fx = np.meshgrid(np.fft.fftfreq(k), np.fft.fftfreq(k), indexing="ij")
    return power / np.where(total == 0, 1, total), fy, fx


def _direction(power: np.ndarray, fy: np.ndarray, fx: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Length and direction of the mean of exp(2iθ) over the spectrum; the doubled angle makes ±f agree."""
    mean = (power * np.exp(2j * np.arctan2(fy, fx))).sum(axis=(1, 2))
    return np.abs(mean), np.angle(mean) / 2 % np.pi


def _main_peak(power: np.ndarray, frequency: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energy in the main pair of peaks, and its frequency.

    A peak is what is connected with its top (on the torus of frequencies) at a quarter of its height and more.
    """
    n = len(power)
    top = power.reshape(n, frequency.size).argmax(axis=1)
    high = power >= 0.25 * power.reshape(n, frequency.size)[np.arange(n), top][:, None, None]
    mark = np.zeros_like(high)
    mark.reshape(n, frequency.size)[np.arange(n), top] = True
    mark |= _mirrored(mark)
    size = -1
    while mark.sum() != size:
        size = mark.sum()
        for axis in (1, 2):
            mark = mark | np.roll(mark, 1, axis) | np.roll(mark, -1, axis)
        mark &= high
    return (power * mark).sum(axis=(1, 2)), frequency.ravel()[top]


def _mirrored(x: np.ndarray) -> np.ndarray:
    """The value at -f for each f."""
    return np.roll(x[:, ::-1, ::-1], 1, axis=(1, 2))
