"""What an iterative rule runs, as data: the fused loops of the plan.

Everything is index notation over a sample's own axes, as the energy is; that a tensor differs from sample to sample is
its symbol's role. A target lowers ``step`` to one function of rows (the emitter to PyTorch that Inductor compiles) and
leaves to the host what looks at answers: ``check`` after every few steps, and which rows are done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch

from ebdsl.facts.penalties import Penalty
from ebdsl.model.build import add, mul, neg
from ebdsl.model.domains import REAL
from ebdsl.model.ir import Axis, Dim, Get, Node, Symbol


@dataclass(frozen=True)
class Let:
    """``symbol[axes] = value``."""

    symbol: Symbol
    axes: tuple[Axis, ...]
    value: Node


@dataclass(frozen=True)
class Choose:
    """``symbol[axes] = yes`` where ``when > 0``, else ``no``: a number for each sample decides."""

    symbol: Symbol
    axes: tuple[Axis, ...]
    when: Symbol
    yes: Node
    no: Node


@dataclass(frozen=True)
class Prox:
    """``symbol = argmin_x step R(x) + ½ ‖x - point‖²`` with R the penalties and the domain of ``latent``."""

    symbol: Symbol
    axes: tuple[Axis, ...]
    latent: Symbol
    penalties: tuple[Penalty, ...]
    point: Symbol
    step: Node


@dataclass(frozen=True)
class Call:
    """``symbol = function(arguments)``, a function of ``runtime``."""

    symbol: Symbol
    function: str
    arguments: tuple[Symbol, ...]


Statement = Let | Choose | Prox | Call


@dataclass(frozen=True)
class Carried:
    """A tensor that steps hand on: its value before the first step, and the symbol that is its next value."""

    symbol: Symbol
    axes: tuple[Axis, ...]
    start: Node
    next: Symbol


@dataclass(frozen=True)
class Loop:
    """Steps until the largest of ``residual`` is small for each sample.

    ``once`` is computed before the loop. ``check`` gives ``answers`` and ``residual`` from what is carried, after every
    ``every`` steps; residuals are measured by the largest entry of ``scale``. Samples pass in tiles of ``tile``
    rows, so that a step's tensors stay in the cache. ``kernel`` is the function of ``runtime`` that eager code calls
    for the same minimum; where ``first`` is not 0, it takes over after so many steps, and finishes exactly.
    ``fixed``: there are so many steps, whatever the residual; those of an encoder start as these, and learn.
    """

    kernel: str
    latents: tuple[Symbol, ...]
    once: tuple[Statement, ...]
    carried: tuple[Carried, ...]
    step: tuple[Statement, ...]
    check: tuple[Statement, ...]
    answers: tuple[Symbol, ...]
    residual: tuple[Symbol, ...]
    scale: tuple[Let, ...]
    every: int
    tile: int = 512
    first: int = 0
    fixed: int | None = None

    def let(self, name: str) -> Let:
        """What is computed once under this name."""
        return next(s for s in self.once if isinstance(s, Let) and s.symbol.name == name)

    @property
    def given(self) -> tuple[Symbol, ...]:
        """What steps and checks read besides what is carried: ``once`` and, of the model, what those left in place."""
        return inputs((*self.step, *self.check), frozenset(c.symbol for c in self.carried))


def read(statement: Statement) -> frozenset[Symbol]:
    """The symbols whose values a statement needs."""
    match statement:
        case Let(value=value):
            return value.symbols
        case Choose(when=when, yes=yes, no=no):
            return yes.symbols | no.symbols | {when}
        case Prox(point=point, step=step, penalties=penalties):
            return frozenset({point}).union(step.symbols, *(p.weight.symbols for p in penalties))
        case Call(arguments=arguments):
            return frozenset(arguments)


def inputs(statements: tuple[Statement, ...], known: frozenset[Symbol] = frozenset()) -> tuple[Symbol, ...]:
    """What the statements read and do not set, in order of names."""
    found: set[Symbol] = set()
    for s in statements:
        found |= read(s) - known
        known |= {s.symbol}
    return tuple(sorted(found, key=lambda s: s.name))


def needed(statements: tuple[Statement, ...], wanted: frozenset[Symbol]) -> tuple[Statement, ...]:
    """The statements that ``wanted`` follow from, in order."""
    kept: list[Statement] = []
    for s in reversed(statements):
        if s.symbol in wanted:
            wanted |= read(s)
            kept.append(s)
    return tuple(reversed(kept))


def row(name: str, shape: tuple[Dim, ...]) -> Symbol:
    """A tensor with a row for each sample."""
    return Symbol(name, "row", shape, REAL)


def shared(name: str, shape: tuple[Dim, ...] = ()) -> Symbol:
    """A tensor that all samples have in common."""
    return Symbol(name, "once", shape, REAL)


def minus(a: Node, b: Node) -> Node:
    return add(a, neg(b))


def along(a: Symbol, b: Symbol, share: Node, at: tuple[Axis, ...]) -> Node:
    """``a + share (a - b)``."""
    return add(Get(a, at), mul(share, minus(Get(a, at), Get(b, at))))


Build = Callable[[object], Loop]


@singledispatch
def loop_of(payload: object) -> Loop | None:
    """The loop that a rule's payload asks for; None where it needs none, or none that is written as one."""
    return None
