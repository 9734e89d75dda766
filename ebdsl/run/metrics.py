"""What training said, step by step, as JSON lines and in memory."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from ebdsl.run.files import unwritable
from ebdsl.run.health import Record
from ebdsl.run.progress import Progress


class Lines(AbstractContextManager):
    """``metrics.jsonl``: one object a step. It is cut at the checkpoint's ``offset`` when a run is resumed,
    so that no step is told twice.
    """

    def __init__(self, path: Path, offset: int | None = None) -> None:
        self.path = path
        try:
            self._file = path.open("a" if offset is not None else "w", encoding="utf-8")
            if offset is not None and path.stat().st_size > offset:
                os.truncate(path, offset)
        except OSError as error:
            raise unwritable(error, path) from None

    def steps(self, records: list[Record]) -> None:
        self._write([{"step": r.step, "epoch": r.epoch, "seconds": round(r.wall, 4), **r.values} for r in records])

    def held_out(self, step: int, epoch: int, energy: float) -> None:
        self._write([{"step": step, "epoch": epoch, "held_out": energy}])

    def measured(self, step: int, epoch: int, contrast: Mapping[str, float]) -> None:
        self._write([{"step": step, "epoch": epoch, **contrast}])

    def _write(self, rows: list[dict[str, Any]]) -> None:
        try:
            self._file.write(to_lines(rows))
            self._file.flush()
        except OSError as error:
            raise unwritable(error, self.path) from None

    def offset(self) -> int:
        """Bytes that are safely on disk: what the checkpoint remembers."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            return os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise unwritable(error, self.path) from None

    def __exit__(self, kind: Any, value: Any, at: Any) -> None:
        with suppress(OSError):  # what is pending was refused before, and that has been told
            self._file.close()


class History:
    """A listener that keeps every record as a row, and passes it on to a bar if there is one.

    ``contrast`` are the measurements off the data, a row each.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.contrast: list[dict[str, Any]] = []
        self._bar: Progress | None = None

    def beside(self, bar: Progress | None) -> History:
        self._bar = bar
        return self

    def __enter__(self) -> History:
        if self._bar is not None:
            self._bar.__enter__()
        return self

    def __exit__(self, *about: Any) -> None:
        if self._bar is not None:
            self._bar.__exit__(*about)

    def steps(self, records: list[Any]) -> None:
        self.rows += [{"step": r.step, "epoch": r.epoch, "seconds": r.wall, **r.values} for r in records]
        if self._bar is not None:
            self._bar.steps(records)

    def held_out(self, step: int, epoch: int, energy: float) -> None:
        self.rows.append({"step": step, "epoch": epoch, "held_out": energy})
        if self._bar is not None:
            self._bar.held_out(step, epoch, energy)

    def measured(self, step: int, epoch: int, contrast: Mapping[str, float]) -> None:
        self.contrast.append({"step": step, "epoch": epoch, **contrast})
        if self._bar is not None:
            self._bar.measured(step, epoch, contrast)


def to_lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as JSON lines. A number that is none becomes null: JSON has no NaN."""
    return "".join(json.dumps({k: _number(v) for k, v in row.items()}, ensure_ascii=False) + "\n" for row in rows)


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a ``metrics.jsonl``; a last line that was cut short is left out."""
    rows = []
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    for line in text.split("\n"):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows
