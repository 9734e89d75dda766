"""Which definition is the free energy, and what it is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ebdsl.check.argmin import answered
from ebdsl.check.energy import Energy, split
from ebdsl.check.limits import LARGEST, report_large, written_size
from ebdsl.check.lower import lower
from ebdsl.check.scope import Context, Env
from ebdsl.check.term_texts import terms_of
from ebdsl.check.walk import everything
from ebdsl.check.words import key, listed, nearest
from ebdsl.diagnostics import Span
from ebdsl.model.ir import Symbol
from ebdsl.model.model import Answer, Elimination, Term
from ebdsl.syntax import ast


@dataclass(frozen=True)
class FreeEnergy:
    """``terms`` under the ``eliminations``; ``energy_name`` is that of what they are taken of."""

    name: str
    energy_name: str
    terms: tuple[Term, ...]
    eliminations: tuple[Elimination, ...]
    span: Span
    answers: tuple[Answer, ...] = ()


def report_circles(ctx: Context) -> None:
    """EB0213 for each definition that comes back to itself; it is broken for all that follows."""
    calls = {k: _called(d, ctx) for k, d in ctx.definitions.items()}
    for k in list(calls):
        path = _circle(k, calls)
        if path and k not in ctx.broken:
            names = [ctx.definitions[p].name.id for p in path]
            d = ctx.definitions[k]
            ctx.report.add(
                "EB0213",
                f"{names[0]} calls itself"
                if len(path) == 1
                else f"{names[0]} calls itself: {' → '.join([*names, names[0]])}",
                (d.name.span, "defined by itself"),
                *((ctx.definitions[p].name.span, "through this one") for p in path[1:]),
                help="write out what it is; what follows step by step is a recurrence: s[t+1] = f(s[t])",
            )
            ctx.broken.update(path)


def _called(d: ast.Define, ctx: Context) -> set[str]:
    formal = {key(p.id) for p in d.params}
    names = {key(e.id) for e in everything(d.body) if isinstance(e, ast.Name)}
    names |= {key(e.func) for e in everything(d.body) if isinstance(e, ast.Call)}
    return {n for n in names - formal if n in ctx.definitions}


def _circle(start: str, calls: dict[str, set[str]]) -> list[str]:
    """The shortest way from a definition back to itself, empty where there is none."""
    ways = [[start]]
    seen = {start}
    while ways:
        way = ways.pop(0)
        for n in sorted(calls[way[-1]]):
            if n == start:
                return way
            if n not in seen:
                seen.add(n)
                ways.append([*way, n])
    return []


def free_energy(ctx: Context) -> FreeEnergy | None:
    """The free energy of the spec; None after an error. Definitions that it does not use are checked too."""
    used = {n for d in ctx.definitions.values() for n in _called(d, ctx)}
    mentioned = {key(e.id) for s in ctx.declarations.values() for e in _infer_names(s)}
    tops = [k for k in ctx.definitions if k not in used and k not in ctx.broken and k not in mentioned]
    closed = [
        k for k in tops if all(ctx.is_variable(key(p.id)) or key(p.id) in ctx.broken for p in ctx.definitions[k].params)
    ]
    chosen = _choose(closed, tops, ctx)
    for k in closed:
        if k != chosen:
            lower(ctx.definitions[k].body, Env(replace(ctx, used=set(), answers={}), calls=(k,)))
    if chosen is None:
        return None
    definition = ctx.definitions[chosen]
    ctx.used.add(chosen)
    energy = split(definition.body, Env(ctx, calls=(chosen,)))
    if energy is None:
        return None
    energy = _assume_minimum(energy, definition, ctx)
    energy = _averages(energy, definition, ctx)
    _arguments(definition, energy, ctx)
    done = answered(energy, ctx)
    if done is None:
        return None
    energy, answers = done
    if not answers and not _holds_data(definition, energy, ctx):
        return None
    if not _of_a_size(energy, ctx):
        return None
    return FreeEnergy(
        definition.name.id,
        energy.name or definition.name.id,
        terms_of(energy.terms),
        energy.eliminations,
        definition.span,
        answers,
    )


def _of_a_size(energy: Energy, ctx: Context) -> bool:
    """Whether the energy, with everything written out, can be worked with."""
    total = 0
    for a in energy.terms:
        total += written_size(a.node, ctx)
        if total > LARGEST:
            report_large(a.span, ctx)
            return False
    return True


def _infer_names(s: ast.Statement) -> list[ast.Name]:
    return [e for e in everything(s.by) if isinstance(e, ast.Name)] if isinstance(s, ast.InferBy) else []


def _choose(closed: list[str], tops: list[str], ctx: Context) -> str | None:
    scalar = [k for k in closed if _is_energy(k, ctx)] if len(closed) > 1 else []
    if len(scalar) > 1:
        named = [k for k in scalar if k in ("F", "F_w", "F_β")]
        if len(named) == 1:
            return named[0]
        names = [ctx.definitions[k].name for k in scalar]
        ctx.report.add(
            "EB0302",
            f"which is the free energy: {listed((n.id for n in names), 'or')}?",
            (names[0].span, "no other definition uses this one"),
            *((n.span, "nor this one") for n in names[1:]),
            help="call the one that is meant F, or remove the others",
        )
        return None
    if scalar:
        return scalar[0]
    if closed:
        return closed[0]
    if ctx.broken & set(ctx.definitions):
        return None
    for k in tops:
        d = ctx.definitions[k]
        unknown = [p for p in d.params if not ctx.is_variable(key(p.id))]
        near = nearest(unknown[0].id, [s.name for s in ctx.symbols.values()])
        ctx.report.add(
            "EB0301",
            f"{d.name.id} is no energy: its argument {unknown[0].id} is not declared",
            (unknown[0].span, "nothing declares it"),
            help=f"did you mean {near} ?"
            if near
            else f"declare it: observed {unknown[0].id} : R[…], or call {d.name.id} with what is declared",
            fix=(unknown[0].span, near) if near else None,
        )
        return None
    ctx.report.add(
        "EB0301",
        "the spec defines no energy",
        help="write one: F(y) = ||y - W' W y||^2, or with a latent variable E(y, z) = … and F(y) = min_z E(y, z)",
    )
    return None


def _is_energy(k: str, ctx: Context) -> bool:
    """Whether a definition is a number that depends on data or latents, or has an error (which is then reported)."""
    env = Env(ctx.muted(), calls=(k,))
    energy = split(ctx.definitions[k].body, env)
    if energy is not None:
        return any(s.per_sample for a in energy.terms for s in a.node.symbols)
    value = lower(ctx.definitions[k].body, Env(ctx.muted(), calls=(k,)))
    return value is None


def _assume_minimum(energy: Energy, definition: ast.Define, ctx: Context) -> Energy:
    held = {s for a in energy.terms for s in a.node.symbols if s.role == "latent"}
    left = tuple(s for s in ctx.symbols.values() if s in held and s not in energy.eliminated)
    if not left:
        return energy
    names = listed(s.name for s in left)
    verb = "is a latent variable" if len(left) == 1 else "are latent variables"
    ctx.notes.setdefault(f"{names} {verb} that nothing eliminates: {definition.name.id} takes the minimum over {names}")
    return replace(energy, eliminations=(Elimination("min", left), *energy.eliminations))


def _averages(energy: Energy, definition: ast.Define, ctx: Context) -> Energy:
    """The expectations as an elimination: innermost, since a term is averaged whatever the latents are."""
    held = {s for a in energy.terms for s in a.node.symbols if s.role == "noise"}
    left = [s for s in ctx.symbols.values() if s in held and s not in energy.averaged]
    for s in left:
        term = next(a for a in energy.terms if s in a.node.symbols)
        ctx.report.add(
            "EB0314",
            f"{s.name} is random, and nothing is averaged over it: {definition.name.id} would be another one each time",
            (term.span, f"{s.name} here"),
            *(((s.span, "declared here"),) if s.span else ()),
            help=f"take the expectation: E_{s.name}[{ctx.text(term.span)}]",
        )
    averaged = tuple(s for s in ctx.symbols.values() if s in held and s in energy.averaged)
    if left or not averaged:
        return energy
    return replace(energy, eliminations=(*energy.eliminations, Elimination("mean", averaged)))


def _arguments(definition: ast.Define, energy: Energy, ctx: Context) -> None:
    gone = {s.name for s in energy.eliminated}
    for p in definition.params:
        symbol = ctx.symbols.get(key(p.id))
        explicit = isinstance(definition.body, ast.BigOp) and definition.body.kind in ("min", "softmin")
        if symbol is not None and symbol.name in gone and explicit:
            ctx.report.add(
                "EB0408",
                f"{definition.name.id} does not depend on {p.id}: the minimum removes it",
                (p.span, "no argument any more"),
                help=f"leave {p.id} out",
            )


def _holds_data(definition: ast.Define, energy: Energy, ctx: Context) -> bool:
    held: set[Symbol] = {s for a in energy.terms for s in a.node.symbols}
    if any(s.role == "observed" for s in held):
        return True
    observed = [s.name for s in ctx.symbols.values() if s.role == "observed"]
    ctx.report.add(
        "EB0304",
        f"{definition.name.id} does not depend on anything observed",
        (definition.body.span, "holds nothing observed"),
        help=f"compare with {listed(observed, 'or')}: {definition.name.id} is low where the data is"
        if observed
        else "declare what the data is: observed y : R[M]",
    )
    return False
