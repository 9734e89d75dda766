"""Signs and curvature: what is claimed of random expressions holds at random points, and what should be found is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebdsl.atoms import SCALARS
from ebdsl.facts.convexity import bounds, curvature, sign
from ebdsl.model.algebra import expand, freshen, rename
from ebdsl.model.build import add, div, fn, fresh, lit, mul, neg, power, sub, sum_over, tensor
from ebdsl.model.domains import REAL, Domain
from ebdsl.model.ir import Apply, Get, Module, Node, Symbol, Tensor
from ebdsl.model.reference import evaluate

N, M = 3, 2
X = Symbol("x", "latent", (N,), REAL)
P = Symbol("p", "latent", (N,), Domain("nonnegative"))
B = Symbol("b", "latent", (N,), Domain("box", (-1.0, 2.0)))
Q = Symbol("q", "param", (N,), Domain("positive"))
Y = Symbol("y", "observed", (M,), REAL)
W = Symbol("W", "param", (M, N), REAL)
S = Symbol("S", "param", (N, N), Domain("positive definite"))
C = Symbol("c", "const", (), REAL, value=0.5)
D = Symbol("d", "const", (), REAL)
ALL = (X, P, B, Q, Y, W, S, C, D)


def draw(symbol: Symbol, rng: np.random.Generator) -> np.ndarray:
    if symbol.value is not None:
        return np.asarray(symbol.value)
    sample = symbol.domain.row.sample
    assert sample is not None
    return np.asarray(sample(rng, tuple(int(d) for d in symbol.shape), symbol.domain.args))


def vector(symbol: Symbol) -> tuple[Get, tuple]:  # type: ignore[type-arg]
    a = fresh(symbol.shape[0])
    return Get(symbol, (a,)), (a,)


# --------------------------------------------------------------------------- random expressions


def scalars(depth: int) -> st.SearchStrategy[Node]:
    """Expressions without free indices, over all kinds of domains."""
    leaf = st.one_of(
        st.sampled_from([Get(s, (0,)) for s in (X, P, B, Q)]),
        st.sampled_from([Get(X, (1,)), Get(C), Get(D), Get(S, (0, 0)), Get(S, (0, 1))]),
        st.floats(-2, 2).map(lambda v: lit(round(v, 2))),
        st.just(sum_over(mul(Get(W, (0, (a := fresh(N)))), Get(X, (a,))), (a,))),
    )  # fmt: skip
    if depth == 0:
        return leaf
    inner = scalars(depth - 1)
    unary = [row.name for row in SCALARS.values() if row.arity == 1]

    def summed(symbol: Symbol) -> st.SearchStrategy[Node]:
        entry, axes = vector(symbol)
        return st.sampled_from(
            [
                sum_over(power(entry, 2), axes),
                sum_over(fn("abs", entry), axes),
                sum_over(fn("exp", entry), axes),
                sum_over(mul(entry, Get(Q, axes)), axes),
                quadratic(entry, axes[0]),
            ]
        )

    return st.one_of(
        leaf,
        st.tuples(inner, inner).map(lambda p: add(*p)),
        st.tuples(inner, inner).map(lambda p: sub(*p)),
        st.tuples(inner, inner).map(lambda p: mul(*p)),
        st.tuples(inner, inner).map(lambda p: mul(p[0], freshen(p[0]), p[1])),
        st.tuples(inner, st.sampled_from([2.0, 3.0, 4.0, 0.5, 1.5, -1.0, -2.0, -0.5])).map(lambda p: power(*p)),
        st.tuples(st.sampled_from(unary), inner).map(lambda p: fn(*p)),
        st.tuples(st.sampled_from(["max", "min"]), inner, inner).map(lambda p: fn(*p)),
        st.sampled_from([X, P, B]).flatmap(summed),
    )


def quadratic(entry: Get, axis: object) -> Node:
    """``Σ_ij x_i S_ij x_j``."""
    i, j = fresh(N), fresh(N)
    return sum_over(mul(Get(entry.symbol, (i,)), Get(S, (i, j)), Get(entry.symbol, (j,))), (i, j))


HOLDS = {
    "positive": lambda v: v > 0,
    "nonnegative": lambda v: v >= 0,
    "negative": lambda v: v < 0,
    "nonpositive": lambda v: v <= 0,
    "unknown": lambda v: True,
}


@settings(deadline=None, derandomize=True, max_examples=400)
@given(scalars(3), st.integers(0, 2**32 - 1))
def test_signs_and_bounds_hold(node: Node, seed: int) -> None:
    rng = np.random.default_rng(seed)
    found, claim = bounds(node), sign(node)
    for _ in range(12):
        value = evaluate(node, {s: draw(s, rng) for s in ALL})
        if np.isfinite(value):
            slack = 1e-9 * (1 + abs(value))
            assert found.low - slack <= value <= found.high + slack
            # what is strictly positive may round to zero
            assert HOLDS[claim](value) or abs(value) < slack


@settings(deadline=None, derandomize=True, max_examples=600)
@given(scalars(3), st.integers(0, 2**32 - 1), st.sets(st.sampled_from([X, P, B, Q, S]), min_size=1))
def test_curvature_holds(node: Node, seed: int, chosen: set[Symbol]) -> None:
    check_curvature(node, frozenset(chosen), np.random.default_rng(seed))


def check_curvature(node: Node, symbols: frozenset[Symbol], rng: np.random.Generator) -> str:
    """The claim against midpoints, far apart and close together."""
    claim = curvature(node, symbols)
    if claim == "neither":
        return claim
    for k in range(12):
        rest = {s: draw(s, rng) for s in ALL}
        left = {**rest, **{s: draw(s, rng) for s in symbols}}
        right = {**rest, **{s: draw(s, rng) for s in symbols}}
        if k % 2:
            right = {s: left[s] + 0.05 * (right[s] - left[s]) for s in left}
        middle = {s: (left[s] + right[s]) / 2 for s in left}
        a, b, m = (evaluate(node, v) for v in (left, right, middle))
        if not (np.isfinite(a) and np.isfinite(b)):
            continue
        gap, slack = (a + b) / 2 - m, 1e-9 * (1 + abs(a) + abs(b) + (abs(m) if np.isfinite(m) else 0))
        assert np.isfinite(m) or claim == "neither"
        if claim in ("convex", "affine", "constant"):
            assert gap >= -slack
        if claim in ("concave", "affine", "constant"):
            assert gap <= slack
        if claim == "constant":
            assert abs(a - b) <= slack
    return claim


# --------------------------------------------------------------------------- what has to be found


def residual(k: object = None) -> Node:
    m, n = fresh(M), fresh(N)
    return sum_over(power(sub(Get(Y, (m,)), sum_over(mul(Get(W, (m, n)), Get(X, (n,))), (n,))), 2), (m,))


def total(f: str, symbol: Symbol) -> Node:
    entry, axes = vector(symbol)
    return sum_over(fn(f, entry), axes)


def mahalanobis() -> Node:
    """``(q - x)' S (q - x)``, as nested sums."""
    i, j = fresh(N), fresh(N)
    inner = sum_over(mul(Get(S, (i, j)), sub(Get(Q, (j,)), Get(X, (j,)))), (j,))
    return sum_over(mul(sub(Get(Q, (i,)), Get(X, (i,))), inner), (i,))


