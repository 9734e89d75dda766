"""``infer z by Enc``: what a trained model answers with."""

from __future__ import annotations

from ebdsl.check import algorithms
from ebdsl.check.dims import same, shape_text, type_text
from ebdsl.check.functions import apply_module
from ebdsl.check.identifiers import symbol, undeclared
from ebdsl.check.lower import lower
from ebdsl.check.scope import Context, Env, Value
from ebdsl.check.words import key, listed
from ebdsl.model.algorithms import Chosen
from ebdsl.model.ir import Module, Node
from ebdsl.syntax import ast


def amortised(spec: ast.Spec, ctx: Context) -> dict[str, Node | Chosen]:
    """For each latent with such a line, the expression over the observed variables, or an algorithm by name."""
    found: dict[str, Node | Chosen] = {}
    env = Env(ctx)
    for s in spec.statements:
        if not isinstance(s, ast.InferBy) or s.verb != "infer":
            continue
        k = key(s.latent.id)
        variable = ctx.symbols.get(k)
        if variable is None or variable.role != "latent":
            if variable is None:
                undeclared(s.latent.id, s.latent.span, env)
            else:
                ctx.report.add(
                    "EB0229",
                    f"{s.latent.id} is not a latent variable: there is nothing to infer",
                    (s.latent.span, "not latent"),
                    *(((variable.span, "declared here"),) if variable.span else ()),
                )
            continue
        if variable.name in found:
            ctx.report.add("EB0229", f"two lines say how {s.latent.id} is inferred", (s.span, "the second"))
            continue
        if algorithms.named(s.by, ctx):
            choice = algorithms.chosen(s.by, ctx)
            if choice is not None:
                found[variable.name] = choice
            continue
        value = _value(s.by, env)
        if value is None or k in ctx.broken:
            continue
        if value.rank != len(variable.shape) or not all(
            same(ctx, a, b) for a, b in zip(value.dims, variable.shape, strict=True)
        ):
            ctx.report.add(
                "EB0229",
                f"{ctx.text(s.by.span)} gives {type_text(value)}, and {variable.name} is {shape_text(variable.shape)}",
                (s.by.span, type_text(value)),
                *(((variable.span, shape_text(variable.shape)),) if variable.span else ()),
                help=f"an answer for {variable.name} has its shape: … -> {shape_text(variable.shape)}",
            )
            continue
        others = sorted({x.name for x in value.body.symbols if x.role == "latent"})
        if others:
            ctx.report.add(
                "EB0229",
                f"the answer for {variable.name} depends on {listed(others)}, which is latent itself",
                (s.by.span, f"holds {listed(others)}"),
                help="an answer is made of observed variables, parameters and modules",
            )
            continue
        found[variable.name] = value.fresh().tensor
    return found


def _value(by: ast.Expr, env: Env) -> Value | None:
    ctx = env.ctx
    if isinstance(by, ast.Name):
        k = key(by.id)
        ctx.used.add(k)
        if k in ctx.broken:
            return None
        if k in ctx.modules:
            return _applied(ctx.modules[k], by, env)
        if k in ctx.definitions and ctx.definitions[k].params:
            d = ctx.definitions[k]
            if all(ctx.is_variable(key(p.id)) for p in d.params):
                return lower(ast.Call(by.span, by.id, by.span, tuple(ast.Name(by.span, p.id) for p in d.params)), env)
    return lower(by, env)


def _applied(module: Module, by: ast.Name, env: Env) -> Value | None:
    """A module applied to the observed variables that fit it, in order of declaration."""
    ctx = env.ctx
    observed = [s for s in ctx.symbols.values() if s.role == "observed"]
    chosen: list[Value] = []
    for shape in module.inputs:
        fits = [
            s
            for s in observed
            if len(s.shape) == len(shape) and all(same(ctx, a, b) for a, b in zip(s.shape, shape, strict=True))
        ]
        left = [s for s in fits if s.name not in {x.name for v in chosen for x in v.body.symbols}] or fits
        if not left or (len(left) > 1 and len(module.inputs) == 1):
            what = "none is" if not left else f"{listed(s.name for s in left)} are"
            ctx.report.add(
                "EB0229",
                f"{module.name} takes {shape_text(shape)}, and of the observed variables {what}",
                (by.span, "applied to what?"),
                help=f"write it out: infer … by {module.name}({listed((s.name for s in left), 'or') or '…'})",
            )
            return None
        chosen.append(symbol(key(left[0].name), by.span, env))
        ctx.used.add(key(left[0].name))
    return apply_module(module, tuple(chosen), by.span, by.span, env)
