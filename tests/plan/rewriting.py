"""Any spec rewritten: other names, another order, the same energy in other words or another unit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from random import Random
from typing import Any

from ebdsl.check.words import key
from ebdsl.syntax import ast

TURNED = (ast.DimDecl, ast.IndexDecl, ast.VarDecl, ast.ConstDecl, ast.ModuleDecl)


def through(node: Any, change: Callable[[Any], Any]) -> Any:
    """The tree with ``change`` applied to each of its nodes, from the leaves up; layers of modules are left alone."""
    if isinstance(node, tuple):
        return tuple(through(n, change) for n in node)
    if not is_dataclass(node) or isinstance(node, type) or not type(node).__module__.endswith("syntax.ast"):
        return node
    skipped = {"body"} if isinstance(node, ast.ModuleDecl) else {"key"} if isinstance(node, ast.Setting) else set()
    inner = {f.name: through(getattr(node, f.name), change) for f in fields(node) if f.name not in skipped}
    return change(replace(node, **inner))


def declared(spec: ast.Spec) -> list[str]:
    """Every name that a spec brings in, in order of its mention."""
    found: dict[str, None] = {}

    def note(node: Any) -> Any:
        names: list[ast.Name] = []
        if isinstance(node, (*TURNED, ast.Define)):
            names.append(node.name)
        if isinstance(node, ast.Define):
            names += node.params
        if isinstance(node, ast.BigOp):
            names += node.names
        if isinstance(node, ast.TypeExpr):
            names += [d for d in node.dims if isinstance(d, ast.Name)]
        if isinstance(node, ast.Equation):
            left = node.left.base if isinstance(node.left, ast.Index) else node.left
            names += [left] if isinstance(left, ast.Name) else []
        found.update(dict.fromkeys(key(n.id) for n in names))
        return node

    through(spec, note)
    return [n for n in found if "_" not in n or n.partition("_")[0] not in found]


def renamed(spec: ast.Spec, names: dict[str, str]) -> ast.Spec:
    """The spec with other names; ``z_n`` of a vector z becomes an entry of it."""

    def change(node: Any) -> Any:
        if isinstance(node, ast.Call) and key(node.func) in names:
            return replace(node, func=names[key(node.func)])
        if not isinstance(node, ast.Name):
            return node
        if key(node.id) in names:
            return replace(node, id=names[key(node.id)])
        base, _, place = node.id.partition("_")
        if key(base) not in names or not place:
            return node
        at = ast.Number(node.span, float(place), place) if place.isdigit() else ast.Name(node.span, names[key(place)])
        return ast.Index(node.span, ast.Name(node.span, names[key(base)]), (at,))

    return through(spec, change)


def reordered(spec: ast.Spec, random: Random) -> ast.Spec:
    """Statements and the terms of every sum in another order; what is observed keeps its own, which has a meaning."""

    def change(node: Any) -> Any:
        if not isinstance(node, ast.Sum):
            return node
        return replace(node, terms=tuple(random.sample(node.terms, len(node.terms))))

    shuffled = random.sample(through(spec, change).statements, len(spec.statements))
    observed = iter([s for s in spec.statements if _observed(s)])
    return replace(spec, statements=tuple(next(observed) if _observed(s) else s for s in shuffled))


def _observed(s: ast.Statement) -> bool:
    return isinstance(s, ast.VarDecl) and s.role == "observed"


def respelled(spec: ast.Spec, random: Random) -> ast.Spec:
    """Squared norms as sums, numbers in and out of norms and absolute values, and signs turned inside of them."""

    def change(e: Any) -> Any:
        match e:
            case ast.Power(base=ast.Bars(kind="norm", body=body, order=None | "2"), exponent=ast.Number(value=2.0)):
                return random.choice(
                    [
                        e,
                        ast.Call(e.span, "sum", e.span, (ast.Product(e.span, (("", body), ("⊙", body))),)),
                        over(replace(e, base=replace(e.base, body=times("2", body))), "4"),
                        times("4", replace(e, base=replace(e.base, body=over(body, "2")))),
                        replace(e, base=replace(e.base, body=ast.Negate(e.span, body))),
                    ]
                )
            case ast.Bars(kind="abs", body=body):
                doubled = over(replace(e, body=times("2", body)), "2")
                return random.choice([e, doubled, replace(e, body=ast.Negate(e.span, body))])
            case ast.BigOp(kind="sum") if random.random() < 0.3:
                return times("2", replace(e, body=over(e.body, "2")))
        return e

    def definitions(node: Any) -> Any:
        return replace(node, body=through(node.body, change)) if isinstance(node, ast.Define) else node

    return replace(spec, statements=tuple(definitions(s) for s in spec.statements))


def scaled(spec: ast.Spec, factor: str) -> ast.Spec:
    """The last energy that is defined times a number: under its minimum, if it is one."""
    *_, last = [k for k, s in enumerate(spec.statements) if isinstance(s, ast.Define)]
    return replace(
        spec,
        statements=tuple(
            replace(s, body=_inside(s.body, factor)) if k == last and isinstance(s, ast.Define) else s
            for k, s in enumerate(spec.statements)
        ),
    )


def _inside(e: ast.Expr, factor: str) -> ast.Expr:
    if isinstance(e, ast.BigOp) and e.kind == "min":
        return replace(e, body=_inside(e.body, factor))
    return times(factor, e)


def times(number: str, e: ast.Expr) -> ast.Expr:
    return ast.Product(e.span, (("", ast.Number(e.span, float(number), number)), ("", e)))


def over(e: ast.Expr, number: str) -> ast.Expr:
    return ast.Product(e.span, (("", e), ("/", ast.Number(e.span, float(number), number))))
