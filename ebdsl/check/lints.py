"""Legal, and probably not what was meant."""

from __future__ import annotations

from ebdsl.check.scope import Context
from ebdsl.model.model import Model
from ebdsl.syntax import ast


def lint(model: Model, spec: ast.Spec, ctx: Context) -> None:
    """Add warnings to the report."""
