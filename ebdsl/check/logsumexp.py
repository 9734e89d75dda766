"""``-1/β log ∫ exp(-β E(y, z)) dz`` and its kin: a softmin, recognised by its algebra."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ebdsl.atoms import SPELLINGS
from ebdsl.check import bigops
from ebdsl.check.dispatch import lower
from ebdsl.check.functions import unfold
from ebdsl.check.monomial import Monomial, monomial
from ebdsl.check.scope import Env
from ebdsl.check.words import key
from ebdsl.diagnostics import Span
from ebdsl.model.ir import Fn, Get, Node, Pow, Sum
from ebdsl.model.model import Elimination
from ebdsl.syntax import ast

if TYPE_CHECKING:
    from ebdsl.check.energy import Energy


def is_log_of_sum(e: ast.Expr, env: Env) -> bool:
    """``log Σ_z …`` and ``log ∫ … dz`` over a variable (which has to be latent)."""
    if not (isinstance(e, ast.Call) and _atom(e.func) == "log" and len(e.args) == 1):
        return False
    body = e.args[0]
    if not isinstance(body, ast.BigOp) or body.kind not in ("sum", "integral"):
        return False
    return body.kind == "integral" or any(key(n.id) in env.ctx.symbols for n in body.names)


def _atom(name: str) -> str | None:
    atom = SPELLINGS.get(name)
    return atom.name if atom else None


def recognise(e: ast.Call, weight: Monomial, span: Span, env: Env) -> Energy | None:
    """``weight · log Agg_z exp(g)`` as the softmin at β = -1/weight of the energy ``weight · g``."""
    from ebdsl.check.energy import eliminate, split

    ctx = env.ctx
    body = e.args[0]
    assert isinstance(body, ast.BigOp)
    if not bigops.valid_names(body, env):
        return None
    names = ", ".join(n.id for n in body.names)
    sign = "Σ" if body.kind == "sum" else "∫"
    inner = body.body
    if not (isinstance(inner, ast.Call) and _atom(inner.func) == "exp" and len(inner.args) == 1):
        ctx.report.add(
            "EB0306",
            f"the logarithm of {sign} over {names} is a free energy only of exp(-β E)",
            (inner.span, "not an exponential"),
            help=f"write -1/β log {sign}_{names} exp(-β E)",
        )
        return None
    if not _measure(body, sign, env):
        return None
    g = inner.args[0]
    negative = [b.symbol for b, _ in weight.powers if isinstance(b, Get) and (b.symbol.value or 1.0) <= 0]
    if negative:
        s = negative[0]
        ctx.report.add(
            "EB0312",
            f"the inverse temperature is made of {s.name}, which is {s.value:g}",
            (span, "not a positive temperature"),
            *(((s.span, f"{s.name} = {s.value:g}"),) if s.span else ()),
            help=f"make {s.name} positive",
        )
        return None
    if weight.sign is None or weight.sign >= 0:
        _wrong_sign(span, "the logarithm has no minus before it", names, env)
        return None
    scalars, core = _peel(g, env)
    energy = split(core, env)
    if energy is None or scalars is None:
        return None
    if scalars.sign == 1 and _is_energy(core, energy, env):
        _wrong_sign(g.span, "the exponent has no minus", names, env)
        return None
    product = weight * scalars
    if not _one_temperature(weight, scalars, core, energy, env):
        outside = _text(Monomial(-weight.number, weight.powers) ** -1)
        within = _text(Monomial(abs(scalars.number), scalars.powers))
        ctx.report.add(
            "EB0308",
            f"the inverse temperature is {outside} outside the logarithm and {within} inside",
            (g.span, f"times {within} inside"),
            (span, "not divided by it outside" if outside == "1" else f"divided by {outside} outside"),
            help=f"write softmin_{names}[{within if within != '1' else outside}] …, or the same β in both places",
        )
        return None
    beta_node = (Monomial(-weight.number, weight.powers) ** -1).node
    terms = tuple(replace(a, node=(product * monomial(a.node)).node) for a in energy.terms)
    prefix = _factors(g, core)
    if prefix and (product.number != 1.0 or product.powers):
        terms = tuple(replace(a, expr=ast.Product(a.span, (*prefix, ("", a.expr)))) for a in terms)
    latents = tuple(ctx.symbols[key(n.id)] for n in body.names)
    return eliminate(Elimination("softmin", latents, beta_node), replace(energy, terms=terms), span, env)


def _peel(g: ast.Expr, env: Env) -> tuple[Monomial | None, ast.Expr]:
    """The scalar factors (numbers, constants, parameters) before the one factor that is the energy."""
    g = unfold(g, env)
    if isinstance(g, ast.Negate):
        inner, core = _peel(g.body, env)
        return (None if inner is None else inner * Monomial(-1.0)), core
    if isinstance(g, ast.Sum) and len(g.terms) == 1:
        inner, core = _peel(g.terms[0][1], env)
        return (None if inner is None else inner * Monomial(float(g.terms[0][0]))), core
    if not isinstance(g, ast.Product):
        return Monomial(1.0), g
    factors: list[tuple[str, ast.Expr]] = []
    for op, f in g.factors:
        other = unfold(f, env)
        if isinstance(other, ast.Product) and other is not f and op != "/":
            factors += [(op, other.factors[0][1]), *other.factors[1:]]
        else:
            factors.append((op, f))
    scalars = Monomial(1.0)
    rest: list[tuple[str, ast.Expr]] = []
    for op, f in factors:
        value = lower(f, env.muted())
        if value is not None and value.scalar and not any(s.per_sample for s in value.body.symbols):
            lower(f, env)
            m = monomial(value.body)
            scalars = scalars * (m**-1 if op == "/" else m)
        else:
            rest.append((op, f))
    if not rest:
        return scalars, ast.Number(g.span, 1.0, "1")
    if rest[0][0] == "/":
        return Monomial(1.0), g
    if len(rest) == 1:
        inner, core = _peel(rest[0][1], env)
        return (None if inner is None else scalars * inner), core
    return scalars, ast.Product(g.span, (("", rest[0][1]), *rest[1:]))


def _factors(g: ast.Expr, core: ast.Expr) -> tuple[tuple[str, ast.Expr], ...]:
    """The factors of an exponent that its energy keeps, as written."""
    while isinstance(g, ast.Negate):
        g = g.body
    if not isinstance(g, ast.Product):
        return ()
    kept = tuple((op, f) for op, f in g.factors if f is not core)
    return kept if kept and kept[0][0] == "" else ()


def _one_temperature(weight: Monomial, scalars: Monomial, core: ast.Expr, energy: Energy, env: Env) -> bool:
    """Whether β outside and inside agree.

    With β outside, each term inside holds it. Without one, β = 1 and factors inside are the terms' own weights,
    unless they stand before an energy that has a name: there they were meant as β.
    """
    if weight.powers:
        products = [weight * scalars * monomial(a.node) for a in energy.terms]
        return all(not (p.bases & weight.bases) for p in products)
    named = isinstance(core, ast.Call | ast.Name) and _named(core, env)
    if weight.number == -1.0:
        return not named or (abs(scalars.number) == 1.0 and not scalars.powers)
    if isinstance(core, ast.Sum):
        return True
    return abs(weight.number * scalars.number - 1.0) < 1e-12 and not scalars.powers


def _named(core: ast.Expr, env: Env) -> bool:
    name = core.func if isinstance(core, ast.Call) else core.id if isinstance(core, ast.Name) else ""
    return key(name) in env.ctx.definitions


def _is_energy(core: ast.Expr, energy: Energy, env: Env) -> bool:
    """Whether something is surely an energy and no negative of one: a named one, or never negative."""
    return _named(core, env) or all(_nonnegative(a.node) for a in energy.terms)


def _nonnegative(node: Node) -> bool:
    match node:
        case Sum(body, _):
            return _nonnegative(body)
        case Pow(_, exponent):
            return getattr(exponent, "value", 1.0) % 2 == 0
        case Fn(atom, _):
            return atom == "abs"
    return False


def _measure(body: ast.BigOp, sign: str, env: Env) -> bool:
    for n in body.names:
        symbol = env.ctx.symbols[key(n.id)]
        finite = symbol.domain.row.finite
        if finite == (body.kind == "sum"):
            continue
        other = "∫" if sign == "Σ" else "Σ"
        size = "a finite set" if finite else "a continuous space"
        env.report.add(
            "EB0311",
            f"{sign} over {n.id}, which lies in {size}",
            (n.span, f"over {n.id}"),
            *(((symbol.span, "declared here"),) if symbol.span else ()),
            help=f"write ∫ … d{n.id}" if other == "∫" else f"write Σ_{n.id} …",
        )
        return False
    return True


def _wrong_sign(span: Span, said: str, names: str, env: Env) -> None:
    env.report.add(
        "EB0307",
        f"{said}: high energies would win",
        (span, "here"),
        help=f"the free energy is -1/β log ∫ exp(-β E) d{names}: a minus outside, a minus inside",
    )


def _text(m: Monomial) -> str:
    """A weight as text: ``β``, ``2``, ``2 β``."""
    parts = [] if m.number == 1.0 and m.powers else [f"{m.number:g}"]
    for base, p in m.powers:
        name = base.symbol.name if isinstance(base, Get) else "…"
        parts.append(name if p == 1 else f"{name}^{p:g}")
    return " ".join(parts)
