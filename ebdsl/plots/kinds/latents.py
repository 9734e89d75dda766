"""What each entry of a latent variable does to the reconstruction."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ebdsl.plots import style
from ebdsl.plots.core import Kind, NotApplicable, register
from ebdsl.plots.kinds.reconstructions import as_pictures
from ebdsl.plots.mosaic import mosaic, poster

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ebdsl.plots.view import Arrays, View

ENTRIES, STEPS, CURVE = 10, 11, 61


def draw(view: View) -> Iterator[tuple[str, Figure]]:
    target = view.reconstructed
    noisy = hasattr(view.network, "decode")
    if target is None or not (view.latent or noisy):
        raise NotApplicable("no latent variable makes a reconstruction")
    symbol = (
        None
        if noisy
        else next((s for s in view.spec.role("latent") if s.name in view.inputs and not s.domain.row.finite), None)
    )
    if symbol is None and not noisy:
        raise NotApplicable("its latent variable takes few values: see the predictions")
    sizes, image = view.sizes(target), view.image_shapes.get(target.name)
    if image is None and prod(sizes) != 2:
        raise NotApplicable(f"{target.name} is neither a picture nor two numbers")
    samples = view.some(500)
    name = "code" if symbol is None else symbol.name
    found = view.code(samples) if noisy else None
    codes = view.infer(samples) if found is None else {"code": found[0]}
    z = codes[name].reshape(len(codes[name]), -1)
    order = np.argsort(-z.std(0), kind="stable")[: ENTRIES if image is not None else len(style.COLOURS)]
    order = np.array([k for k in order if np.ptp(z[:, k]) > 0], int)
    if not len(order):
        raise NotApplicable(f"{name} is the same for every sample")
    middle = int(np.argsort(np.abs(z - np.median(z, 0)).sum(1), kind="stable")[0])
    title = f"{target.name} of {view.spec.name} as entries of {name} vary"
    note = "one sample's code, one entry at a time from its 2nd to its 98th percentile over the data"
    swept = [_swept(view, samples, codes, name, middle, int(k), STEPS if image is not None else CURVE) for k in order]
    names = tuple(f"{name}[{k}]" if z.shape[1] > 1 else name for k in order)
    if image is not None:
        cells = as_pictures(np.concatenate(swept), sizes, image)
        low, high = float(cells.min()), float(cells.max())
        cells = np.clip((cells - low) / max(high - low, 1e-12), 0, 1)
        yield "latents", poster(mosaic(cells, across=STEPS), title, f"{note}; the entries that vary most", names)
    else:
        yield "latents", curves(title, note, target.name, samples[target.name].reshape(-1, 2), swept, names)


def _swept(
    view: View,
    samples: Arrays,
    codes: Arrays,
    name: str,
    row: int,
    entry: int,
    count: int,
) -> np.ndarray:
    low, high = np.quantile(codes[name].reshape(len(codes[name]), -1)[:, entry], [0.02, 0.98])
    latents = {k: np.repeat(x[row : row + 1], count, axis=0) for k, x in codes.items()}
    flat = latents[name].reshape(count, -1).copy()
    flat[:, entry] = np.linspace(low, high, count)
    latents[name] = flat.reshape(latents[name].shape)
    around = {k: np.repeat(x[row : row + 1], count, axis=0) for k, x in samples.items()}
    return view.decode(latents[name], around) if name not in view.latent else view.reconstruct(around, latents)


def curves(
    title: str, note: str, name: str, data: np.ndarray, swept: list[np.ndarray], names: tuple[str, ...]
) -> Figure:
    """Paths in the plane, one for each entry."""
    fig = style.figure(6.4, 5.2)
    ax = fig.add_subplot()
    ax.plot(*data.T, ".", color=style.FAINT, markersize=4, markeredgewidth=0, label="data")
    for path, said, colour in zip(swept, names, style.COLOURS, strict=False):
        ax.plot(*path.reshape(-1, 2).T, color=colour, linewidth=2, label=said)
    ax.set_aspect("equal", "datalim")
    ax.set_xlabel(f"{name}₁")
    ax.set_ylabel(f"{name}₂")
    ax.legend()
    style.title(fig, title, note)
    return fig


register(Kind("latents", "the reconstruction as entries of the latent variable vary", draw, 35))
