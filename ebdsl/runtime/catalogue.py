"""The text of runtime functions, for generated files to hold a copy of. Reads source; imports no torch."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class Piece:
    """One function or class: its text, the runtime names and the import lines that it wants.

    An import line is one of a single name, ``from torch import Tensor`` or ``import torch``.
    """

    name: str
    text: str
    needs: tuple[str, ...]
    imports: tuple[str, ...]
    file: str


@cache
def pieces() -> dict[str, Piece]:
    """All public runtime functions and classes by name. Raises ``ValueError`` where two files define one name."""
    trees = {}
    for entry in sorted(resources.files("ebdsl.runtime").iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".py") and entry.name not in ("__init__.py", "catalogue.py"):
            text = entry.read_text(encoding="utf-8")
            trees[entry.name] = (text, ast.parse(text))
    names: dict[str, str] = {}
    for file, (_, tree) in trees.items():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                if node.name in names:
                    raise ValueError(f"{node.name} stands in {names[node.name]} and in {file}")
                names[node.name] = file
    found = {}
    for file, (text, tree) in trees.items():
        bound = _imports(tree)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                used = _used(node)
                found[node.name] = Piece(
                    node.name,
                    _source(text, node),
                    tuple(sorted(used & names.keys() - {node.name})),
                    tuple(sorted({bound[u] for u in used if u in bound})),
                    file,
                )
    return found


def closure(names: Iterable[str]) -> tuple[Piece, ...]:
    """The pieces of these names and of all that they need, what is needed first.

    Raises ``KeyError`` for a name that there is not.
    """
    known, order = pieces(), {}

    def go(name: str) -> None:
        if name not in order:
            for need in known[name].needs:
                go(need)
            order[name] = known[name]

    for name in sorted(set(names)):
        go(name)
    return tuple(order.values())


def _source(text: str, node: ast.FunctionDef | ast.ClassDef) -> str:
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    return "\n".join(text.split("\n")[first - 1 : node.end_lineno]) + "\n"


def _used(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _imports(tree: ast.Module) -> dict[str, str]:
    """Import line by the name that it binds; what comes from another runtime file is copied in, not imported."""
    lines = {}
    for node in tree.body:
        if isinstance(node, ast.Import):
            for a in node.names:
                bound = a.asname or a.name.split(".")[0]
                lines[bound] = f"import {a.name}" + (f" as {a.asname}" if a.asname else "")
        elif isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] not in ("__future__", "ebdsl"):
            for a in node.names:
                lines[a.asname or a.name] = f"from {node.module} import {a.name}" + (
                    f" as {a.asname}" if a.asname else ""
                )
    return lines
