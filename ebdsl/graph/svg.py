"""A scene as SVG: plain shapes and text, nothing that loads or runs."""

from __future__ import annotations

from html import escape

from ebdsl.graph.dot import FONTS
from ebdsl.graph.scene import Ellipse, Group, Mark, Path, Scene, Words
from ebdsl.graph.text import runs


def svg(scene: Scene) -> str:
    """A stand-alone document. Texts carry their width, so that another font cannot leave its shape."""
    size = f'width="{scene.width}" height="{scene.height}" viewBox="0 0 {scene.width} {scene.height}"'
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="{FONTS}" text-anchor="middle">',
        f"<title>{escape(scene.title)}</title>",
        f"<desc>{escape(scene.description)}</desc>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    return "\n".join([*head, *(line for g in scene.groups for line in _group(g)), "</svg>", ""])


def _group(group: Group) -> list[str]:
    title = [f"<title>{escape(group.title)}</title>"] if group.title else []
    return [f'<g class="{group.kind}">', *title, *(_mark(m) for m in group.marks), "</g>"]


def _mark(mark: Mark) -> str:
    if isinstance(mark, Ellipse):
        place = f'cx="{mark.x:.2f}" cy="{mark.y:.2f}" rx="{mark.rx:.2f}" ry="{mark.ry:.2f}"'
        return f"<ellipse {place} {_paint(mark.fill, mark.stroke, mark.dashed)}/>"
    if isinstance(mark, Path):
        d = " ".join(" ".join(v if isinstance(v, str) else f"{v:.2f}" for v in c) for c in mark.commands)
        return f'<path d="{d}" {_paint(mark.fill, mark.stroke, mark.dashed)}/>'
    halo = ' stroke="#ffffff" stroke-width="3" paint-order="stroke"' if mark.halo else ""
    width = (
        f' textLength="{mark.width:.2f}" lengthAdjust="spacingAndGlyphs"'
        if len(mark.text) > 1 and len(runs(mark.text)) == 1
        else ""
    )
    place = f'x="{mark.x:.2f}" y="{mark.y:.2f}" font-size="{mark.size:g}" fill="{mark.colour}"'
    return f"<text {place}{width}{halo}>{_runs(mark)}</text>"


def _runs(words: Words) -> str:
    pieces = []
    baseline = 0.0
    for run in runs(words.text):
        moved = f' dy="{(baseline - run.rise) * words.size:.2f}"' if run.rise != baseline else ""
        small = f' font-size="{run.scale * words.size:g}"' if run.scale != 1 else ""
        text = escape(run.text)
        pieces.append(f"<tspan{moved}{small}>{text}</tspan>" if moved or small else text)
        baseline = run.rise
    return "".join(pieces)


def _paint(fill: str | None, stroke: str | None, dashed: bool) -> str:
    dash = ' stroke-dasharray="4 3"' if dashed else ""
    outline = f' stroke="{stroke}" stroke-width="1.3"{dash}' if stroke else ""
    return f'fill="{fill or "none"}"{outline}'
