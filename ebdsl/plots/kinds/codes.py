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
    """Values ``(n, k)`` as a histogram; where many are zero, also how often each entry is not, sorted."""
    on = np.abs(x) > 1e-6 * max(float(np.abs(x).max()), 1e-300)
    sparse = on.mean() < 0.95 and x.shape[1] > 1
    fig = style.figure(9.2 if sparse else 6, 3.6)
    axes = list(fig.subplots(1, 1 + sparse, squeeze=False)[0])
    axes[0].hist(x[on] if sparse else x.ravel(), bins=80, color=style.COLOURS[0])
    axes[0].set_xlabel(f"entry of {name}" + (" (zeros left out)" if sparse else ""))
    axes[0].set_ylabel("how many")
    note = f"{x.shape[1]} number{'s' * (x.shape[1] > 1)} in a sample"
    if sparse:
        axes[0].set_yscale("log")
        axes[0].set_ylabel("how many (log scale)")
        style.log_ticks(axes[0].yaxis)
        share = np.sort(on.mean(axis=0))[::-1]
        axes[1].stairs(share, np.arange(len(share) + 1) + 0.5, fill=True, color=style.COLOURS[0])
        axes[1].set_xlabel(f"entries of {name}, sorted")
        axes[1].set_ylabel("samples in which it is not 0")
        axes[1].set_ylim(bottom=0)
        style.percent(axes[1].yaxis)
        note = f"{on.mean():.1%} of the entries are not 0, {on.sum(axis=1).mean():.1f} of {x.shape[1]} in a sample"
        never = int((~on.any(axis=0)).sum())
        note += f"; {never} never" if never else ""
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
    style.whole(ax.xaxis)
    entropy = float(np.exp(-np.sum(share[share > 0] * np.log(share[share > 0]))))
    note = f"as if {entropy:.1f} of {len(share)} were used equally (exp of the entropy); dashed: equal use"
    style.title(fig, title, note)
    return fig


register(Kind("codes", "the values of latent variables, and how much each entry is used", draw, 60))
