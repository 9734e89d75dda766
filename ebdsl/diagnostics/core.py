"""Places in a spec, and what is wrong there: diagnostics are data, not exceptions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """A spec's text and the name it is reported under."""

    name: str
    text: str


@dataclass(frozen=True, order=True)
class Span:
    """Half-open range of character offsets ``[start, end)`` in a source."""

    start: int
    end: int

    def to(self, other: Span) -> Span:
        """The smallest span that covers both."""
        return Span(min(self.start, other.start), max(self.end, other.end))


@dataclass(frozen=True)
class Label:
    """A span and what is to be said of it."""

    span: Span
    text: str = ""


@dataclass(frozen=True)
class Fix:
    """A replacement that can be applied to the text."""

    span: Span
    replacement: str


@dataclass(frozen=True)
class Diagnostic:
    """One finding. ``labels[0]`` is the place; ``code`` is a row of the catalogue.

    ``help`` holds sentences for a person, ``fix`` an edit for a tool.
    """

    code: str
    message: str
    labels: tuple[Label, ...] = ()
    help: tuple[str, ...] = ()
    fix: Fix | None = None

    @property
    def severity(self) -> str:
        """``"error"`` or ``"warning"``, as the catalogue has it."""
        from ebdsl.diagnostics.catalogue import CATALOGUE

        return CATALOGUE[self.code].severity


@dataclass(frozen=True)
class Checked(Generic[T]):
    """What a phase hands on: a value where there is one, and all that was found."""

    value: T | None
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self.diagnostics if d.severity == "error")


class SpecError(Exception):
    """Raised by the outermost layer alone: the spec or its data is wrong."""

    def __init__(self, diagnostics: Iterable[Diagnostic], source: Source | None = None) -> None:
        self.diagnostics = tuple(diagnostics)
        self.source = source
        super().__init__("\n".join(f"{d.code}: {d.message}" for d in self.diagnostics))
