"""A figure as DOT: the text that the layout engine reads, and that a user's own Graphviz draws alike."""

from __future__ import annotations

from html import escape

import graphviz

from ebdsl.graph.figure import CAPTION, SMALL, Figure, Line, Shape
from ebdsl.graph.font import FAMILY
from ebdsl.graph.text import width

FILL = {"observed": "#c9ced6", "latent": "#ffffff", "noise": "#ffffff", "function": "#d5e5f7", "energy": "#f28b82"}
INK = {"observed": "#22262b", "latent": "#22262b", "noise": "#22262b", "function": "#2b5f9e", "energy": "#b3261e"}
LINK = "#4a4f57"
FONTS = f"{FAMILY},Verdana,Arial,sans-serif"


def dot(figure: Figure) -> str:
    """DOT source. Energies are on top, observed variables below; sizes are fixed, so fonts move nothing."""
    g = graphviz.Digraph(
        graph_attr={
            "rankdir": "BT",
            "nodesep": "0.45",
            "ranksep": "0.5",
            "label": _sized(Line(figure.caption, CAPTION)),
            "labelloc": "b",
            "fontname": FONTS,
        },
        node_attr={"fontname": FONTS, "fixedsize": "true", "penwidth": "1.3"},
        edge_attr={"fontname": FONTS, "fontsize": "10.5", "color": LINK, "arrowsize": "0.7"},
    )
    for shape in figure.shapes:
        g.node(shape.name, label=_html(*shape.lines), **_look(shape))
    for style, rank in (("observed", "min"), ("energy", "max")):
        with g.subgraph(graph_attr={"rank": rank}) as same:
            for shape in figure.shapes:
                if shape.style == style:
                    same.node(shape.name)
    styles = {s.name: s.style for s in figure.shapes}
    for i, link in enumerate(figure.links):
        more = {"arrow": {}, "line": {"arrowhead": "none"}, "dashed": {"style": "dashed", "constraint": "false"}}
        port = ":n" if styles[link.tail] == "function" and link.style != "dashed" else ""
        label = {"label": _sized(Line(link.label, SMALL))} if link.label else {}
        g.edge(link.tail + port, link.head, id=f"e{i}", **label, **more[link.style])
    return str(g.source)


def _look(shape: Shape) -> dict[str, str]:
    form = {"function": "box", "energy": "box"}.get(shape.style, "doublecircle" if shape.ring else "circle")
    style = {"function": "filled,rounded", "noise": "filled,dashed"}.get(shape.style, "filled")
    return {
        "shape": form,
        "style": style,
        "width": f"{shape.width / 72:.4f}",
        "height": f"{shape.height / 72:.4f}",
        "fillcolor": FILL[shape.style],
        "color": INK[shape.style],
    }


def _sized(line: Line) -> str:
    """The same with its true size, which engines without our typeface would guess wrong."""
    size = f'FIXEDSIZE="TRUE" WIDTH="{width(line.text, line.size) + 10:.0f}" HEIGHT="{1.3 * line.size:.0f}"'
    return f'<<TABLE BORDER="0" CELLPADDING="0" {size}><TR><TD>{_html(line)[1:-1]}</TD></TR></TABLE>>'


def _html(*lines: Line) -> str:
    """A label in Graphviz's markup, where text is inert: no escape sequence, no record, no link."""
    return "<" + "<BR/>".join(f'<FONT POINT-SIZE="{r.size:g}">{escape(r.text)}</FONT>' for r in lines) + ">"
