"""The naive interpreter: what an energy is, in float64, by the definition of the IR and by nothing else.

It is the oracle of every differential test, so it shares no code with the planner or the emitter, and every node
is an array over all of its free axes. One sample at a time: a per-sample symbol holds one sample's array, except
where the sample's axis is written out as :data:`~ebdsl.model.ir.BATCH`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ebdsl.model.ir import (
    Add,
    Apply,
    Axis,
    Delta,
    Dim,
    Fn,
    Get,
    Lit,
    Module,
    Mul,
    Node,
    Part,
    Position,
    Pow,
    Recurrence,
    Shift,
    Size,
    Sum,
    Symbol,
    Tensor,
    extent,
)
from ebdsl.model.model import Model

Array = np.ndarray
Values = Mapping[Symbol, Any]
Functions = Mapping[str, Callable[..., Any]]
Order = tuple[Axis, ...]


# --------------------------------------------------------------------------- nodes


def evaluate(
    node: Node,
    values: Values,
    axes: Mapping[Axis, int] | None = None,
    *,
    sizes: Mapping[str, int] | None = None,
    functions: Functions | None = None,
) -> Any:
    """The number that ``node`` is where its free axes are at ``axes``; the array that a :class:`Tensor` is.

    ``sizes`` has the extents of named dimensions, ``functions`` the modules by name, each from arrays of one sample
    to an array. Constants that are not among ``values`` have their own value. Raises ``KeyError`` for what is
    missing, ``ValueError`` for a value that does not have its symbol's shape.
    """
    at = dict(axes or {})
    order = tuple(sorted(node.free, key=lambda a: (a.name, str(a.dim))))
    missing = [a for a in order if a not in at]
    if missing:
        raise KeyError(f"no position for the axis {missing[0].name}")
    here = _Here(values, dict(sizes or {}), dict(functions or {}))
    bound = node.axes if isinstance(node, Tensor) else ()
    with np.errstate(all="ignore"):
        whole = here.table(node.body if isinstance(node, Tensor) else node, (*order, *bound))
    value = whole[tuple(at[a] for a in order)]
    return value if bound else float(value)


def table(
    node: Node,
    order: Order,
    values: Values,
    *,
    sizes: Mapping[str, int] | None = None,
    functions: Functions | None = None,
) -> Array:
    """The array of ``node`` over the axes ``order``, which hold all of its free ones."""
    return np.asarray(evaluate(Tensor(node, order), values, sizes=sizes, functions=functions))


class _Here:
    """What the names stand for during one evaluation."""

    def __init__(self, values: Values, sizes: dict[str, int], functions: dict[str, Callable[..., Any]]) -> None:
        self.values = {s.name: np.asarray(v, dtype=float) for s, v in values.items()}
        self.sizes = sizes
        self.functions = functions

    def size(self, dim: Dim) -> int:
        n = extent(dim, self.sizes)
        if n is None:
            raise KeyError(f"no size for {dim}")
        return n

    def table(self, node: Node, order: Order) -> Array:
        """The values of a node for all positions of the axes in ``order``."""
        own = tuple(a for a in order if a in node.free)
        array = self._own(node, own)
        shape = tuple(self.size(a.dim) if a in own else 1 for a in order)
        return np.broadcast_to(array.reshape(shape), tuple(self.size(a.dim) for a in order))

    def _own(self, node: Node, order: Order) -> Array:
        """The same where ``order`` holds just the node's free axes."""
        match node:
            case Lit(value):
                return np.asarray(value)
            case Size(dim):
                return np.asarray(float(self.size(dim)))
            case Get(symbol, index):
                return self._at(self._value(symbol, index), index, order)
            case Position(axis):
                return np.arange(float(self.size(axis.dim)))
            case Delta(left, right):
                return self._delta(left, right, order)
            case Shift(left, right, offset):
                return self._shift(left, right, offset, order)
            case Add(terms):
                return np.sum([self.table(t, order) for t in terms], axis=0)
            case Mul(factors):
                return np.prod([self.table(f, order) for f in factors], axis=0)
            case Pow(base, exponent):
                return np.power(self.table(base, order), self.table(exponent, order))
            case Fn(atom, args):
                from ebdsl.atoms import SCALARS

                return np.asarray(SCALARS[atom].numpy(*(self.table(a, order) for a in args)), dtype=float)
            case Sum(body, axes):
                whole = self.table(body, (*order, *axes))
                return whole.sum(axis=tuple(range(len(order), len(order) + len(axes))))
            case Apply(function, args, index):
                return self._apply(function, args, index, order)
        raise TypeError(f"{type(node).__name__} is not a number")

    def _value(self, symbol: Symbol, index: tuple[Axis | int, ...]) -> Array:
        if symbol.name in self.values:
            value = self.values[symbol.name]
        elif symbol.value is not None:
            value = np.asarray(symbol.value, dtype=float)
        else:
            raise KeyError(f"no value for {symbol.name}")
        dims: tuple[Dim, ...] = symbol.shape if len(index) == len(symbol.shape) else ("batch", *symbol.shape)
        wanted = tuple(self.size(d) for d in dims)
        if value.shape != wanted:
            raise ValueError(f"{symbol.name} has shape {value.shape} and not {wanted}")
        return value

    def _at(self, array: Array, index: tuple[Axis | int, ...], order: Order) -> Array:
        """``array[index]`` for all positions of ``order``."""
        grid = np.meshgrid(*(np.arange(self.size(a.dim)) for a in order), indexing="ij", sparse=True)
        place = dict(zip(order, grid, strict=True))
        return array[tuple(place[i] if isinstance(i, Axis) else i for i in index)]

    def _delta(self, left: Axis | int, right: Axis | int, order: Order) -> Array:
        shape = tuple(self.size(a.dim) for a in order)
        result = np.zeros(shape)
        for place in np.ndindex(shape):
            at = dict(zip(order, place, strict=True))
            i = at[left] if isinstance(left, Axis) else left
            j = at[right] if isinstance(right, Axis) else right
            from_the_end = min(i, j) < 0
            result[place] = float(i == j or (from_the_end and i - j in (shape[0], -shape[0])))
        return result

    def _shift(self, left: Axis, right: Axis | int, offset: int, order: Order) -> Array:
        place = np.arange(self.size(left.dim)) + offset
        if isinstance(right, int):
            return np.asarray(place == right, dtype=float)
        both = np.asarray(place[:, None] == np.arange(self.size(right.dim)), dtype=float)
        return both if order == (left, right) else both.T

    def _apply(
        self,
        function: str | Module | Recurrence,
        args: tuple[Tensor, ...],
        index: tuple[Axis | int, ...],
        order: Order,
    ) -> Array:
        from ebdsl.atoms import OPAQUES

        call: Callable[..., Any]
        if isinstance(function, Recurrence):
            call = self._follower(function)
        else:
            call = self.functions[function.name] if isinstance(function, Module) else OPAQUES[function].numpy
        outer = tuple(a for a in order if any(a in x.free for x in args))
        whole = [self.table(x.body, (*outer, *x.axes)) for x in args]
        results = None
        for place in np.ndindex(tuple(self.size(a.dim) for a in outer)):
            result = np.asarray(call(*(w[place] for w in whole)), dtype=float)
            if results is None:
                results = np.zeros((*(self.size(a.dim) for a in outer), *result.shape))
            results[place] = result
        assert results is not None
        return self._at(results, (*outer, *index), order)

    def _follower(self, r: Recurrence) -> Callable[..., Array]:
        """The recurrence as a function of one sample's arguments: step by step, by its definition."""

        def follow(*args: Array) -> Array:
            first, given = args[: r.starts], args[r.starts :]
            found = [list(first[k * r.order : (k + 1) * r.order]) for k in range(len(r.windows))]
            for step in range(self.size(r.steps)):
                values: dict[Symbol, Any] = {
                    s: found[k][-1 - back] for k, window in enumerate(r.windows) for back, s in enumerate(window)
                }
                values |= {g: v[step] if t else v for g, t, v in zip(r.given, r.timed, given, strict=True)}
                here = _Here({}, self.sizes, self.functions)
                here.values = self.values | {s.name: np.asarray(v, dtype=float) for s, v in values.items()}
                following = [here.table(b.body, b.axes) for b in r.bodies]
                for states, new in zip(found, following, strict=True):
                    states.append(new)
            return np.stack(found[r.which])

        return follow


