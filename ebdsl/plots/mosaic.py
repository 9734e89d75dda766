"""Many small pictures in one, pixel for pixel."""

from __future__ import annotations

from math import ceil, isqrt, sqrt
from typing import TYPE_CHECKING

import numpy as np

from ebdsl.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 920
"""Pixels that a mosaic is made to fill, about."""


def shades(pictures: np.ndarray) -> tuple[np.ndarray, str]:
    """Grey values (or colours) in [0, 1] of ``(n, h, w[, 3])``, each picture on its own scale, and what they mean.

    Zero is middle grey, so that signs can be told; where nothing is negative, zero is black.
    """
    axes = tuple(range(1, pictures.ndim))
    largest = np.abs(pictures).max(axis=axes, keepdims=True)
    scaled = pictures / np.where(largest > 0, largest, 1)
    if pictures.size and scaled.min() >= -0.02:
        return np.clip(scaled, 0, 1), "black is zero, white the largest entry of each"
    return 0.5 + 0.5 * scaled, "grey is zero, each scaled to its own largest entry"


def columns(n: int) -> int:
    """Columns for ``n`` cells: a square where that comes out even, else a little wider than high."""
    side = isqrt(n)
    return side if side * side == n else ceil(sqrt(1.4 * n))


def mosaic(cells: np.ndarray, across: int | None = None, gap: int = 2) -> np.ndarray:
    """Cells ``(n, h, w[, 3])`` in [0, 1] as one picture, row by row, enlarged by a whole number, on white."""
    n, h, w = cells.shape[:3]
    across = across or columns(n)
    rows = ceil(n / across)
    zoom = max(1, min(WIDTH // (across * w + 1), 1020 // (rows * h + 1), 24))
    cells = cells.repeat(zoom, axis=1).repeat(zoom, axis=2)
    h, w = h * zoom + gap, w * zoom + gap
    out = np.ones((rows * h + gap, across * w + gap, *cells.shape[3:]), np.float32)
    for i, cell in enumerate(cells):
        top, left = gap + i // across * h, gap + i % across * w
        out[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
    return out


def poster(picture: np.ndarray, title: str, note: str, labels: tuple[str, ...] = ()) -> Figure:
    """A figure with ``picture`` in its own pixels under a title; ``labels`` name equal rows from top to bottom."""
    from textwrap import wrap

    height, width = picture.shape[:2]
    left = 14 if not labels else 24 + 9 * max(map(len, labels))
    across = max(width + left + 14, 620)
    lines = wrap(note, int((across - 28) / 8))
    top = 36 + 18 * len(lines)
    fig = style.figure(across / style.DPI, (height + top + 12) / style.DPI)
    fig.set_layout_engine("none")
    total = height + top + 12
    ax = fig.add_axes((left / across, 12 / total, width / across, height / total))
    ax.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="none", aspect="auto")
    style.bare(ax)
    for i, label in enumerate(labels):
        y = 1 - (i + 0.5) / len(labels)
        ax.text(-8 / width, y, label, transform=ax.transAxes, ha="right", va="center", fontsize=10)
    fig.text(14 / across, 1 - 9 / total, title, fontsize=12, fontweight="bold", va="top", color=style.BLACK)
    fig.text(14 / across, 1 - 34 / total, "\n".join(lines), fontsize=9, va="top", color=style.GREY, linespacing=1.25)
    return fig
