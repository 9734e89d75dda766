"""A table of ratios for the terminal, and the same as JSON that says nothing of whose machine it was."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.rounds import Row

RESULTS = Path(__file__).with_name("results")


def table(title: str, rows: Iterable[Row]) -> str:
    """Ratios first, then seconds; ``!`` marks what exceeds its limit."""
    rows = list(rows)
    width = max(len(f"{r.name} / {r.peer_name}") for r in rows)
    lines = [title, f"  {'ours / peer':{width}}  ratio  quartiles     limit        ours        peer"]
    for r in rows:
        facts, (low, high) = r.facts(), r.spread
        limit = "" if r.limit is None else f"{r.limit:.2f}" + ("!" if r.ratio > r.limit else "")
        lines.append(
            f"  {f'{r.name} / {r.peer_name}':{width}}  {r.ratio:5.2f}  {low:.2f} - {high:.2f}  {limit:>6}"
            f"  {_time(facts['ours seconds']):>10}  {_time(facts['peer seconds']):>10}"
        )
    return "\n".join(lines)


def facts(item: str, rows: Iterable[Row], threads: int, more: Mapping[str, Any]) -> dict[str, Any]:
    """What the processor was measured to do."""
    return {"item": item, **machine(), "threads": threads, "rows": [r.facts() for r in rows], **more}


def write(item: str, found: Mapping[str, Any], folder: Path = RESULTS) -> Path:
    """``results/<item>.json``. What was measured on a GPU, ``device``, and on the processor need not be of one run."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{item}.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept = {k: v for k, v in before.items() if (k == "device") == ("rows" in found)}
    path.write_text(json.dumps({**kept, **found}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def machine() -> dict[str, str]:
    return {"processor": processor(), "python": platform.python_version(), "torch": version("torch")}


def processor() -> str:
    """The model of the processor, as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), platform.machine())


def _time(seconds: Any) -> str:
    return f"{seconds:.3f} s" if seconds >= 1 else f"{1000 * seconds:.2f} ms"
