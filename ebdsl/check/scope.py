"""What a formula is read in: the tables of the spec, the names bound on the way, and typed values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ebdsl.check.report import Report
from ebdsl.check.words import key
from ebdsl.diagnostics import Source, Span
from ebdsl.model import algebra
from ebdsl.model.build import fresh
from ebdsl.model.ir import Axis, Dim, Module, Node, Symbol, Tensor
from ebdsl.model.laws import Law
from ebdsl.model.model import Answer
from ebdsl.syntax import ast


@dataclass(frozen=True)
class Origin:
    """Which declaration an axis comes from: its name, and the place of the dimension in it."""

    name: str
    dim_span: Span | None = None


@dataclass(frozen=True)
class Value:
    """A typed expression: ``body`` with ``axes`` bound in order. ``row``: a transposed vector.

    ``line``: a row picked out of a matrix, ``W[k]`` or ``w_k``: a vector, but ``w_k y`` is its dot product with y.

    A number has no axes. ``origins`` tells for each axis where its dimension was declared.
    """

    body: Node
    axes: tuple[Axis, ...]
    span: Span
    row: bool = False
    origins: tuple[Origin | None, ...] = ()
    line: bool = False

    @property
    def rank(self) -> int:
        return len(self.axes)

    @property
    def scalar(self) -> bool:
        return not self.axes

    @property
    def dims(self) -> tuple[Dim, ...]:
        return tuple(a.dim for a in self.axes)

    @property
    def tensor(self) -> Tensor:
        return Tensor(self.body, self.axes)

    def origin(self, position: int) -> Origin | None:
        return self.origins[position] if position < len(self.origins) else None

    def at(self, span: Span) -> Value:
        return replace(self, span=span)

    def over(self, axes: tuple[Axis, ...]) -> Value:
        """The same value with its axes renamed."""
        if axes == self.axes:
            return self
        return replace(self, body=algebra.rename(self.body, dict(zip(self.axes, axes, strict=True))), axes=axes)

    def fresh(self) -> Value:
        """The same value over axes that occur nowhere else."""
        return self.over(tuple(fresh(a.dim) for a in self.axes))


@dataclass(frozen=True)
class IndexRange:
    """``index k in 1..K``: k runs over ``dim``; as a number it is position + ``low``."""

    dim: Dim
    low: int
    span: Span


@dataclass(frozen=True)
class Bound:
    """An index that a sum binds, or the position that a call gives it.

    ``low`` is its first value as a number, ``first`` the entry that it picks with that value: ``t`` in 2..T picks
    entry 1 (the second) first.
    """

    at: Axis | int
    low: int = 0
    first: int = 0


@dataclass(frozen=True)
class Context:
    """The tables of a spec. Keys are :func:`ebdsl.check.words.key` of the names."""

    source: Source
    report: Report
    dims: dict[str, int | None]
    aliases: dict[str, str] = field(default_factory=dict)
    symbols: dict[str, Symbol] = field(default_factory=dict)
    modules: dict[str, Module] = field(default_factory=dict)
    indices: dict[str, IndexRange] = field(default_factory=dict)
    definitions: dict[str, ast.Define] = field(default_factory=dict)
    states: dict[str, Value] = field(default_factory=dict)
    laws: dict[str, Law] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    notes: dict[str, None] = field(default_factory=dict)
    spent: dict[str, int] = field(default_factory=dict)
    sizes: dict[int, tuple[Node, int]] = field(default_factory=dict)
    dim_spans: dict[str, Span] = field(default_factory=dict)
    declarations: dict[str, ast.Statement] = field(default_factory=dict)

    def is_variable(self, k: str) -> bool:
        """Whether a name is declared, or computed step by step."""
        return k in self.symbols or k in self.states

    def text(self, span: Span) -> str:
        """What the spec says there, on one line."""
        text = " ".join(self.source.text[span.start : span.end].split())
        return text if len(text) <= 60 else text[:57] + "…"

    def inner(self, span: Span) -> str:
        """As :meth:`text`, without parentheses around the whole."""
        text = self.source.text
        depth = 0
        for k in range(span.start, span.end):
            depth += (text[k] in "([{") - (text[k] in ")]}")
            if depth == 0 and k < span.end - 1:
                return self.text(span)
        return self.text(Span(span.start + 1, span.end - 1)) if span.end - span.start > 2 else self.text(span)

    def line(self, span: Span) -> int:
        return self.source.text.count("\n", 0, span.start) + 1

    def muted(self) -> Context:
        """The same tables, with a report that nobody reads."""
        return replace(self, report=Report(), used=set(), notes={}, answers={})


@dataclass(frozen=True)
class Env:
    """A context with what calls and sums have bound. A value None is one whose error was reported."""

    ctx: Context
    values: dict[str, Value | None] = field(default_factory=dict)
    indices: dict[str, Bound] = field(default_factory=dict)
    calls: tuple[str, ...] = ()

    @property
    def report(self) -> Report:
        return self.ctx.report

    def muted(self) -> Env:
        return replace(self, ctx=self.ctx.muted())

    def with_index(self, name: str, bound: Bound) -> Env:
        k = key(name)
        values = {n: v for n, v in self.values.items() if n != k}
        return replace(self, values=values, indices={**self.indices, k: bound})
