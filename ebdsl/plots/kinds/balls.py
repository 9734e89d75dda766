"""Codes with noise: where the code of each sample is, how far noise blurs it, and what every unit tells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ebdsl.plots import style
from ebdsl.plots.core import Kind, NotApplicable, register
from ebdsl.run.codes_in_use import blurred

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ebdsl.plots.view import View

MOST = 150
"""Samples whose balls are drawn."""
CIRCLE = np.linspace(0, 2 * np.pi, 65)


def draw(view: View) -> Iterator[tuple[str, Figure]]:
    found = view.code(view.some(2000))
    if found is None:
        raise NotApplicable("no code with noise in it")
    mean, spread = (x.reshape(len(x), -1).astype(float) for x in found)
    if mean.shape[1] < 2 or not (np.isfinite(mean).all() and (spread > 0).all()):
        raise NotApplicable("the code has one entry alone, or its noise has no known size")
    said = blurred(mean, spread)
    i, j = np.sort(np.argsort(-said.divergence, kind="stable")[:2])
    fig = style.figure(9.2 if mean.shape[1] > 2 else 5.6, 5.0)
    axes = fig.subplots(1, 2, width_ratios=(1.35, 1)) if mean.shape[1] > 2 else (fig.add_subplot(), None)
    balls(axes[0], mean[:, [i, j]], spread[:, [i, j]], (f"unit {i}", f"unit {j}"))
    if axes[1] is not None:
        order = np.argsort(-said.divergence, kind="stable")
        axes[1].bar(np.arange(len(order)), said.divergence[order], color=style.COLOURS[0], width=0.8)
        axes[1].set_xlabel("unit, in order")
        axes[1].set_ylabel("KL(N(μ, σ²) ‖ N(0, 1)), nats")
        style.whole(axes[1].xaxis)
    note = f"discs of one standard deviation of the noise around {min(MOST, len(mean))} samples; {said.sentence()}"
    style.title(fig, f"codes of {view.spec.name}", note)
    yield "balls", fig


def balls(ax, mean: np.ndarray, spread: np.ndarray, names: tuple[str, str]) -> None:  # type: ignore[no-untyped-def]
    """Discs ``(n, 2)`` on ``ax``, and the standard normal's for scale."""
    ax.plot(np.cos(CIRCLE), np.sin(CIRCLE), color=style.BLACK, linewidth=1, linestyle="--", label="N(0, 1)", zorder=3)
    for m, s in zip(mean[:MOST], spread[:MOST], strict=True):
        ax.fill(
            m[0] + s[0] * np.cos(CIRCLE), m[1] + s[1] * np.sin(CIRCLE), color=style.COLOURS[4], alpha=0.12, linewidth=0
        )
    ax.plot(*mean[:MOST].T, ".", color=style.COLOURS[0], markersize=4, markeredgewidth=0, label="μ", zorder=2)
    ax.set_aspect("equal", "datalim")
    ax.set_xlabel(f"code, {names[0]}")
    ax.set_ylabel(f"code, {names[1]}")
    ax.legend(loc="upper right")


register(Kind("balls", "codes with the noise that blurs them", draw, 25))
