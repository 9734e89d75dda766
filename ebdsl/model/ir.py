"""The typed IR: scalar expressions with free indices.

Everything of an energy is brought to one form, that of index notation: ``||y - W z||²`` is
``Σ_m (y_m - Σ_n W_mn z_n)²``, and so are ``(y - W z)'(y - W z)`` and
``Σ_m (y[m] - Σ_n W[m,n] z[n])²``. What is the same mathematics is (nearly) the same tree, which is
what lets the planner look at algebra and never at spelling. The idea is that of GEM, the
intermediate language of TSFC (Homolya et al., SIAM J. Sci. Comput. 40, 2018).

A node is a *number* for each value of its free axes. A tensor is a number with axes bound in order
by :class:`Tensor`. Symbols of the roles ``observed``, ``latent`` and ``noise`` also vary with the
sample; that axis is implicit until :data:`BATCH` is written as their first index.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, dataclass_transform

from ebdsl.diagnostics import Span

if TYPE_CHECKING:
    from ebdsl.model.domains import Domain


@dataclass(frozen=True)
class Part:
    """A stretch of a named dimension that is ``less`` entries shorter: what ``t`` runs over where ``s[t+1]`` exists.

    Below zero it is longer: ``T`` steps lead through ``T+1`` states.
    """

    whole: str
    less: int

    def __str__(self) -> str:
        return f"{self.whole}{-self.less:+d}"


Dim = str | int | Part
"""A named dimension, whose size the model knows or the data tells, a stretch of one, or a size."""


def shorter(dim: Dim, less: int) -> Dim:
    """The dimension without ``less`` of its entries."""
    if isinstance(dim, int):
        return dim - less
    whole, before = (dim.whole, dim.less) if isinstance(dim, Part) else (dim, 0)
    return Part(whole, before + less) if before + less else whole


def difference(a: Dim, b: Dim) -> int | None:
    """By how many entries ``a`` is longer than ``b``, None where this is not the same for all sizes."""
    if isinstance(a, int) and isinstance(b, int):
        return a - b
    stretches = [d if isinstance(d, Part) else Part(d, 0) for d in (a, b) if not isinstance(d, int)]
    if len(stretches) < 2 or stretches[0].whole != stretches[1].whole:
        return None
    return stretches[1].less - stretches[0].less


def extent(dim: Dim, sizes: Mapping[str, int | None]) -> int | None:
    """The number of entries, None where no size is known."""
    if isinstance(dim, int):
        return dim
    whole = sizes.get(dim.whole if isinstance(dim, Part) else dim)
    return None if whole is None else whole - dim.less if isinstance(dim, Part) else whole


T = TypeVar("T")

PER_SAMPLE = frozenset({"observed", "latent", "noise", "row", "answer"})


@dataclass(frozen=True)
class Axis:
    """An index with its extent: it runs over ``0 .. dim-1``."""

    name: str
    dim: Dim


BATCH = Axis("b", "batch")


@dataclass(frozen=True)
class Symbol:
    """A declared name. ``role`` in ``observed latent param const noise``; ``shape`` without samples.

    A tensor of a loop has the role ``row``, where it has a row for each sample, or ``once``.

    ``value`` is the number of a ``const`` (None where the data or ``--set`` brings it).
    """

    name: str
    role: str
    shape: tuple[Dim, ...]
    domain: Domain = field(compare=False)
    span: Span | None = field(default=None, compare=False)
    value: float | None = field(default=None, compare=False)

    @property
    def per_sample(self) -> bool:
        return self.role in PER_SAMPLE


@dataclass(frozen=True)
class Layer:
    """One stage of a module: a row of ``atoms.layers`` and its arguments."""

    name: str
    args: tuple[float | int | str, ...] = ()
    keywords: tuple[tuple[str, float | int | str], ...] = ()


@dataclass(frozen=True)
class Module:
    """A learned function ``inputs -> output`` (shapes without samples). Several inputs concatenate."""

    name: str
    inputs: tuple[tuple[Dim, ...], ...]
    output: tuple[Dim, ...]
    layers: tuple[Layer, ...]
    span: Span | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Recurrence:
    """States that follow from those before them, ``s[t+1] = step(s[t], …)``: a function from their start to all.

    The arguments are the first states, the ``order`` first of each sequence, then what a step reads, ``given``: with
    the step as first axis where it is ``timed``. The value is sequence number ``which``, ``(steps + order, *shape)``.
    ``windows[k][j]`` stands for the state of sequence k that is ``j + 1`` steps back, in the ``bodies``: the next state
    of each sequence. ``texts`` is how the spec writes them.
    """

    name: str
    sequences: tuple[str, ...]
    windows: tuple[tuple[Symbol, ...], ...]
    given: tuple[Symbol, ...]
    timed: tuple[bool, ...]
    bodies: tuple[Tensor, ...]
    steps: Dim
    texts: tuple[str, ...]
    which: int = 0

    @property
    def order(self) -> int:
        return len(self.windows[0])

    @property
    def starts(self) -> int:
        """How many of the arguments are first states."""
        return self.order * len(self.windows)

    @property
    def states(self) -> frozenset[Symbol]:
        return frozenset(s for window in self.windows for s in window)


# --------------------------------------------------------------------------- nodes


@dataclass(frozen=True)
class Node:
    """A number for each value of its ``free`` axes."""

    @cached_property
    def free(self) -> frozenset[Axis]:
        return frozenset().union(*(c.free for c in self.children))

    @property
    def children(self) -> tuple[Node, ...]:
        return ()

    @cached_property
    def symbols(self) -> frozenset[Symbol]:
        """All symbols below."""
        return frozenset().union(*(c.symbols for c in self.children))

    @cached_property
    def _hash(self) -> int:
        return hash((type(self).__name__, *(getattr(self, f) for f in self.__dataclass_fields__)))

    def __hash__(self) -> int:
        return self._hash


@dataclass_transform(frozen_default=True)
def node(cls: type[T]) -> type[T]:
    """Frozen dataclass whose hash is computed once: trees are hashed at every turn."""
    cls = dataclass(frozen=True)(cls)
    cls.__hash__ = Node.__hash__  # type: ignore[method-assign, assignment]
    return cls


@node
class Lit(Node):
    """A number."""

    value: float


@node
class Size(Node):
    """The extent of a dimension, as a number."""

    dim: Dim


@node
class Get(Node):
    """``symbol[index]``: an entry for each value of the axes; an int picks one, from the end where it is negative."""

    symbol: Symbol
    index: tuple[Axis | int, ...] = ()

    @cached_property
    def free(self) -> frozenset[Axis]:
        return frozenset(i for i in self.index if isinstance(i, Axis))

    @cached_property
    def symbols(self) -> frozenset[Symbol]:
        return frozenset({self.symbol})


@node
class Position(Node):
    """The value of an index itself, as a number (0-based)."""

    axis: Axis

    @cached_property
    def free(self) -> frozenset[Axis]:
        return frozenset({self.axis})


@node
class Delta(Node):
    """1 where the two indices are equal, else 0."""

    left: Axis | int
    right: Axis | int

    @cached_property
    def free(self) -> frozenset[Axis]:
        return frozenset(i for i in (self.left, self.right) if isinstance(i, Axis))


@node
class Shift(Node):
    """1 where ``left + offset == right``, else 0: ``Σ_j shift(t, j) s[j]`` is the entry ``s[t + offset]``.

    Every value of ``left`` has its one ``right``: ``0 <= offset`` and ``left.dim + offset <= right.dim``.
    """

    left: Axis
    right: Axis | int
    offset: int

    @cached_property
    def free(self) -> frozenset[Axis]:
        return frozenset(i for i in (self.left, self.right) if isinstance(i, Axis))


@node
class Add(Node):
    terms: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return self.terms


@node
class Mul(Node):
    factors: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return self.factors


@node
class Pow(Node):
    """``base ** exponent``; the exponent is a literal in all that the planner understands."""

    base: Node
    exponent: Node

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.base, self.exponent)


@node
class Fn(Node):
    """A scalar atom (a row of ``atoms``) applied to numbers."""

    atom: str
    args: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return self.args


@node
class Sum(Node):
    """Sum of ``body`` over all values of ``axes``."""

    body: Node
    axes: tuple[Axis, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.body,)

    @cached_property
    def free(self) -> frozenset[Axis]:
        return self.body.free - frozenset(self.axes)


@node
class Tensor(Node):
    """``body`` with ``axes`` bound, in order: an argument of a tensor function."""

    body: Node
    axes: tuple[Axis, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.body,)

    @cached_property
    def free(self) -> frozenset[Axis]:
        return self.body.free - frozenset(self.axes)

    @property
    def shape(self) -> tuple[Dim, ...]:
        return tuple(a.dim for a in self.axes)


@node
class Apply(Node):
    """Entry ``index`` of a tensor function's value: ``logdet``, ``inverse``, ``conv``, a module.

    ``function`` is a row of ``atoms``, a :class:`Module` or a :class:`Recurrence`. Free axes of the arguments that are
    not bound by their :class:`Tensor` make one application for each of their values.
    """

    function: str | Module | Recurrence
    args: tuple[Tensor, ...]
    index: tuple[Axis | int, ...] = ()

    @property
    def children(self) -> tuple[Node, ...]:
        return self.args

    @cached_property
    def free(self) -> frozenset[Axis]:
        outer = frozenset().union(*(a.free for a in self.args))
        return outer | frozenset(i for i in self.index if isinstance(i, Axis))


ZERO, ONE = Lit(0.0), Lit(1.0)


def nodes_of(node: Node) -> list[Node]:
    """The node and all that it is made of."""
    return [node, *(n for c in node.children for n in nodes_of(c))]
