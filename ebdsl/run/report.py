"""How a run talks to whoever began it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ebdsl.diagnostics import Diagnostic, Source
from ebdsl.run.progress import Progress


@dataclass(frozen=True)
class Report:
    """How a run talks: each a function that may do nothing.

    ``progress(total, done, epochs)`` gives a :class:`~ebdsl.run.progress.Progress`, or None.
    """

    say: Callable[[str], None] = lambda text: None
    warn: Callable[[Iterable[Diagnostic], Source], None] = lambda found, source: None
    progress: Callable[[int, int, int], Progress | None] = lambda total, done, epochs: None
