"""An energy taken apart: its terms, and the latents that minima and log-sum-exps eliminate.

Addends are found through sums, brackets, definitions, factors and sums over indices; each keeps its text
and its place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ebdsl.check import bigops, logsumexp
from ebdsl.check.calls import arguments, inside, site
from ebdsl.check.dims import type_text
from ebdsl.check.functions import unfold
from ebdsl.check.lower import lower
from ebdsl.check.monomial import Monomial, monomial
from ebdsl.check.products import times
from ebdsl.check.scope import Env
from ebdsl.check.term_texts import Addend, Prefix, prefixed, unsigned, with_arguments
from ebdsl.check.words import key
from ebdsl.diagnostics import Span
from ebdsl.model import build
from ebdsl.model.ir import Lit, Node, Symbol
from ebdsl.model.model import Elimination
from ebdsl.syntax import ast


@dataclass(frozen=True)
class Energy:
    """``terms`` add up to what the ``eliminations``, outermost first, are taken of; noise is ``averaged`` over."""

    terms: tuple[Addend, ...]
    eliminations: tuple[Elimination, ...] = ()
    name: str | None = None
    averaged: frozenset[Symbol] = frozenset()

    @property
    def eliminated(self) -> frozenset[Symbol]:
        return frozenset(s for e in self.eliminations for s in e.latents)


ONE = Monomial(1.0)


def split(expr: ast.Expr, env: Env, weight: Monomial = ONE, prefix: Prefix = ()) -> Energy | None:
    """``weight`` times the energy that an expression is; None where an error has been reported.

    ``prefix`` are the factors of the weight as written, for the texts of the terms.
    """
    expr = unfold(expr, env)
    match expr:
        case ast.Sum(_, terms):
            if all(_is_tensor(t, env) for _, t in terms):
                return _leaf(expr, env, weight, prefix)
            parts = [(split(t, env, weight * Monomial(float(sign)), prefix), t) for sign, t in terms]
            good = [(p, t) for p, t in parts if p is not None]
            return together(good, env) if len(good) == len(parts) else None
        case ast.Negate(_, body):
            return split(body, env, weight * Monomial(-1.0), prefix)
        case ast.Product():
            return _product(expr, env, weight, prefix)
        case ast.Name(_, name) | ast.Call(_, name) if _definition(name, env):
            return _called(expr, key(name), env, weight, prefix)
        case ast.Call() if logsumexp.is_log_of_sum(expr, env):
            return logsumexp.recognise(expr, weight, prefix[0][1].span.to(expr.span) if prefix else expr.span, env)
        case ast.BigOp(_, kind) if kind in ("min", "softmin") and not bigops.is_extreme(expr, env):
            energy = _eliminate(expr, env)
            return None if energy is None else scale(energy, weight, prefix, expr.span, env)
        case ast.BigOp(_, "expect"):
            return _averaged(expr, env, weight, prefix)
        case ast.BigOp(_, "sum") if not _over_latents(expr, env):
            return _over_index(expr, env, weight, prefix)
    return _leaf(expr, env, weight, prefix)


def _averaged(e: ast.BigOp, env: Env, weight: Monomial, prefix: Prefix) -> Energy | None:
    """``E_u[A + B]`` is ``E_u[A] + E_u[B]``: the terms of the body, each averaged over what it holds."""
    noise = bigops.noise_of(e, env)
    inner = None if noise is None else split(e.body, env)
    if noise is None or inner is None:
        return None
    outer = scale(replace(inner, averaged=inner.averaged | frozenset(noise)), weight, prefix, e.span, env)
    if outer is None or not inner.eliminations:
        return outer
    names = ", ".join(s.name for s in inner.eliminations[0].latents)
    word = inner.eliminations[0].kind
    env.report.add(
        "EB0306",
        f"an expectation of a {word} over {names} is another problem for each value of the noise",
        (e.span, f"a {word} inside"),
        help=f"take the {word} of the expectation: {word}_{names} E_{noise[0].name}[…]",
    )
    return None


def _is_tensor(e: ast.Expr, env: Env) -> bool:
    """Whether a term is surely no number; the first that may be one ends the search of a sum."""
    if isinstance(e, ast.Bars | ast.Number | ast.BigOp):
        return False
    value = lower(e, env.muted())
    return value is not None and not value.scalar


def _leaf(expr: ast.Expr, env: Env, weight: Monomial, prefix: Prefix) -> Energy | None:
    """An expression that is one term."""
    value = lower(expr, env)
    if value is None:
        return None
    if not value.scalar:
        text = env.ctx.inner(expr.span)
        env.report.add(
            "EB0303",
            f"a term of the energy is {type_text(value)}, and an energy is one number for each sample",
            (expr.span, type_text(value)),
            help=f"sum the entries: sum({text})"
            if isinstance(expr, ast.Power)
            else f"take a norm: ||{text}||^2, or ||{text}||_1",
        )
        return None
    shown = prefixed(prefix, expr)
    return Energy((Addend(_scaled(weight, value.body), shown, shown.span, _written(weight)),))


def _written(weight: Monomial) -> int:
    """The sign that stands before a term; that of a constant stands in its value."""
    return -1 if weight.number < 0 else 1


def _definition(name: str, env: Env) -> bool:
    k = key(name)
    return k in env.ctx.definitions and k not in env.values and k not in env.indices and not env.ctx.is_variable(k)


def _over_latents(e: ast.BigOp, env: Env) -> bool:
    return any(key(n.id) in env.ctx.symbols and env.ctx.symbols[key(n.id)].role == "latent" for n in e.names)


# --------------------------------------------------------------------------- sums


def together(parts: list[tuple[Energy, ast.Expr]], env: Env) -> Energy | None:
    """A sum of energies: ``min_z A + B`` is ``min_z (A + B)`` where B is free of z."""
    terms = tuple(a for p, _ in parts for a in p.terms)
    averaged = frozenset().union(*(p.averaged for p, _ in parts))
    for p, t in parts if averaged else ():
        for q, _ in parts:
            outside = next((a for a in q.terms if a.node.symbols & (p.averaged - q.averaged)), None)
            if outside is not None:
                _outside_mean(outside, p.averaged, t, env)
                return None
    holding = [(p, t) for p, t in parts if p.eliminations]
    if not holding:
        return Energy(terms, averaged=averaged)
    for p, t in holding:
        for q, u in parts:
            if q is p:
                continue
            outside = next((a for a in q.terms if a.node.symbols & p.eliminated), None)
            if outside is not None:
                names = ", ".join(sorted(s.name for s in outside.node.symbols & p.eliminated))
                _used_outside(names, outside.span, t, u, env)
                return None
    kinds = {e.kind for p, _ in holding for e in p.eliminations}
    if len(holding) > 1 and kinds != {"min"}:
        env.report.add(
            "EB0306",
            "a sum of two log-sum-exps is no log-sum-exp",
            (holding[1][1].span, "the second"),
            (holding[0][1].span, "the first"),
            help="bracket the energies under one softmin",
        )
        return None
    eliminations = tuple(e for p, _ in holding for e in p.eliminations)
    if len(holding) > 1:
        eliminations = (Elimination("min", tuple(s for e in eliminations for s in e.latents)),)
    return Energy(terms, eliminations, holding[0][0].name, averaged)


def _outside_mean(outside: Addend, averaged: frozenset[Symbol], inner: ast.Expr, env: Env) -> None:
    names = ", ".join(sorted(s.name for s in outside.node.symbols & averaged))
    env.report.add(
        "EB0314",
        f"{names} stands outside the expectation that is taken over it",
        (outside.span, f"{names} here"),
        (inner.span, f"the expectation over {names} ends here"),
        help=f"bracket what is random: E_{names}[… + {env.ctx.text(outside.span)}]",
    )


def _used_outside(names: str, span: Span, inner: ast.Expr, outer: ast.Expr, env: Env) -> None:
    if isinstance(outer, ast.BigOp) and isinstance(inner, ast.BigOp):
        message = f"{names} is minimised twice, and each minimum has a {names} of its own"
    else:
        message = f"{names} stands outside the minimum that is taken over it"
    env.report.add(
        "EB0309",
        message,
        (span, f"{names} here"),
        (inner.span, f"the minimum over {names} ends here"),
        help=f"bracket what belongs under it: min_{names} (… + {env.ctx.text(span)})",
    )


# --------------------------------------------------------------------------- factors


def scale(energy: Energy, weight: Monomial, prefix: Prefix, span: Span, env: Env) -> Energy | None:
    """``weight`` times an energy that has minima in it."""
    terms = tuple(
        replace(a, node=_scaled(weight, a.node), expr=prefixed(prefix, a.expr), sign=a.sign * _written(weight))
        for a in energy.terms
    )
    if not energy.eliminations:
        return replace(energy, terms=terms)
    sign = weight.sign
    word = energy.eliminations[0].kind
    names = ", ".join(s.name for s in energy.eliminations[0].latents)
    if sign is None or sign <= 0:
        what = {None: "a factor whose sign is not known", 0: "the factor zero", -1: "a negative factor"}[sign]
        env.report.add(
            "EB0310",
            f"{word}_{names} has {what} before it",
            (span, what),
            help="put a minimum with a plus into the energy; weights of terms go inside"
            if sign == -1
            else "move the weight inside, before the terms it belongs to",
        )
        return None
    eliminations = tuple(
        e if e.beta is None else replace(e, beta=(monomial(e.beta) * weight**-1).node) for e in energy.eliminations
    )
    return replace(energy, terms=terms, eliminations=eliminations)


def _scaled(weight: Monomial, node: Node) -> Node:
    """The product, with powers of scalars cancelled where both hold them."""
    if not weight.powers:
        return build.mul(Lit(weight.number), node)
    other = monomial(node)
    return (weight * other).node if weight.bases & other.bases else times(weight.node, node)


def _product(expr: ast.Product, env: Env, weight: Monomial, prefix: Prefix) -> Energy | None:
    """Numbers times one factor that may be several terms; any other product is one term."""
    factors: list[tuple[str, ast.Expr]] = []
    for op, f in expr.factors:
        other = unfold(f, env)
        if other is not f and isinstance(other, ast.Product) and op != "/":
            factors += [(op, other.factors[0][1]), *other.factors[1:]]
        else:
            factors.append((op, f))
    several = [k for k, (op, f) in enumerate(factors) if op in ("", "*", "·") and _splits(f, env)]
    if len(several) != 1:
        return _leaf(expr, env, weight, prefix)
    k = several[0]
    rest = factors[:k] + factors[k + 1 :]
    if rest and rest[0][0] == "/":
        rest = [("", ast.Number(expr.span, 1.0, "1")), *rest]
    inner = factors[k][1]
    if not rest:
        return split(inner, env, weight, prefix)
    outside = ast.Product(expr.span, tuple(rest))
    value = lower(outside, env.muted())
    if value is None or not value.scalar:
        return _leaf(expr, env, weight, prefix)
    value = lower(outside, env)
    assert value is not None
    return split(inner, env, weight * monomial(value.body), (*prefix, *unsigned(tuple(rest))))


def _splits(f: ast.Expr, env: Env) -> bool:
    """Whether a factor may be more than one term, or hold an elimination."""
    f = unfold(f, env)
    if isinstance(f, ast.Sum | ast.Negate):
        return not _is_number(f, env)
    if isinstance(f, ast.BigOp):
        return f.kind in ("min", "softmin", "expect") or (f.kind == "sum" and not _over_latents(f, env))
    if isinstance(f, ast.Product):
        return any(_splits(g, env) for op, g in f.factors if op != "/")
    if isinstance(f, ast.Call):
        return logsumexp.is_log_of_sum(f, env) or _definition(f.func, env)
    return isinstance(f, ast.Name) and _definition(f.id, env)


def _is_number(f: ast.Expr, env: Env) -> bool:
    """Whether a factor is made of numbers, constants and sizes alone: ``1 - ρ`` is a weight, and no two terms."""
    value = lower(f, env.muted())
    return value is not None and value.scalar and all(s.role == "const" for s in value.body.symbols)


# --------------------------------------------------------------------------- definitions


def _called(expr: ast.Name | ast.Call, k: str, env: Env, weight: Monomial, prefix: Prefix) -> Energy | None:
    """A definition written out. Where it is one term, the term keeps the text of the call."""
    definition = env.ctx.definitions[k]
    if isinstance(expr, ast.Call):
        if expr.keywords:
            lower(expr, env)
            return None
        bound = arguments(k, expr, env)
    elif not all(env.ctx.is_variable(key(p.id)) for p in definition.params):
        lower(expr, env)
        return None
    else:
        bound = Env(env.ctx)
    scope = None if bound is None else inside(k, bound, env)
    if scope is None:
        return None
    with env.report.called(site(expr, definition)):
        energy = split(definition.body, scope, weight)
    if energy is None:
        return None
    args = expr.args if isinstance(expr, ast.Call) else ()
    named = {
        key(p.id): a
        for p, a in zip(definition.params, args, strict=False)
        if not (isinstance(a, ast.Name) and key(a.id) == key(p.id))
    }
    if named and len(energy.terms) == 1 and not energy.eliminations:
        shown = prefixed(prefix, expr)
        whole = replace(energy.terms[0], expr=shown, span=shown.span, sign=_written(weight))
        return replace(energy, terms=(whole,))
    terms = energy.terms
    if named or prefix:
        terms = tuple(
            replace(a, expr=prefixed(prefix, with_arguments(a.expr, named)), span=expr.span if named else a.span)
            for a in terms
        )
    return replace(energy, terms=terms, name=energy.name or definition.name.id)


# --------------------------------------------------------------------------- big operators


def _over_index(e: ast.BigOp, env: Env, weight: Monomial, prefix: Prefix) -> Energy | None:
    """``Σ_k (a + b)`` is ``Σ_k a + Σ_k b``."""
    scope = bigops.bind_all(e, env)
    energy = None if scope is None else split(e.body, scope)
    if energy is None or scope is None:
        return None
    names = ", ".join(n.id for n in e.names)
    if energy.eliminations:
        latents = ", ".join(s.name for s in energy.eliminations[0].latents)
        env.report.add(
            "EB0306",
            f"a minimum over {latents} for each {names} comes later",
            (e.span, f"a sum over {names} of minima"),
            help=f"give {latents} an axis that {names} runs over, and take one minimum of the sum",
        )
        return None
    axes = bigops.bound_axes(e, scope)
    alone = len(energy.terms) == 1
    terms = tuple(
        Addend(
            _scaled(weight, build.sum_over(a.node, axes)),
            prefixed(prefix, replace(e, body=a.expr)),
            e.span if alone else a.span,
            a.sign * _written(weight),
        )
        for a in energy.terms
    )
    return Energy(terms, averaged=energy.averaged)


def _eliminate(e: ast.BigOp, env: Env) -> Energy | None:
    ctx = env.ctx
    beta = None
    good = True
    if e.kind == "softmin":
        beta = inverse_temperature(e.beta, env) if e.beta is not None else Lit(1.0)
        if e.beta is None:
            ctx.notes.setdefault("softmin has no [β]: the inverse temperature β is 1")
        good = beta is not None
    if not bigops.valid_names(e, env):
        good = False
        env = bigops.bind_all(e, env.muted()) or env  # min_k: the body is read with k as an index
        env = replace(env, ctx=ctx)
    inner = split(e.body, env)
    if inner is None or not good:
        return None
    latents = tuple(ctx.symbols[key(n.id)] for n in e.names if key(n.id) not in ctx.states)
    for n in e.names:
        if key(n.id) in ctx.states:
            ctx.notes.setdefault(f"{n.id} follows from its recurrence: there is nothing to choose in it")
    if not latents:
        return inner
    return eliminate(Elimination(e.kind, latents, beta), inner, e.span, env)


def eliminate(outer: Elimination, inner: Energy, span: Span, env: Env) -> Energy | None:
    """An elimination put before those that are there."""
    twice = [s.name for s in outer.latents if s in inner.eliminated]
    if twice or len(set(outer.latents)) < len(outer.latents):
        name = twice[0] if twice else outer.latents[0].name
        env.report.add(
            "EB0309",
            f"{name} is minimised twice",
            (span, f"{name} is minimised inside already" if twice else f"{name} stands twice here"),
            help="leave one of the two out",
        )
        return None
    return replace(inner, eliminations=(outer, *inner.eliminations))


def inverse_temperature(e: ast.Expr, env: Env) -> Node | None:
    """β: a positive number, the same for all samples; None after an error."""
    value = lower(e, env)
    if value is None:
        return None
    problem = None
    if not value.scalar:
        problem = f"is {type_text(value)}"
    elif any(s.per_sample for s in value.body.symbols):
        problem = "depends on the sample"
    elif (sign := monomial(value.body).sign) is not None and sign <= 0:
        problem = "is zero" if sign == 0 else "is negative"
    if problem:
        env.report.add(
            "EB0312",
            f"the inverse temperature {env.ctx.text(e.span)} {problem}",
            (e.span, "not a positive number"),
            help="β is a number, a constant or a parameter above zero; for β → ∞ write min",
        )
        return None
    return value.body
