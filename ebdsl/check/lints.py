"""Legal, and probably not what was meant. A lint that cannot be sure is silent."""

from __future__ import annotations

from itertools import pairwise

from ebdsl.atoms import SPELLINGS
from ebdsl.check.flat import lint_flat
from ebdsl.check.onehot import lint_prototypes
from ebdsl.check.penalties import lint_penalties, note_weights
from ebdsl.check.scope import Context
from ebdsl.check.walk import everything
from ebdsl.model.ir import Symbol
from ebdsl.model.model import Model
from ebdsl.model.outer import outer
from ebdsl.syntax import ast


def lint(model: Model, spec: ast.Spec, ctx: Context) -> None:
    """Add warnings to the report, and notes to the context."""
    inner = (t for a in model.answers for t in a.terms)
    held = frozenset(s for t in (*model.terms, *inner) for s in t.node.symbols)
    answers = frozenset(s for n in model.amortised.values() for s in n.symbols)
    made = model.generated.symbols if model.generated is not None else frozenset()
    temperatures = frozenset(s for e in model.eliminations if e.beta is not None for s in e.beta.symbols)
    _like_functions(spec, ctx)
    _unused(held | answers | temperatures | made, ctx)
    _latents(model, held, ctx)
    whole = outer(model)
    for part in (whole, *(model.inner(a) for a in model.answers)):
        lint_penalties(part, ctx)
        lint_prototypes(part, ctx)
        note_weights(part, ctx)
    lint_flat(whole, ctx)


def _like_functions(spec: ast.Spec, ctx: Context) -> None:
    """A note on ``CE(y, z)`` where C and E are declared: a product, though there is a function of this name."""
    products = [e for d in spec.statements if isinstance(d, ast.Define) for e in everything(d.body)]
    for e in (e for e in products if isinstance(e, ast.Product)):
        for (_, first), (op, second) in pairwise(e.factors):
            if not (isinstance(first, ast.Name) and isinstance(second, ast.Call) and op == ""):
                continue
            whole = first.id + second.func
            if first.span.end == second.span.start and whole in SPELLINGS:
                ctx.notes.setdefault(
                    f"{whole}(…) is the product {first.id} {second.func}(…), since both are declared; the function is "
                    f"{SPELLINGS[whole].name}(…)"
                )


def _unused(held: frozenset[Symbol], ctx: Context) -> None:
    for k, s in ctx.declarations.items():
        name = getattr(s, "name", None)
        if not isinstance(name, ast.Name):
            continue
        match s:
            case ast.VarDecl(role=role) if role in ("observed", "param", "noise"):
                unused = k in ctx.symbols and ctx.symbols[k] not in held and not (role == "noise" and k in ctx.used)
                what = "no term of the energy holds it" if k in ctx.used else "nothing uses it"
            case ast.ConstDecl() | ast.DimDecl() | ast.ModuleDecl() | ast.IndexDecl() | ast.Define():
                unused, what = k not in ctx.used, "nothing uses it"
            case _:
                continue
        if unused:
            ctx.report.add(
                "EB0401",
                f"{name.id} is {'defined' if isinstance(s, ast.Define) else 'declared'}, and {what}",
                (name.span, "not used"),
                help="use it in the energy, or delete the line",
            )


def _latents(model: Model, held: frozenset[Symbol], ctx: Context) -> None:
    for s in model.role("latent"):
        if s not in held and s.span is not None:
            ctx.report.add(
                "EB0402",
                f"no term of the energy holds {s.name}",
                (s.span, "a latent variable without a term"),
                help=f"use {s.name} in {model.energy_name}, or delete the line" + _under(model, s),
            )


def _under(model: Model, s: Symbol) -> str:
    inside = any(s in e.latents for e in model.eliminations)
    return f" and take {s.name} out of the minimum" if inside else ""
