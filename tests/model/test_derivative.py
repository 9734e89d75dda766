"""Symbolic derivatives against differences of the naive interpreter, on random expressions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebdsl.atoms import SCALARS
from ebdsl.model import build, reference
from ebdsl.model.algebra import contract, multiply
from ebdsl.model.derivative import NoDerivative, derivative, fresh_index
from ebdsl.model.domains import REAL
from ebdsl.model.ir import Apply, Fn, Get, Module, Node, Symbol, Tensor
from tests.model.expressions import SIZES, SYMBOLS, numbers, values

X, V, A = SYMBOLS["x"], SYMBOLS["v"], SYMBOLS["A"]


def slope(node: Node, symbol: Symbol, at: dict[Symbol, np.ndarray]) -> np.ndarray:
    index = fresh_index(symbol)
    return reference.table(derivative(node, symbol, index), index, at, sizes=SIZES)


def differences(node: Node, symbol: Symbol, at: dict[Symbol, np.ndarray]) -> np.ndarray:
    return reference.difference(
        lambda x: float(reference.evaluate(node, {**at, symbol: x}, sizes=SIZES)), at[symbol], 1e-4
    )


@settings(max_examples=120, deadline=None)
@given(node=numbers(), seed=st.integers(0, 1000), name=st.sampled_from(["x", "v", "A"]))
def test_random_expressions(node: Node, seed: int, name: str) -> None:
    at = values(seed)
    wanted = differences(node, SYMBOLS[name], at)
    found = slope(node, SYMBOLS[name], at)
    rounding = 1e-7 * abs(float(reference.evaluate(node, at, sizes=SIZES)))
    scale = 1 + rounding + np.abs(wanted).max()
    assert np.allclose(found, wanted, atol=1e-5 * scale)


SMOOTH = [n for n, row in SCALARS.items() if row.smooth and row.arity == 1]


@pytest.mark.parametrize("atom", SMOOTH)
def test_atoms_through_a_contraction(atom: str) -> None:
    """``Σ_i f(c + s Σ_j A_ij v_j)`` inside the atom's domain."""
    low, high = SCALARS[atom].domain[0]
    centre = 0.0 if low == -np.inf else 1.5 if high == np.inf else (low + high) / 2
    i, j = build.fresh("M"), build.fresh("N")
    inner = build.sum_over(build.mul(build.lit(0.05), Get(A, (i, j)), Get(V, (j,))), (j,))
    node = build.sum_over(Fn(atom, (build.add(build.lit(centre), inner),)), (i,))
    at = values(3)
    for s in (A, V):
        assert np.allclose(slope(node, s, at), differences(node, s, at), atol=1e-7)


@pytest.mark.parametrize("constant", [0.0, 1.0, 2.5])
def test_logarithms_of_sums_of_exponentials(constant: float) -> None:
    """Written with shares ``exp(a - log S)``: right, and finite where the exponentials are not."""
    i, j = build.fresh("M"), build.fresh("N")
    exponent = build.sum_over(build.mul(Get(A, (i, j)), Get(V, (j,))), (j,))
    whole = build.add(
        build.lit(constant), build.sum_over(multiply(Get(V, (0,)), Get(V, (0,)), Fn("exp", (exponent,))), (i,))
    )
    node = build.mul(Fn("log", (whole,)), Get(X, ()))
    at = values(4)
    for s in (A, V, X):
        assert np.allclose(slope(node, s, at), differences(node, s, at), atol=1e-6)
    k = build.fresh("N")
    plain = Fn("log", (build.sum_over(Fn("exp", (Get(V, (k,)),)), (k,)),))
    found = slope(plain, V, {V: np.array([1e3, 0.0, 0.0])})
    assert not np.isnan(found).any() or np.isinf(np.exp(1e3))  # the interpreter itself takes exp(1000)


def test_a_fixed_entry() -> None:
    node = build.power(Get(V, (1,)), 3)
    at = values(5)
    assert np.allclose(slope(node, V, at), [0, 3 * at[V][1] ** 2, 0])


def test_a_power_of_itself() -> None:
    base = build.add(build.lit(2), build.power(Get(X, ()), 2))
    node = build.power(base, Get(X, ()))
    at = values(6)
    assert np.allclose(slope(node, X, at), differences(node, X, at), atol=1e-6)


def test_second_derivatives_commute() -> None:
    i, j = build.fresh("M"), build.fresh("N")
    r = build.sum_over(multiply(Get(A, (i, j)), Get(V, (j,))), (j,))
    node = contract(Fn("tanh", (r,)), (i,))
    at = values(7)
    a, b = fresh_index(V), fresh_index(V)
    twice = derivative(derivative(node, V, a), V, b)
    hessian = reference.table(twice, (*a, *b), at, sizes=SIZES)
    assert np.allclose(hessian, hessian.T, atol=1e-12)
    mixed = derivative(derivative(node, V, a), A, c := fresh_index(A))
    other = derivative(derivative(node, A, c), V, a)
    tables = [reference.table(n, (*a, *c), at, sizes=SIZES) for n in (mixed, other)]
    assert np.allclose(*tables, atol=1e-12)


@pytest.mark.parametrize("function", ["logdet", "logabsdet", "inverse"])
def test_tensor_functions(function: str) -> None:
    s = Symbol("S", "param", ("N", "N"), REAL)
    i, j = build.fresh("N"), build.fresh("N")
    inner = Tensor(Get(s, (i, j)), (i, j))
    index = (0, 1) if function == "inverse" else ()
    node = Apply(function, (inner,), index)
    rng = np.random.default_rng(1)
    at = {s: rng.standard_normal((3, 3)) @ np.diag([1.0, 2, 3])}
    at[s] = at[s] @ at[s].T + np.eye(3)
    assert np.allclose(slope(node, s, at), differences(node, s, at), atol=1e-6)


def test_modules_are_autograds_work() -> None:
    a = build.fresh("N")
    node = Apply(Module("f", (("N",),), (), ()), (Tensor(Get(V, (a,)), (a,)),), ())
    with pytest.raises(NoDerivative):
        derivative(node, V, fresh_index(V))
    assert derivative(node, X, ()) == build.ZERO
