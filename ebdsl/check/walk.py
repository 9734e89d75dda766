"""Going through syntax trees: everything below, and substitution."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

from ebdsl.syntax import ast
from ebdsl.syntax.ast import children


def everything(expr: ast.Expr) -> Iterator[ast.Expr]:
    """The expression and all below."""
    stack = [expr]
    while stack:
        e = stack.pop()
        yield e
        stack.extend(children(e))


def mapped(expr: ast.Expr, change: Callable[[ast.Expr], ast.Expr | None]) -> ast.Expr:
    """The expression with every part for which ``change`` gives one replaced, from the top."""
    new = change(expr)
    if new is not None:
        return new
    return replace(expr, **{f.name: _map(getattr(expr, f.name), change) for f in fields(expr) if f.name != "span"})


def _map(value: Any, change: Callable[[ast.Expr], ast.Expr | None]) -> Any:
    if isinstance(value, ast.Expr):
        return mapped(value, change)
    if isinstance(value, tuple):
        return tuple(_map(v, change) for v in value)
    return value
