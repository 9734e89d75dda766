"""Drawing a model: from the factor graph to a picture in one of the formats, and to a file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ebdsl.diagnostics import Checked, Diagnostic, SpecError
from ebdsl.graph.dot import dot
from ebdsl.graph.factor import factor_graph
from ebdsl.graph.figure import figure
from ebdsl.graph.font import FAMILY, PATH, font
from ebdsl.graph.layout import layout
from ebdsl.graph.mermaid import mermaid
from ebdsl.graph.pdf import pdf
from ebdsl.graph.scene import Scene, Words, scene
from ebdsl.graph.svg import svg
from ebdsl.model.model import Model

FORMATS = ("svg", "png", "pdf", "dot", "mmd")
ZOOM = 2.0  # pixels for each unit of 1/96 inch: sharp on a slide
MOST_PIXELS = 12_000  # along a side


def picture(model: Model, format: str) -> Checked[str | bytes]:
    """The model's factor graph as text (``dot``, ``mmd``, ``svg``) or bytes (``png``, ``pdf``)."""
    if format not in FORMATS:
        return Checked(None, (_unknown(f"there is no picture format {format}"),))
    shown = figure(factor_graph(model))
    if format == "mmd":
        return Checked(mermaid(shown))
    text = dot(shown)
    if format == "dot":
        return Checked(text)
    placed = layout(text, len(shown.links))
    if isinstance(placed, Diagnostic):
        return Checked(None, (placed,))
    drawn = scene(shown, placed)
    missing = font().missing(_texts(drawn)) if format in ("png", "pdf") else ""
    warnings = (_not_in_font(missing, format),) if missing else ()
    if format == "svg":
        return Checked(svg(drawn))
    return Checked(pdf(drawn) if format == "pdf" else _png(drawn, fallback=bool(missing)), warnings)


def draw(model: Model, path: str | os.PathLike[str] | None = None, format: str | None = None) -> str | bytes:
    """Draw ``model``, write it to ``path`` if there is one, and give back what was written.

    ``format`` is one of ``FORMATS``; left out, it is the path's extension, and ``svg`` without a path. A
    file is there in full or not at all. Raises :class:`SpecError` for an extension that is no
    format, where there is no layout engine, and where the file cannot be written.
    """
    if format is None:
        format = "svg" if path is None else Path(path).suffix.lower().removeprefix(".")
        if format not in FORMATS:
            named = f"the extension .{format}" if format else f"a name without extension, {Path(path or '').name!r},"
            raise SpecError([_unknown(f"{named} names no picture format")])
    result = picture(model, format)
    if result.value is None:
        raise SpecError(result.diagnostics)
    if path is not None:
        save(result.value, path)
    return result.value


def save(content: str | bytes, path: str | os.PathLike[str]) -> None:
    """Write a picture, in full or not at all. Raises :class:`SpecError` where that cannot be."""
    try:
        _write(Path(path), content.encode() if isinstance(content, str) else content)
    except OSError as error:
        why = error.strerror or str(error)
        raise SpecError([Diagnostic("EB0851", f"the picture {Path(path)} cannot be written: {why}")]) from error


def _png(drawn: Scene, fallback: bool) -> bytes:
    """``fallback``: the machine's fonts may help with characters that ours does not have."""
    import resvg_py

    inches = max(drawn.width, drawn.height) / 72
    zoom = min(ZOOM, MOST_PIXELS / (96 * inches))
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=svg(drawn),
            zoom=zoom,
            font_files=[str(PATH)],
            font_family=FAMILY,
            sans_serif_family=FAMILY,
            skip_system_fonts=not fallback,
        )
    )


def _write(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)  # mkstemp's files are for their owner alone
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _texts(drawn: Scene) -> str:
    return "".join(m.text for g in drawn.groups for m in g.marks if isinstance(m, Words))


def _unknown(message: str) -> Diagnostic:
    return Diagnostic("EB0850", message, help=(f"pictures come as {', '.join('.' + f for f in FORMATS)}",))


def _not_in_font(missing: str, format: str) -> Diagnostic:
    shown = " ".join(missing[:8])
    return Diagnostic(
        "EB0854",
        f"the typeface of {format} pictures has no {shown}: what this machine has is used, or a box",
        help=("an .svg picture is shown with the reader's own typefaces",),
    )
