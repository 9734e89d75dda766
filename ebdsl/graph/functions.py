"""Which deterministic functions an energy term holds, read off its algebra.

Three things become a function of their own: a module; a product with parameters that gives a vector
(``W z``, and ``Wᵀ W y`` as two of them, so that the code's dimension shows); and an elementwise function
of something learned that is compared with something else (``‖z - tanh(W y)‖²``). The rest stays in the term.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import networkx as nx

from ebdsl.model.canonical import canonical
from ebdsl.model.ir import Add, Apply, Axis, Dim, Fn, Get, Layer, Module, Mul, Node, Pow, Sum, Symbol, Tensor

Shape = tuple[Dim, ...]


@dataclass(frozen=True)
class Feeds:
    """What a node reads: graph nodes with the shape of their value, and parameters."""

    inputs: dict[str, Shape] = field(default_factory=dict)
    params: dict[str, Shape] = field(default_factory=dict)

    def __or__(self, other: Feeds) -> Feeds:
        return Feeds({**self.inputs, **other.inputs}, {**self.params, **other.params})


NOTHING = Feeds()


@dataclass(frozen=True)
class Reader:
    """Adds functions to ``graph`` as it reads terms; what occurs twice is one function."""

    graph: nx.MultiDiGraph
    dims: Callable[[Shape], str]
    known: dict[object, str] = field(default_factory=dict)

    def connect(self, target: str, node: Node) -> None:
        """Edges into ``target`` from all that ``node`` reads."""
        self._link(target, self.feeds(node))

    def feeds(self, node: Node, compared: bool = False) -> Feeds:
        """What ``node`` reads. ``compared``: it stands in a sum inside of a nonlinear function."""
        match node:
            case Get(symbol, _) if symbol.per_sample:
                return Feeds({f"variable {symbol.name}": symbol.shape})
            case Get(symbol, _) if symbol.role == "param":
                return Feeds(params={symbol.name: symbol.shape})
            case Apply(Module() as module, args, _):
                inner = self._all(args)
                key = (module.name, tuple(canonical(a) for a in args))
                detail = " >> ".join(layer_text(layer) for layer in module.layers)
                return self._function(key, "module", module.name, module.output, inner, detail)
            case Apply(str() as name, args, index) if index and _per_sample(node):
                inner = self._all(args)
                key = (name, tuple(canonical(a) for a in args))
                shape = tuple(i.dim for i in index if isinstance(i, Axis))
                return self._function(key, "tensor", _spoken(name, inner), shape, inner)
            case Sum(body, _):
                return self._chain(node) or self.feeds(body, compared)
            case Fn(atom, args) if compared and node.free and _per_sample(node) and _learned(node):
                inner = self._all(args)
                shape = tuple(a.dim for a in _in_order(node))
                return self._function((atom, _value(node)), "elementwise", atom, shape, inner)
            case Mul(factors):
                found = NOTHING
                for f in factors:
                    # x' (A x): a quadratic form is an energy, and A no function of its own
                    square = isinstance(f, Sum) and any(_samples(f) & _samples(g) for g in factors if g is not f)
                    found |= self.feeds(f.body if square and isinstance(f, Sum) else f, compared)
                return found
            case Add():
                return self._all(node.children, compared=True)
            case Pow() | Fn() | Tensor() | Apply():
                return self._all(node.children)
            case _:
                return self._all(node.children, compared)

    def _all(self, nodes: tuple[Node, ...], compared: bool = False) -> Feeds:
        found = NOTHING
        for n in nodes:
            found |= self.feeds(n, compared)
        return found

    def _chain(self, node: Sum) -> Feeds | None:
        """``W x`` as a function of x; None where the sum is no product of parameters with a vector."""
        factors = node.body.factors if isinstance(node.body, Mul) else (node.body,)
        bound = frozenset(node.axes)
        matrices = [f for f in factors if isinstance(f, Get) and f.symbol.role == "param" and f.free & bound]
        others = tuple(f for f in factors if f not in matrices)
        vectors = tuple(f for f in others if f.free & bound)
        out = [a for m in matrices for a in m.index if isinstance(a, Axis) and a in node.free]
        if not matrices or not out or not vectors or not all(_per_sample(v) for v in vectors):
            return None
        if len(frozenset().union(*map(_samples, vectors))) != sum(len(_samples(v)) for v in vectors):
            return None  # a quadratic form, as below
        steps = _matrices_in_order(matrices, out) if len(vectors) == 1 else None
        inner = self._all(others)
        if steps is None:
            names = dict.fromkeys(m.symbol.name for m in matrices)
            inner |= Feeds(params={m.symbol.name: m.symbol.shape for m in matrices})
            shape = tuple(a.dim for a in dict.fromkeys(out))
            return self._function(("linear", _value(node)), "linear", " ".join(names), shape, inner)
        for symbol, transposed, dim in reversed(steps):
            label = symbol.name + ("ᵀ" if transposed else "")
            key = ("linear", label, tuple(inner.inputs), tuple(inner.params), _value(node) if len(others) > 1 else None)
            inner |= Feeds(params={symbol.name: symbol.shape})
            inner = self._function(key, "linear", label, (dim,), inner)
        return inner

    def _function(self, key: object, form: str, label: str, shape: Shape, inner: Feeds, detail: str = "") -> Feeds:
        name = self.known.setdefault(key, f"function {len(self.known)}")
        if name not in self.graph:
            self.graph.add_node(name, kind="function", form=form, label=label, detail=detail, dims=self.dims(shape))
            self._link(name, inner)
        return Feeds({name: shape})

    def _link(self, target: str, feeds: Feeds) -> None:
        for source, shape in feeds.inputs.items():
            self.graph.add_edge(source, target, relation="value", dims=self.dims(shape))
        for name, shape in feeds.params.items():
            self.graph.add_edge(f"parameter {name}", target, relation="parameter", dims=self.dims(shape))


def layer_text(layer: Layer) -> str:
    """As a spec writes it: ``mlp(128, 128, silu)``."""
    args = [f"{a:g}" if isinstance(a, float) else str(a) for a in layer.args]
    args += [f"{k} = {v:g}" if isinstance(v, float) else f"{k} = {v}" for k, v in layer.keywords]
    return layer.name + (f"({', '.join(args)})" if args else "")


def _matrices_in_order(matrices: list[Get], out: list[Axis]) -> list[tuple[Symbol, bool, Dim]] | None:
    """Symbol, whether transposed, and dimension of the value, outermost first; None if it is no chain."""
    if len(out) != 1 or any(len(m.index) != 2 or len(m.free) != 2 for m in matrices):
        return None
    steps: list[tuple[Symbol, bool, Dim]] = []
    axis, rest = out[0], list(matrices)
    while rest:
        holder = [m for m in rest if axis in m.index]
        if len(holder) != 1:
            return None
        (m,) = holder
        rest.remove(m)
        steps.append((m.symbol, m.index[0] != axis, axis.dim))
        (axis,) = m.free - {axis}
    return steps


def _spoken(name: str, inner: Feeds) -> str:
    """``∗ D`` for a convolution with a parameter, else the function's name."""
    held = ", ".join(inner.params)
    return f"∗ {held}" if name.startswith("conv") and held else name


def _per_sample(node: Node) -> bool:
    return bool(_samples(node))


def _samples(node: Node) -> frozenset[Symbol]:
    return frozenset(s for s in node.symbols if s.per_sample)


def _learned(node: Node) -> bool:
    return any(s.role == "param" for s in node.symbols)


def _in_order(node: Node) -> tuple[Axis, ...]:
    """Free axes in order of first use, whatever they are called."""
    if isinstance(node, Get):
        return tuple(dict.fromkeys(i for i in node.index if isinstance(i, Axis)))
    found = [i for i in node.index if isinstance(i, Axis)] if isinstance(node, Apply) else []
    found += [a for c in node.children for a in _in_order(c) if a in node.free]
    return tuple(dict.fromkeys(found)) or tuple(sorted(node.free, key=lambda a: a.name))


def _value(node: Node) -> Node:
    """The node as a tensor over its free axes: a name for its value."""
    return canonical(Tensor(node, _in_order(node)))
