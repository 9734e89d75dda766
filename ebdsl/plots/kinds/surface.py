"""The free energy over two observed numbers, as a map; and the force that it exerts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ebdsl.plots import style
from ebdsl.plots.core import Kind, NotApplicable, register
from ebdsl.plots.planes import Plane, grid, limits, planes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ebdsl.plots.view import View

CELLS = {1: 101, 3: 61}
"""Points along each axis, by the number of planes."""
LEVELS = 14


def draw(view: View) -> Iterator[tuple[str, Figure]]:
    name = view.spec.free_energy_name
    if len(view.data) == 1 and prod(view.sizes(view.spec.role("observed")[0])) == 1:
        yield "surface", line(view)
        return
    found = planes(view)
    title = f"{name}({', '.join(view.observed)}) of {view.spec.name}"
    maps = [measure(view, p, found) for p in found]
    yield "surface", surface(title, found, maps, name)


def draw_field(view: View) -> Iterator[tuple[str, Figure]]:
    name = view.spec.free_energy_name
    if len(view.data) == 1 and prod(view.sizes(view.spec.role("observed")[0])) == 1:
        raise NotApplicable("two observed numbers span a plane, and there is one")
    found = planes(view)
    maps = [measure(view, p, found) for p in found]
    yield "field", field(f"-∇{name}({', '.join(view.observed)}) of {view.spec.name}", found, maps, name)


Map = tuple[np.ndarray, np.ndarray, np.ndarray]


def measure(view: View, plane: Plane, all_: Sequence[Plane]) -> Map:
    """Axes and free energies ``(len(v), len(u))`` over the plane; all planes of a figure have one frame."""
    low, high = limits(np.concatenate([p.points for p in all_]), plane.equal)
    u, v, points = grid(low, high, CELLS.get(len(all_), 61))
    energy = view.free_energy(plane.full(points)).reshape(len(v), len(u))
    return u, v, energy


def levels(energies: Sequence[np.ndarray]) -> np.ndarray:
    """Contour levels, closer where the energy is low: squares of equal steps, up to nine tenths of the area."""
    values = np.concatenate([e[np.isfinite(e)].ravel() for e in energies])
    if not values.size:
        raise NotApplicable("its energy is not finite anywhere near the data")
    low, high = float(values.min()), float(np.quantile(values, 0.9))
    if not high > low:
        high = low + max(abs(low), 1.0) * 1e-3
    return low + (high - low) * np.linspace(0, 1, LEVELS) ** 2


def surface(title: str, found: Sequence[Plane], maps: Sequence[Map], name: str) -> Figure:
    """Maps side by side with one colour bar; data points on them."""
    fig, axes = _axes(found)
    steps = levels([m[2] for m in maps])
    drawn: Any = None
    for ax, plane, (u, v, energy) in zip(axes, found, maps, strict=True):
        drawn = _shade(ax, u, v, energy, steps)
        ax.contour(u, v, energy, levels=steps, colors="white", linewidths=0.5, alpha=0.5)
        ax.plot(*_shown(plane.points).T, ".", color="#ffffff", markersize=3.5, markeredgewidth=0, alpha=0.75)
        _frame(ax, plane, u, v)
    _bar(fig, axes, drawn, steps, name)
    held = "; white: the data near it" if found[0].caption else "; white: the data"
    style.title(fig, title, f"contours lie closer where the energy is low; above {steps[-1]:.3g} one colour{held}")
    return fig


def field(title: str, found: Sequence[Plane], maps: Sequence[Map], name: str) -> Figure:
    """Arrows downhill on the faded map. Long arrows are drawn shorter than they are."""
    fig, axes = _axes(found)
    steps = levels([m[2] for m in maps])
    drawn: Any = None
    for ax, plane, (u, v, energy) in zip(axes, found, maps, strict=True):
        drawn = _shade(ax, u, v, energy, steps, alpha=0.45)
        ax.plot(*_shown(plane.points).T, ".", color=style.COLOURS[1], markersize=3, markeredgewidth=0, alpha=0.6)
        every = max(1, len(u) // (24 if len(found) == 1 else 15))
        at = slice(every // 2, None, every)
        down_v, down_u = (-g[at, at] for g in np.gradient(energy, v, u))
        aspect = np.array([u[-1] - u[0], v[-1] - v[0]])
        arrows = np.stack([down_u, down_v]) * aspect[:, None, None]  # in shares of the frame
        length = np.sqrt((arrows**2).sum(axis=0))
        typical = max(float(np.median(length)), 1e-300)
        drawn_length = np.tanh(length / (2 * typical)) * 0.9
        unit = arrows / np.maximum(length, 1e-300) * drawn_length
        ax.quiver(
            u[at], v[at], unit[0], unit[1],
            angles="uv", scale=len(u[at]), width=0.0032 if len(found) == 1 else 0.006, color=style.BLACK, pivot="tail",
        )  # fmt: skip
        _frame(ax, plane, u, v)
    _bar(fig, axes, drawn, steps, name)
    note = "arrows point downhill, longer where it is steeper (the longest are cut); orange: the data"
    style.title(fig, title, note)
    return fig


def line(view: View) -> Figure:
    """One observed number: the energy as a curve over a histogram of the data."""
    symbol = view.spec.role("observed")[0]
    x = view.some(5000)[symbol.name].ravel()
    pad = 0.25 * max(float(np.ptp(x)), 1e-6)
    at = np.linspace(x.min() - pad, x.max() + pad, 401)
    energy = view.free_energy({symbol.name: at.reshape(-1, *view.sizes(symbol)).astype(np.float32)})
    fig = style.figure(7, 4)
    ax = fig.add_subplot()
    bars = ax.twinx()
    bars.hist(x, bins=60, color=style.FAINT)
    bars.set_ylabel("samples", color=style.GREY)
    ax.plot(at, energy, color=style.BLACK, linewidth=1.8)
    ax.set_zorder(2)
    ax.patch.set_visible(False)
    ax.set_xlabel(symbol.name)
    name = view.spec.free_energy_name
    ax.set_ylabel(f"{name}({symbol.name})")
    style.title(fig, f"{name}({symbol.name}) of {view.spec.name}", "grey: a histogram of the data")
    return fig


def _shown(points: np.ndarray, most: int = 600) -> np.ndarray:
    return points[:: max(1, len(points) // most)]


def _axes(found: Sequence[Plane]) -> tuple[Figure, list[Axes]]:
    one = len(found) == 1
    fig = style.figure(6.6 if one else 10.4, 5.2 if one else 3.7)
    axes = fig.subplots(1, len(found), squeeze=False, sharex=True, sharey=True)[0]
    return fig, list(axes)


def _shade(ax: Axes, u: np.ndarray, v: np.ndarray, energy: np.ndarray, steps: np.ndarray, alpha: float = 1.0) -> Any:
    from matplotlib.colors import BoundaryNorm

    norm = BoundaryNorm(steps, 256, extend="max")
    return ax.contourf(u, v, energy, levels=steps, cmap=style.SEQUENTIAL, norm=norm, extend="max", alpha=alpha)


def _frame(ax: Axes, plane: Plane, u: np.ndarray, v: np.ndarray) -> None:
    ax.set_xlim(u[0], u[-1])
    ax.set_ylim(v[0], v[-1])
    ax.set_xlabel(plane.labels[0])
    ax.set_ylabel(plane.labels[1])
    ax.label_outer()
    if plane.equal:
        ax.set_aspect("equal", "box")
    if plane.caption:
        ax.set_title(plane.caption, fontsize=10)


def _bar(fig: Figure, axes: Sequence[Axes], drawn: Any, steps: np.ndarray, name: str) -> None:
    bar = fig.colorbar(drawn, ax=list(axes), shrink=0.95, aspect=30, pad=0.02, spacing="uniform")
    bar.set_ticks(steps[::2].tolist(), labels=[f"{s:.3g}" for s in steps[::2]])
    bar.set_label(f"{name} (energy)")
    bar.outline.set_visible(False)


register(Kind("surface", "the free energy over two observed numbers", draw, 40))
register(Kind("field", "the force -∇F over two observed numbers", draw_field, 45))
