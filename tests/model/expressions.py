"""Random expressions of the IR: numbers made of a scalar ``x``, a vector ``v``, matrices ``A`` and ``B``."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from ebdsl.model import build
from ebdsl.model.algebra import contract, multiply
from ebdsl.model.deltas import delta
from ebdsl.model.domains import REAL
from ebdsl.model.ir import Axis, Fn, Get, Lit, Node, Symbol

SIZES = {"M": 2, "N": 3}
SYMBOLS = {
    "x": Symbol("x", "param", (), REAL),
    "v": Symbol("v", "param", ("N",), REAL),
    "w": Symbol("w", "param", ("N",), REAL),
    "A": Symbol("A", "param", ("M", "N"), REAL),
    "B": Symbol("B", "param", ("N", "N"), REAL),
}
FUNCTIONS = ["tanh", "sigmoid", "sin", "softplus"]


def values(seed: int) -> dict[Symbol, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {s: rng.uniform(-1, 1, tuple(SIZES[d] for d in s.shape)) for s in SYMBOLS.values()}


@st.composite
def numbers(draw: st.DrawFn, axes: tuple[Axis, ...] = (), depth: int = 4) -> Node:
    """A node whose free axes are among ``axes``; sums bind axes of their own."""

    def leaf() -> Node:
        options: list[Node] = [Lit(draw(st.sampled_from([-2.0, -1.0, 0.5, 3.0]))), Get(SYMBOLS["x"], ())]
        for s in SYMBOLS.values():
            places = [[a for a in axes if a.dim == d] + [0, 1] for d in s.shape]
            if s.shape:
                options.append(Get(s, tuple(draw(st.sampled_from(p)) for p in places)))
        for a in axes:
            options.append(delta(a, draw(st.sampled_from([b for b in axes if b.dim == a.dim] + [0]))))
        return draw(st.sampled_from(options))

    if depth == 0:
        return leaf()
    kind = draw(st.sampled_from(["leaf", "add", "mul", "sum", "sum", "power", "function"]))
    inner = numbers(axes, depth - 1)
    match kind:
        case "add":
            return build.add(*(draw(inner) for _ in range(draw(st.integers(2, 3)))))
        case "mul":
            return multiply(draw(inner), draw(inner))
        case "sum":
            new = tuple(build.fresh(d) for d in draw(st.sampled_from([("M",), ("N",), ("N", "N"), ("M", "N")])))
            return contract(draw(numbers((*axes, *new), depth - 1)), new)
        case "power":
            return build.power(draw(inner), draw(st.sampled_from([2.0, 3.0])))
        case "function":
            return Fn(draw(st.sampled_from(FUNCTIONS)), (draw(inner),))
    return leaf()
