"""Smooth blocks without a formula: all of them at once by limited memory quasi-Newton, on growing shares of the data.

At the latents' answers the slope of the free energy is that of the energy (envelope theorem), so that latents which
inference finds exactly and quickly are eliminated from what the steps see.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ebdsl.facts.normal import is_smooth, through_module
from ebdsl.infer.core import Decision, Refusal
from ebdsl.learn.core import Block, Rule, quick, register
from ebdsl.model.adjoint import gradient
from ebdsl.model.algebra import addends, contract, modules_in, multiply, rename, with_batch
from ebdsl.model.canonical import signature
from ebdsl.model.derivative import NoDerivative, fresh_index
from ebdsl.model.ir import BATCH, Axis, Get, Mul, Node, Sum, Symbol

if TYPE_CHECKING:
    from ebdsl.emit.updates import LearnBody

NAME = "quasi-Newton"
SMALL = 32
"""Numbers in a latent for which Newton's method has a factor."""
BOUNDS = ("real", "nonnegative", "positive", "box")


@dataclass(frozen=True)
class Products:
    """The block meets the data only in its products with an input, over its axis ``place``.

    ``moment``, over ``axes``, is the input's second moment, summed over the samples: the curvature of any function of
    ``W u`` is about that in ``W u`` times this moment. ``names``: what is observed of the input.
    """

    place: int
    moment: Node
    axes: tuple[Axis, Axis]
    names: str


@dataclass(frozen=True)
class Descent:
    """``products``: how the block meets the data, where that tells its curvature."""

    symbol: Symbol
    products: Products | None


def consider(block: Block) -> Decision | Refusal:
    model, total, w = block.model, block.total, block.symbol
    params = sorted((s for s in model.role("param") if s in total.symbols), key=lambda s: s != w)
    for key in ("optimizer", "lr", "batch"):
        if model.setting(key) is not None:
            return Refusal(NAME, f"the spec sets {key}, which stochastic gradient has")
    if modules_in(total):
        return Refusal(NAME, "a learned function has weights of its own, which go by batches")
    if not quick(block.inference) and not _few_steps(block):
        return Refusal(NAME, f"answers of all samples by {block.inference[0].rule} are dear: batches move on sooner")
    for s in params:
        held = frozenset({s})
        if s.domain.kind not in BOUNDS:
            return Refusal(NAME, f"{s.domain} is more than bounds on each entry of {s.name}")
        if through_module(total, held):
            return Refusal(NAME, f"{s.name} goes through a recurrence")
        if not is_smooth(total, held):
            return Refusal(NAME, f"the energy has kinks in {s.name}")
        try:
            gradient(total, s, fresh_index(s))
        except NoDerivative:
            return Refusal(NAME, f"the slope of the energy in {s.name} is not written out")
    names = " and ".join(s.name for s in model.role("param") if s in params)
    together = f", in which not every block has an exact minimum: {names} go down together" * (len(params) > 1)
    facts = [f"the energy is smooth in {names}{together}"]
    if block.inference:
        facts.append("at the minimum over the latents the gradient needs no derivative of them (envelope theorem)")
    products = met(block)
    if products is not None:
        facts.append(f"{w.name} meets the data in products with {products.names} alone: steps as where that is white")
    facts.append("first on some samples, as long as their slope is more than chance, then on four times as many")
    how = "L-BFGS with line search, on all samples in the end"
    if any(s.domain.kind != "real" for s in params):
        how += ", entries held at a bound kept out of the curvature (two-metric projection)"
    cost = "a step is about one pass over the data"
    return Decision(NAME, f"learn {w.name}", how, "local", cost, tuple(facts), (), Descent(w, products))


def _few_steps(block: Block) -> bool:
    """Whether a few steps of Newton's method with a small factor for each sample find the one minimum."""
    (d,) = block.inference if len(block.inference) == 1 else (None,)
    numbers = sum(math.prod(n or SMALL for n in block.model.shape(z)) for z in block.model.role("latent"))
    return d is not None and d.rule == "Newton" and d.guarantee == "global" and numbers <= SMALL


def met(block: Block) -> Products | None:
    """How the block meets the data where that is by products with one input; None where it is otherwise."""
    w = block.symbol
    found: dict[tuple[int, Node, int], tuple[Node, Axis]] = {}

    def go(n: Node) -> bool:
        """Whether every ``w`` below stands in such a product."""
        if w not in n.symbols:
            return True
        if isinstance(n, Sum) and isinstance(n.body, Mul):
            inside = [f for f in n.body.factors if w in f.symbols]
            if len(inside) == 1 and isinstance(inside[0], Get):
                shared = [a for a in inside[0].index if isinstance(a, Axis) and a in n.axes]
                inputs = [f for f in n.body.factors if f is not inside[0] and frozenset(shared) & f.free]
                if len(shared) == 1 and inside[0].index.count(shared[0]) == 1 and len(inputs) == 1:
                    u, axis = inputs[0], shared[0]
                    if u.symbols and all(s.role in ("observed", "param", "const") for s in u.symbols):
                        key, order = signature(u)
                        found[inside[0].index.index(axis), key, order.index(axis)] = (u, axis)
                        return True
            return False
        return not isinstance(n, Get) and all(map(go, n.children))

    parts = [a for a in addends(block.energy) if any(s.per_sample for s in a.symbols)]
    if w.domain.kind != "real" or not all(map(go, parts)) or len(found) != 1:
        return None
    ((place, _, _), (u, axis)) = next(iter(found.items()))
    if not any(s.role == "observed" for s in u.symbols):
        return None
    twin = Axis(f"{axis.name}~", axis.dim)
    over = (BATCH, *sorted(u.free - {axis}, key=lambda a: a.name))
    moment = contract(multiply(with_batch(u), with_batch(rename(u, {axis: twin}))), over)
    names = ", ".join(sorted(s.name for s in u.symbols if s.role == "observed"))
    return Products(place, moment, (axis, twin), names)


def emit(payload: object, body: LearnBody) -> None:
    assert isinstance(payload, Descent)
    body.descents.append(payload)


register(Rule(NAME, 80, "smooth blocks together", consider, emit, exact=False, joint=True))
