"""From text to syntax tree and back: grammar, bars, formatter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ebdsl.syntax.parser import parse
from ebdsl.syntax.reading import read
from ebdsl.syntax.show import show

if TYPE_CHECKING:
    from ebdsl.syntax.formatter import format

__all__ = ["format", "parse", "read", "show"]


def __getattr__(name: str) -> Any:
    """The formatter is imported when it is asked for: checking does without it."""
    if name == "format":
        from ebdsl.syntax.formatter import format

        return format
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
