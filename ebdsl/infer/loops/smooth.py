"""Loops of what is smooth plus penalties with a proximal operator, by gradients as they are written."""

from __future__ import annotations

from ebdsl.facts.penalties import Penalty
from ebdsl.infer.loops.core import Call, Carried, Choose, Let, Loop, Prox, Statement, along, minus, row, shared
from ebdsl.infer.loops.weights import hoisted, weighed
from ebdsl.model.adjoint import gradient
from ebdsl.model.algebra import rename, replace_symbol
from ebdsl.model.build import add, div, fn, lit, mul, neg, power, sum_over
from ebdsl.model.derivative import NoDerivative, fresh_index
from ebdsl.model.ir import ONE, ZERO, Axis, Get, Node, Symbol


class Unknown:
    """One latent and what a step makes of it."""

    def __init__(self, latent: Symbol, penalties: tuple[Penalty, ...]) -> None:
        self.latent, self.penalties, self.at = latent, penalties, fresh_index(latent)

    def row(self, name: str) -> Symbol:
        return row(f"{name}_{self.latent.name}", self.latent.shape)

    def get(self, name: str) -> Node:
        return Get(self.row(name), self.at)

    def let(self, name: str, value: Node) -> Let:
        return Let(self.row(name), self.at, value)


def gradients(
    smooth: Node, latents: tuple[Symbol, ...], once: list[Statement]
) -> tuple[tuple[tuple[Axis, ...], Node], ...] | None:
    """The derivative by each latent, with what does not change named in ``once``; None through a module."""
    try:
        found = [(at, gradient(smooth, s, at)) for s in latents for at in (fresh_index(s),)]
    except NoDerivative:
        return None
    held: dict[Node, Let] = {}
    result = tuple((at, hoisted(node, frozenset(latents), held)) for at, node in found)
    once += held.values()
    return result


def proximal_gradient(
    smooth: Node, penalties: tuple[tuple[Symbol, tuple[Penalty, ...]], ...], quadratic: bool
) -> Loop | None:
    """Accelerated, with the curvature of each sample found by doubling it where a step shows it to be too low.

    A step that was too long is not taken, and is tried again with half of its length: no step waits for another.
    Of a quadratic, gradients are extrapolated with the points: one gradient a step.
    """
    once: list[Statement] = []
    latents = tuple(s for s, _ in penalties)
    slopes = gradients(smooth, latents, once)
    if slopes is None:
        return None
    parts = [Unknown(s, weighed(p, once)) for s, p in penalties]
    count, bend, curvature, short, uphill = (row(n, ()) for n in ("count", "bend", "curvature", "short", "uphill"))
    again, steeper, top, length, guess = (row(n, ()) for n in ("again", "steeper", "top", "length", "guess"))
    eps = shared("eps")
    way = div(Get(length), add(Get(top), minus(ONE, fn("step", Get(top)))))
    k, bound = Get(count), Get(curvature)
    ahead = row("ahead", ())
    share = Get(ahead)

    def slope_at(name: str, u: Unknown) -> Node:
        at, node = slopes[parts.index(u)]
        for other in parts:
            place = other.row(name)
            node = replace_symbol(node, other.latent, lambda index, s=place: Get(s, index))  # type: ignore[misc]
        return rename(node, dict(zip(at, u.at, strict=True)))

    def total(term: str, other: str) -> Node:
        return add(*(sum_over(mul(change(u, term), change(u, other)), u.at) for u in parts))

    def change(u: Unknown, pair: str) -> Node:
        a, _, b = pair.partition(" - ")
        return minus(u.get(a), u.get(b)) if b else u.get(a)

    def stepped(out: str, point: str, slope: str) -> list[Statement]:
        aims = [u.let("aim", minus(u.get(point), div(u.get(slope), bound))) for u in parts]
        return [*aims, *(Prox(u.row(out), u.at, u.latent, u.penalties, u.row("aim"), power(bound, -1)) for u in parts)]

    def slopes_at(out: str, point: str) -> list[Statement]:
        return [u.let(out, slope_at(point, u)) for u in parts]

    body: list[Statement] = [Let(ahead, (), div(k, add(k, lit(3))))]
    body += [Let(u.row("v"), u.at, along(u.row("x"), u.row("before"), share, u.at)) for u in parts]
    if quadratic:
        body += [Let(u.row("gv"), u.at, along(u.row("g"), u.row("gone"), share, u.at)) for u in parts]
    else:
        body += slopes_at("gv", "v")
    square = total("new - v", "new - v")
    rounding = add(*(sum_over(fn("abs", mul(change(u, "new - v"), u.get("gv"))), u.at) for u in parts))
    low = add(mul(lit(1.0 if quadratic else 0.5), bound, square), mul(Get(eps), rounding))
    body += [
        *stepped("new", "v", "gv"),
        *slopes_at("gnew", "new"),
        Let(bend, (), minus(total("new - v", "gnew - gv"), low)),
        Let(short, (), fn("step", Get(bend))),
        Let(uphill, (), fn("step", neg(total("new - v", "new - x")))),
    ]
    pairs = [("x", "new"), ("before", "x")] + ([("g", "gnew"), ("gone", "g")] if quadratic else [])
    body += [Choose(u.row(f"next_{name}"), u.at, short, u.get(name), u.get(new)) for u in parts for name, new in pairs]
    body += [
        Choose(again, (), short, k, mul(minus(ONE, Get(uphill)), add(k, ONE))),
        Let(steeper, (), mul(add(ONE, Get(short)), bound)),
    ]
    once += [
        Call(eps, "rounding", (latents[0],)),
        *(
            u.let("slope", rename(n, dict(zip(at, u.at, strict=True))))
            for u, (at, n) in zip(parts, slopes, strict=True)
        ),
    ]
    norm = power(total("slope", "slope"), 0.5)
    reach = norm if quadratic else mul(power(Get(eps), 0.5), fn("max", ONE, power(total("start", "start"), 0.5)))
    once += [u.let("start", Get(u.latent, u.at)) for u in parts]
    once += [
        Let(top, (), norm),
        Let(length, (), add(reach, minus(ONE, fn("step", reach)))),  # 1 where it is 0
        *(u.let("probe", add(u.get("start"), mul(way, u.get("slope")))) for u in parts),
        *slopes_at("gprobe", "probe"),
        Let(bend, (), div(power(total("gprobe - slope", "gprobe - slope"), 0.5), Get(length))),
        Call(guess, "usable_curvature", (bend,)),
    ]
    values = {"x": "start", "before": "start", "g": "slope", "gone": "slope"}
    carried = [
        Carried(u.row(name), u.at, u.get(values[name]), u.row(f"next_{name}")) for u in parts for name, _ in pairs
    ]
    carried += [Carried(count, (), ZERO, again), Carried(curvature, (), Get(guess), steeper)]
    check: list[Statement] = [
        *slopes_at("gx", "x"),
        *stepped("found", "x", "gx"),
        *slopes_at("gfound", "found"),
        *(u.let("left", add(mul(bound, change(u, "x - found")), change(u, "gfound - gx"))) for u in parts),
    ]
    scale = tuple(s for s in once if isinstance(s, Let) and s.symbol in {u.row("slope") for u in parts})
    answers, residual = (tuple(u.row(n) for u in parts) for n in ("found", "left"))
    return Loop(
        "proximal_gradient", latents, tuple(once), tuple(carried), tuple(body), tuple(check), answers, residual,
        scale, every=10,
    )  # fmt: skip


__all__ = ["gradients", "proximal_gradient"]
