"""Memory-mapped files: what has been read of one is given back."""

from __future__ import annotations

import mmap

import numpy as np

KEPT = 1 << 29
"""Bytes of a memory-mapped file up to which its samples are kept in memory."""

ROWS = 128
"""Rows that are read of one at a time: each brings up to some megabytes around it with it."""


def taken(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The rows, in ascending order, copied."""
    if not large(array):
        return array[rows]
    if len(rows) and rows[-1] - rows[0] == len(rows) - 1:
        found = np.array(array[rows[0] : rows[-1] + 1])
        release(array)
        return found
    found = np.empty((len(rows), *array.shape[1:]), array.dtype)
    for start in range(0, len(rows), ROWS):
        found[start : start + ROWS] = array[rows[start : start + ROWS]]
        release(array)
    return found


def large(array: np.ndarray) -> bool:
    """Whether this is a memory-mapped file of more than ``KEPT`` bytes."""
    mapping = getattr(array, "_mmap", None)
    return mapping is not None and len(mapping) > KEPT


def release(array: np.ndarray) -> None:
    """Give the pages of a large memory-mapped file back: they count as this process's memory once they were read."""
    if large(array) and not array.flags.writeable and hasattr(mmap, "MADV_DONTNEED"):
        array._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]
