"""Samples in the order of the seed: any step of a run can be repeated, given only its number."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ebdsl.run.mapped import KEPT, taken

PIECE = 1 << 25
"""Bytes of samples that are read at a time where all of them are wanted."""

_GOLDEN, _MASK = 0x9E3779B97F4A7C15, 2**63 - 1
_HELD_OUT = 0xEB  # mixed in where the held-out samples are drawn, so that they are no epoch's order


def permutation(n: int, seed: int, epoch: int) -> Tensor:
    """The order of ``n`` samples in an epoch: a function of (seed, epoch) alone. Shape (n,), int64."""
    generator = torch.Generator().manual_seed(((seed + 1) * _GOLDEN + epoch * 0xBF58476D1CE4E5B9) & _MASK)
    return torch.randperm(n, generator=generator)


def split(n: int, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Rows to train on and rows held out, both ascending; ``share`` of ``n`` are held out (at least one, if any)."""
    if share == 0:
        return torch.arange(n), torch.arange(0)
    held = max(1, round(share * n))
    order = permutation(n, seed ^ _HELD_OUT, -1)
    return order[held:].sort().values, order[:held].sort().values


@dataclass(frozen=True)
class Batches:
    """Observed variables of ``len(rows)`` samples: on the device where they fit, else read as they are asked for.

    ``tensors`` (n, *shape) are set in the first case, ``arrays`` (memory-mapped, say) in the second.
    """

    rows: Tensor
    device: torch.device
    dtype: torch.dtype
    arrays: Mapping[str, np.ndarray]
    tensors: Mapping[str, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: Tensor) -> dict[str, Tensor]:
        """The samples ``index`` (positions in ``rows``), as (len(index), *shape)."""
        if self.tensors is not None:
            index = index.to(self.device)
            return {name: tensor.index_select(0, index) for name, tensor in self.tensors.items()}
        return read(self.arrays, self.rows[index].numpy(), self.device, self.dtype)

    def slices(self, size: int) -> Iterator[dict[str, Tensor]]:
        """All samples in order, ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self.take(torch.arange(start, min(start + size, len(self))))

    def pieces(self) -> Iterator[dict[str, Tensor]]:
        """All samples in order, as many at a time as take ``PIECE`` bytes."""
        width = sum(int(np.prod(a.shape[1:], dtype=np.int64)) for a in self.arrays.values())
        return self.slices(max(1, PIECE // (max(1, width) * torch.finfo(self.dtype).bits // 8)))

    def all(self) -> dict[str, Tensor]:
        """Every sample at once."""
        return dict(self.tensors) if self.tensors is not None else self.take(torch.arange(len(self)))


def batches(arrays: Mapping[str, np.ndarray], rows: Tensor, device: torch.device, dtype: torch.dtype) -> Batches:
    """Move the samples to the device if they take less than a quarter of its free memory.

    Of a memory-mapped file no more than ``KEPT`` bytes are kept in a processor's memory.
    """
    width = torch.finfo(dtype).bits // 8
    needed = sum(len(rows) * int(np.prod(a.shape[1:], dtype=np.int64)) * width for a in arrays.values())
    mapped = device.type == "cpu" and any(isinstance(a, np.memmap) for a in arrays.values())
    if needed > free_memory(device) // 4 or (mapped and needed > KEPT):
        return Batches(rows, device, dtype, arrays)
    return Batches(rows, device, dtype, arrays, read(arrays, rows.numpy(), device, dtype))


def read(
    arrays: Mapping[str, np.ndarray], rows: np.ndarray, device: torch.device, dtype: torch.dtype
) -> dict[str, Tensor]:
    """Copy rows out of (memory-mapped) arrays. They are read in the order of the file, then put in that of ``rows``."""
    order = np.argsort(rows, kind="stable")
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    ascending = rows[order]
    in_order = bool((back == np.arange(len(back))).all())
    result = {}
    for name, array in arrays.items():
        values = taken(array, ascending)
        values = np.ascontiguousarray(values if in_order else values[back])
        result[name] = torch.from_numpy(native(values)).to(device=device, dtype=dtype)
    return result


def native(values: np.ndarray) -> np.ndarray:
    """In the byte order and one of the types that torch takes."""
    if values.dtype.kind == "u" and values.dtype.itemsize > 1:
        values = values.astype(np.int64)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def free_memory(device: torch.device) -> int:
    """Bytes that are free on the device; 8 GiB where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 8 * 2**30


def fingerprint(arrays: Mapping[str, np.ndarray]) -> dict[str, list]:
    """Shape, type and a checksum of up to 256 rows, evenly spaced, of each array: tells changed data from the same."""
    result = {}
    for name, array in arrays.items():
        rows = np.unique(np.linspace(0, len(array) - 1, min(len(array), 256)).astype(np.int64))
        checksum = zlib.crc32(np.ascontiguousarray(taken(array, rows)).tobytes())
        result[name] = [list(array.shape), array.dtype.str, checksum]
    return result