# --------------------------------------------------------------------------- models


def sizes_of(model: Model, values: Values) -> dict[str, int]:
    """The extents of the named dimensions: those of the model, and else what the values' shapes tell."""
    sizes = {name: size for name, size in model.dims.items() if size is not None}
    for symbol, value in values.items():
        for dim, count in zip(symbol.shape, np.shape(value), strict=True):
            if isinstance(dim, str):
                sizes.setdefault(dim, count)
            elif isinstance(dim, Part):
                sizes.setdefault(dim.whole, count + dim.less)
    return sizes


def terms(model: Model, values: Values, functions: Functions | None = None) -> dict[str, float]:
    """The energy of one sample term by term; terms of the same text are added up."""
    sizes = sizes_of(model, values)
    result: dict[str, float] = {}
    for t in model.terms:
        result[t.text] = result.get(t.text, 0.0) + evaluate(t.node, values, sizes=sizes, functions=functions)
    return result


def energy(model: Model, values: Values, functions: Functions | None = None) -> float:
    """The energy of one sample."""
    return sum(terms(model, values, functions).values())


def difference(f: Callable[[Array], float], x: Array, step: float = 3e-4) -> Array:
    """The gradient of ``f`` at ``x`` by five-point differences, of fourth order in the step."""
    x = np.asarray(x, dtype=float)
    result = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        h = step * max(1.0, abs(float(x[place])))
        total = 0.0
        for k, weight in ((-2, 1.0), (-1, -8.0), (1, 8.0), (2, -1.0)):
            moved = x.copy()
            moved[place] += k * h
            total += weight * f(moved)
        result[place] = total / (12 * h)
    return result


