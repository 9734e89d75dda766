"""Memory-mapped files: what has been read of one is given back."""

from __future__ import annotations

import mmap

import numpy as np

KEPT = 1 << 29
"""Bytes of a memory-mapped file up to which its samples are kept in memory."""


def release(array: np.ndarray) -> None:
    """Give the pages of a large memory-mapped file back: they count as this process's memory once they were read."""
    mapping = getattr(array, "_mmap", None)
    if mapping is not None and len(mapping) > KEPT and not array.flags.writeable and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)
