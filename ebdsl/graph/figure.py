"""What a picture of a factor graph shows, before anything has a place: shapes with words, and links.

Parameters are not drawn as nodes of their own: they are named on the function that holds them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import networkx as nx

from ebdsl.graph.text import one_line, pretty, width, wrap

BIG, CAPTION, SMALL = 17.0, 14.0, 10.5  # pt
LEADING = 1.25


@dataclass(frozen=True)
class Line:
    text: str
    size: float


@dataclass(frozen=True)
class Shape:
    """``style`` in ``observed latent noise function energy``; ``ring``: drawn with a double outline. Sizes in pt."""

    name: str
    style: str
    ring: bool
    lines: tuple[Line, ...]
    width: float
    height: float
    title: str


@dataclass(frozen=True)
class Link:
    """``style``: an ``arrow`` into or out of a function, a ``line`` between a variable and an energy, ``dashed``."""

    tail: str
    head: str
    label: str
    style: str


@dataclass(frozen=True)
class Figure:
    name: str
    caption: str
    shapes: tuple[Shape, ...]
    links: tuple[Link, ...]


def figure(graph: nx.MultiDiGraph) -> Figure:
    """The shapes and links for a factor graph, in the graph's order."""
    # n0, n1, …: nothing of a stranger's text stands where DOT and Mermaid have their syntax
    drawn = [n for n, kind in graph.nodes(data="kind") if kind != "parameter"]
    names = {n: f"n{i}" for i, n in enumerate(drawn)}
    shapes = tuple(_shape(names[n], graph.nodes[n], _held(graph, n)) for n in drawn)
    links = []
    for tail, head, data in graph.edges(data=True):
        if tail in names:
            kinds = {graph.nodes[tail]["kind"], graph.nodes[head]["kind"]}
            style = "dashed" if data["relation"] == "infers" else "arrow" if "function" in kinds else "line"
            verb = "generate" if graph.nodes[head].get("role") == "observed" else "infer"
            label = f"{verb} {graph.nodes[head]['label']}" if style == "dashed" else data["dims"]
            links.append(Link(names[tail], names[head], one_line(label), style))
    (caption,) = wrap(one_line(graph.graph["caption"]), 72, 1)
    return Figure(one_line(graph.graph["name"]), caption, shapes, tuple(links))


def _held(graph: nx.MultiDiGraph, node: str) -> list[dict[str, str]]:
    return [graph.nodes[p] for p, _, relation in graph.in_edges(node, data="relation") if relation == "parameter"]


def _shape(name: str, node: dict[str, str], held: list[dict[str, str]]) -> Shape:
    label = one_line(node["label"])
    if node["kind"] == "variable":
        return _circle(name, node, label)
    if node["kind"] == "energy":
        lines = tuple(Line(t, 15.0) for t in wrap(pretty(label)))
        across, high = _extent(lines)
        return Shape(name, "energy", False, lines, max(across + 24, 44), high + 18, f"energy {label}")
    shown = label.removesuffix("ᵀ")
    notes = [one_line(p["label"]) for p in held]
    notes = [n for n in notes if n != shown and n not in shown.split()]
    notes += [pretty(p["domain"]) for p in held]
    notes += [pretty(one_line(node["detail"]))]
    small = (Line(t, SMALL) for note in notes if note for t in wrap(note, 26, 2))
    lines = (*(Line(t, BIG) for t in wrap(label, 20, 1)), *small)
    across, high = _extent(lines)
    title = f"{node['form']} function {label}"
    return Shape(name, "function", False, lines, max(across + 30, 58), high + 24, title)


def _circle(name: str, node: dict[str, str], label: str) -> Shape:
    domain = pretty(one_line(node["domain"]))
    beta = node["beta"]
    mark = " ".join(filter(None, (node["mark"], beta)))
    small = [t for words in (node["mark"], beta, domain) if words for t in wrap(words, 18, 2)]
    lines = (*(Line(t, BIG) for t in wrap(label, 16, 1)), *(Line(t, SMALL) for t in small))
    diameter = max(46.0, math.ceil(math.hypot(*_extent(lines)) + 8))
    dims = f"[{node['dims']}]" if node["dims"] else ""
    title = " ".join(filter(None, (f"{node['role']} {label}{dims}", domain, mark)))
    return Shape(name, node["role"], bool(node["mark"]), lines, diameter, diameter, title)


def _extent(lines: tuple[Line, ...]) -> tuple[float, float]:
    return math.ceil(max(width(line.text, line.size) for line in lines)), math.ceil(
        LEADING * sum(line.size for line in lines)
    )
