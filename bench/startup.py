"""What the small verbs cost, against importing three libraries that a compiler of this kind stands on.

    python -m bench.startup [ROUNDS]

Each round runs every command once, in a fresh process, in an order of its own, so that a busy machine
is busy for all of them. Ratios are of medians. Nothing is asserted: the numbers go to bench/results/startup.json.
"""

from __future__ import annotations

import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).with_name("results") / "startup.json"
BASE = "import lark, networkx, sympy"
SPECS = ("sparse_coding", "psd", "gmm")


def commands(folder: Path) -> dict[str, list[str]]:
    """What is measured: a name and the arguments of the interpreter."""
    verbs = {
        "check": ["check"],
        "fmt": ["fmt"],
        "explain": ["explain"],
        "draw .svg": ["draw", "-o", str(folder / "x.svg")],
        "draw .png": ["draw", "-o", str(folder / "x.png")],
        "draw .mmd": ["draw"],
        "compile": ["compile"],
    }
    found = {BASE: ["-c", BASE], "pass": ["-c", "pass"]}
    for spec in SPECS:
        file = str(ROOT / "specs" / f"{spec}.ebm")
        found |= {f"{name}, {spec}": [str(ROOT / "cli.py"), a[0], file, *a[1:]] for name, a in verbs.items()}
    return found


def measure(rounds: int) -> dict[str, list[float]]:
    """Seconds of every command in every round. A command that fails is an error."""
    times: dict[str, list[float]] = {}
    shuffle = random.Random(0).shuffle
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        todo = list(commands(Path(folder)).items())
        for number in range(-1, rounds):  # round -1 fills the caches and is not counted
            shuffle(todo)
            for name, arguments in todo:
                begin = time.perf_counter()
                done = subprocess.run([sys.executable, *arguments], capture_output=True, env=environment, cwd=folder)
                seconds = time.perf_counter() - begin
                if done.returncode:
                    raise SystemExit(f"{name} failed:\n{done.stderr.decode()}")
                if number >= 0:
                    times.setdefault(name, []).append(seconds)
    return times


def main(rounds: int = 9) -> None:
    times = measure(rounds)
    base = statistics.median(times[BASE])
    rows = {
        name: {
            "seconds": round(statistics.median(found), 4),
            "least": round(min(found), 4),
            "ratio": round(statistics.median(found) / base, 3),
        }
        for name, found in sorted(times.items())
    }
    width = max(map(len, rows))
    for name, row in rows.items():
        print(f"{name:{width}}  {row['seconds']:7.3f} s  {row['ratio']:6.2f} x")
    RESULTS.parent.mkdir(exist_ok=True)
    machine = {"python": platform.python_version(), "processors": os.cpu_count(), "machine": platform.machine()}
    text = json.dumps({"base": BASE, "rounds": rounds, **machine, "commands": rows}, indent=1)
    RESULTS.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
