"""Tables: CSV, TSV and Parquet, with their columns matched to symbols by name where the names agree."""

from __future__ import annotations

import csv as _csv
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from ebdsl.run.data.bind import columns_of
from ebdsl.run.data.core import Arrays, Raw, Request, Trouble
from ebdsl.run.data.files import MOST_BYTES, _raw, _whole

LABELS = ("label", "labels", "class", "target")
MOST_CELL = 1 << 20


def csv(path: Path, request: Request) -> Raw:
    """A table of text. A first line without a number in it is a header. Cells are counted from line 1, column 1."""
    if path.stat().st_size > MOST_BYTES:
        raise Trouble(
            "EB0611",
            f"{path.name} has {path.stat().st_size >> 20} MiB of text",
            "save it as .npy, which is memory-mapped",
        )
    first = _first(path)
    mark = _mark(path, first)
    head = next(_csv.reader([first], delimiter=mark))
    header = _is_header(head, request, path)
    columns = tuple(c.strip() for c in head) if header else ()
    picked, label = _pick(columns, len(head), request)
    used = sorted({i for indices in picked.values() for i in indices} | ({label} if label is not None else set()))
    table = _numbers(path, mark, header, used) if label is None or _all_numbers(path, mark, header, [label]) else None
    if table is not None:
        place = {c: i for i, c in enumerate(used)}
        parts = {name: table[:, [place[i] for i in indices]] for name, indices in picked.items()}
        labels = table[:, place[label]] if label is not None else None
    else:
        assert label is not None
        body = [i for i in used if i != label]
        table = _numbers(path, mark, header, body)
        place = {c: i for i, c in enumerate(body)}
        parts = {name: table[:, [place[i] for i in indices]] for name, indices in picked.items()}
        labels = np.array([row[label].strip() for _, row in _rows(path, mark, header)])
    if not len(table):
        raise Trouble("EB0607", f"{path.name} has no samples" + (" below its header" if header else ""))
    return _table(path, parts, columns, picked, label, labels, request, len(head))


def _table(
    path: Path,
    parts: Arrays,
    columns: Sequence[str],
    picked: dict[str, list[int]],
    label: int | None,
    labels: np.ndarray | None,
    request: Request,
    width: int,
) -> Raw:
    n = len(next(iter(parts.values())))
    raw = _raw(parts, f"{path.name}, {n} x {width}", request, _whole(labels) if labels is not None else None)
    said = []
    if label is not None:
        said.append(f"column {columns[label]} taken for labels")
    left = [
        columns[i] or "without a name"
        for i in range(len(columns))
        if i != label and not any(i in p for p in picked.values())
    ]
    if left:
        said.append(f"columns {', '.join(left[:8])}{', …' if len(left) > 8 else ''} not used")
    return Raw(raw.parts, raw.what, tuple(said), raw.pictures, raw.labels)


def _pick(columns: Sequence[str], width: int, request: Request) -> tuple[dict[str, list[int]], int | None]:
    """Columns for each symbol, all in one part where names do not decide; and the column of labels."""
    wanted = request["labels"]
    if wanted is not None:
        if wanted not in columns:
            from ebdsl.run.data.options import close

            known = close(wanted, columns) if columns else "the table has no header"
            raise Trouble("EB0603", f"there is no column {wanted} for the labels", known)
        label: int | None = columns.index(wanted)
    else:
        label = next((columns.index(c) for c in LABELS if c in columns and c not in request.wanted), None)
        if width < 2:
            label = None
    found = {name: columns_of(name, columns) for name in request.wanted}
    if all(found.values()) and len({i for f in found.values() for i in f}) == sum(map(len, found.values())):
        return found, label
    index = bool(columns) and (not columns[0] or columns[0].startswith("__index_level_"))  # it numbers the lines
    part = "y" if len(request.wanted) != 1 else next(iter(request.wanted))
    return {part: [i for i in range(int(index), width) if i != label]}, label


def _first(path: Path) -> str:
    with _open(path) as text:
        for line in itertools.islice(text, 10_000):
            if "\0" in line:
                raise Trouble("EB0604", f"{path.name} is not text", "give it the ending that fits its kind")
            if line.strip():
                if len(line) > 64 * MOST_CELL:
                    raise Trouble(
                        "EB0604", f"the first line of {path.name} has {len(line)} characters", "is it a table?"
                    )
                return line
    raise Trouble("EB0607", f"{path.name} has no samples")


def _open(path: Path) -> IO[str]:
    return path.open(encoding="utf-8-sig", newline="")


def _mark(path: Path, first: str) -> str:
    if path.suffix.lower() == ".tsv":
        return "\t"
    return max(",;\t", key=first.count) if any(m in first for m in ",;\t") else ","


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _is_header(head: list[str], request: Request, path: Path) -> bool:
    if request["header"] is not None:
        return bool(request["header"])
    numbers = [_is_number(c) for c in head]
    if any(numbers) and not all(numbers):
        bad = numbers.index(False)
        raise Trouble(
            "EB0606",
            f"{path.name}, line 1, column {bad + 1}: {_cell(head[bad])} is not a number, and others in the line are",
            "if the line holds names, add  header = true",
        )
    return not any(numbers)


def _cell(text: str) -> str:
    text = text.strip()
    return "an empty cell" if not text else repr(text if len(text) < 40 else text[:37] + "…")


def _numbers(path: Path, mark: str, header: bool, used: list[int]) -> np.ndarray:
    """The columns ``used`` as ``(n, len(used))`` float64; the quick reader, and the careful one where that fails."""
    try:
        with _open(path) as text:
            if header:
                for line in text:
                    if line.strip():
                        break
            rest = text.read(1)
            if not rest.strip() and not text.read(1):
                return np.empty((0, len(used)))
        return _quick(path, mark, header, used)
    except (ValueError, IndexError, OverflowError):
        return _careful(path, mark, header, used)


