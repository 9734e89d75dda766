"""A figure with places, as what a pen does: ellipses, paths and lines of text. Both SVG and PDF are written from it.

Units are pt, y grows downwards, and everything lies in ``0 … width × 0 … height``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ebdsl.graph.dot import FILL, INK, LINK
from ebdsl.graph.figure import CAPTION, LEADING, SMALL, Figure, Shape
from ebdsl.graph.font import font
from ebdsl.graph.layout import Layout, Point, Route
from ebdsl.graph.text import width

MARGIN = 14.0
TEXT = "#16181b"
NOTE = "#4a4f57"


@dataclass(frozen=True)
class Ellipse:
    x: float
    y: float
    rx: float
    ry: float
    fill: str | None
    stroke: str
    dashed: bool = False


@dataclass(frozen=True)
class Path:
    """``commands``: ``("M", x, y)``, ``("L", x, y)``, ``("C", x1, y1, x2, y2, x, y)`` and ``("Z",)``."""

    commands: tuple[tuple[str | float, ...], ...]
    fill: str | None
    stroke: str | None
    dashed: bool = False


@dataclass(frozen=True)
class Words:
    """A line of text centred at ``x`` with its baseline at ``y``; ``halo``: kept clear of lines behind it."""

    text: str
    x: float
    y: float
    size: float
    colour: str
    halo: bool = False

    @property
    def width(self) -> float:
        return width(self.text, self.size)


Mark = Ellipse | Path | Words


@dataclass(frozen=True)
class Group:
    """Marks that belong together; ``kind`` is a style or ``link``, ``title`` what they are in words."""

    kind: str
    title: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Scene:
    title: str
    description: str
    width: int
    height: int
    groups: tuple[Group, ...]


def scene(figure: Figure, layout: Layout) -> Scene:
    """Links first, so that shapes lie over them."""
    titles = {s.name: s.title for s in figure.shapes}
    groups = [
        Group("link", f"{titles[k.tail]} → {titles[k.head]}", _link(route, k.style, k.label))
        for k, route in zip(figure.links, layout.routes, strict=True)
    ]
    groups += [Group(s.style, s.title, _shape(s, layout.centres[s.name])) for s in figure.shapes]
    if layout.caption and figure.caption:
        groups.append(Group("caption", "", (_words(figure.caption, layout.caption, CAPTION, NOTE),)))
    # turn y downwards and move everything into the page
    boxes = [_box(m) for g in groups for m in g.marks] or [(0.0, 0.0, 0.0, 0.0)]
    left, top = min(b[0] for b in boxes) - MARGIN, min(b[1] for b in boxes) - MARGIN
    right, bottom = max(b[2] for b in boxes) + MARGIN, max(b[3] for b in boxes) + MARGIN
    moved = tuple(replace(g, marks=tuple(_move(m, -left, -top) for m in g.marks)) for g in groups)
    # whole numbers, so that no row of pixels is half on the page
    return Scene(figure.name, figure.caption, math.ceil(right - left), math.ceil(bottom - top), moved)


# --------------------------------------------------------------------------- parts; y grows downwards from here on


def _shape(shape: Shape, centre: Point) -> tuple[Mark, ...]:
    x, y = centre[0], -centre[1]
    w, h = shape.width / 2, shape.height / 2
    fill, ink = FILL[shape.style], INK[shape.style]
    if shape.style == "energy":
        outline: list[Mark] = [_polygon(((x - w, y - h), (x + w, y - h), (x + w, y + h), (x - w, y + h)), fill, ink)]
    elif shape.style == "function":
        outline = [_half_round(x, y, w, h, fill, ink)]
        y += 3  # the round end needs more air than the flat one
    else:
        outline = [Ellipse(x, y, w, h, fill, ink, shape.style == "noise")]
        if shape.ring:  # Graphviz's second outline lies 4 pt outside of the first
            outline.append(Ellipse(x, y, w + 4, h + 4, None, ink))
    total = LEADING * sum(line.size for line in shape.lines)
    top = y - total / 2
    for line in shape.lines:
        middle = top + LEADING * line.size / 2
        colour = NOTE if line.size == SMALL else TEXT
        outline.append(_words(line.text, (x, -middle), line.size, colour))
        top += LEADING * line.size
    return tuple(outline)


def _words(text: str, centre: Point, size: float, colour: str, halo: bool = False) -> Words:
    # half the height of a capital (0.73 em in DejaVu Sans) puts letters in the middle
    return Words(text, centre[0], -centre[1] + 0.36 * size, size, colour, halo)


def _link(route: Route, style: str, label: str) -> tuple[Mark, ...]:
    points = [(x, -y) for x, y in route.points]
    commands: list[tuple[str | float, ...]] = [("M", *points[0])]
    commands += [("C", *points[i], *points[i + 1], *points[i + 2]) for i in range(1, len(points) - 2, 3)]
    marks: list[Mark] = [Path(tuple(commands), None, LINK, style == "dashed")]
    if route.tip and style != "line":
        marks.append(_arrow(points[-1], (route.tip[0], -route.tip[1])))
    if route.label and label:
        marks.append(_words(label, route.label, SMALL, NOTE, halo=True))
    return tuple(marks)


def _arrow(base: Point, tip: Point) -> Path:
    dx, dy = tip[0] - base[0], tip[1] - base[1]
    length = math.hypot(dx, dy) or 1.0
    nx, ny = -dy / length * 3.4, dx / length * 3.4
    return _polygon((tip, (base[0] + nx, base[1] + ny), (base[0] - nx, base[1] - ny)), LINK, None)


def _polygon(points: tuple[Point, ...], fill: str | None, stroke: str | None) -> Path:
    first, *rest = points
    return Path((("M", *first), *(("L", *p) for p in rest), ("Z",)), fill, stroke)


def _half_round(x: float, y: float, w: float, h: float, fill: str, stroke: str) -> Path:
    """Flat where values go in, round where they come out."""
    bend = min(1.1 * h, w)  # height of the round end
    shoulder, k = y - h + bend, 0.5523  # k: a quarter of a circle as a cubic
    return Path(
        (
            ("M", x - w, y + h),
            ("L", x - w, shoulder),
            ("C", x - w, shoulder - k * bend, x - k * w, y - h, x, y - h),
            ("C", x + k * w, y - h, x + w, shoulder - k * bend, x + w, shoulder),
            ("L", x + w, y + h),
            ("Z",),
        ),
        fill,
        stroke,
    )


def _box(mark: Mark) -> tuple[float, float, float, float]:
    match mark:
        case Ellipse(x, y, rx, ry):
            return x - rx, y - ry, x + rx, y + ry
        case Words(_, x, y, size):
            up, down = font().ascent * size, -font().descent * size
            return x - mark.width / 2, y - up, x + mark.width / 2, y + down
        case Path(commands):
            numbers = [float(v) for c in commands for v in c[1:]]
            return min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2])


def _move(mark: Mark, dx: float, dy: float) -> Mark:
    if isinstance(mark, Path):
        moved = tuple((c[0], *(float(v) + (dy if i % 2 else dx) for i, v in enumerate(c[1:]))) for c in mark.commands)
        return replace(mark, commands=moved)
    return replace(mark, x=mark.x + dx, y=mark.y + dy)
