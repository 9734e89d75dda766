"""What a denoising auto-encoder does: to corrupted data, to a grid of points, and the field that it leaves."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ebdsl.model.model import Word
from ebdsl.plots import style
from ebdsl.plots.core import Kind, NotApplicable, register
from ebdsl.plots.kinds.surface import levels
from ebdsl.plots.planes import grid, limits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ebdsl.plots.view import View

SHOWN, GRID, ARROWS, CELLS = 800, 17, 21, 121


def draw(view: View) -> Iterator[tuple[str, Figure]]:
    setting = view.spec.setting("strategy")
    head = setting.value.head if setting is not None and isinstance(setting.value, Word) else setting and setting.value
    target = view.reconstructed
    if head != "denoising" or target is None or view.latent:
        raise NotApplicable("it is not trained by denoising")
    if len(view.data) > 1 or prod(view.sizes(target)) != 2:
        raise NotApplicable(f"{target.name} is not two numbers")
    y = view.some(SHOWN)[target.name].reshape(-1, 2)
    said = dict(setting.value.keywords) if setting is not None and isinstance(setting.value, Word) else {}
    sigma = float(said.get("sigma") or 0.1 * y.std(0).mean())  # type: ignore[arg-type]
    noisy = y + sigma * np.random.default_rng(0).standard_normal(y.shape).astype(np.float32)

    def mapped(points: np.ndarray) -> np.ndarray:
        given = {target.name: points.reshape(-1, *view.sizes(target)).astype(np.float32)}
        return view.reconstruct(given, {}).reshape(-1, 2)

    yield "denoising", panels(view, target.name, y, noisy, mapped, sigma)


def panels(view: View, name: str, y: np.ndarray, noisy: np.ndarray, mapped: Any, sigma: float) -> Figure:
    """Data with noise and outputs; how far each has moved; a grid and where it goes; energy and field."""
    low, high = limits(np.concatenate([y, noisy]), True)
    fig = style.figure(10.4, 9.6)
    axes = fig.subplots(2, 2, sharex=True, sharey=True).ravel()
    out = mapped(noisy)
    dots = {"markersize": 3.5, "markeredgewidth": 0, "linestyle": "none", "marker": "."}
    axes[0].plot(*noisy.T, color=style.COLOURS[1], label="with noise", **dots)
    axes[0].plot(*out.T, color=style.COLOURS[0], label="G of it", **dots)
    axes[0].plot(*y.T, color=style.COLOURS[3], label="data", **dots)
    axes[0].legend(loc="upper right", markerscale=2)
    axes[0].set_title("data, data with noise, and what it is mapped to")
    moved = np.linalg.norm(out - noisy, axis=1)
    drawn = axes[1].scatter(*out.T, c=moved, s=7, cmap=style.SEQUENTIAL, linewidths=0)
    axes[1].set_title("outputs, by how far they have moved")
    bar = fig.colorbar(drawn, ax=axes[1], shrink=0.9, aspect=30, pad=0.02)
    bar.set_label("‖G(ỹ) - ỹ‖")
    bar.outline.set_visible(False)
    _, _, points = grid(low, high, GRID)
    to = mapped(points)
    for a, b in zip(points, to, strict=True):
        axes[2].plot([a[0], b[0]], [a[1], b[1]], color=style.FAINT, linewidth=0.7, zorder=1)
    axes[2].plot(*points.T, color=style.COLOURS[1], label="grid", **dots)
    axes[2].plot(*to.T, color=style.COLOURS[0], label="G of it", **dots)
    axes[2].legend(loc="upper right", markerscale=2)
    axes[2].set_title("a grid of points, and what it is mapped to")
    u, v, cells = grid(low, high, CELLS)
    energy = view.free_energy({name: cells.reshape(-1, *view.sizes(view.spec.symbol(name))).astype(np.float32)})
    energy = energy.reshape(len(v), len(u))
    steps = levels([energy])
    map_ = axes[3].contourf(u, v, energy, levels=steps, cmap=style.SEQUENTIAL, extend="max")
    _, _, at = grid(low, high, ARROWS)
    field = mapped(at) - at
    axes[3].quiver(*at.T, *field.T, color="#ffffff", angles="xy", width=0.003)
    axes[3].set_title(f"{view.spec.free_energy_name} as colour, G(y) - y as a field")
    bar = fig.colorbar(map_, ax=axes[3], shrink=0.9, aspect=30, pad=0.02)
    bar.set_label(f"{view.spec.free_energy_name} (energy)")
    bar.set_ticks(steps[::2].tolist(), labels=[f"{s:.3g}" for s in steps[::2]])
    bar.outline.set_visible(False)
    for ax in axes:
        ax.set_aspect("equal", "box")
        ax.set_xlim(low[0], high[0])
        ax.set_ylim(low[1], high[1])
    for ax in axes[2:]:
        ax.set_xlabel(f"{name}₁")
    for ax in axes[::2]:
        ax.set_ylabel(f"{name}₂")
    note = f"{len(y)} samples; noise of standard deviation {sigma:.3g}; arrows show directions and relative lengths"
    style.title(fig, f"what {view.spec.name} does", note)
    return fig


register(Kind("denoising", "a denoising auto-encoder on noise, on a grid, and as a field", draw, 20))
