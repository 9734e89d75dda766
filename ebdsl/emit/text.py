"""Small helpers for writing Python text."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence


def tuple_text(parts: Sequence[str]) -> str:
    """``(a, b)``, ``(a,)``, ``()``."""
    return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"


def quoted(text: str) -> str:
    """A Python string literal, in double quotes where that needs no more escapes."""
    plain = repr(text)
    return f'"{text}"' if plain[1:-1] == text and '"' not in text else plain


def words(text: str) -> set[str]:
    """The identifiers in a text."""
    return set(re.findall(r"\w+", text))


def template(text: str, **blocks: Sequence[str]) -> list[str]:
    """Lines of a dedented text, in which a line ``<name>`` is replaced by a block at its indentation."""
    lines: list[str] = []
    for line in textwrap.dedent(text).strip("\n").split("\n"):
        found = re.fullmatch(r"( *)<(\w+)>", line)
        if found is None:
            lines.append(line)
        else:
            lines += [found[1] + x if x else "" for x in blocks[found[2]]]
    return lines


def uses(text: str, what: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(what)}", text) is not None
