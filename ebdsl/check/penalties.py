"""Lints on penalties: weights that can be negative, penalties that are constant; and the note on ½."""

from __future__ import annotations

from dataclasses import dataclass

from ebdsl.check.monomial import Monomial, monomial
from ebdsl.check.scope import Context
from ebdsl.model import build
from ebdsl.model.ir import Fn, Get, Lit, Mul, Node, Pow, Sum, Symbol
from ebdsl.model.model import Model, Term

PENALTIES = frozenset({"abs", "huber1", "relu", "logcosh"})
"""Scalar atoms that are never negative and grow."""


@dataclass(frozen=True)
class Penalty:
    """A term that is a weight times something never negative that grows with a latent."""

    term: Term
    weight: Monomial
    core: Node
    latents: frozenset[Symbol]
    pure: bool

    @property
    def degree(self) -> float:
        return _growth(self.core)


def penalties(model: Model) -> list[Penalty]:
    """The terms that are penalties on latents."""
    found = []
    for t in model.terms:
        weight, core = weighted(t.node)
        latents = frozenset(s for s in core.symbols if s.role == "latent")
        if latents and _growth(core) > 0:
            pure = all(s.role in ("latent", "param", "const") for s in core.symbols)
            found.append(Penalty(t, weight, core, latents, pure))
    return found


def weighted(node: Node) -> tuple[Monomial, Node]:
    """A term as a weight and what it weighs; factors of a sum that do not depend on its indices come out."""
    product = monomial(node)
    cores = [(b, p) for b, p in product.powers if any(s.role == "latent" for s in b.symbols)]
    if len(cores) != 1:
        return Monomial(1.0), node
    base, p = cores[0]
    weight = product * Monomial(1.0, ((base, -p),))
    if isinstance(base, Sum) and p == 1 and isinstance(base.body, Mul):
        outside = [f for f in base.body.factors if not f.free & frozenset(base.axes)]
        inside = [f for f in base.body.factors if f.free & frozenset(base.axes)]
        if outside:
            weight = weight * monomial(build.mul(*outside))
            base = build.sum_over(build.mul(*inside), base.axes)
    return weight, build.power(base, p)


def _growth(core: Node) -> float:
    """The power with which a never negative expression grows, 0 where it is none of those known here."""
    match core:
        case Sum(body, _):
            return _growth(body)
        case Fn(atom, (inner,)) if atom in PENALTIES:
            return max(1.0, _growth(inner))
        case Pow(base, Lit(p)) if p > 0:
            if _growth(base) > 0:
                return p * _growth(base)
            return p if p % 2 == 0 else 0.0
    return 0.0


def lint_penalties(model: Model, ctx: Context) -> None:
    """EB0403 and EB0406."""
    all_ = penalties(model)
    for p in all_:
        if p.weight.sign == -1 and p.pure and not _bounded(p) and not _tamed(p, all_):
            _negative(p, ctx)
        elif p.weight.sign is None and p.pure:
            _learned(p, ctx)
        if p.weight.sign != 0:
            _constant(p, ctx)


def _tamed(p: Penalty, all_: list[Penalty]) -> bool:
    """Whether another penalty on the same latents grows faster: ``||z||^4 - ||z||^2`` has its wells."""
    return any(q.pure and q.latents >= p.latents and q.degree > p.degree and q.weight.sign == 1 for q in all_)


def _bounded(p: Penalty) -> bool:
    return all(s.domain.row.bounded for s in p.latents)


def _negative(p: Penalty, ctx: Context) -> None:
    below = [b for b, _ in p.weight.powers if isinstance(b, Get) and b.symbol.value is not None and b.symbol.value < 0]
    names = ", ".join(sorted(s.name for s in p.latents))
    symbol = below[0].symbol if below and isinstance(below[0], Get) else None
    if symbol is not None and p.weight.number > 0:
        ctx.report.add(
            "EB0403",
            f"{symbol.name} is negative, and rewards large {names} in {p.term.text}",
            (p.term.span, "a penalty with a negative weight"),
            *(((symbol.span, f"{symbol.name} = {symbol.value:g}"),) if symbol.span else ()),
            help=f"make {symbol.name} positive",
        )
        return
    ctx.report.add(
        "EB0403",
        f"the penalty {p.term.text.removeprefix('-')} has a minus before it, and rewards large {names}",
        (p.term.span, "a penalty with a negative weight"),
        help="a penalty is added: write + before it",
    )


def _learned(p: Penalty, ctx: Context) -> None:
    for base, power in p.weight.powers:
        if not isinstance(base, Get) or base.symbol.role != "param" or power % 2 == 0:
            continue
        if base.symbol.domain.kind not in ("real", "box", "spin"):
            continue
        low, _ = base.symbol.domain.row.bounds(base.symbol.domain.args)
        if low >= 0 or base.symbol.shape:
            continue
        name = base.symbol.name
        ctx.report.add(
            "EB0403",
            f"{name} is learned, and can become negative: then {p.term.text} rewards large codes",
            (p.term.span, "a penalty whose weight can be negative"),
            *(((base.symbol.span, "learned, without a sign"),) if base.symbol.span else ()),
            help=f"fix it: const {name} = 0.5, or keep it positive: param {name} : R, > 0",
        )


CONSTANT = {
    "onehot": {"abs": "1", "square": "1"},
    "sphere": {"square": "1"},
    "simplex": {"abs": "1"},
    "spin": {"abs": "the number of entries", "square": "the number of entries"},
}
"""Domain -> which penalties are constant on it, and their value."""


def _constant(p: Penalty, ctx: Context) -> None:
    core = p.core.base if isinstance(p.core, Pow) and isinstance(p.core.base, Sum) else p.core
    if not isinstance(core, Sum):
        return
    match core.body:
        case Fn("abs", (Get(symbol, index),)):
            kind = "abs"
        case Pow(Get(symbol, index), Lit(2.0)):
            kind = "square"
        case _:
            return
    whole = symbol.domain.row.whole == 0 or index[-1] in core.axes
    value = CONSTANT.get(symbol.domain.kind, {}).get(kind)
    if value is None or not whole or symbol.role != "latent":
        return
    ctx.report.add(
        "EB0406",
        f"{p.term.text} is constant: {symbol.name} is {symbol.domain.row.spellings[0]}",
        (p.term.span, "the same for every " + symbol.name),
        *(((symbol.span, f"{symbol.name} lies where this is {value}"),) if symbol.span else ()),
        help="leave the term out",
    )


def note_weights(model: Model, ctx: Context) -> None:
    """That ½ is not assumed: step and threshold follow the energy as written (MODELS.md, E1 and E5)."""
    all_ = penalties(model)
    squares = [p for p in all_ if not p.pure and p.degree == 2 and not p.weight.powers]
    for p in all_:
        partner = next((q for q in squares if q.latents & p.latents), None)
        if p.pure and p.degree == 1 and partner is not None and partner.weight.number != 0.5:
            ctx.notes.setdefault(
                f"{partner.term.text} has the weight {partner.weight.number:g}, not ½: gradients, steps and thresholds "
                "follow the energy as it is written"
            )
