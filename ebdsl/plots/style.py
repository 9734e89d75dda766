"""One look for all pictures: colours that colour-blind readers can tell apart, few lines, text that can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F7F7F")
"""Okabe & Ito (2008), without black, which is for what matters most, and yellow, which is too light for lines."""
BLACK, GREY, FAINT = "#1a1a1a", "#6b6b6b", "#c9c9c9"
SEQUENTIAL = "cividis"
"""Even in lightness and alike for colour-blind readers (Nuñez, Anderton & Renslow, PLoS ONE 2018)."""
DPI = 120

_RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": BLACK,
    "ytick.labelcolor": BLACK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "text.parse_math": False,
    "svg.hashsalt": "ebdsl",
    "svg.fonttype": "path",
}


def look() -> Any:
    """A context in which figures have this look; nothing global is changed outside it."""
    from matplotlib import rc_context

    settings: Any = _RC
    return rc_context(settings)


def figure(width: float, height: float) -> Figure:
    """A figure in inches, drawn without any window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(made)
    return made


def title(fig: Figure, text: str, note: str = "") -> None:
    """A line that says what is seen, and a smaller one that says how it was drawn."""
    from textwrap import wrap

    across = int(fig.get_figwidth() * 13.5)
    lines = wrap(note, across)
    big = fig.get_figheight()
    top = 0.34 + 0.19 * len(lines)
    fig.set_figheight(big + top)
    engine: Any = fig.get_layout_engine()
    engine.set(rect=(0, 0, 1, big / (big + top)))
    fig.text(0.012, 1 - 0.08 / (big + top), text, fontsize=12, fontweight="bold", va="top", color=BLACK)
    fig.text(0.012, 1 - 0.34 / (big + top), "\n".join(lines), fontsize=9, va="top", color=GREY, linespacing=1.25)


def log_ticks(axis: Any) -> None:
    """Powers of ten in plain figures on a logarithmic axis."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(numticks=8))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_formatter(NullFormatter())


def whole(axis: Any) -> None:
    """Ticks at whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True))


def percent(axis: Any) -> None:
    """Shares as percentages."""
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g} %"))


def bare(ax: Axes) -> None:
    """Axes without ticks and frame, for pictures."""
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
