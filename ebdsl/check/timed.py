"""Short ways to write of time, brought to the long ones: ``s_t = f(s_{t-1})``, ``observed s[0] : R[4]``, plans."""

from __future__ import annotations

from dataclasses import replace

from ebdsl.check.walk import everything
from ebdsl.check.words import key
from ebdsl.syntax import ast


def plain(spec: ast.Spec) -> ast.Spec:
    """The same spec, where

    * ``s_t = …`` is ``s[t] = …`` for a declared index t, and ``s_0 = …`` is ``s[0] = …`` for what such a line defines;
    * ``observed s[0] : R[4]`` is ``observed s_0 : R[4]`` with ``s[0] = s_0``;
    * ``plan a by min_a E`` is ``F(…) = min_a E``, of all that is observed.
    """
    indices = {key(s.name.id) for s in spec.statements if isinstance(s, ast.IndexDecl)}
    found: list[ast.Statement] = []
    for s in spec.statements:
        found += _plain(s, indices)
    subjects = {key(e.left.base.id) for e in found if isinstance(e, ast.Equation) and _named(e.left)}  # type: ignore[attr-defined]
    found = [_start(s, subjects) for s in found]
    observed = tuple(s.name for s in found if isinstance(s, ast.VarDecl) and s.role == "observed")
    return replace(spec, statements=tuple(_planned(s, observed, found) for s in found))


def _named(left: ast.Expr) -> bool:
    return isinstance(left, ast.Index) and isinstance(left.base, ast.Name)


def _plain(s: ast.Statement, indices: set[str]) -> list[ast.Statement]:
    if isinstance(s, ast.Define) and not s.params:
        base, _, tail = s.name.id.rpartition("_")
        if base and key(tail) in indices and any(_of(base, e) for e in everything(s.body)):
            return [_equation(s, base, ast.Name(s.name.span, tail))]
    at = s.subscripts[0] if isinstance(s, ast.VarDecl) and len(s.subscripts) == 1 else None
    if isinstance(s, ast.VarDecl) and isinstance(at, ast.Number):
        name = ast.Name(s.name.span, f"{s.name.id}_{at.text}")
        left = ast.Index(s.name.span.to(at.span), s.name, (at,))
        return [replace(s, name=name, subscripts=()), ast.Equation(s.span, left, name)]
    return [s]


def _of(base: str, e: ast.Expr) -> bool:
    """Whether a part of a formula is an entry of ``base``."""
    return isinstance(e, ast.Name) and key(e.id.rpartition("_")[0] or e.id) == key(base)


def _start(s: ast.Statement, subjects: set[str]) -> ast.Statement:
    if isinstance(s, ast.Define) and not s.params:
        base, _, tail = s.name.id.rpartition("_")
        if tail.isdigit() and key(base) in subjects:
            return _equation(s, base, ast.Number(s.name.span, float(tail), tail))
    return s


def _equation(s: ast.Define, base: str, item: ast.Expr) -> ast.Equation:
    return ast.Equation(s.span, ast.Index(s.name.span, ast.Name(s.name.span, base), (item,)), s.body)


def _planned(s: ast.Statement, observed: tuple[ast.Name, ...], spec: list[ast.Statement]) -> ast.Statement:
    taken = {key(d.name.id) for d in spec if isinstance(d, ast.Define | ast.VarDecl | ast.DimDecl | ast.ModuleDecl)}
    if isinstance(s, ast.InferBy) and s.verb != "infer":
        name = next(n for n in ("F", "F_plan", "plan") if key(n) not in taken or n == "plan")
        lowest = isinstance(s.by, ast.BigOp) and s.by.kind in ("min", "softmin")
        by = s.by if lowest else ast.BigOp(s.by.span, "min", (s.latent,), s.by)
        return ast.Define(s.span, ast.Name(s.span, name), observed, by)
    return s
