"""Facts of functions of one number: those claimed hold numerically, and known penalties have known facts."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ebdsl.atoms import SCALARS
from ebdsl.facts.scalar import UNKNOWN, ScalarFacts, facts_of
from ebdsl.model.build import add, div, fn, lit, mul, neg, power, sub
from ebdsl.model.domains import REAL, Domain
from ebdsl.model.ir import Get, Node, Symbol
from ebdsl.model.reference import difference, evaluate

X = Get(Symbol("x", "latent", (), REAL))
P = Get(Symbol("p", "latent", (), Domain("nonnegative")))
B = Get(Symbol("b", "latent", (), Domain("box", (-1.0, 2.0))))
C = Get(Symbol("c", "const", (), REAL, value=0.5))


def interval(x: Get) -> tuple[float, float]:
    low, high = x.symbol.domain.row.bounds(x.symbol.domain.args)
    return max(low, -6.0), min(high, 6.0)


def values(f: Node, x: Get, at: np.ndarray) -> np.ndarray:
    return np.array([evaluate(f, {x.symbol: float(p)}) for p in at])


def check(f: Node, x: Get) -> ScalarFacts:
    """All claims about ``f``, against its values."""
    found = facts_of(f, x)
    low, high = interval(x)
    at = np.sort(np.concatenate([np.linspace(low, high, 61), np.random.default_rng(0).uniform(low, high, 20)]))
    f_at = values(f, x, at)
    good = np.isfinite(f_at)
    slack = 1e-8 * (1 + np.abs(f_at[good]))
    assert np.all(f_at[good] >= found.low - slack) and np.all(f_at[good] <= found.high + slack)
    signs = {"positive": (0, np.inf), "nonnegative": (0, np.inf), "negative": (-np.inf, 0), "nonpositive": (-np.inf, 0)}
    least, most = signs.get(found.sign, (-np.inf, np.inf))
    assert np.all(f_at[good] >= least - slack) and np.all(f_at[good] <= most + slack)
    if found.curvature != "neither":
        a, b = at[:-2], at[2:]
        fa, fb, fm = f_at[:-2], f_at[2:], values(f, x, (a + b) / 2)
        real = np.isfinite(fa) & np.isfinite(fb)
        gap = ((fa + fb) / 2 - fm)[real]
        room = 1e-9 * (1 + np.abs(fa) + np.abs(fb))[real]
        assert found.curvature == "concave" or np.all(gap >= -room)
        assert found.curvature == "convex" or np.all(gap <= room)
    inside = at[(at > low + 0.05) & (at < high - 0.05)]
    slopes = np.array([difference(lambda p: evaluate(f, {x.symbol: float(p)}), np.asarray(p)) for p in inside])
    if found.lipschitz is not None:
        second = np.diff(slopes) / np.diff(inside)
        assert np.all(np.abs(second[np.isfinite(second)]) <= found.lipschitz * (1 + 1e-5) + 1e-5)
    if found.minimiser is not None:
        assert low <= found.minimiser <= high
        here = evaluate(f, {x.symbol: found.minimiser})
        assert np.all(f_at[good] >= here - slack)
    if found.prox is not None:
        check_prox(f, x, found.prox)
    return found


def check_prox(f: Node, x: Get, text: str) -> None:
    low, high = x.symbol.domain.row.bounds(x.symbol.domain.args)
    for v in (-3.0, -0.2, 0.0, 0.7, 4.0):
        for t in (0.1, 1.3):
            names: dict[str, Any] = {
                "torch": torch,
                "v": torch.tensor(v, dtype=torch.float64),
                "t": torch.tensor(t, dtype=torch.float64),
            }
            answer = float(eval(text, names))
            assert low - 1e-12 <= answer <= high + 1e-12

            def whole(p: float, v: float = v, t: float = t) -> float:
                value = t * evaluate(f, {x.symbol: p}) + (p - v) ** 2 / 2
                return value if math.isfinite(value) else math.inf

            here = whole(answer)
            assert math.isfinite(here)
            for step in (1e-3, 0.1, 1.0, 5.0):
                for other in (answer - step, answer + step):
                    if low <= other <= high:  # strong convexity
                        assert whole(other) >= here + step**2 / 2 - 1e-9 * (1 + abs(here))


@pytest.mark.parametrize("name", [r.name for r in SCALARS.values() if r.arity == 1])
def test_every_atom(name: str) -> None:
    row = SCALARS[name]
    x = X if row.domain[0][0] == -math.inf else P
    found = check(fn(name, x), x)
    assert found.smooth == row.smooth
    assert found.curvature == row.curvature
    if row.lipschitz is not None:
        assert found.lipschitz == pytest.approx(row.lipschitz, rel=1e-6)


LOG_ODDS = math.log(0.3 / 0.7)

CASES: list[tuple[str, Node, Get, dict[str, object]]] = [
    ("x²", power(X, 2), X, {"curvature": "convex", "lipschitz": 2.0, "minimiser": 0.0, "sign": "nonnegative"}),
    ("x² - 2x + 1", add(power(X, 2), mul(lit(-2), X), lit(1)), X, {"minimiser": 1.0, "sign": "nonnegative"}),
    ("x² - 2x", sub(power(X, 2), mul(lit(2), X)), X, {"minimiser": 1.0, "low": -1.0}),
    ("½|x| + x²", add(mul(C, fn("abs", X)), power(X, 2)), X, {"curvature": "convex", "minimiser": 0.0}),
    ("|x| - x", sub(fn("abs", X), X), X, {"curvature": "convex"}),
    ("log(1 + ½x²)", fn("log", add(lit(1), mul(C, power(X, 2)))), X, {"curvature": "neither", "lipschitz": 1.0}),
    ("softplus - 0.3 x", sub(fn("softplus", X), mul(lit(0.3), X)), X, {"minimiser": LOG_ODDS, "lipschitz": 0.25}),
    ("√(1 + x²)", power(add(lit(1), power(X, 2)), 0.5), X, {"curvature": "convex", "sign": "positive"}),
    ("-log p", neg(fn("log", P)), P, {"curvature": "convex", "sign": "unknown"}),
    ("p - log p", sub(P, fn("log", P)), P, {"curvature": "convex", "minimiser": 1.0, "sign": "positive"}),
    ("x⁴ - x²", sub(power(X, 4), power(X, 2)), X, {"curvature": "neither", "minimiser": None}),
    ("x⁴ + x²", add(power(X, 4), power(X, 2)), X, {"curvature": "convex", "lipschitz": None}),
    ("exp x - x", sub(fn("exp", X), X), X, {"curvature": "convex", "minimiser": 0.0, "sign": "positive"}),
    ("1/(1 + x²)", power(add(lit(1), power(X, 2)), -1), X, {"curvature": "neither", "lipschitz": 2.0}),
    ("3x on a box", mul(lit(3), B), B, {"curvature": "affine", "minimiser": -1.0, "low": -3.0, "high": 6.0}),
    ("(b - 5)² on a box", power(sub(B, lit(5)), 2), B, {"curvature": "convex", "minimiser": 2.0}),
    ("b³ on a box", power(B, 3), B, {"curvature": "neither", "lipschitz": 12.0}),
    ("p³ - p", sub(power(P, 3), P), P, {"curvature": "convex", "minimiser": 3**-0.5}),
    ("x² written as a product", mul(X, X), X, {"curvature": "convex", "lipschitz": 2.0}),
    ("x²/(1 + x²)", div(power(X, 2), add(lit(1), power(X, 2))), X, {"sign": "nonnegative", "high": 1.0}),
    ("tanh²", power(fn("tanh", X), 2), X, {"lipschitz": 2.0, "sign": "nonnegative"}),
    ("-log x - x", neg(add(fn("log", X), X)), X, {"curvature": "convex", "minimiser": None}),
    ("-1.2 log x", mul(lit(-1.2), fn("log", X)), X, {"curvature": "convex"}),
    ("2", lit(2.0), X, {"curvature": "constant", "sign": "positive", "lipschitz": 0.0}),
]  # fmt: skip


@pytest.mark.parametrize(("f", "x", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_known_functions(f: Node, x: Get, expected: dict[str, object]) -> None:
    found = check(f, x)
    for key, value in expected.items():
        if isinstance(value, float):
            assert getattr(found, key) == pytest.approx(value, rel=1e-6, abs=1e-9), key
        else:
            assert getattr(found, key) == value, key


@pytest.mark.parametrize("k", [0, 1, 3, 4, 8, 9, 14, 18])
def test_prox_is_found(k: int) -> None:
    assert facts_of(CASES[k][1], CASES[k][2]).prox is not None


def functions(x: Get) -> st.SearchStrategy[Node]:
    numbers = st.floats(-2, 2).map(lambda v: lit(round(v, 1)))
    unary = [r.name for r in SCALARS.values() if r.arity == 1]
    leaf = st.one_of(st.just(x), st.just(x), numbers)
    one = st.one_of(
        st.tuples(leaf, leaf).map(lambda p: add(*p)),
        st.tuples(numbers, st.just(x)).map(lambda p: mul(*p)),
        st.tuples(st.just(x), st.sampled_from([2.0, 3.0, 4.0, 0.5, -1.0])).map(lambda p: power(*p)),
        st.tuples(st.sampled_from(unary), st.just(x)).map(lambda p: fn(*p)),
    )
    return st.one_of(
        one,
        st.tuples(one, one).map(lambda p: add(*p)),
        st.tuples(one, one).map(lambda p: mul(*p)),
        st.tuples(numbers, one, one).map(lambda p: add(mul(p[0], p[1]), p[2])),
        st.tuples(st.sampled_from(["abs", "exp", "softplus", "tanh", "logcosh", "relu"]), one).map(lambda p: fn(*p)),
        st.tuples(one, st.sampled_from([2.0, 0.5, -1.0])).map(lambda p: power(*p)),
    )


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.sampled_from([X, P, B]).flatmap(lambda x: st.tuples(functions(x), st.just(x))))
def test_random_functions(case: tuple[Node, Get]) -> None:
    check(*case)


def test_unknown_where_something_else_stands() -> None:
    assert facts_of(add(X, P), X) == UNKNOWN
    assert facts_of(Get(Symbol("d", "const", (), REAL)), X) == UNKNOWN


def test_the_name_does_not_matter() -> None:
    other = Get(Symbol("anything", "param", (), REAL))
    assert facts_of(power(other, 2), other) is facts_of(power(X, 2), X)


def test_sympy_is_imported_when_asked() -> None:
    code = "import sys, ebdsl.facts.scalar, ebdsl.atoms; print({'sympy', 'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
