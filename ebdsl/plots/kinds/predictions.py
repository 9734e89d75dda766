"""What is predicted as the latent variable varies: curves, ribbons and strips of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ebdsl.plots import style
from ebdsl.plots.core import Kind, NotApplicable, register
from ebdsl.plots.kinds.atoms import as_pictures
from ebdsl.plots.mosaic import mosaic, poster
from ebdsl.plots.planes import caption, held

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ebdsl.model.ir import Symbol
    from ebdsl.plots.view import Arrays, View


@dataclass(frozen=True)
class Sweep:
    """Latents ``(k, *shape)`` to go through, a number for the colour of each, and what that number is.

    ``joined``: neighbours are near each other, so that a line may join them.
    """

    latents: Arrays
    colour: np.ndarray | None
    label: str
    joined: bool


def draw(view: View) -> Iterator[tuple[str, Figure]]:
    target = view.reconstructed
    if target is None:
        raise NotApplicable("its energy compares no observed variable with a prediction")
    if target.name in view.inputs:
        raise NotApplicable(f"{target.name} is reconstructed from itself: see the reconstructions")
    others = [s for s in view.spec.role("observed") if s.name != target.name]
    sweep = sweep_of(view)
    if not others and (sweep is None or sweep.colour is None):
        raise NotApplicable("its latent variable has too many entries to be varied, and nothing else is given")
    sizes = view.sizes(target)
    if not others and prod(sizes) == 1:
        raise NotApplicable(f"{target.name} is one number: see the surface")
    image = view.image_shapes.get(target.name)
    samples = view.some(2000)
    flat = {n: x.reshape(len(x), -1) for n, x in samples.items()}
    title = f"{target.name} of {view.spec.name} as predicted" + (
        f" from {', '.join(s.name for s in others)}" if others else ""
    )
    if image is not None:
        yield "predictions", strips(view, target, samples, sweep, title)
    elif others and prod(sizes) == 1 and sum(prod(view.sizes(s)) for s in others) == 1:
        yield "predictions", ribbons(view, target, others[0], flat, sweep, title)
    else:
        yield "predictions", panels(view, target, flat, sweep, title, bool(others))


def sweep_of(view: View, most: int = 61) -> Sweep | None:
    """How to vary the latents: along a line, round a circle, through the states; else codes as the data has them."""
    latents = view.spec.role("latent")
    if not latents:
        return None
    symbol, size = latents[0], prod(view.sizes(latents[0]))
    shape = (-1, *view.sizes(symbol))
    codes = view.infer(view.some(400))
    if len(latents) == 1:
        if symbol.domain.kind == "onehot":
            return Sweep(
                {symbol.name: np.eye(size, dtype=np.float32).reshape(shape)},
                np.arange(1, size + 1),
                f"entry of {symbol.name} that is 1",
                False,
            )
        points = symbol.domain.row.points
        if points is not None and symbol.domain.row.whole == 0 and 2**size <= 32:
            values = points(())
            states = np.array(list(product(values, repeat=size)), dtype=np.float32)
            label = symbol.name if size == 1 else f"state of {symbol.name}"
            colour = states[:, 0] if size == 1 else np.arange(1, len(states) + 1)
            return Sweep({symbol.name: states.reshape(shape)}, colour, label, False)
        if size == 1:
            low, high = np.quantile(codes[symbol.name], [0.005, 0.995])
            z = np.linspace(low, high if high > low else low + 1e-3, most)
            return Sweep({symbol.name: z.reshape(shape).astype(np.float32)}, z, symbol.name, True)
        if size == 2 and symbol.domain.kind == "sphere":
            angle = np.linspace(0, 2 * np.pi, 2 * most)
            z = np.stack([np.cos(angle), np.sin(angle)], axis=1)
            return Sweep(
                {symbol.name: z.reshape(shape).astype(np.float32)},
                np.degrees(angle),
                f"angle of {symbol.name} (degrees)",
                True,
            )
    return Sweep({name: z[:200] for name, z in codes.items()}, None, "", False)


def predict(view: View, given: Arrays, sweep: Sweep | None) -> np.ndarray:
    """Predictions ``(k, *shape)`` at one value ``(1, *shape)`` of what is given, one for each latent of the sweep."""
    k = 1 if sweep is None else len(next(iter(sweep.latents.values())))
    repeated = {n: np.repeat(x, k, axis=0) for n, x in given.items()}
    return view.reconstruct(repeated, {} if sweep is None else sweep.latents)


def panels(view: View, target: Symbol, flat: Arrays, sweep: Sweep | None, title: str, conditional: bool) -> Figure:
    """Three values of what is given side by side (or one panel): data near it, predictions on it."""
    cases = held(flat, target.name) if conditional else [(0, np.arange(len(flat[target.name])))]
    size = flat[target.name].shape[1]
    fig = style.figure(10.4 if conditional else 6.4, 3.9 if conditional else 5)
    axes = list(fig.subplots(1, len(cases), squeeze=False, sharex=True, sharey=True)[0])
    drawn: Any = None
    for ax, (i, near) in zip(axes, cases, strict=True):
        given = {s.name: flat[s.name][i : i + 1].reshape(1, *view.sizes(s)) for s in view.spec.role("observed")}
        y = predict(view, given, sweep).reshape(-1, size)
        data = flat[target.name][near]
        if size == 2:
            ax.plot(*data[:600].T, ".", color=style.FAINT, markersize=5, markeredgewidth=0)
            drawn = _trace(ax, y, sweep) or drawn
            ax.set_xlabel(f"{target.name}₁")
            ax.set_ylabel(f"{target.name}₂" if ax is axes[0] else "")
        else:
            at = np.arange(1, size + 1)
            ax.plot(at, data[:60].T, color=style.FAINT, linewidth=0.8)
            drawn = _bundle(ax, at, y, sweep) or drawn
            ax.set_xlabel(f"entry of {target.name}")
            ax.set_ylabel("value" if ax is axes[0] else "")
        if conditional:
            ax.set_title(caption(flat, target.name, i), fontsize=10)
    if size == 2:
        _square(axes)
    _finish(fig, axes, drawn, sweep, title, "grey: the data near it" if conditional else "grey: the data")
    return fig


def ribbons(view: View, target: Symbol, given: Symbol, flat: Arrays, sweep: Sweep | None, title: str) -> Figure:
    """One number predicted from one: a curve for each value of the latent."""
    x, y = flat[given.name][:, 0], flat[target.name][:, 0]
    at = np.linspace(x.min(), x.max(), 120)
    k = 1 if sweep is None else len(next(iter(sweep.latents.values())))
    arrays = {
        given.name: np.repeat(at, k).reshape(-1, *view.sizes(given)).astype(np.float32),
        target.name: np.zeros((len(at) * k, *view.sizes(target)), np.float32),
    }
    latents = {} if sweep is None else {n: np.tile(z, (len(at), *[1] * (z.ndim - 1))) for n, z in sweep.latents.items()}
    curves = view.reconstruct(arrays, latents).reshape(len(at), k)
    fig = style.figure(7, 4.6)
    ax = fig.add_subplot()
    ax.plot(x, y, ".", color=style.FAINT, markersize=4, markeredgewidth=0)
    drawn = _bundle(ax, at, curves.T, sweep)
    ax.set_xlabel(given.name)
    ax.set_ylabel(target.name)
    _finish(fig, [ax], drawn, sweep, title, "grey: the data")
    return fig


def strips(view: View, target: Symbol, samples: Arrays, sweep: Sweep | None, title: str) -> Figure:
    """Pictures: a row for each of three samples, a column for each value of the latent."""
    cells, shown = [], 12
    kept = sweep
    if sweep is not None:
        pick = np.linspace(0, len(next(iter(sweep.latents.values()))) - 1, shown).round().astype(int)
        kept = Sweep({n: z[np.unique(pick)] for n, z in sweep.latents.items()}, None, "", False)
    rows = range(3 if len(samples) > 1 else 1)
    for i in rows:
        given = {n: x[i : i + 1] for n, x in samples.items()}
        y = as_pictures(predict(view, given, kept), view.sizes(target), view.image_shapes[target.name])
        cells.append(y)
    across = len(cells[0])
    every = np.concatenate(cells)
    low, high = float(every.min()), float(every.max())
    every = (every - low) / ((high - low) or 1)
    note = f"one scale for all: black is {low:.3g}, white {high:.3g}"
    note = f"from left to right: {sweep.label}; {note}" if sweep is not None and sweep.label else note
    return poster(mosaic(every, across=across), title, note)


def _square(axes: list[Axes]) -> None:
    """One scale for both axes, and one square frame for all."""
    (left, right), (bottom, top) = axes[0].get_xlim(), axes[0].get_ylim()
    half = max(right - left, top - bottom) / 2
    for ax in axes:
        ax.set_xlim((left + right) / 2 - half, (left + right) / 2 + half)
        ax.set_ylim((bottom + top) / 2 - half, (bottom + top) / 2 + half)
        ax.set_aspect("equal", "box")


def _trace(ax: Axes, y: np.ndarray, sweep: Sweep | None) -> Any:
    if sweep is None or sweep.colour is None:
        ax.plot(*y.T, "o", color=style.COLOURS[1], markersize=8 if len(y) == 1 else 3.5, markeredgewidth=0)
        return None
    if sweep.joined:
        ax.plot(*y.T, color=style.BLACK, linewidth=0.8, zorder=2)
    size = 16 if sweep.joined else 60
    return ax.scatter(y[:, 0], y[:, 1], c=sweep.colour, s=size, cmap="viridis", zorder=3, linewidths=0)


def _bundle(ax: Axes, at: np.ndarray, curves: np.ndarray, sweep: Sweep | None) -> Any:
    """Curves ``(k, len(at))``, coloured by the latent."""
    from matplotlib.collections import LineCollection

    if sweep is None or sweep.colour is None:
        ax.plot(at, curves.T, color=style.COLOURS[1], linewidth=2.2 if len(curves) == 1 else 0.7)
        return None
    every = max(1, len(curves) // 21)
    lines = LineCollection([np.stack([at, c], axis=1) for c in curves[::every]], cmap="viridis", linewidths=1.8)
    lines.set_array(sweep.colour[::every])
    return ax.add_collection(lines)


def _finish(fig: Figure, axes: list[Axes], drawn: Any, sweep: Sweep | None, title: str, note: str) -> None:
    if drawn is not None and sweep is not None:
        bar = fig.colorbar(drawn, ax=axes, shrink=0.95, aspect=30, pad=0.02)
        bar.set_label(sweep.label)
        bar.outline.set_visible(False)
        if not sweep.joined:
            style.whole(bar.ax.yaxis)
        note = f"colour: {sweep.label}; {note}"
    elif sweep is None:
        note = f"orange: the one prediction, for there is no latent variable; {note}"
    else:
        note = f"orange: predictions at codes that other samples have; {note}"
    style.title(fig, title, note)


register(Kind("predictions", "what is predicted as the latent variable varies", draw, 35))
