"""Where findings are collected: each once, in the order of the text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from ebdsl.diagnostics import Diagnostic, Fix, Label, Span


@dataclass(frozen=True)
class Report:
    """Collects diagnostics. The same code at the same place is kept once: a macro is lowered at every call."""

    found: dict[tuple[str, Span | None], Diagnostic] = field(default_factory=dict)

    def add(
        self,
        code: str,
        message: str,
        *labels: tuple[Span, str] | Span,
        help: str | tuple[str, ...] = (),
        fix: tuple[Span, str] | None = None,
    ) -> None:
        """``labels[0]`` is the place."""
        marks = tuple(Label(*m) if isinstance(m, tuple) else Label(m) for m in labels)
        key = (code, marks[0].span if marks else None)
        if not marks:
            key = (code + message, None)
        helps = (help,) if isinstance(help, str) else tuple(help)
        self.found.setdefault(key, Diagnostic(code, message, marks, helps, Fix(*fix) if fix else None))

    @contextmanager
    def called(self, site: Span | None) -> Iterator[None]:
        """What is found in a definition's body meanwhile says which call brought it about."""
        before = set(self.found)
        yield
        if site is None or len(before) == len(self.found):
            return
        for k, d in self.found.items():
            if k not in before and d.labels and not any(x.span == site or within(x.span, site) for x in d.labels):
                self.found[k] = replace(d, labels=(*d.labels, Label(site, "in this call")))

    def sorted(self) -> tuple[Diagnostic, ...]:
        """All findings by place; those without one first."""
        return tuple(sorted(self.found.values(), key=lambda d: d.labels[0].span if d.labels else Span(-1, -1)))

    @property
    def has_errors(self) -> bool:
        return any(d.severity == "error" for d in self.found.values())


def within(inner: Span, outer: Span) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end
