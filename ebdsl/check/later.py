"""What is read and not used yet: one clear error each."""

from __future__ import annotations

from ebdsl.check.scope import Context
from ebdsl.syntax import ast


def report_later(spec: ast.Spec, ctx: Context) -> None:
    """Statements that have their place in the grammar alone."""
    for s in spec.statements:
        if isinstance(s, ast.Equation):
            ctx.report.add(
                "EB0230",
                "recurrences have their place in the grammar and come later",
                (s.span, "an equation between entries"),
                help="a definition has a name and arguments on its left: h(y) = …",
            )
        elif isinstance(s, ast.InferBy) and s.verb != "infer":
            ctx.report.add("EB0230", "plans have their place in the grammar and come later", (s.span, "a plan"))
