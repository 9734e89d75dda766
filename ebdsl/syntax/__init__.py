"""From text to syntax tree and back: grammar, bars, formatter."""

from ebdsl.syntax.format import format
from ebdsl.syntax.parser import parse
from ebdsl.syntax.reading import read
from ebdsl.syntax.show import show

__all__ = ["format", "parse", "read", "show"]