def gradient(
    model: Model, symbol: Symbol, values: Values, functions: Functions | None = None, step: float = 3e-4
) -> Array:
    """The derivative of one sample's energy in ``symbol``, by differences. Meaningless within two steps of a kink."""
    return difference(lambda x: energy(model, {**values, symbol: x}, functions), values[symbol], step)


def points(symbol: Symbol, sizes: Mapping[str, int]) -> Iterator[Array]:
    """All values of a symbol over a finite domain. Raises ``ValueError`` where it is not finite."""
    row = symbol.domain.row
    if not row.finite or row.points is None:
        raise ValueError(f"{symbol.name} takes infinitely many values")
    shape = tuple(extent(d, sizes) or 0 for d in symbol.shape)
    tied = len(shape) if row.whole < 0 else row.whole
    lead, own = shape[: len(shape) - tied], shape[len(shape) - tied :]
    choices = row.points(own)
    for picks in itertools.product(range(len(choices)), repeat=math.prod(lead)):
        yield choices[list(picks)].reshape(shape)


def free_energy(model: Model, values: Values, functions: Functions | None = None) -> float:
    """The free energy of one sample where all latents are over finite domains, by trying all their values.

    ``values`` holds everything but the latents that are eliminated. ``softmin`` is ``-1/β log Σ exp(-β E)``.
    """
    sizes = sizes_of(model, values)

    def go(level: int, known: Values) -> float:
        if level == len(model.eliminations):
            return energy(model, known, functions)
        step = model.eliminations[level]
        found = [
            go(level + 1, {**known, **dict(zip(step.latents, point, strict=True))})
            for point in itertools.product(*(list(points(s, sizes)) for s in step.latents))
        ]
        if step.beta is None:
            return max(found) if step.kind == "max" else min(found)
        beta = evaluate(step.beta, known, sizes=sizes, functions=functions)
        low = min(found)
        return low - math.log(sum(math.exp(-beta * (e - low)) for e in found)) / beta

    return go(0, values)


def random_values(model: Model, rng: np.random.Generator, sizes: Mapping[str, int] | None = None) -> dict[Symbol, Any]:
    """A value of its domain for every symbol; constants that have one keep theirs."""
    known = {**{k: v for k, v in model.dims.items() if v is not None}, **(sizes or {})}
    result: dict[Symbol, Any] = {}
    for s in model.symbols:
        if s.value is not None:
            result[s] = np.asarray(s.value, dtype=float)
            continue
        shape = tuple(extent(d, known) or 0 for d in s.shape)
        sample = s.domain.row.sample
        assert sample is not None
        result[s] = np.asarray(sample(rng, shape, s.domain.args), dtype=float)
    return result


def random_functions(
    model: Model, rng: np.random.Generator, sizes: Mapping[str, int] | None = None
) -> dict[str, Callable[..., Any]]:
    """A smooth function ``tanh(A x + b)`` in the place of each module."""
    known = {**{k: v for k, v in model.dims.items() if v is not None}, **(sizes or {})}

    def shape(dims: tuple[Dim, ...]) -> tuple[int, ...]:
        return tuple(extent(d, known) or 0 for d in dims)

    def layer(module: Module) -> Callable[..., Any]:
        width = sum(math.prod(shape(i)) for i in module.inputs)
        out = shape(module.output)
        a = rng.standard_normal((math.prod(out), width)) / math.sqrt(width)
        b = rng.standard_normal(math.prod(out))
        return lambda *x: np.tanh(a @ np.concatenate([np.ravel(v) for v in x]) + b).reshape(out)

    return {m.name: layer(m) for m in model.modules}
