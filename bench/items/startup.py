"""The small verbs against importing three libraries that a compiler of this kind stands on."""

from __future__ import annotations

from typing import Any

from bench import startup
from bench.rounds import Row

LIMITED = ("check", "fmt", "explain", "draw")


def run(quick: bool, threads: int) -> tuple[list[Row], dict[str, Any]]:
    """Fresh processes, one thread each whatever ``threads`` says."""
    times = startup.measure(1 if quick else 9)
    base = tuple(times.pop(startup.BASE))
    return [
        Row(name, tuple(seconds), base, "imports", 2.5 if name.startswith(LIMITED) else None)
        for name, seconds in sorted(times.items())
    ], {}
