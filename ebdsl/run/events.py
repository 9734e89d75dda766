"""TensorBoard's event files, written here: a file that grows, with no thread behind it and no package to install.

A file is a sequence of records: the length (8 bytes, little endian), its masked CRC-32C, the data, its masked
CRC-32C. The data is a protocol buffer ``Event`` (tensorflow/core/util/event.proto) of which five fields
are used: 1 wall_time, 2 step, 3 file_version, 5 summary, 7 session_log.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from ebdsl.run.files import make_folder, unwritable
from ebdsl.run.health import Record


class Events(AbstractContextManager):
    """Curves for TensorBoard: a listener. At most one point of each at a time that metrics come over.

    ``step`` is where a run is taken up: TensorBoard forgets what an earlier file says of later steps.
    Raises :class:`~ebdsl.diagnostics.SpecError` (EB0807, EB0808), as its methods do.
    """

    def __init__(self, folder: Path, step: int) -> None:
        make_folder(folder)
        self._path = folder / f"events.out.tfevents.{time.time_ns()}.{os.getpid()}"
        try:
            self._file = self._path.open("xb")
        except OSError as error:
            raise unwritable(error, self._path) from None
        self._write(field(3, b"brain.Event:2"))
        if step:
            self._write(integer(2, step + 1) + field(7, integer(1, 1)))  # session_log { status: START }

    def steps(self, records: list[Record]) -> None:
        last = records[-1]
        self._write(*(scalar(tag(name), value, last.step) for name, value in last.values.items()))

    def held_out(self, step: int, epoch: int, energy: float) -> None:
        self._write(scalar("energy, held out", energy, step))

    def measured(self, step: int, epoch: int, contrast: Mapping[str, float]) -> None:
        self._write(*(scalar(tag(name), value, step) for name, value in contrast.items()))

    def _write(self, *events: bytes) -> None:
        now = struct.pack("<Bd", 1 << 3 | 1, time.time())
        try:
            self._file.write(b"".join(record(now + event) for event in events))
            self._file.flush()
        except OSError as error:
            raise unwritable(error, self._path) from None

    def __exit__(self, kind: Any, value: Any, at: Any) -> None:
        with suppress(OSError):  # what is pending was refused before, and that has been told
            self._file.close()


def tag(name: str) -> str:
    """A metric's name with no slash but the one that groups curves."""
    head, slash, rest = name.partition("/")
    return head + slash + rest.replace("/", "∕")


def scalar(name: str, value: float, step: int) -> bytes:
    """The fields of an event: a summary with one value."""
    try:
        number = struct.pack("<Bf", 2 << 3 | 5, value)
    except OverflowError:
        number = struct.pack("<Bf", 2 << 3 | 5, float("inf") if value > 0 else float("-inf"))
    return integer(2, step) + field(5, field(1, field(1, name.encode()) + number))


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def integer(key: int, number: int) -> bytes:
    return varint(key << 3) + varint(number)


def field(key: int, data: bytes) -> bytes:
    return varint(key << 3 | 2) + varint(len(data)) + data


def record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked(length)) + data + struct.pack("<I", masked(data))


def _table() -> tuple[int, ...]:
    """Remainders of the Castagnoli polynomial, reflected: 0x82F63B78."""
    rows = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        rows.append(value)
    return tuple(rows)


TABLE = _table()


def crc32c(data: bytes) -> int:
    """CRC-32C (RFC 3720, appendix B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> int:
    """As records hold it: rotated right by 15 bits, plus a constant."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
