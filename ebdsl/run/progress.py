"""What a person sees while a model trains: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Protocol, TextIO

from ebdsl.run.health import TERM, Record

PLAIN_SECONDS = 2.0
"""Between two lines where there is no terminal, at first; later a twentieth of the time that has passed."""


class Progress(Protocol):
    """A listener of the loop, as a context manager."""

    def __enter__(self) -> Any: ...
    def __exit__(self, kind: Any, value: Any, at: Any) -> None: ...
    def steps(self, records: list[Record]) -> None: ...
    def held_out(self, step: int, epoch: int, energy: float) -> None: ...
    def measured(self, step: int, epoch: int, contrast: Mapping[str, float]) -> None: ...


def progress(total: int, done: int, epochs: int, stream: TextIO | None = None) -> Progress:
    """For ``total`` steps in ``epochs``, ``done`` of them before. Writes to ``stream``, standard error by default."""
    stream = sys.stderr if stream is None else stream
    return Bar(total, done, epochs, stream) if stream.isatty() else Plain(total, done, epochs, stream)


class Summary:
    """Means over the records since it was last asked."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._count = 0
        self.held_out: float | None = None
        self.contrast: float | None = None

    def add(self, records: Iterable[Record]) -> None:
        for record in records:
            self._count += 1
            for name, value in record.values.items():
                self._sums[name] = self._sums.get(name, 0.0) + value

    def take(self) -> str:
        """``energy 12.3 = 10.1 ‖y - W z‖² + 2.2 λ|z|``, and the held-out energy where there is one."""
        means = {name: total / max(self._count, 1) for name, total in self._sums.items()}
        self._sums, self._count = {}, 0
        terms = [(clip(name.removeprefix(TERM)), value) for name, value in means.items() if name.startswith(TERM)]
        parts = [f"{value:.4g} {f'({text})' if text.startswith('-') else text}" for text, value in terms]
        text = f"energy {means.get('energy', float('nan')):.4g}"
        if len(parts) > 1:
            text += " = " + " + ".join(parts[:6]).replace("+ -", "- ") + (" + …" if len(parts) > 6 else "")
        others = [
            f"{name} {value:.4g}" for name, value in means.items() if name != "energy" and not name.startswith(TERM)
        ]
        held = [] if self.held_out is None else [f"held out {self.held_out:.4g}"]
        apart = [] if self.contrast is None else [f"AUC {self.contrast:.2f}"]
        return "   ".join([text, *others, *held, *apart])


def clip(text: str, width: int = 28) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"


def clock(seconds: float) -> str:
    """``1:02:03`` or ``2:03``."""
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02}:{s:02}" if hours else f"{m}:{s:02}"


class Plain(AbstractContextManager):
    """Lines, at most one every two seconds and one at the end."""

    def __init__(self, total: int, done: int, epochs: int, stream: TextIO) -> None:
        self._total, self._done, self._epochs, self._stream = total, done, epochs, stream
        self._first, self._began, self._told = done, time.monotonic(), time.monotonic()
        self._epoch, self._fresh, self._summary = 0, False, Summary()

    def steps(self, records: list[Record]) -> None:
        self._summary.add(records)
        self._done, self._epoch, self._fresh = records[-1].step, records[-1].epoch, True
        now = time.monotonic()
        if now - self._told >= max(PLAIN_SECONDS, (now - self._began) / 20):
            self._tell()

    def held_out(self, step: int, epoch: int, energy: float) -> None:
        self._summary.held_out = energy

    def measured(self, step: int, epoch: int, contrast: Mapping[str, float]) -> None:
        self._summary.contrast = contrast.get("contrast/uniform")

    def _tell(self) -> None:
        self._told, self._fresh = time.monotonic(), False
        rate = (self._told - self._began) / max(self._done - self._first, 1)
        left = clock((self._total - self._done) * rate)
        where = f"epoch {self._epoch + 1}/{self._epochs}  step {self._done}/{self._total}"
        print(f"{where}  {self._summary.take()}  eta {left}", file=self._stream, flush=True)

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        if self._fresh:
            self._tell()


class Bar(AbstractContextManager):
    """A bar, and under it the energy term by term."""

    def __init__(self, total: int, done: int, epochs: int, stream: TextIO) -> None:
        from rich import progress as widgets
        from rich.console import Console, Group
        from rich.live import Live
        from rich.text import Text

        self._text, self._group = Text, Group
        self._epochs, self._summary = epochs, Summary()
        self._bar = widgets.Progress(
            widgets.TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            widgets.BarColumn(),
            widgets.TaskProgressColumn(),
            widgets.TextColumn("step {task.completed:.0f}/{task.total:.0f}"),
            widgets.TimeElapsedColumn(),
            widgets.TextColumn("eta"),
            widgets.TimeRemainingColumn(),
        )
        self._task = self._bar.add_task("", total=total, completed=done, epoch=1, epochs=epochs)
        self._live = Live(self._bar, console=Console(file=stream), refresh_per_second=5)

    def __enter__(self) -> Bar:
        self._live.start()
        return self

    def steps(self, records: list[Record]) -> None:
        self._summary.add(records)
        self._bar.update(self._task, completed=records[-1].step, epoch=records[-1].epoch + 1)
        self._live.update(self._group(self._bar, self._text(self._summary.take())))

    def held_out(self, step: int, epoch: int, energy: float) -> None:
        self._summary.held_out = energy

    def measured(self, step: int, epoch: int, contrast: Mapping[str, float]) -> None:
        self._summary.contrast = contrast.get("contrast/uniform")

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()
