"""``argmin_z E`` inside of another energy: the code that an energy of its own decides."""

from __future__ import annotations

from dataclasses import replace

from ebdsl.check import bigops
from ebdsl.check.energy import Addend, Energy, split
from ebdsl.check.scope import Context, Env, Value
from ebdsl.check.term_texts import terms_of
from ebdsl.check.words import key, listed
from ebdsl.model import build
from ebdsl.model.algebra import replace_symbol
from ebdsl.model.canonical import canonical
from ebdsl.model.deltas import Index
from ebdsl.model.ir import Get, Node, Symbol
from ebdsl.model.model import Answer
from ebdsl.syntax import ast


def lower_argmin(e: ast.BigOp, env: Env) -> Value | None:
    """The answer as a tensor, a symbol of the role ``answer``; what it minimises is put into the context."""
    ctx = env.ctx
    if not bigops.valid_names(e, env):
        return None
    if len(e.names) != 1 or key(e.names[0].id) in ctx.states:
        ctx.report.add(
            "EB0315", f"an argmin over {listed(n.id for n in e.names)} is not one tensor", (e.span, "which of them?"),
            help="argmin is over one latent variable",
        )  # fmt: skip
        return None
    k = key(e.names[0].id)
    latent = ctx.symbols[k]
    inside = replace(env, values={n: v for n, v in env.values.items() if n != k})
    energy = split(e.body, inside)
    if energy is None:
        return None
    why = _refused(energy, latent)
    if why:
        ctx.report.add("EB0315", f"argmin_{latent.name} {why[0]}", (e.span, f"argmin_{latent.name}"), help=why[1])
        return None
    found = Answer(latent, terms_of(energy.terms), e.span)
    before = ctx.answers.setdefault(k, found)
    if canonical(before.energy) != canonical(found.energy):
        ctx.report.add(
            "EB0315", f"two argmins over {latent.name}, of two energies", (e.span, "the second"),
            (before.span, "the first"), help="declare a latent variable for each",
        )  # fmt: skip
        return None
    t = build.tensor(replace(latent, role="answer"))
    return Value(t.body, t.axes, e.span)


def _refused(energy: Energy, latent: Symbol) -> tuple[str, str] | None:
    """Why this energy has no argmin here, and a way out."""
    held = {s for a in energy.terms for s in a.node.symbols}
    others = sorted(s.name for s in held if s.role == "answer" or (s.role == "latent" and s != latent))
    if energy.eliminations or others:
        what = f"holds {listed(others)}, which is chosen too" if others else "holds a minimum or an average of its own"
        return f"is of an energy that {what}", "the energy of an argmin holds one latent variable, and data"
    if energy.averaged or any(s.role == "noise" for s in held):
        return "is of an average over noise", "take the noise out of the energy that is minimised"
    if latent not in held:
        return f"is of an energy that does not hold {latent.name}", f"use {latent.name} in it"
    if not any(s.role == "observed" for s in held):
        return "is the same for all data", "let its energy hold what is observed, or declare a parameter"
    return None


def answered(energy: Energy, ctx: Context) -> tuple[Energy, tuple[Answer, ...]] | None:
    """The energy over latents in the place of answers, and those answers; None after an error."""
    held = {s for a in energy.terms for s in a.node.symbols}
    answers = tuple(a for a in ctx.answers.values() if replace(a.latent, role="answer") in held)
    for a in answers:
        if a.latent in held:
            term = next(t for t in energy.terms if a.latent in t.node.symbols)
            name = a.latent.name
            ctx.report.add(
                "EB0315", f"{name} stands outside the argmin that is taken over it", (term.span, f"{name} here"),
                (a.span, f"the argmin over {name}"), help="put the argmin in its place, or call one of them otherwise",
            )  # fmt: skip
            return None
    return replace(energy, terms=tuple(replace(t, node=_latent(t, answers)) for t in energy.terms)), answers


def _latent(term: Addend, answers: tuple[Answer, ...]) -> Node:
    node = term.node
    for a in answers:

        def free(index: tuple[Index, ...], z: Symbol = a.latent) -> Node:
            return Get(z, index)

        node = replace_symbol(node, replace(a.latent, role="answer"), free)
    return node


__all__ = ["answered", "lower_argmin"]
