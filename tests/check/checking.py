"""Specs as text, for the tests of the checker."""

from __future__ import annotations

from ebdsl import check, syntax
from ebdsl.diagnostics import Checked, Diagnostic, Source
from ebdsl.model.model import Model


def checked(text: str, settings: dict[str, float | int] | None = None, allow_python: bool = False) -> Checked[Model]:
    """Both phases; the text must parse."""
    source = Source("spec.ebm", text)
    parsed = syntax.parse(source)
    assert parsed.value is not None and not parsed.errors, parsed.diagnostics
    return check.check(parsed.value, source, settings or {}, allow_python=allow_python)


def model(text: str, settings: dict[str, float | int] | None = None) -> Model:
    """The model of a sound spec."""
    found = checked(text, settings)
    assert found.value is not None, said(text, found.diagnostics)
    return found.value


def codes(text: str) -> list[str]:
    """The codes of all findings, in order of place."""
    return [d.code for d in checked(text).diagnostics]


def said(text: str, found: tuple[Diagnostic, ...]) -> str:
    """Findings as plain lines: what, where (the marked text), why, and the way out."""
    lines = []
    for d in found:
        lines.append(f"{d.severity}[{d.code}] {d.message}")
        for label in d.labels:
            row = text.count("\n", 0, label.span.start) + 1
            column = label.span.start - (text.rfind("\n", 0, label.span.start) + 1) + 1
            marked = " ".join(text[label.span.start : label.span.end].split())
            lines.append(f"    {row}:{column} `{marked}` {label.text}".rstrip())
        lines += [f"    help: {h}" for h in d.help]
        if d.fix is not None:
            edited = text[: d.fix.span.start] + d.fix.replacement + text[d.fix.span.end :]
            row = text.count("\n", 0, d.fix.span.start)
            lines.append(f"    fix: {edited.splitlines()[row]}")
    return "\n".join(lines) + "\n"