def _quick(path: Path, mark: str, header: bool, used: list[int]) -> np.ndarray:
    width = None
    with _open(path) as text:
        if header:
            for line in text:
                if line.strip():
                    width = len(next(_csv.reader([line], delimiter=mark)))
                    break
        table = np.loadtxt(text, delimiter=mark, comments=None, ndmin=2, quotechar='"')
    if width is not None and table.shape[1] != width:
        raise ValueError("another number of columns than the header")
    return table[:, used]


def _rows(path: Path, mark: str, header: bool) -> Iterator[tuple[int, list[str]]]:
    """Lines with their number, blank ones and the header left out."""
    with _open(path) as text:
        reader = _csv.reader(text, delimiter=mark)
        try:
            for row in reader:
                if not row or (len(row) == 1 and not row[0].strip()):
                    continue
                if header:
                    header = False
                    continue
                yield reader.line_num, row
        except _csv.Error as why:
            reason = (
                "a cell never ends (a quotation mark is not closed?)" if "field" in str(why) else "it is not a table"
            )
            raise Trouble("EB0604", f"{path.name}, line {reader.line_num}: {reason}") from None


def _careful(path: Path, mark: str, header: bool, used: list[int]) -> np.ndarray:
    out: list[list[float]] = []
    width = len(next(_csv.reader([_first(path)], delimiter=mark)))
    for line, row in _rows(path, mark, header):
        if len(row) != width:
            raise Trouble(
                "EB0604",
                f"{path.name}, line {line} has {len(row)} columns, the first line {width}",
                "every line must have as many cells",
            )
        try:
            out.append([float(row[i]) for i in used])
        except ValueError:
            bad = next(i for i in used if not _is_number(row[i]))
            raise Trouble(
                "EB0606",
                f"{path.name}, line {line}, column {bad + 1}: {_cell(row[bad])} is not a number",
                "fill in or drop the line; a column of names can be left out by naming the others like the observed "
                "symbols",
            ) from None
    return np.array(out, dtype=np.float64).reshape(len(out), len(used))


def _all_numbers(path: Path, mark: str, header: bool, used: list[int]) -> bool:
    return all(
        len(row) > max(used) and _is_number(row[used[0]]) for _, row in itertools.islice(_rows(path, mark, header), 1)
    )


def parquet(path: Path, request: Request) -> Raw:
    """Columns of numbers; a column of lists of one length is a symbol's whole samples."""
    columns = _parquet_columns(path)
    names = tuple(columns)
    picked, label = _pick(names, len(names), request)
    parts = {}
    for symbol, indices in picked.items():
        arrays = [_column(columns[names[i]], names[i], path) for i in indices]
        if not arrays:
            raise Trouble("EB0607", f"{path.name} has no columns for {symbol}")
        wide = len(arrays) == 1 and arrays[0].ndim > 1
        parts[symbol] = arrays[0] if wide else np.concatenate([a.reshape(len(a), -1) for a in arrays], axis=1)
    if not len(next(iter(parts.values()))):
        raise Trouble("EB0607", f"{path.name} has no samples")
    labels = np.asarray(columns[names[label]]) if label is not None else None
    if labels is not None and labels.dtype == object:
        labels = labels.astype(str)
    return _table(path, parts, names, picked, label, labels, request, len(names))


def _parquet_columns(path: Path) -> dict[str, np.ndarray]:
    try:
        import pyarrow
        from pyarrow import parquet as pq
    except ImportError:
        return _pandas_columns(path)
    try:
        with pq.ParquetFile(path) as file:
            rows, width = file.metadata.num_rows, len(file.schema_arrow)
            if rows * width * 8 > MOST_BYTES:
                raise Trouble(
                    "EB0611", f"{path.name} announces {rows} x {width} cells", "save it as .npy, which is memory-mapped"
                )
            table = file.read()
    except (pyarrow.ArrowException, OSError, ValueError):
        raise Trouble("EB0604", f"{path.name} is cut short or is not Parquet", "write it again") from None
    return {name: table.column(name).to_numpy() for name in dict.fromkeys(table.column_names)}


def _pandas_columns(path: Path) -> dict[str, np.ndarray]:
    missing = Trouble(
        "EB0610", f"reading {path.name} needs pyarrow", 'pip install "ebdsl[data]", or save the table as .csv or .npy'
    )
    try:
        import pandas
    except ImportError:
        raise missing from None
    try:
        frame = pandas.read_parquet(path)
    except ImportError:
        raise missing from None
    except Exception:
        raise Trouble("EB0604", f"{path.name} is cut short or is not Parquet", "write it again") from None
    return {str(name): frame[name].to_numpy() for name in frame.columns}


def _column(x: np.ndarray, name: str, path: Path) -> np.ndarray:
    if x.dtype == object and len(x) and all(isinstance(v, np.ndarray | list | tuple) for v in x):
        lengths = {len(v) for v in x}
        if len(lengths) > 1:
            raise Trouble(
                "EB0604",
                f"{path.name}: the lists of column {name} have {min(lengths)} to {max(lengths)} numbers",
                "they must have one length",
            )
        x = np.array([np.asarray(v) for v in x])
    if x.dtype == object and all(v is None or isinstance(v, int | float | bool | np.number) for v in x):
        x = x.astype(np.float64)
    if x.dtype.kind not in "biuf":
        row = next((i for i, v in enumerate(x) if not isinstance(v, int | float | np.number)), 0)
        raise Trouble(
            "EB0606",
            f"{path.name}, column {name}, row {row}: {_cell(str(x[row])) if len(x) else 'its type'} is not a number",
            "name the columns like the observed symbols to leave this one out",
        )
    return x
