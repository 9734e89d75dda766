"""Check, plan and emit against the number of terms: the time of a term should not grow with their number."""

from __future__ import annotations

import math
import time
from typing import Any

from bench.rounds import Row
from ebdsl import driver
from ebdsl.diagnostics import Source


def spec(terms: int) -> Source:
    """A spec with that many terms over seven dictionaries."""
    distances = [f"{1 + i / 10:g} ||y - W{i % 7} z||^2 + {1 + i:g}|z|" for i in range(terms // 2)]
    params = "".join(f"param W{k} : R[M, N], unit columns\n" for k in range(7))
    head = f"model many\ndim M = 8, N = 6\nobserved y : R[M]\nlatent z : R[N]\n{params}"
    return Source("many.ebm", f"{head}E(y, z) = {' + '.join(distances)}\nF(y) = min_z E(y, z)\n")


def seconds(terms: int) -> float:
    """Processor time of one compilation."""
    source = spec(terms)
    begin = time.process_time()
    assert driver.compile_source(source).value is not None
    return time.process_time() - begin


def run(quick: bool, threads: int) -> tuple[list[Row], dict[str, Any]]:
    """Rows compare the time of a term with that at the smallest number; the exponent is fitted to all."""
    counts = (10, 30, 100) if quick else (10, 30, 100, 300, 1000)
    rounds = 1 if quick else 3
    seconds(counts[0])  # imports and tables
    times = {n: tuple(seconds(n) / n for _ in range(rounds)) for n in counts}
    base = times[counts[0]]
    whole = [(math.log(n), math.log(min(t) * n)) for n, t in times.items()]
    x, y = (sum(p[k] for p in whole) / len(whole) for k in (0, 1))
    exponent = sum((a - x) * (b - y) for a, b in whole) / sum((a - x) ** 2 for a, _ in whole)
    rows = [Row(f"a term of {n}", t, base, f"a term of {counts[0]}") for n, t in times.items() if n != counts[0]]
    return rows, {"exponent": round(exponent, 3)}
