"""Values of samples: finite, and inside the symbol's domain."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from ebdsl.diagnostics import Diagnostic, Label
from ebdsl.model.domains import DomainKind
from ebdsl.model.ir import Symbol
from ebdsl.model.model import Model
from ebdsl.run.data.core import Arrays
from ebdsl.run.mapped import release

CHUNK = 1 << 22
"""Entries that are looked at at a time."""
LARGEST = float(np.finfo(np.float32).max)
MOST = 1 << 29
"""Entries of a memory-mapped file that are looked at; of a larger one, evenly spaced blocks."""


def chunks(x: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks of rows with their first row: all of them, or of a very large file, evenly spaced ones."""
    per = max(1, CHUNK // max(1, prod(x.shape[1:])))
    starts = np.arange(0, len(x), per)
    if isinstance(x, np.memmap) and x.size > MOST:
        starts = starts[np.unique(np.linspace(0, len(starts) - 1, MOST // CHUNK).astype(int))]
    for s in starts:
        yield int(s), x[s : s + per]
        release(x)


def not_finite(symbol: Symbol, x: np.ndarray, place: tuple[Label, ...]) -> list[Diagnostic]:
    """EB0605 with the first entry that is NaN or infinite, if one is; and so what float32 cannot hold."""
    if x.dtype.kind in "biu":
        return []
    rows: list[int] = []
    first = None
    largest = min(LARGEST, float(np.finfo(x.dtype).max))
    for start, block in chunks(x):
        with np.errstate(invalid="ignore"):
            bad = ~(np.abs(block) <= largest)
        if bad.any():
            if first is None:
                at = np.argwhere(bad)[0]
                first = (start + int(at[0]), tuple(int(i) for i in at[1:]), block[tuple(at)])
            rows += [start + int(r) for r in np.flatnonzero(bad.reshape(len(block), -1).any(axis=1))]
    if first is None:
        return []
    row, entry, value = first
    also = f", and so are entries of {len(rows) - 1} more sample{'s' * (len(rows) > 2)}" if len(rows) > 1 else ""
    message = f"{symbol.name}: sample {row}{_entry(entry)} is {_word(value)}{also}"
    labels = place or ((Label(symbol.span),) if symbol.span else ())
    return [Diagnostic("EB0605", message, labels, ("samples are counted from 0; drop these, or fill them in",))]


def _word(value: float) -> str:
    return "NaN" if np.isnan(value) else "infinite" if np.isinf(value) else f"{value:.3g}, too large to compute with"


def _entry(entry: tuple[int, ...]) -> str:
    if not entry:
        return ""
    return f", entry {entry[0] if len(entry) == 1 else entry},"


_ADVICE = {
    "binary": "threshold = 0.5  makes grey values 0 or 1",
    "spin": "threshold = 0.5  and  {0,1}  instead of  {-1,1}",
    "box": "scale = unit  brings the values into [0, 1]",
    "nonnegative": "scale = unit  brings the values into [0, 1]",
    "positive": "leave out  > 0, or shift the data",
    "simplex": "divide each sample by its sum",
    "sphere": "divide each sample by its norm",
    "ball": "divide the samples by the largest norm",
}


def outside(arrays: Arrays, model: Model, place: tuple[Label, ...]) -> tuple[Diagnostic, ...]:
    """EB0608 for each symbol that has a sample outside its domain."""
    found = []
    for name, x in arrays.items():
        symbol = model.symbol(name)
        bad = _first_outside(symbol, x)
        if bad is None:
            continue
        row, shown = bad
        help_ = [
            f"declare  {name} : R[{', '.join(map(str, symbol.shape))}]" if symbol.shape else f"declare  {name} : R"
        ]
        if symbol.domain.kind in _ADVICE:
            help_.insert(0, _ADVICE[symbol.domain.kind])
        labels = (*((Label(symbol.span, str(symbol.domain)),) if symbol.span else ()), *place)
        message = (
            f"{name} lies in {symbol.domain.row.spellings[0]}: {symbol.domain.row.doc}; sample {row} of the data "
            f"{shown}"
        )
        found.append(Diagnostic("EB0608", message, labels, tuple(help_)))
    return tuple(found)


def _first_outside(symbol: Symbol, x: np.ndarray) -> tuple[int, str] | None:
    row = symbol.domain.row
    if row.contains is None or symbol.domain.kind == "real":
        return None
    args, tolerance = symbol.domain.args, 1e-4 if row.whole else 1e-6
    for start, block in chunks(x):
        wide = np.asarray(block, np.float64)
        if row.contains(wide, args, tolerance):
            continue
        low, high = 0, len(wide)  # the first bad sample lies in [low, high)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if row.contains(wide[low:middle], args, tolerance) else (low, middle)
        return start + low, _shown(wide[low], row, args, tolerance)
    return None


def _shown(sample: np.ndarray, row: DomainKind, args: tuple[float, ...], tolerance: float) -> str:
    if not row.whole and row.contains is not None:
        for i, value in np.ndenumerate(sample):
            if not row.contains(np.array([value]), args, tolerance):
                return f"has {value:.6g}" + (f" at entry {i[0] if len(i) == 1 else i}" if i else "")
    flat = sample.ravel()
    return (
        "is ("
        + ", ".join(f"{v:.3g}" for v in flat[:4])
        + (", …)" if flat.size > 4 else ")")
        + (f", sum {flat.sum():.4g}, norm {np.linalg.norm(flat):.4g}")
    )
