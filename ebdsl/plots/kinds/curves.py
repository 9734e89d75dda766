"""Energy against step: the whole and its terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ebdsl.plots import style
from ebdsl.plots.core import Kind, NotApplicable, register

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ebdsl.plots.view import View

BINS = 250


def draw(view: View) -> Iterator[tuple[str, Figure]]:
    from ebdsl.run.metrics import read_lines

    rows = read_lines(view.folder / "metrics.jsonl")
    if not any(isinstance(r.get("energy"), int | float) for r in rows):
        raise NotApplicable("the run has no metrics.jsonl with energies")
    yield "curves", figure(view.spec.name, rows)


def series(rows: Sequence[Mapping[str, Any]], key: str) -> np.ndarray:
    """``(n, 2)``: step and value, the rows without a number left out."""
    pairs = [
        (r["step"], r[key]) for r in rows if isinstance(r.get(key), int | float) and isinstance(r.get("step"), int)
    ]
    return np.array(pairs, dtype=np.float64).reshape(-1, 2)


def binned(x: np.ndarray, bins: int = BINS) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Step, mean, least and largest value of at most ``bins`` equal stretches."""
    parts = np.array_split(x, min(bins, len(x)))
    steps = np.array([p[:, 0].mean() for p in parts])
    mean, least, most = (np.array([f(p[:, 1]) for p in parts]) for f in (np.mean, np.min, np.max))
    return steps, mean, least, most


def figure(model: str, rows: Sequence[Mapping[str, Any]]) -> Figure:
    fig = style.figure(7.6, 4.2)
    ax = fig.add_subplot()
    names = list(dict.fromkeys(k for r in rows for k in r if k.startswith("energy/")))
    names = names if len(names) > 1 else []
    curves = [("energy", "energy", style.BLACK)]
    curves += [(n, n.removeprefix("energy/"), style.COLOURS[i % len(style.COLOURS)]) for i, n in enumerate(names)]
    ends: list[tuple[float, str, str]] = []
    lowest, spans, banded = np.inf, [], False
    for key, label, colour in curves:
        x = series(rows, key)
        if not len(x):
            continue
        steps, mean, least, most = binned(x)
        if len(x) > len(steps):
            ax.fill_between(steps, least, most, color=colour, alpha=0.15, linewidth=0)
            banded = True
        ax.plot(
            steps, mean, color=colour, linewidth=1.8 if key == "energy" else 1.3, marker="o" if len(steps) == 1 else ""
        )
        ends.append((mean[-1], label, colour))
        lowest = min(lowest, float(least.min()))
        spans.append(mean.max() / max(mean.min(), 1e-300))
    held = series(rows, "held_out")
    if len(held):
        ax.plot(*held.T, color=style.COLOURS[1], marker="o", markersize=4, linestyle="--", linewidth=1)
        ends.append((held[-1, 1], "energy, held out", style.COLOURS[1]))
        lowest = min(lowest, float(held[:, 1].min()))
    logarithmic = lowest > 0 and max(spans, default=1) > 20
    if logarithmic:
        ax.set_yscale("log")
        style.log_ticks(ax.yaxis)
    ax.set_xlabel("step")
    ax.set_ylabel("mean energy of a batch" + (" (log scale)" if logarithmic else ""))
    ax.margins(x=0.01)
    style.whole(ax.xaxis)
    last = series(rows, "energy")
    note = f"{int(last[-1, 0])} steps, last energy {last[-1, 1]:.4g}"
    note += "; bands reach from the least to the largest batch" if banded else ""
    style.title(fig, f"Energy of {model} while it learned", note)
    label_ends(ax, ends)
    return fig


def label_ends(ax: Axes, ends: Sequence[tuple[float, str, str]], gap: float = 0.065) -> None:
    """Names of curves at their right ends, moved apart where they would lie on each other."""
    ax.figure.canvas.draw()
    inverse = ax.transAxes.inverted()
    places = sorted((float(inverse.transform(ax.transData.transform((0, y)))[1]), text, c) for y, text, c in ends)
    at = -np.inf
    heights = []
    for y, _, _ in places:
        at = max(y, at + gap)
        heights.append(at)
    down = max(0.0, heights[-1] - 1.0) if heights else 0
    for (_, text, colour), height in zip(places, heights, strict=True):
        short = text if len(text) <= 34 else text[:33] + "…"
        ax.text(1.015, height - down, short, transform=ax.transAxes, color=colour, va="center", fontsize=9)


register(Kind("curves", "the energy and each of its terms against the step", draw, 20))
