"""Spans, diagnostics, the catalogue of codes, and how they are shown."""

from ebdsl.diagnostics.core import Checked, Diagnostic, Fix, Label, Source, Span, SpecError

__all__ = ["Checked", "Diagnostic", "Fix", "Label", "Source", "Span", "SpecError"]
