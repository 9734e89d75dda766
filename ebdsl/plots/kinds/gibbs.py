"""The Gibbs distribution exp(-β F) / ∫ exp(-β F), colder and hotter."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ebdsl.plots import style
from ebdsl.plots.core import Kind, register
from ebdsl.plots.planes import Plane, grid, limits, planes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ebdsl.plots.view import View

TIMES = (0.25, 1.0, 4.0)
"""Times the model's own inverse temperature."""
CELLS = 121


def draw(view: View) -> Iterator[tuple[str, Figure]]:
    betas = [t * view.beta for t in TIMES]
    observed = view.spec.role("observed")
    if len(observed) == 1 and prod(view.sizes(observed[0])) == 1:
        yield "gibbs", curves(view, betas)
        return
    found = planes(view)
    yield "gibbs", maps(view, found[len(found) // 2], betas)


def density(energy: np.ndarray, beta: float, cell: float) -> np.ndarray:
    """``exp(-β F)`` that adds up to one over cells of this size; zero where the energy is no number."""
    energy = np.where(np.isfinite(energy), energy, np.inf)
    p = np.exp(-beta * (energy - energy.min()))
    return p / (p.sum() * cell)


def curves(view: View, betas: list[float]) -> Figure:
    """One observed number: three densities over a histogram of the data."""
    symbol = view.spec.role("observed")[0]
    x = view.some(5000)[symbol.name].ravel()
    pad = 0.5 * max(float(np.ptp(x)), 1e-6)
    at = np.linspace(x.min() - pad, x.max() + pad, 801)
    energy = view.free_energy({symbol.name: at.reshape(-1, *view.sizes(symbol)).astype(np.float32)})
    fig = style.figure(7, 4)
    ax = fig.add_subplot()
    ax.hist(x, bins=60, density=True, color=style.FAINT, label="data")
    for beta, colour in zip(betas, style.COLOURS, strict=False):
        ax.plot(at, density(energy, beta, at[1] - at[0]), color=colour, linewidth=1.8, label=f"β = {beta:g}")
    ax.set_xlabel(symbol.name)
    ax.set_ylabel("density")
    ax.legend()
    style.title(fig, _title(view), "grey: a histogram of the data")
    return fig


def maps(view: View, plane: Plane, betas: list[float]) -> Figure:
    """Three densities side by side, each in shares of its own peak."""
    low, high = limits(plane.points, plane.equal)
    u, v, points = grid(low, high, CELLS)
    energy = view.free_energy(plane.full(points)).reshape(len(v), len(u))
    fig = style.figure(10.4, 3.8)
    axes = fig.subplots(1, len(betas), squeeze=False, sharex=True, sharey=True)[0]
    levels = np.linspace(0, 1, 11)
    drawn: Any = None
    for ax, beta in zip(axes, betas, strict=True):
        p = density(energy, beta, 1.0)
        drawn = ax.contourf(u, v, p / max(float(p.max()), 1e-300), levels=levels, cmap=style.SEQUENTIAL)
        every = max(1, len(plane.points) // 300)
        ax.plot(*plane.points[::every].T, ".", color=style.COLOURS[1], markersize=1.8, markeredgewidth=0, alpha=0.7)
        ax.set_title(f"β = {beta:g}")
        ax.set_xlabel(plane.labels[0])
        if plane.equal:
            ax.set_aspect("equal", "box")
    axes[0].set_ylabel(plane.labels[1])
    bar = fig.colorbar(drawn, ax=list(axes), shrink=0.95, aspect=25, pad=0.02)
    bar.set_label("density, in shares of its peak")
    bar.outline.set_visible(False)
    held = f"; {plane.caption}" if plane.caption else ""
    style.title(fig, _title(view), f"hot, as trained and cold; orange: the data{held}")
    return fig


def _title(view: View) -> str:
    name = view.spec.free_energy_name
    return f"Gibbs distribution exp(-β {name}({', '.join(view.observed)})) of {view.spec.name}"


register(Kind("gibbs", "the probability exp(-βF) at three temperatures", draw, 47))
