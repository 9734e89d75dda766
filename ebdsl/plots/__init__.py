"""Pictures of what was learned. :func:`after_training` draws what fits a run, :func:`plot` one kind on demand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebdsl.diagnostics import Diagnostic

__all__ = ["after_training", "available", "plot"]


def available() -> dict[str, str]:
    """Every kind of picture with a line on what it shows. Needs no matplotlib."""
    from ebdsl.plots.core import load_kinds

    return {name: kind.doc for name, kind in load_kinds().items()}


def after_training(
    run_dir: Path | str, fitted: Any, warn: Callable[[Diagnostic], None] = lambda found: None
) -> list[Path]:
    """Draw every picture that fits into ``run_dir/pictures`` and return the files.

    ``fitted`` has ``.model`` (the generated module), ``.spec_model`` (the checked spec) and ``.data`` (with ``arrays``
    and ``image_shapes`` by the spec's names). Nothing is raised for a picture that cannot be drawn: ``warn`` is told.
    """
    from ebdsl.plots.draw import draw_all

    return draw_all(Path(run_dir), fitted, warn)


def plot(
    run_dir: Path | str,
    kind: str = "all",
    out: Path | str | None = None,
    *,
    on: str | None = None,
    data: str | None = None,
    allow_python: bool = False,
) -> list[Path]:
    """Draw one kind of picture of a run, or ``"all"``; return the files.

    ``out`` is a folder, or a file whose ending is the format (.png .svg .pdf); without it, the run's ``pictures``.
    ``on`` is the device, ``data`` other samples than those of the training. Raises
    :class:`~ebdsl.diagnostics.SpecError` (EB0790 to EB0794, and what opening a run raises).
    """
    from ebdsl.plots.draw import draw_run

    return draw_run(Path(run_dir), kind, None if out is None else Path(out), on, data, allow_python)
