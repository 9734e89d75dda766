"""``Σ C x - Σ n log x`` and ``<C, X> - n log det X``: shares, rates and precisions in closed form.

A variance, ``Σ C / x + Σ n log x``, is the same in ``1 / x``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ebdsl.facts.convexity import sign
from ebdsl.facts.normal import parts, split
from ebdsl.infer.core import Decision, Refusal
from ebdsl.learn.core import Block, Rule, register
from ebdsl.learn.reciprocals import reciprocal
from ebdsl.model.algebra import contract, degree, rename
from ebdsl.model.build import add, neg
from ebdsl.model.derivative import derivative, fresh_index
from ebdsl.model.domains import Domain
from ebdsl.model.ir import Apply, Axis, Fn, Get, Node, Symbol

if TYPE_CHECKING:
    from ebdsl.emit.updates import LearnBody

NAME = "log barrier"


@dataclass(frozen=True)
class Barrier:
    """``linear``: C over ``at``; ``count``: n over ``at`` (without the matrix axes for ``matrix``).

    ``inverse``: of the inverse of the symbol.
    """

    symbol: Symbol
    at: tuple[Axis, ...]
    linear: Node
    count: Node
    matrix: bool
    inverse: bool = False


def consider(block: Block) -> Decision | Refusal:
    found = _direct(block)
    x = block.symbol
    if isinstance(found, Decision) or x.domain.kind not in ("positive", "nonnegative"):
        return found
    precision = Symbol(f"{x.name}~precision", x.role, x.shape, Domain("positive"))
    total = reciprocal(block.total, x, precision)
    other = _direct(replace(block, symbol=precision, total=total))
    if isinstance(other, Refusal):
        return found
    barrier = other.payload
    assert isinstance(barrier, Barrier)
    if precision in barrier.linear.symbols | barrier.count.symbols:
        return found
    facts = (f"in {x.name} the energy is weights over {x.name} plus a weighted log",)
    return replace(other, task=f"learn {x.name}", facts=facts, payload=replace(barrier, symbol=x, inverse=True))


def _direct(block: Block) -> Decision | Refusal:
    x = block.symbol
    if x.domain.kind not in ("simplex", "positive", "nonnegative", "psd", "positive definite"):
        return Refusal(NAME, f"{x.name} is not a share, a positive number or a positive definite matrix")
    inside, _ = parts(block.total, frozenset({x}))
    at = fresh_index(x)
    linear: list[Node] = []
    counts: list[Node] = []
    matrix = False
    for a in inside:
        if degree(a, frozenset({x})) == 1:
            linear.append(derivative(a, x, at))
            continue
        part = split(a, frozenset({x}))
        core = part.core
        if isinstance(core, Fn) and core.atom == "log" and isinstance(core.args[0], Get):
            index = core.args[0].index
        elif (
            isinstance(core, Apply) and core.function in ("logdet", "logabsdet") and isinstance(core.args[0].body, Get)
        ):
            matrix = True
            index = tuple(i for i in core.args[0].body.index if i not in core.args[0].axes)
            if core.args[0].body.index[-2:] != core.args[0].axes:
                return Refusal(NAME, "the determinant is not of the last two axes")
        else:
            return Refusal(NAME, f"a term in {x.name} is neither linear nor a logarithm")
        if any(not isinstance(i, Axis) for i in index) or len(set(index)) != len(index):
            return Refusal(NAME, f"the logarithm is not of all entries of {x.name}")
        own = tuple(i for i in index if isinstance(i, Axis))
        if not set(own) <= set(part.axes) | set():
            return Refusal(NAME, f"the logarithm is not of all entries of {x.name}")
        places = at[: len(own)]
        over = tuple(b for b in part.axes if b not in own)
        counts.append(neg(rename(contract(part.weight, over), dict(zip(own, places, strict=True)))))
    if not counts:
        return Refusal(NAME, f"there is no logarithm of {x.name}")
    if sign(add(*counts)) not in ("nonnegative", "positive"):
        return Refusal(NAME, f"the weight of the logarithm of {x.name} is not known to be negative")
    if x.domain.kind == "simplex" and linear:
        return Refusal(NAME, f"{x.name} also has a linear term")
    if x.domain.kind != "simplex" and not linear:
        return Refusal(NAME, f"nothing holds the logarithm of {x.name} back")
    if matrix != (x.domain.kind in ("psd", "positive definite")):
        return Refusal(NAME, f"the logarithm does not go with the domain {x.domain}")
    how = {
        "simplex": "shares proportional to the summed weights",
    }.get(x.domain.kind, "inverse of the weighted second moment" if matrix else "ratio of summed weights")
    facts = (f"in {x.name} the energy is a linear term minus a weighted {'log det' if matrix else 'log'}",)
    return Decision(
        NAME, f"learn {x.name}", how, "global", "one pass over the data", facts, (),
        Barrier(x, at, add(*linear), add(*counts), matrix),
    )  # fmt: skip


def emit(payload: object, body: LearnBody) -> None:
    assert isinstance(payload, Barrier)
    body.barrier_block(payload)


register(Rule(NAME, 10, "linear minus logarithm", consider, emit))
