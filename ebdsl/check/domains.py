"""Where a variable lies: from ``onehot[K]`` and ``R[M, N], unit columns`` to a domain and a shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ebdsl.check import numbers
from ebdsl.check.sizes import dimension
from ebdsl.check.walk import everything
from ebdsl.check.words import count, key, listed, nearest
from ebdsl.model.domains import DOMAINS, Domain, DomainKind, meet
from ebdsl.model.ir import Dim
from ebdsl.syntax import ast

if TYPE_CHECKING:
    from ebdsl.check.scope import Context

ROLES = {"observed": "an observed variable", "latent": "a latent variable", "param": "a parameter", "noise": "noise"}


def spellings() -> dict[str, DomainKind]:
    """Every way to write a domain."""
    return {s: row for row in DOMAINS.values() for s in row.spellings}


def domain_and_shape(
    s: ast.VarDecl, known: Mapping[str, float | None], ctx: Context
) -> tuple[Domain, tuple[Dim, ...]] | None:
    """The domain and the shape of a declared variable; None after an error."""
    assert s.type is not None
    shape = shape_of(s.type, ctx, s.role in ("latent", "param"))
    domains: list[tuple[Domain, ast.TypeExpr]] = []
    good = shape is not None
    for t in (s.type, *s.constraints):
        domain = _domain(t, t is not s.type, known, ctx)
        if domain is None:
            good = False
        elif domain.kind != "real":
            domains.append((domain, t))
    for t in s.constraints:
        if t.dims:
            ctx.report.add(
                "EB0205",
                f"a constraint takes no dimensions: {s.name.id} has its shape from {ctx.text(s.type.span)}",
                (t.span, "dimensions here"),
                help=f"write {t.name} without brackets",
            )
            good = False
    if not good or shape is None:
        return None
    if not domains:
        return Domain("real"), shape
    if not all(_suits(domain, s, t, shape, ctx) for domain, t in domains):
        return None
    domain, t = domains[0]
    for other, u in domains[1:]:
        both = meet(domain, other)
        if both is None:
            ctx.report.add(
                "EB0206",
                f"{s.name.id} cannot be kept {domain} and {other}: the nearest point of both is not known",
                (u.span, "a further constraint"),
                (t.span, "beside this one"),
                help="keep the one that matters; the other can stand in the energy as a penalty",
            )
            return None
        domain = both
    return (domain, shape) if _suits(domain, s, t, shape, ctx) else None


def shape_of(t: ast.TypeExpr, ctx: Context, stretch: bool = False) -> tuple[Dim, ...] | None:
    """The shape in a type's brackets; None after an error."""
    dims = [dimension(d, ctx, stretch) for d in t.dims]
    return None if None in dims else tuple(d for d in dims if d is not None)


def _domain(t: ast.TypeExpr, constraint: bool, known: Mapping[str, float | None], ctx: Context) -> Domain | None:
    table = spellings()
    row = table.get(t.name) or table.get(t.name.lower())
    if row is None:
        near = nearest(t.name, table)
        where = "constraint" if constraint else "domain"
        names = listed(sorted(r.spellings[0] for r in DOMAINS.values()))
        ctx.report.add(
            "EB0204",
            f"there is no {where} {t.name}",
            (t.span, f"not a {where}"),
            help=(f"did you mean {near} ?",) if near else (f"there are {names}",),
            fix=(t.span, ctx.source.text[t.span.start : t.span.end].replace(t.name, near, 1)) if near else None,
        )
        return None
    for a in t.args:
        ctx.used.update(key(e.id) for e in everything(a) if isinstance(e, ast.Name))
    values = [numbers.evaluate(a, known, ctx.report, "EB0205", f"this argument of {t.name}") for a in t.args]
    if None in values:
        return None
    least = row.nargs - len(row.defaults)
    if least <= len(values) < row.nargs:
        values += row.defaults[len(values) - row.nargs :]
    if len(values) != row.nargs:
        example = f"{t.name}({', '.join(['0', '1'][: row.nargs])})" if row.nargs else t.name
        ctx.report.add(
            "EB0205",
            f"{t.name} takes {count(row.nargs, 'number')} in parentheses"
            + (f", and has {len(values)}" if values else "")
            if row.nargs
            else f"{t.name} takes no numbers in parentheses",
            (t.span, f"{count(len(values), 'number') if values else 'no numbers'} here"),
            help=f"for example {example}",
        )
        return None
    return Domain(row.name, tuple(float(v) for v in values if v is not None))


def _suits(domain: Domain, s: ast.VarDecl, t: ast.TypeExpr, shape: tuple[Dim, ...], ctx: Context) -> bool:
    row = domain.row
    if len(shape) < row.min_ndim:
        ctx.report.add(
            "EB0205",
            f"{t.name} needs {'at least ' if row.min_ndim == 1 else ''}{count(row.min_ndim, 'dimension')}, "
            f"and {s.name.id} has {len(shape) or 'none'}",
            (t.span, count(len(shape), "dimension") if shape else "no dimensions"),
            help=f"for example {s.name.id} : {t.name}[K]"
            if t is s.type
            else f"for example {s.name.id} : R[{'M, N' if row.min_ndim == 2 else 'N'}], {t.name}",
        )
        return False
    matrix = row.whole >= 2 or row.axis == -2
    if matrix and s.role != "param":
        ctx.report.add(
            "EB0206",
            f"{t.name} is for parameters, and {s.name.id} is {ROLES[s.role]}",
            (t.span, "a constraint on a matrix that is learned"),
            (s.name.span, ROLES[s.role]),
            help=f"if it is learned: param {s.name.id} : …" + _vector_help(row, s),
        )
        return False
    if row.finite and s.role == "param":
        ctx.report.add(
            "EB0206",
            f"a parameter cannot be {t.name}: a finite set has no gradient to learn by",
            (t.span, "a finite set"),
            (s.name.span, "a parameter"),
            help=f"if it is chosen anew for each sample: latent {s.name.id} : {ctx.text(t.span)}",
        )
        return False
    complaint = getattr(row, "complaint", None)
    sized = tuple(ctx.dims.get(d) or d if isinstance(d, str) else d for d in shape)
    said = complaint(domain.args, sized) if complaint else None
    if said:
        ctx.report.add("EB0205", f"{s.name.id}: {said}", (t.span, "here"))
        return False
    return True


def _vector_help(row: DomainKind, s: ast.VarDecl) -> str:
    return f"; a code of norm one is {s.name.id} : sphere[N]" if row.axis == -2 and s.role == "latent" else ""
