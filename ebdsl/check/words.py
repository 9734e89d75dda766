"""Names as people type them, and what a wrong name may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from ebdsl.syntax.spellings import ascii_name
from ebdsl.syntax.spellings import canonical as key

__all__ = ["count", "key", "listed", "nearest"]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that ``name`` may have meant: other case first, then a slip of the keys."""
    known = list(dict.fromkeys(known))
    for k in known:
        if key(k).lower() == key(name).lower():
            return k
    if len(name) < 3:
        return None
    spelt = {spelling: k for k in known for spelling in (ascii_name(k), k)}
    close = difflib.get_close_matches(name, spelt, n=1, cutoff=0.7)
    return spelt[close[0]] if close else None


def listed(words: Iterable[str], last: str = "and") -> str:
    """``a, b and c``."""
    words = list(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}" if words else ""


def count(n: int, thing: str, plural: str | None = None) -> str:
    """``1 axis``, ``2 axes``."""
    return f"{n} {thing if n == 1 else plural or thing + 's'}"
