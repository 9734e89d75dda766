"""The one typeface of our pictures, carried along: how wide a text is does not depend on the machine.

``fonts/DejaVuSans.ttf`` is DejaVu Sans 2.37 cut down to Latin, Greek, Cyrillic and mathematics. Of
the TrueType format (Apple, "TrueType Reference Manual") only the tables ``head``, ``hhea``,
``hmtx`` and ``cmap`` are read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PATH = Path(__file__).parent / "fonts" / "DejaVuSans.ttf"
FAMILY = "DejaVu Sans"
WIDE = 1.0  # of a glyph that the font does not have, in em: a box, or an ideograph of a fallback font


@dataclass(frozen=True)
class Font:
    """``glyphs`` maps a code point to a glyph's number, ``advances`` a glyph to its width in em."""

    data: bytes
    glyphs: dict[int, int]
    advances: tuple[float, ...]
    ascent: float
    descent: float
    box: tuple[float, float, float, float]

    def width(self, text: str, size: float) -> float:
        """Width of a line of text in the unit of ``size``."""
        return size * sum(self.advances[self.glyphs[ord(c)]] if ord(c) in self.glyphs else WIDE for c in text)

    def missing(self, text: str) -> str:
        """The characters that the font cannot show, each once, in order."""
        return "".join(dict.fromkeys(c for c in text if ord(c) not in self.glyphs))


@cache
def font() -> Font:
    data = PATH.read_bytes()
    count = struct.unpack_from(">H", data, 4)[0]
    table = {tag: at for tag, _, at, _ in (struct.unpack_from(">4sLLL", data, 12 + 16 * i) for i in range(count))}
    em = struct.unpack_from(">H", data, table[b"head"] + 18)[0]
    box = struct.unpack_from(">4h", data, table[b"head"] + 36)
    ascent, descent = struct.unpack_from(">2h", data, table[b"hhea"] + 4)
    metrics = struct.unpack_from(">H", data, table[b"hhea"] + 34)[0]
    glyphs = _code_points(data, table[b"cmap"])
    widths = [w / em for w, _ in struct.iter_unpack(">Hh", data[table[b"hmtx"] :][: 4 * metrics])]
    widths += [widths[-1]] * (1 + max(glyphs.values()) - metrics)
    left, bottom, right, top = (v / em for v in box)
    return Font(data, glyphs, tuple(widths), ascent / em, descent / em, (left, bottom, right, top))


def _code_points(data: bytes, cmap: int) -> dict[int, int]:
    """The table of format 4: segments of the basic plane, each a shift or a slice of an array."""
    count = struct.unpack_from(">H", data, cmap + 2)[0]
    tables = (cmap + struct.unpack_from(">HHL", data, cmap + 4 + 8 * i)[2] for i in range(count))
    at = next(t for t in tables if struct.unpack_from(">H", data, t)[0] == 4)
    n = struct.unpack_from(">H", data, at + 6)[0] // 2
    ends = struct.unpack_from(f">{n}H", data, at + 14)
    starts = struct.unpack_from(f">{n}H", data, at + 16 + 2 * n)
    shifts = struct.unpack_from(f">{n}H", data, at + 16 + 4 * n)
    slices = at + 16 + 6 * n
    glyphs: dict[int, int] = {}
    for i, (start, end, shift) in enumerate(zip(starts, ends, shifts, strict=True)):
        offset = struct.unpack_from(">H", data, slices + 2 * i)[0]
        for code in range(start, min(end, 0xFFFE) + 1):
            glyph = code
            if offset:
                glyph = struct.unpack_from(">H", data, slices + 2 * i + offset + 2 * (code - start))[0]
            if glyph and (glyph + shift) % 65536:
                glyphs[code] = (glyph + shift) % 65536
    return glyphs