def gram() -> Node:
    """``x' W' W x`` with three sums."""
    m, n, k = fresh(M), fresh(N), fresh(N)
    return sum_over(mul(Get(X, (n,)), Get(W, (m, n)), Get(W, (m, k)), Get(X, (k,))), (n, m, k))


def logsumexp() -> Node:
    m, n = fresh(M), fresh(N)
    inner = sum_over(mul(Get(W, (m, n)), Get(X, (n,))), (n,))
    return fn("log", sum_over(fn("exp", inner), (m,)))


def fractional() -> Node:
    """``x' S⁻¹ x``."""
    i, j = fresh(N), fresh(N)
    return sum_over(mul(Get(X, (i,)), Apply("inverse", (tensor(S),), (i, j)), Get(X, (j,))), (i, j))


def group() -> Node:
    a = fresh(N)
    return power(sum_over(power(Get(X, (a,)), 2), (a,)), 0.5)


def three_norm() -> Node:
    a = fresh(N)
    return power(sum_over(power(fn("abs", Get(X, (a,))), 3), (a,)), 1 / 3)


def norm_inf() -> Node:
    a = fresh(N)
    return Apply("maximum", (Tensor(fn("abs", Get(X, (a,))), (a,)),))


def transposed() -> Tensor:
    whole = tensor(S)
    i, j = whole.axes
    return Tensor(add(whole.body, Get(X, (i,))), (i, j))


