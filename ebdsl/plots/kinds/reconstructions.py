"""What the energy compares samples with, beside the samples."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ebdsl.plots import style
from ebdsl.plots.core import Kind, NotApplicable, register
from ebdsl.plots.kinds.atoms import as_pictures
from ebdsl.plots.mosaic import mosaic, poster

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ebdsl.plots.view import View

SHOWN = 14


def draw(view: View) -> Iterator[tuple[str, Figure]]:
    target = view.reconstructed
    if target is None:
        raise NotApplicable("its energy compares no observed variable with anything")
    samples = view.some(500)
    answers = view.reconstruct(samples, view.infer(samples) if view.latent else {})
    data, model = samples[target.name], view.spec.name
    lost = float(np.sum((data - answers) ** 2)) / max(float(np.sum((data - data.mean(axis=0)) ** 2)), 1e-300)
    note = f"{lost:.1%} of the variance is left over ({len(data)} samples)"
    title = f"{target.name} of {model} and its reconstruction"
    image, sizes = view.image_shapes.get(target.name), view.sizes(target)
    if image is not None:
        pick = np.linspace(0, len(data) - 1, min(SHOWN, len(data))).astype(int)
        x, a = (as_pictures(v[pick], sizes, image) for v in (data, answers))
        yield "reconstructions", pictures(title, note, x, a)
    elif prod(sizes) == 2:
        yield "reconstructions", plane(title, note, target.name, data.reshape(-1, 2), answers.reshape(-1, 2))
    else:
        yield "reconstructions", parity(title, note, target.name, data, answers)


def pictures(title: str, note: str, x: np.ndarray, answers: np.ndarray) -> Figure:
    """Three rows ``(n, h, w[, 3])``: data, reconstruction and what is left, all on the scale of the sample."""
    axes = tuple(range(1, x.ndim))
    if x.min() >= 0:
        top = x.max(axis=axes, keepdims=True)
        top = np.where(top > 0, top, 1)
        rows, scale = (
            (x / top, answers / top, 0.5 + 0.5 * (x - answers) / top),
            "black is zero (grey in the last row)",
        )
    else:
        top = np.abs(x).max(axis=axes, keepdims=True)
        top = np.where(top > 0, top, 1)
        rows, scale = tuple(0.5 + 0.5 * v / top for v in (x, answers, x - answers)), "grey is zero"  # type: ignore[assignment]
    cells = np.clip(np.concatenate(rows), 0, 1)
    note = f"{note}; each column has one scale, {scale}"
    return poster(mosaic(cells, across=len(x)), title, note, ("data", "reconstruction", "difference"))


def plane(title: str, note: str, name: str, x: np.ndarray, answers: np.ndarray) -> Figure:
    """Points of the plane, each with a line to where it is reconstructed."""
    fig = style.figure(6.2, 5.2)
    ax = fig.add_subplot()
    ends = np.stack([x, answers], axis=1)
    from matplotlib.collections import LineCollection

    ax.add_collection(LineCollection(list(ends), colors=style.FAINT, linewidths=0.8))
    ax.plot(*x.T, ".", color=style.COLOURS[0], markersize=4, label="data")
    ax.plot(*answers.T, ".", color=style.COLOURS[1], markersize=4, label="reconstruction")
    ax.set_aspect("equal", "datalim")
    ax.set_xlabel(f"{name}₁")
    ax.set_ylabel(f"{name}₂")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), markerscale=2)
    style.title(fig, title, note)
    return fig


def parity(title: str, note: str, name: str, x: np.ndarray, answers: np.ndarray) -> Figure:
    """Every entry of the samples against the same entry of their reconstructions."""
    fig = style.figure(5.6, 4.8)
    ax = fig.add_subplot()
    x, answers = x.ravel(), answers.ravel()
    if len(x) > 20_000:
        pick = np.random.default_rng(0).choice(len(x), 20_000, replace=False)
        x, answers = x[pick], answers[pick]
    ends = [min(x.min(), answers.min()), max(x.max(), answers.max())]
    ax.plot(ends, ends, color=style.BLACK, linewidth=1)
    ax.plot(x, answers, ".", color=style.COLOURS[0], markersize=2.5, alpha=0.4, markeredgewidth=0)
    ax.set_xlabel(f"entry of {name}")
    ax.set_ylabel("the same entry of its reconstruction")
    ax.set_aspect("equal", "box")
    style.title(fig, title, f"{note}; on the line they agree")
    return fig


register(Kind("reconstructions", "samples, their reconstructions and the difference", draw, 30))
