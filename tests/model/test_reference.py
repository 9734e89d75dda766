"""The interpreter against numpy written by hand: it is the oracle, so it has to be right first."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ebdsl.diagnostics import Source, Span
from ebdsl.model.build import add, fn, fresh, lit, mul, power, sub, sum_over, tensor
from ebdsl.model.domains import REAL, Domain
from ebdsl.model.ir import BATCH, Apply, Delta, Get, Lit, Module, Node, Position, Size, Symbol, Tensor
from ebdsl.model.model import Elimination, Model, Term
from ebdsl.model.reference import (
    difference,
    energy,
    evaluate,
    free_energy,
    gradient,
    points,
    random_functions,
    random_values,
    table,
    terms,
)

Y = Symbol("y", "observed", ("M",), REAL)
Z = Symbol("z", "latent", ("N",), REAL)
W = Symbol("W", "param", ("M", "N"), REAL)
LAM = Symbol("λ", "const", (), REAL, value=0.5)
SIZES = {"M": 3, "N": 4}


def residual(z: Symbol) -> Node:
    m, n = fresh("M"), fresh("N")
    inner = sum_over(mul(Get(W, (m, n)), Get(z, (n,))), (n,))
    return sum_over(power(sub(Get(Y, (m,)), inner), 2), (m,))


def penalty(z: Symbol) -> Node:
    n = fresh("N")
    return mul(Get(LAM), sum_over(fn("abs", Get(z, (n,))), (n,)))


def model(z: Symbol = Z, *eliminations: Elimination, modules: tuple[Module, ...] = ()) -> Model:
    span = Span(0, 0)
    return Model(
        "m", Source("m", ""), (Y, z, W, LAM), modules, {"M": 3, "N": 4},
        (Term(residual(z), "||y - W z||^2", span), Term(penalty(z), "λ|z|", span)), tuple(eliminations),
    )  # fmt: skip


def values(rng: np.random.Generator, z: Symbol = Z) -> dict[Symbol, np.ndarray]:
    return {Y: rng.standard_normal(3), z: rng.standard_normal(4), W: rng.standard_normal((3, 4))}


def test_sparse_coding() -> None:
    v = values(np.random.default_rng(0))
    quadratic, l1 = np.sum((v[Y] - v[W] @ v[Z]) ** 2), 0.5 * np.abs(v[Z]).sum()
    assert terms(model(), v) == pytest.approx({"||y - W z||^2": quadratic, "λ|z|": l1})
    assert energy(model(), v) == pytest.approx(quadratic + l1)
    slope = 2 * v[W].T @ (v[W] @ v[Z] - v[Y]) + 0.5 * np.sign(v[Z])
    np.testing.assert_allclose(gradient(model(), Z, v), slope, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(gradient(model(), W, v), -2 * np.outer(v[Y] - v[W] @ v[Z], v[Z]), rtol=1e-8, atol=1e-8)


def test_a_constant_can_be_given_another_value() -> None:
    v = values(np.random.default_rng(0))
    assert evaluate(penalty(Z), {**v, LAM: 2.0}, sizes=SIZES) == pytest.approx(2 * np.abs(v[Z]).sum())


def test_every_kind_of_node() -> None:
    i, j = fresh(3, "i"), fresh(3, "j")
    a = Symbol("A", "param", (3, 3), REAL)
    x = np.random.default_rng(1).standard_normal((3, 3))
    at = {a: x}
    assert evaluate(Lit(2.5), {}) == 2.5
    assert evaluate(Size("M"), {}, sizes=SIZES) == 3.0
    assert evaluate(Get(a, (1, 2)), at) == x[1, 2]
    np.testing.assert_array_equal(table(Get(a, (j, i)), (i, j), at), x.T)
    np.testing.assert_array_equal(table(Get(a, (i, i)), (i,), at), np.diag(x))
    np.testing.assert_array_equal(table(Get(a, (i, 0)), (i,), at), x[:, 0])
    np.testing.assert_array_equal(table(Position(i), (i,), at), [0.0, 1.0, 2.0])
    np.testing.assert_array_equal(table(Delta(i, j), (i, j), at), np.eye(3))
    np.testing.assert_array_equal(table(Delta(i, 1), (i,), at), [0.0, 1.0, 0.0])
    np.testing.assert_array_equal(table(add(Get(a, (i, j)), Position(i)), (i, j), at), x + np.arange(3.0)[:, None])
    np.testing.assert_array_equal(table(mul(Get(a, (i, j)), Get(a, (j, i))), (i, j), at), x * x.T)
    np.testing.assert_array_equal(table(power(Get(a, (i, j)), 3), (i, j), at), x**3)
    np.testing.assert_array_equal(table(fn("max", Get(a, (i, j)), lit(0)), (i, j), at), np.maximum(x, 0))
    np.testing.assert_allclose(table(sum_over(Get(a, (i, j)), (j,)), (i,), at), x.sum(1))
    assert evaluate(sum_over(Get(a, (i, j)), (i, j)), at) == pytest.approx(x.sum())
    np.testing.assert_array_equal(evaluate(Tensor(Get(a, (i, j)), (j, i)), at), x.T)
    assert evaluate(Get(a, (i, 2)), at, {i: 1}) == x[1, 2]
    with pytest.raises(KeyError):
        evaluate(Get(a, (i, 2)), at)
    with pytest.raises(KeyError):
        evaluate(Get(a, (0, 2)), {})
    with pytest.raises(ValueError, match="shape"):
        evaluate(Get(a, (0, 2)), {a: np.zeros((2, 2))})


def test_applications_with_indices_outside() -> None:
    """``Σ_k logdet Λ_k``: one application for each k; entries of the value by fixed and by repeated indices."""
    a = Symbol("Λ", "param", (2, 3, 3), REAL)
    rng = np.random.default_rng(2)
    x = rng.standard_normal((2, 3, 3))
    x = x @ x.swapaxes(1, 2) + np.eye(3)
    k, i, j, p = fresh(2, "k"), fresh(3, "i"), fresh(3, "j"), fresh(3, "p")
    inner = Tensor(Get(a, (k, i, j)), (i, j))
    found = evaluate(sum_over(Apply("logdet", (inner,)), (k,)), {a: x})
    assert found == pytest.approx(np.linalg.slogdet(x)[1].sum())
    inverse = np.linalg.inv(x)
    np.testing.assert_allclose(table(Apply("inverse", (inner,), (p, p)), (p, k), {a: x}), inverse.diagonal(0, 1, 2).T)
    np.testing.assert_allclose(table(Apply("inverse", (inner,), (0, p)), (k, p), {a: x}), inverse[:, 0, :])


def test_the_sample_axis_written_out() -> None:
    n = fresh("N")
    batch = np.random.default_rng(3).standard_normal((5, 4))
    found = table(sum_over(power(Get(Z, (BATCH, n)), 2), (n,)), (BATCH,), {Z: batch}, sizes={**SIZES, "batch": 5})
    np.testing.assert_allclose(found, (batch**2).sum(1))


def test_modules() -> None:
    enc = Module("Enc", (("M",),), ("N",), ())
    n = fresh("N")
    code = Apply(enc, (tensor(Y),), (n,))
    m = model(modules=(enc,))
    rng = np.random.default_rng(4)
    functions = random_functions(m, rng)
    v = values(rng)
    found = evaluate(sum_over(power(sub(Get(Z, (n,)), code), 2), (n,)), v, sizes=SIZES, functions=functions)
    assert found == pytest.approx(np.sum((v[Z] - functions["Enc"](v[Y])) ** 2))


@pytest.mark.parametrize("kind", ["onehot", "binary", "spin"])
def test_free_energies_by_enumeration(kind: str) -> None:
    z = Symbol("z", "latent", ("N",), Domain(kind))
    v = values(np.random.default_rng(5))
    beta = lit(1.7)
    found = [
        np.sum((v[Y] - v[W] @ p) ** 2) + 0.5 * np.abs(p).sum()
        for p in ({"onehot": list(np.eye(4)), "binary": grid(0, 1), "spin": grid(-1, 1)}[kind])
    ]
    given = {Y: v[Y], W: v[W]}
    assert len(list(points(z, SIZES))) == len(found)
    assert free_energy(model(z, Elimination("min", (z,))), given) == pytest.approx(min(found))
    soft = -math.log(sum(math.exp(-1.7 * e) for e in found)) / 1.7
    assert free_energy(model(z, Elimination("softmin", (z,), beta)), given) == pytest.approx(soft)


def grid(low: float, high: float) -> list[np.ndarray]:
    return [np.array([high if k >> b & 1 else low for b in range(4)], dtype=float) for k in range(16)]


def test_rows_of_onehots_are_enumerated_together() -> None:
    z = Symbol("z", "latent", (2, 3), Domain("onehot"))
    found = [p.tobytes() for p in points(z, {})]
    assert len(found) == len(set(found)) == 9
    with pytest.raises(ValueError, match="infinitely"):
        list(points(Z, SIZES))


def test_outer_minimum_of_an_inner_softmin() -> None:
    z = Symbol("z", "latent", ("N",), Domain("onehot"))
    u = Symbol("u", "latent", (), Domain("binary"))
    v = values(np.random.default_rng(6))
    m = model(z, Elimination("min", (u,)), Elimination("softmin", (z,), lit(2.0)))
    shifted = Term(mul(lit(-3.0), Get(u)), "u", Span(0, 0))
    m = Model(**{**m.__dict__, "terms": (*m.terms, shifted), "symbols": (*m.symbols, u)})
    inner = [np.sum((v[Y] - v[W][:, k]) ** 2) + 0.5 for k in range(4)]
    soft = -math.log(sum(math.exp(-2 * e) for e in inner)) / 2
    assert free_energy(m, {Y: v[Y], W: v[W]}) == pytest.approx(soft - 3.0)


def test_differences_are_of_fourth_order() -> None:
    x = np.array([[0.3, -1.2], [2.0, 0.0]])
    found = difference(lambda p: float(np.sum(np.sin(p) * np.exp(p / 3))), x)
    np.testing.assert_allclose(found, np.exp(x / 3) * (np.cos(x) + np.sin(x) / 3), rtol=1e-10, atol=1e-10)


def test_random_values_are_of_their_domains() -> None:
    z = Symbol("z", "latent", ("N",), Domain("simplex"))
    v = random_values(model(z), np.random.default_rng(7))
    assert set(v) == {Y, z, W, LAM} and float(v[LAM]) == 0.5
    row = z.domain.row
    assert row.contains is not None and row.contains(v[z], (), 1e-9)
