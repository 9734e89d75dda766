"""Samples of the model beside the data."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ebdsl.plots import style
from ebdsl.plots.core import Kind, NotApplicable, register
from ebdsl.plots.kinds.surface import CELLS, levels
from ebdsl.plots.mosaic import mosaic, poster
from ebdsl.plots.planes import grid, limits, planes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ebdsl.plots.view import View

COUNT = 1000
PICTURES = 80


def draw(view: View) -> Iterator[tuple[str, Figure]]:
    if view.sampler is None:
        raise NotApplicable("its samples are drawn on demand: ebdsl plot RUN samples")
    name, drawn, note = view.sampler(COUNT)
    symbol = view.spec.symbol(name)
    data = view.some(COUNT)[name]
    title = f"samples of {view.spec.name}"
    image, sizes = view.image_shapes.get(name), view.sizes(symbol)
    size = prod(sizes)
    if image is not None:
        yield (
            "samples",
            pictures(
                title, note, *(_pictures(x, sizes, image) for x in (view.some(PICTURES, 1)[name], drawn[:PICTURES]))
            ),
        )
    elif size == 1:
        yield "samples", histograms(title, note, name, data.ravel(), drawn.ravel())
    elif size == 2 and len(view.data) == 1:
        yield "samples", over_energy(view, title, note, drawn.reshape(-1, 2))
    else:
        yield "samples", scatter(title, note, name, data.reshape(len(data), -1), drawn.reshape(len(drawn), -1))


def _pictures(x: np.ndarray, sizes: tuple[int, ...], image: tuple[int, ...]) -> np.ndarray:
    from ebdsl.plots.kinds.reconstructions import as_pictures

    return as_pictures(x, sizes, image)


def pictures(title: str, note: str, data: np.ndarray, drawn: np.ndarray) -> Figure:
    """Data above, samples below, all on one scale."""
    low, high = float(data.min()), float(data.max())
    across = 20
    rows = -(-len(data) // across)
    pad = [np.full((rows * across - len(x), *x.shape[1:]), low, x.dtype) for x in (data, drawn)]
    cells = np.concatenate([data, pad[0], drawn, pad[1]])
    cells = np.clip((cells - low) / max(high - low, 1e-12), 0, 1)
    return poster(mosaic(cells, across=across), title, note, ("data", "samples"))


def histograms(title: str, note: str, name: str, data: np.ndarray, drawn: np.ndarray) -> Figure:
    fig = style.figure(7, 4)
    ax = fig.add_subplot()
    edges = np.linspace(min(data.min(), drawn.min()), max(data.max(), drawn.max()), 61).tolist()
    ax.hist(data, bins=edges, density=True, color=style.FAINT, label="data")
    ax.hist(drawn, bins=edges, density=True, histtype="step", color=style.COLOURS[1], linewidth=1.8, label="samples")
    ax.set_xlabel(name)
    ax.set_ylabel("density")
    ax.legend()
    style.title(fig, title, note)
    return fig


def over_energy(view: View, title: str, note: str, drawn: np.ndarray) -> Figure:
    """Two observed numbers: data and samples on the map of the energy, each in a panel of its own."""
    from matplotlib.colors import BoundaryNorm

    (plane,) = planes(view)
    low, high = limits(np.concatenate([plane.points, drawn]), plane.equal)
    u, v, points = grid(low, high, CELLS[1])
    energy = view.free_energy(plane.full(points)).reshape(len(v), len(u))
    steps = levels([energy])
    fig = style.figure(9.6, 4.9)
    axes = fig.subplots(1, 2, sharex=True, sharey=True)
    map_: Any = None
    for ax, x, said in zip(axes, (plane.points, drawn), ("data", "samples"), strict=True):
        norm = BoundaryNorm(steps, 256, extend="max")
        map_ = ax.contourf(u, v, energy, levels=steps, cmap=style.SEQUENTIAL, norm=norm, extend="max")
        ax.plot(*x[:COUNT].T, ".", color="#ffffff", markersize=3, markeredgewidth=0, alpha=0.8)
        ax.set_title(said)
        ax.set_xlabel(plane.labels[0])
        if plane.equal:
            ax.set_aspect("equal", "box")
    axes[0].set_ylabel(plane.labels[1])
    bar = fig.colorbar(map_, ax=list(axes), shrink=0.95, aspect=30, pad=0.02, spacing="uniform")
    bar.set_ticks(steps[::2].tolist(), labels=[f"{s:.3g}" for s in steps[::2]])
    bar.set_label(f"{view.spec.free_energy_name} (energy)")
    bar.outline.set_visible(False)
    style.title(fig, title, note)
    return fig


def scatter(title: str, note: str, name: str, data: np.ndarray, drawn: np.ndarray) -> Figure:
    """Many numbers: both on the two directions in which the data vary most."""
    centre = data.mean(0)
    _, values, axes = np.linalg.svd(data - centre, full_matrices=False)
    share = float((values[:2] ** 2).sum() / max((values**2).sum(), 1e-300))
    fig = style.figure(6.4, 5.2)
    ax = fig.add_subplot()
    for x, colour, said in ((data, style.GREY, "data"), (drawn, style.COLOURS[1], "samples")):
        ax.plot(
            *((x - centre) @ axes[:2].T).T, ".", color=colour, markersize=4, markeredgewidth=0, alpha=0.6, label=said
        )
    ax.set_xlabel(f"first principal component of {name}")
    ax.set_ylabel("second")
    ax.legend()
    style.title(fig, title, f"{note}; the two components hold {share:.0%} of the data's variance")
    return fig


register(
    Kind("samples", "samples of exp(-βF) beside the data (takes its time: by name only)", draw, 48, on_demand=True)
)
