"""A scene as one page of PDF with real, selectable text; the same bytes every time.

ISO 32000-1: paths in 8.5, composite fonts with glyph numbers as codes in 9.7, ToUnicode in 9.10.3.
"""

from __future__ import annotations

import zlib

from ebdsl.graph.font import font
from ebdsl.graph.scene import Ellipse, Mark, Path, Scene, Words
from ebdsl.graph.text import runs

NAME = "DejaVuSans"
K = 0.5523  # a quarter of a circle as a cubic Bézier curve


def pdf(scene: Scene) -> bytes:
    """The document. Characters that the font does not have come out as boxes."""
    f = font()
    lines = ["1.3 w", "1 1 1 rg", f"0 0 {scene.width} {scene.height} re f", f"1 0 0 -1 0 {scene.height} cm"]
    lines += [command for g in scene.groups for m in g.marks for command in _draw(m)]
    used = {c for g in scene.groups for m in g.marks if isinstance(m, Words) for c in m.text}
    glyphs = {f.glyphs[ord(c)]: c for c in sorted(used) if ord(c) in f.glyphs}
    widths = " ".join(f"{g} [{1000 * f.advances[g]:.0f}]" for g in sorted(glyphs))
    box = " ".join(f"{1000 * v:.0f}" for v in f.box)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {scene.width} {scene.height}] "
        "/Resources << /Font << /F 5 0 R >> >> /Contents 4 0 R >>".encode(),
        _stream("\n".join(lines).encode()),
        f"<< /Type /Font /Subtype /Type0 /BaseFont /{NAME} /Encoding /Identity-H "
        "/DescendantFonts [6 0 R] /ToUnicode 9 0 R >>".encode(),
        f"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /{NAME} /FontDescriptor 7 0 R /CIDToGIDMap /Identity "
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> "
        f"/DW {1000 * f.advances[0]:.0f} /W [{widths}] >>".encode(),
        f"<< /Type /FontDescriptor /FontName /{NAME} /Flags 4 /FontBBox [{box}] /ItalicAngle 0 /StemV 80 "
        f"/Ascent {1000 * f.ascent:.0f} /Descent {1000 * f.descent:.0f} /CapHeight 729 /FontFile2 8 0 R >>".encode(),
        _stream(f.data, f"/Length1 {len(f.data)}"),
        _stream(_to_unicode(glyphs)),
        f"<< /Title <feff{scene.title.encode('utf-16-be').hex()}> >>".encode(),
    ]
    return _file(objects)


def _file(objects: list[bytes]) -> bytes:
    out = b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n"
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % p for p in places)
    size = len(objects) + 1
    trailer = b"trailer\n<< /Size %d /Root 1 0 R /Info %d 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, size - 1, len(out))
    return out + b"xref\n0 %d\n0000000000 65535 f \n%s%s" % (size, table, trailer)


def _stream(data: bytes, more: str = "") -> bytes:
    packed = zlib.compress(data, 9)
    return b"<< /Filter /FlateDecode /Length %d %s >>\nstream\n%s\nendstream" % (len(packed), more.encode(), packed)


def _draw(mark: Mark) -> list[str]:
    if isinstance(mark, Words):
        return _text(mark)
    if isinstance(mark, Ellipse):
        mark = _as_path(mark)
    commands = [f"[{'4 3' if mark.dashed else ''}] 0 d"]
    if mark.fill:
        commands.append(f"{_rgb(mark.fill)} rg")
    if mark.stroke:
        commands.append(f"{_rgb(mark.stroke)} RG")
    names = {"M": "m", "L": "l", "C": "c", "Z": "h"}
    for letter, *numbers in mark.commands:
        commands.append(" ".join([*(f"{float(v):.2f}" for v in numbers), names[str(letter)]]))
    return [*commands, {(True, True): "B", (True, False): "f", (False, True): "S"}[bool(mark.fill), bool(mark.stroke)]]


def _as_path(e: Ellipse) -> Path:
    x, y, a, b = e.x, e.y, e.rx, e.ry
    quarters = (
        ("C", x + a, y + K * b, x + K * a, y + b, x, y + b),
        ("C", x - K * a, y + b, x - a, y + K * b, x - a, y),
        ("C", x - a, y - K * b, x - K * a, y - b, x, y - b),
        ("C", x + K * a, y - b, x + a, y - K * b, x + a, y),
    )
    return Path((("M", x + a, y), *quarters, ("Z",)), e.fill, e.stroke, e.dashed)


def _text(words: Words) -> list[str]:
    shown = []
    for run in runs(words.text):
        codes = "".join(f"{font().glyphs.get(ord(c), 0):04x}" for c in run.text)
        shown.append(f"/F {run.scale * words.size:g} Tf {run.rise * words.size:.2f} Ts <{codes}> Tj")
    # the page is upside down (y downwards), so the text is turned back
    at = f"BT 1 0 0 -1 {words.x - words.width / 2:.2f} {words.y:.2f} Tm {' '.join(shown)} ET"
    halo = ["[] 0 d 1 1 1 RG 3 w 1 Tr", at, "0 Tr 1.3 w"] if words.halo else []
    return [*halo, f"{_rgb(words.colour)} rg", at]


def _rgb(colour: str) -> str:
    return " ".join(f"{int(colour[i : i + 2], 16) / 255:.3f}" for i in (1, 3, 5))


def _to_unicode(glyphs: dict[int, str]) -> bytes:
    pairs = [f"<{g:04x}> <{c.encode('utf-16-be').hex()}>" for g, c in sorted(glyphs.items())]
    blocks = [pairs[i : i + 100] for i in range(0, len(pairs), 100)]
    body = "".join(f"{len(b)} beginbfchar\n" + "\n".join(b) + "\nendbfchar\n" for b in blocks)
    return (
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n/CMapName /ToUnicode def\n/CMapType 2 def\n"
        f"1 begincodespacerange\n<0000> <ffff>\nendcodespacerange\n{body}endcmap\nend\nend"
    ).encode()
