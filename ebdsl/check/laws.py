"""``noise u ~ normal(0, 1) : R[N]``: what noise is drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ebdsl.check import numbers
from ebdsl.check.domains import ROLES
from ebdsl.check.walk import everything
from ebdsl.check.words import count, key, listed, nearest
from ebdsl.model.domains import Domain
from ebdsl.model.laws import LAWS, Law
from ebdsl.syntax import ast

if TYPE_CHECKING:
    from ebdsl.check.scope import Context


def law_of(s: ast.VarDecl, domain: Domain, known: Mapping[str, float | None], ctx: Context) -> Law | None:
    """The law of a noise variable; None after an error."""
    name = s.name.id
    if s.role != "noise":
        assert s.law is not None
        ctx.report.add(
            "EB0239",
            f"{name} is {ROLES[s.role]}, and has a law: only noise is drawn",
            (s.law.span, "a law"),
            (s.name.span, ROLES[s.role]),
            help=f"what is drawn anew each time is noise: noise {name} ~ {ctx.text(s.law.span)} : R[…]",
        )
        return None
    if domain.kind != "real":
        ctx.report.add(
            "EB0239",
            f"{name} is noise, and lies where its law puts it: it has no domain of its own",
            (s.name.span, f"said to be in {domain}"),
            help=f"noise {name} ~ uniform(0, 1) : R[N], say",
        )
        return None
    if s.law is None:
        ctx.report.add(
            "EB0239",
            f"{name} is noise, and nothing says what it is drawn from",
            (s.name.span, "what law?"),
            help=f"noise {name} ~ normal(0, 1) : R[N]",
        )
        return None
    rows = listed((f"{r.name}({', '.join(r.arguments)})" for r in LAWS.values()), "or")
    head = s.law.func if isinstance(s.law, ast.Call) else ctx.text(s.law.span)
    row = LAWS.get(head.lower())
    if row is None or not isinstance(s.law, ast.Call) or s.law.keywords:
        near = nearest(head.lower(), LAWS) if row is None else None
        ctx.report.add(
            "EB0239",
            f"{ctx.text(s.law.span)} is no law of noise",
            (s.law.span, "not a law"),
            help=f"did you mean {near} ?" if near else f"laws are {rows}",
            fix=(s.law.func_span, near) if near and isinstance(s.law, ast.Call) else None,
        )
        return None
    for a in s.law.args:
        ctx.used.update(key(e.id) for e in everything(a) if isinstance(e, ast.Name))
    values = [numbers.evaluate(a, known, ctx.report, "EB0239", f"this argument of {row.name}") for a in s.law.args]
    if None in values:
        return None
    args = tuple(float(v) for v in values if v is not None)
    wrong = (
        f"{row.name} takes {count(len(row.arguments), 'number')}: {listed(row.arguments)}"
        if len(args) != len(row.arguments)
        else row.problem(*args)
    )
    if wrong:
        ctx.report.add("EB0239", wrong, (s.law.span, "here"), help=f"laws are {rows}")
        return None
    return Law(row.name, args)
