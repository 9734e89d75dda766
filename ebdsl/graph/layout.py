"""Places for a figure's shapes and links, by the layout engine that a wheel carries along."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass

from ebdsl.diagnostics import Diagnostic

Point = tuple[float, float]
SECONDS = 60


@dataclass(frozen=True)
class Route:
    """A cubic Bézier chain (1 + 3 n points), where its arrow's tip is, and the label's centre."""

    points: tuple[Point, ...]
    tip: Point | None
    label: Point | None


@dataclass(frozen=True)
class Layout:
    """Centres by shape name and a route for each link, in the figure's order; in pt, y upwards."""

    width: float
    height: float
    centres: dict[str, Point]
    routes: tuple[Route, ...]
    caption: Point | None


def layout(dot: str, links: int) -> Layout | Diagnostic:
    """Run the engine on DOT text with ``links`` edges, whose ids are ``e0``, ``e1``, …"""
    engine = find_engine()
    if engine is None:
        return Diagnostic(
            "EB0852",
            "there is no layout engine for diagrams in this environment",
            help=("pip install graphviz-pure", "or ask for .mmd (Mermaid) or .dot, which need none"),
        )
    try:
        done = subprocess.run(
            [engine, "-Kdot", "-Tjson0"], input=dot.encode(), capture_output=True, timeout=SECONDS, check=True
        )
    except subprocess.TimeoutExpired:
        return _failed(f"it was not done after {SECONDS} seconds")
    except (OSError, subprocess.CalledProcessError) as error:
        said = error.stderr.decode(errors="replace").strip() if isinstance(error, subprocess.CalledProcessError) else ""
        return _failed(said.splitlines()[-1] if said else str(error))
    return _read(json.loads(done.stdout), links)


def find_engine() -> str | None:
    """``graphviz-pure`` of this Python's scripts, else of the path, else the system's ``dot``."""
    folders = [sysconfig.get_path("scripts"), sysconfig.get_path("scripts", f"{os.name}_user")]
    path = os.pathsep.join([*folders, os.environ.get("PATH", os.defpath)])
    return shutil.which("graphviz-pure", path=path) or shutil.which("dot")


def _failed(why: str) -> Diagnostic:
    return Diagnostic(
        "EB0853", f"the layout engine gave up: {why}", help=("ask for .mmd or .dot, which need no layout",)
    )


def _read(graph: dict, links: int) -> Layout:
    _, _, width, height = (float(v) for v in graph["bb"].split(","))
    objects = graph.get("objects", [])
    centres = {o["name"]: _point(o["pos"]) for o in objects if "pos" in o}
    found = {e["id"]: _route(e["pos"], e.get("lp")) for e in graph.get("edges", [])}
    routes = tuple(found[f"e{i}"] for i in range(links))
    return Layout(width, height, centres, routes, _point(graph["lp"]) if "lp" in graph else None)


def _route(pos: str, label: str | None) -> Route:
    parts = pos.split(";")[0].split()
    tip = next((_point(p[2:]) for p in parts if p.startswith("e,")), None)
    points = tuple(_point(p) for p in parts if p[0] not in "es")
    return Route(points, tip, _point(label) if label else None)


def _point(text: str) -> Point:
    x, y = text.split(",")[:2]
    return float(x), float(y)
