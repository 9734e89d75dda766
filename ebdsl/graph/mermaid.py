"""A figure as Mermaid text, for README files, notebooks and wikis that draw it themselves."""

from __future__ import annotations

from ebdsl.graph.dot import FILL, INK
from ebdsl.graph.figure import Figure, Shape

_FORMS = {"observed": '(("{}"))', "noise": '(("{}"))', "function": '(["{}"])', "energy": '["{}"]'}
_LINKS = {"arrow": "-->", "line": "---", "dashed": "-.->"}
# What Mermaid or the HTML it writes could take for syntax; everything else that can be printed is itself.
_PLAIN = frozenset(" ,=+()[]{}^/∞")


def mermaid(figure: Figure) -> str:
    """A flowchart, energies on top. Mermaid's subset that every host has had for years."""
    lines = ["flowchart BT"]
    for s in figure.shapes:
        form = '((("{}")))' if s.ring else _FORMS.get(s.style, '(("{}"))')
        lines.append(f"    {s.name}{form.format(_label(s))}:::{s.style}")
    for k in figure.links:
        label = f'|"{_escape(k.label)}"|' if k.label else ""
        lines.append(f"    {k.tail} {_LINKS[k.style]}{label} {k.head}")
    for style in dict.fromkeys(s.style for s in figure.shapes):
        dash = ",stroke-dasharray:4 3" if style == "noise" else ""
        lines.append(f"    classDef {style} fill:{FILL[style]},stroke:{INK[style]},color:#16181b{dash}")
    return "\n".join(lines) + "\n"


def _label(shape: Shape) -> str:
    return "<br/>".join(_escape(line.text) for line in shape.lines)


def _escape(text: str) -> str:
    """Letters and digits as they are, signs as Mermaid's entity codes (``#124;`` for a bar)."""
    return "".join(c if c.isalnum() or c in _PLAIN or ord(c) > 0x7F else f"#{ord(c)};" for c in text)