CASES = [
    ("residual", residual(), {X}, "convex"),
    ("residual in W", residual(), {W}, "convex"),
    ("residual in both", residual(), {W, X}, "neither"),
    ("lasso", add(residual(), mul(Get(C), total("abs", X))), {X}, "convex"),
    ("unknown weight", mul(Get(D), total("abs", X)), {X}, "neither"),
    ("negative weight", mul(lit(-1.0), total("abs", X)), {X}, "concave"),
    ("|x||y| of a positive weight", mul(Get(Q, (0,)), fn("abs", Get(X, (0,)))), {X}, "convex"),
    ("product", mul(Get(X, (0,)), Get(X, (1,))), {X}, "neither"),
    ("square as a product", mul(Get(X, (0,)), Get(X, (0,))), {X}, "convex"),
    ("mahalanobis", mahalanobis(), {X}, "convex"),
    ("mahalanobis in the mean", mahalanobis(), {Q}, "convex"),
    ("mahalanobis in both", mahalanobis(), {Q, X}, "convex"),
    ("mahalanobis in the matrix", mahalanobis(), {S}, "affine"),
    ("mahalanobis in all", mahalanobis(), {S, X}, "neither"),
    ("minus mahalanobis", neg(mahalanobis()), {X}, "concave"),
    ("gram", gram(), {X}, "convex"),
    ("gram in W", gram(), {W}, "convex"),
    ("logsumexp", logsumexp(), {X}, "convex"),
    ("minus logsumexp", neg(logsumexp()), {X}, "concave"),
    ("x' S⁻¹ x", fractional(), {X}, "convex"),
    ("norm", group(), {X}, "convex"),
    ("norm with ε", power(add(lit(0.1), power(group(), 2)), 0.5), {X}, "convex"),
    ("norm of order 3", three_norm(), {X}, "convex"),
    ("greatest entry", norm_inf(), {X}, "convex"),
    ("log of a norm", fn("log", group()), {X}, "neither"),
    ("(|x| - 1)²", power(sub(fn("abs", Get(X, (0,))), lit(1)), 2), {X}, "neither"),
    ("(|x| + 1)²", power(add(fn("abs", Get(X, (0,))), lit(1)), 2), {X}, "convex"),
    ("exp of a square", fn("exp", power(Get(X, (0,)), 2)), {X}, "convex"),
    ("softplus of minus x", fn("softplus", neg(Get(X, (0,)))), {X}, "convex"),
    ("relu of concave", fn("relu", fn("log", Get(P, (0,)))), {P}, "neither"),
    ("sqrt", power(Get(P, (0,)), 0.5), {P}, "concave"),
    ("cube of nonnegative", power(Get(P, (0,)), 3), {P}, "convex"),
    ("cube", power(Get(X, (0,)), 3), {X}, "neither"),
    ("reciprocal of positive", power(Get(Q, (0,)), -1), {Q}, "convex"),
    ("x² / q", div(power(Get(X, (0,)), 2), Get(Q, (0,))), {X, Q}, "convex"),
    ("x log x", mul(Get(P, (0,)), fn("log", Get(P, (0,)))), {P}, "convex"),
    ("entropy", neg(total("xlogx", P)), {P}, "concave"),
    ("log det", Apply("logdet", (tensor(S),)), {S}, "concave"),
    ("log |det|", Apply("logabsdet", (tensor(S),)), {S}, "neither"),
    ("log det of what need not be definite", Apply("logdet", (transposed(),)), {S}, "neither"),
    ("tanh", fn("tanh", Get(X, (0,))), {X}, "neither"),
    ("through a module", Apply(Module("f", ((N,),), (), ()), (tensor(X),)), {X}, "neither"),
    ("without the symbol", residual(), {P}, "constant"),
]  # fmt: skip


