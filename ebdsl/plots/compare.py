"""Energies of several models over one plane, side by side with one colour bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ebdsl.plots import style
from ebdsl.plots.core import NotApplicable
from ebdsl.plots.planes import Plane, grid, limits, planes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ebdsl.plots.view import View

CELLS = 121
LEVELS = np.array([0.0, 0.01, 0.02, 0.04, 0.07, 0.12, 0.2, 0.3, 0.45, 0.65, 0.85, 1.0])
"""Shares of the frame at which colours change: close to each other where the energy is low."""
MOST_ACROSS = 4


@dataclass(frozen=True)
class Panel:
    """A model and two lines above its map."""

    view: View
    title: str
    caption: str


def panels(found: Sequence[Panel], title: str) -> Figure:
    """Each point in the colour of the share of the frame that has less energy: so energies of any unit have one scale.

    Raises :class:`NotApplicable` where a model does not observe two numbers.
    """
    frames = [_plane(p) for p in found]
    low, high = limits(np.concatenate([f.points for f in frames]), frames[0].equal)
    u, v, points = grid(low, high, CELLS)
    across = min(MOST_ACROSS, len(found))
    down = -(-len(found) // across)
    fig = style.figure(2.7 * across + 1.1, 2.75 * down)
    axes = fig.subplots(down, across, squeeze=False, sharex=True, sharey=True)
    from matplotlib.colors import BoundaryNorm

    norm = BoundaryNorm(LEVELS, 256)
    drawn: Any = None
    for k, (panel, plane) in enumerate(zip(found, frames, strict=True)):
        ax = axes[k // across][k % across]
        share = _shares(panel.view.free_energy(plane.full(points))).reshape(len(v), len(u))
        drawn = ax.contourf(u, v, share, levels=LEVELS, cmap=style.SEQUENTIAL, norm=norm)
        every = max(1, len(plane.points) // 250)
        ax.plot(*plane.points[::every].T, ".", color="#ffffff", markersize=2, markeredgewidth=0, alpha=0.8)
        ax.set_title(f"{panel.title}\n{panel.caption}", fontsize=9)
        if plane.equal:
            ax.set_aspect("equal", "box")
        if k % across == 0:
            ax.set_ylabel(plane.labels[1])
        if k + across >= len(found):
            ax.set_xlabel(plane.labels[0])
            ax.tick_params(labelbottom=True)
    for k in range(len(found), across * down):
        axes[k // across][k % across].set_visible(False)
    bar = fig.colorbar(drawn, ax=axes.ravel().tolist(), shrink=0.9, aspect=30, pad=0.02)
    bar.set_ticks(LEVELS.tolist(), labels=[f"{100 * s:g} %" for s in LEVELS])
    bar.set_label("share of the frame with less energy")
    bar.outline.set_visible(False)
    note = "dark: low energy; white: the data; AUC: the chance that a uniform point has more energy than a sample"
    style.title(fig, title, note)
    return fig


def _plane(panel: Panel) -> Plane:
    found = planes(panel.view)
    if len(found) != 1:
        raise NotApplicable(f"{panel.title} has more than two observed numbers")
    return found[0]


def _shares(energy: np.ndarray) -> np.ndarray:
    """Ranks from 0 to 1; what is no number is highest."""
    energy = np.where(np.isnan(energy), np.inf, energy)
    ordered = np.sort(energy)
    return (np.searchsorted(ordered, energy, "left") + np.searchsorted(ordered, energy, "right")) / (2 * len(energy))
