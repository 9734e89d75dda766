"""Latent variables over the data: how large, how many, which ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ebdsl.plots import style
from ebdsl.plots.core import Kind, NotApplicable, register

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ebdsl.plots.view import View

ROWS = 2000


def draw(view: View) -> Iterator[tuple[str, Figure]]:
    if not view.latent:
        raise NotApplicable("it has no latent variable")
    codes = view.infer(view.some(ROWS))
    for symbol in view.spec.role("latent"):
        x = codes[symbol.name].reshape(len(codes[symbol.name]), -1)
        stem = "codes" if len(codes) == 1 else f"codes-{symbol.name}"
        title = f"{symbol.name} of {view.spec.name} over {len(x)} samples"
        finite = symbol.domain.kind in ("onehot", "simplex")
        yield stem, usage(title, symbol.name, x) if finite else activations(title, symbol.name, x)


def activations(title: str, name: str, x: np.ndarray) -> Figure:
    """Values ``(n, k)`` as a histogram, and for each unit how often it is on, sorted."""
    on = np.abs(x) > 1e-6 * max(float(np.abs(x).max()), 1e-300)
    fig = style.figure(9.2, 3.6)
    left, right = fig.subplots(1, 2)
    sparse = on.mean() < 0.95
    values = x[on] if sparse else x.ravel()
    left.hist(values, bins=80, color=style.COLOURS[0])
    left.set_yscale("log")
    style.log_ticks(left.yaxis)
    left.set_xlabel(f"entry of {name}" + (" (zeros left out)" if sparse else ""))
    left.set_ylabel("how many (log scale)")
    if x.shape[1] > 1:
        share = np.sort(on.mean(axis=0))[::-1] if sparse else np.sort((x**2).mean(axis=0))[::-1]
        right.stairs(share, np.arange(len(share) + 1) + 0.5, fill=True, color=style.COLOURS[0])
        right.set_xlabel(f"entries of {name}, sorted")
        right.set_ylabel("samples in which it is not 0" if sparse else "mean square")
        if sparse:
            style.percent(right.yaxis)
        right.set_ylim(bottom=0)
    else:
        right.remove()
    note = f"{on.mean():.1%} of the entries are not 0, {on.sum(axis=1).mean():.1f} of {x.shape[1]} in a sample"
    never = int((~on.any(axis=0)).sum())
    note += f"; {never} never" if never and sparse else ""
    style.title(fig, title, note)
    return fig


def usage(title: str, name: str, x: np.ndarray) -> Figure:
    """How much of the data each state ``(n, k)`` takes."""
    share = x.mean(axis=0)
    fig = style.figure(7, 3.4)
    ax = fig.add_subplot()
    ax.bar(np.arange(1, len(share) + 1), share, color=style.COLOURS[0], width=0.85)
    ax.axhline(1 / len(share), color=style.GREY, linewidth=0.8, linestyle="--")
    ax.set_xlabel(f"entry of {name}")
    ax.set_ylabel("share of the samples")
    style.percent(ax.yaxis)
    ax.margins(x=0.01)
    entropy = float(np.exp(-np.sum(share[share > 0] * np.log(share[share > 0]))))
    note = f"as if {entropy:.1f} of {len(share)} were used equally (exp of the entropy); dashed: equal use"
    style.title(fig, title, note)
    return fig


register(Kind("codes", "the values of latent variables, and how much each entry is used", draw, 60))