@pytest.mark.parametrize(("node", "symbols", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_known_curvature(node: Node, symbols: set[Symbol], expected: str) -> None:
    assert curvature(node, frozenset(symbols)) == expected
    if "module" not in repr(node).lower() and expected != "neither":
        check_curvature(node, frozenset(symbols), np.random.default_rng(0))


@pytest.mark.parametrize("k", range(len(CASES)))
def test_renaming_changes_nothing(k: int) -> None:
    """Bound indices renamed, terms and factors turned round."""
    _, node, symbols, expected = CASES[k]
    assert curvature(freshen(node), frozenset(symbols)) == expected
    assert curvature(add(lit(3.0), freshen(node), lit(-1.0)), frozenset(symbols)) == expected
    assert curvature(mul(freshen(node), lit(0.25)), frozenset(symbols)) == expected


@pytest.mark.parametrize("node", [residual(), mahalanobis(), gram()])
def test_multiplied_out_it_is_the_same(node: Node) -> None:
    assert curvature(add(*expand(node)), frozenset({X})) == "convex"


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (residual(), "nonnegative"),
        (mahalanobis(), "nonnegative"),
        (gram(), "nonnegative"),
        (neg(gram()), "nonpositive"),
        (Get(Q, (0,)), "positive"),
        (Get(P, (0,)), "nonnegative"),
        (Get(S, (1, 1)), "positive"),
        (Get(S, (0, 1)), "unknown"),
        (Get(D), "unknown"),
        (Get(C), "positive"),
        (sub(Get(C), lit(1)), "negative"),
        (fn("exp", Get(D)), "positive"),
        (mul(Get(Q, (0,)), Get(P, (0,))), "nonnegative"),
        (add(Get(Q, (0,)), Get(P, (0,))), "positive"),
        (sub(Get(B, (0,)), lit(2)), "nonpositive"),
        (add(Get(B, (0,)), lit(1.5)), "positive"),
        (mul(Get(X, (0,)), Get(X, (0,))), "nonnegative"),
        (sub(lit(1), fn("sigmoid", Get(X, (0,)))), "nonnegative"),
        (power(Get(Q, (0,)), -1), "positive"),
        (fn("max", Get(X, (0,)), lit(1)), "positive"),
        (lit(0.0), "nonnegative"),
    ],
)
def test_known_signs(node: Node, expected: str) -> None:
    assert sign(node) == expected


def tangled(rng: np.random.Generator) -> Node:
    """A sum of a product of entries whose indices are tied together at random."""
    axes = tuple(fresh(N) for _ in range(int(rng.integers(2, 5))))
    square = Symbol("V", "param", (N, N), REAL)

    def pick() -> object:
        return axes[int(rng.integers(len(axes)))]

    factors: list[Node] = []
    for _ in range(int(rng.integers(1, 4))):
        kind = int(rng.integers(4))
        if kind == 0:
            factors.append(Get(X, (pick(),)))  # type: ignore[arg-type]
        elif kind == 1:
            factors.append(Get(Q, (pick(),)))  # type: ignore[arg-type]
        else:
            factors.append(Get(S if kind == 2 else square, (pick(), pick())))  # type: ignore[arg-type]
    if rng.random() < 0.7:  # likely to be symmetric: the same again with some indices exchanged
        i, j = (axes[int(k)] for k in rng.choice(len(axes), 2, replace=False))
        factors += [rename(f, {i: j, j: i}) for f in factors]
        if rng.random() < 0.4:
            factors.append(Get(S, (i, j)))
    return sum_over(mul(*factors), axes)


def test_tangled_sums_are_not_taken_for_squares() -> None:
    """What is claimed of sums of products is true of them, and something is claimed of some."""
    rng = np.random.default_rng(0)
    square = Symbol("V", "param", (N, N), REAL)
    signs = shapes = 0
    for _ in range(400):
        node = tangled(rng)
        claim, kind = sign(node), curvature(node, frozenset({X}))
        signs += claim == "nonnegative"
        shapes += kind == "convex"
        if claim == "unknown" and kind == "neither":
            continue
        for _ in range(15):
            rest = {**{s: draw(s, rng) for s in ALL}, square: rng.standard_normal((N, N))}
            value = evaluate(node, rest)
            assert HOLDS[claim](value) or abs(value) < 1e-9
            ends = [rng.standard_normal(N) for _ in range(2)]
            a, b, m = (evaluate(node, {**rest, X: x}) for x in (*ends, (ends[0] + ends[1]) / 2))
            slack = 1e-9 * (1 + abs(a) + abs(b))
            assert kind not in ("convex", "affine") or m <= (a + b) / 2 + slack
            assert kind not in ("concave", "affine") or m >= (a + b) / 2 - slack
    assert signs > 40 and shapes > 10
