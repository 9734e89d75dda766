"""Whether chains agree, and what their samples are worth (Vehtari, Gelman, Simpson, Carpenter & Bürkner 2021)."""

from __future__ import annotations

import numpy as np

MIXED = 1.05
"""R-hat above which chains are told not to have mixed."""


def r_hat(draws: np.ndarray) -> float:
    """Rank-normalised split R-hat of ``(draws, chains)``: 1 where all halves of all chains tell of the same."""
    halves = split(draws)
    if halves.size == 0 or not np.isfinite(halves).all():
        return float("nan")
    if np.ptp(halves) == 0:
        return 1.0
    folded = np.abs(halves - np.median(halves))
    return max(_plain(normal_ranks(halves)), _plain(normal_ranks(folded)))


def effective(draws: np.ndarray) -> float:
    """How many independent samples the mean over ``(draws, chains)`` is worth."""
    halves = split(draws)
    if halves.size == 0 or not np.isfinite(halves).all() or np.ptp(halves) == 0:
        return float("nan")
    return _effective(normal_ranks(halves))


def split(draws: np.ndarray) -> np.ndarray:
    """Each chain as two, ``(draws // 2, 2 · chains)``: a drift within a chain shows as a difference between two."""
    half = len(draws) // 2
    return np.concatenate([draws[:half], draws[len(draws) - half :]], axis=1)


def normal_ranks(x: np.ndarray) -> np.ndarray:
    """Normal quantiles of the ranks, ties at their mean rank: moments exist whatever the tails."""
    import torch

    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[inverse.reshape(-1)]
    share = torch.as_tensor((ranks - 3 / 8) / (x.size + 1 / 4))
    return torch.special.ndtri(share).numpy().reshape(x.shape)


def _plain(x: np.ndarray) -> float:
    n = len(x)
    if n < 2:
        return float("nan")
    within = x.var(0, ddof=1).mean()
    between = x.mean(0).var(ddof=1)
    if within == 0:
        return float("inf") if between > 0 else 1.0
    return float(np.sqrt(((n - 1) / n * within + between) / within))


def _effective(x: np.ndarray) -> float:
    """By Geyer's initial monotone sequence of sums of neighbouring autocorrelations."""
    n, chains = x.shape
    if n < 4:
        return float("nan")
    centred = x - x.mean(0)
    spectrum = np.fft.rfft(centred, 2 * n, axis=0)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2, 2 * n, axis=0)[:n] / n
    within = (covariance[0] * n / (n - 1)).mean()
    pooled = within * (n - 1) / n + x.mean(0).var(ddof=1)
    if pooled == 0:
        return float("nan")
    rho = 1 - (within - covariance.mean(1) * n / (n - 1)) / pooled
    rho[0] = 1
    pairs = rho[: n - n % 2].reshape(-1, 2).sum(1)
    negative = np.nonzero(pairs < 0)[0]
    kept = np.minimum.accumulate(pairs[: negative[0] if len(negative) else len(pairs)])
    time = max(-1 + 2 * kept.sum(), 1 / np.log10(n * chains))
    return float(n * chains / time)
