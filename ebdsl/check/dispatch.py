"""The one function that reads a formula; its cases are in the files for each kind of expression."""

from __future__ import annotations

from functools import singledispatch

from ebdsl.check.scope import Env, Value
from ebdsl.syntax import ast


@singledispatch
def lower(e: ast.Expr, env: Env) -> Value | None:
    """The value of an expression; None where its error has been reported."""
    what = {ast.Text: "quoted text", ast.Slice: "a colon", ast.Relation: "a comparison"}.get(type(e), "this")
    env.report.add("EB0225", f"{what} cannot stand in a formula", (e.span, what))
    return None
