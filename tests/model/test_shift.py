"""Entries at ``t+1``: the algebra of shifts against plain loops."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ebdsl.facts.identity import proportional
from ebdsl.facts.quadratic import quadratic
from ebdsl.model import algebra, reference
from ebdsl.model.build import add
from ebdsl.model.canonical import canonical
from ebdsl.model.derivative import derivative, fresh_index
from ebdsl.model.ir import Node, Part, Symbol, extent, shorter
from tests.check.checking import codes, model

Array = np.ndarray
HEAD = """
observed y : R[T, P], x : R[H, L]
latent   s : R[T, P], u : R[H, L]
param    w : R[T], A : R[P, P]
"""
SIZES = {"T": 6, "P": 2, "H": 4, "L": 3}
CASES: dict[str, tuple[str, Callable[..., float]]] = {
    "first": ("Σ_t ||s[t+1] - s[t]||^2", lambda y, x, s, u, w, A: float(((s[1:] - s[:-1]) ** 2).sum())),
    "dynamics": ("Σ_t ||s[t+1] - A s[t]||^2", lambda y, x, s, u, w, A: float(((s[1:] - s[:-1] @ A.T) ** 2).sum())),
    "second": (
        "Σ_t ||s[t+1] - 2 s[t] + s[t-1]||^2",
        lambda y, x, s, u, w, A: float(((s[2:] - 2 * s[1:-1] + s[:-2]) ** 2).sum()),
    ),
    "weighted": ("Σ_t w[t] s[t+2, 0] y[t, 1]", lambda y, x, s, u, w, A: float((w[:-2] * s[2:, 0] * y[:-2, 1]).sum())),
    "weight_after": ("Σ_t w[t+1] |s[t, 0]|", lambda y, x, s, u, w, A: float((w[1:] * abs(s[:-1, 0])).sum())),
    "ends": (
        "||s[0] - s[-1]||^2 + s[T-2, 1]^3",
        lambda y, x, s, u, w, A: float(((s[0] - s[-1]) ** 2).sum() + s[-2, 1] ** 3),
    ),
    "from_one": (
        "Σ_{t=1}^{T-1} (s[t+1, 0] - s[t, 0])^2",
        lambda y, x, s, u, w, A: float(((s[1:, 0] - s[:-1, 0]) ** 2).sum()),
    ),
    "from_zero": (
        "Σ_{t=1}^{T-1} (s[t, 0] - s[t-1, 1])^2",
        lambda y, x, s, u, w, A: float(((s[1:, 0] - s[:-1, 1]) ** 2).sum()),
    ),
    "value_of_index": ("Σ_{t=2}^{T} t w[t]", lambda y, x, s, u, w, A: float((np.arange(2, 7) * w[1:]).sum())),
    "pixels": (
        "Σ_{i,j} (u[i+1, j] - u[i, j])^2 + Σ_{i,j} |u[i, j+1] - u[i, j]|",
        lambda y, x, s, u, w, A: float((np.diff(u, axis=0) ** 2).sum() + abs(np.diff(u, axis=1)).sum()),
    ),
    "corner": ("Σ_{i,j} u[i+1, j+1] u[i, j]", lambda y, x, s, u, w, A: float((u[1:, 1:] * u[:-1, :-1]).sum())),
    "of_a_term": ("Σ_t ||(y - s A)[t+1]||^2", lambda y, x, s, u, w, A: float(((y - s @ A)[1:] ** 2).sum())),
    "mean": ("mean_t (w[t+1] - w[t])", lambda y, x, s, u, w, A: float((w[-1] - w[0]) / 5)),
    "nested": (
        "Σ_t Σ_p s[t+1, p] (Σ_q A[p, q] s[t, q])^2",
        lambda y, x, s, u, w, A: float((s[1:] * (s[:-1] @ A.T) ** 2).sum()),
    ),
}


def node_of(formula: str) -> tuple[Node, dict[str, Symbol]]:
    m = model(HEAD + f"F(y, x) = {formula} + ||y||^2 + ||x||^2\n")
    return add(*(t.node for t in m.terms[:-2])), {s.name: s for s in m.symbols}


def values(symbols: dict[str, Symbol], seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {n: rng.standard_normal([extent(d, SIZES) or 0 for d in s.shape]) for n, s in symbols.items()}


def number(node: Node, symbols: dict[str, Symbol], at: dict[str, Array]) -> float:
    return float(reference.evaluate(node, {symbols[n]: v for n, v in at.items()}, sizes=SIZES))


@pytest.mark.parametrize("name", CASES)
def test_value_and_rewritings(name: str) -> None:
    formula, wanted = CASES[name]
    node, symbols = node_of(formula)
    at = values(symbols)
    expected = wanted(**at)
    rewritten = [
        canonical(node),
        algebra.freshen(node),
        add(*algebra.addends(node)),
        add(*algebra.expand(node)),
    ]
    for n in (node, *rewritten):
        assert number(n, symbols, at) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name: str) -> None:
    """First and second derivatives in every symbol against differences."""
    formula, _ = CASES[name]
    node, symbols = node_of(formula)
    at = values(symbols, seed=1)
    for held in sorted(node.symbols, key=lambda s: s.name):
        i, j = fresh_index(held), fresh_index(held)
        first = derivative(node, held, i)
        known = {symbols[n]: v for n, v in at.items()}
        table = reference.table(first, i, known, sizes=SIZES)

        def value(v: Array, held: Symbol = held) -> float:
            return number(node, symbols, {**at, held.name: v})

        np.testing.assert_allclose(table, reference.difference(value, at[held.name]), rtol=1e-6, atol=1e-7)
        form = quadratic(node, held)
        if form is None:
            continue
        second = reference.table(derivative(first, held, j), (*i, *j), known, sizes=SIZES)
        n = at[held.name].size
        linear = reference.table(form.linear, form.at, known, sizes=SIZES)
        np.testing.assert_allclose(
            second.reshape(n, n) @ at[held.name].ravel() + linear.ravel(), table.ravel(), atol=1e-9
        )


def test_two_spellings_are_one_node() -> None:
    one, _ = node_of("Σ_{t=1}^{T-1} ||s[t+1] - s[t]||^2")
    two, _ = node_of("Σ_{k=0}^{T-2} ||s_k - s_{k+1}||^2")
    three, _ = node_of("Σ_{t=2}^{T} ||s[t] - s[t-1]||^2")
    assert canonical(one) == canonical(three)
    for other in (two, three):
        assert proportional(one, other) == pytest.approx(1.0)
    assert proportional(one, node_of("3 Σ_t ||s[t] - s[t-1]||^2")[0]) == pytest.approx(1 / 3)
    assert proportional(one, node_of("Σ_t ||s[t+1] + s[t]||^2")[0]) is None
    assert proportional(one, node_of("Σ_t ||s[t+2] - s[t]||^2")[0]) is None


def test_long_axes_are_made_small() -> None:
    head = "observed y : R[40]\nlatent s : R[40]\n"
    nodes = [
        add(*(t.node for t in model(head + f"F(y) = {f} + ||y||^2\n").terms[:-1]))
        for f in ("Σ_t (s[t+1] - s[t])^2", "2 Σ_{t=1}^{39} (s[t] - s[t-1])^2", "Σ_t (s[t+2] - s[t])^2")
    ]
    assert proportional(nodes[1], nodes[0]) == pytest.approx(2.0)
    assert proportional(nodes[2], nodes[0]) is None


def test_places_of_a_shift() -> None:
    """``shift(t, j)`` at fixed places, from the start and from the end, is the matrix's row or column."""
    from ebdsl.model.ir import Axis, Shift

    t, j = Axis("t", Part("T", 2)), Axis("j", "T")
    for offset in (0, 1, 2):
        whole = reference.table(Shift(t, j, offset), (t, j), {}, sizes=SIZES)
        assert whole.sum(1).tolist() == [1.0] * 4
        for k in (0, 1, 3, -1, -2):
            column = reference.table(algebra.rename(Shift(t, j, offset), {j: k}), (t,), {}, sizes=SIZES)
            np.testing.assert_array_equal(column, whole[:, k])
            row = reference.table(algebra.rename(Shift(t, j, offset), {t: k}), (j,), {}, sizes=SIZES)
            np.testing.assert_array_equal(row, whole[k])


def test_stretches_of_dimensions() -> None:
    assert shorter("T", 0) == "T" and shorter(shorter("T", 1), 2) == Part("T", 3) and shorter(5, 2) == 3
    assert str(Part("T", 1)) == "T-1" and extent(Part("T", 1), {"T": 4}) == 3 and extent(Part("T", 1), {}) is None


@pytest.mark.parametrize(
    ("formula", "note"),
    [
        ("Σ_t ||s[t+1] - s[t]||^2", "t runs from 0 to T-2, where s[t+1] exists"),
        ("Σ_t ||s_{t+1} - 2 s_t + s_{t-1}||^2", "t runs from 1 to T-2, where s_{t+1}, s_{t-1} exist"),
    ],
)
def test_the_range_is_said(formula: str, note: str) -> None:
    assert note in model(HEAD + f"F(y, x) = {formula} + ||y||^2 + ||x||^2\n").notes


@pytest.mark.parametrize(("declared", "wanted"), [("1..T", slice(0, 5)), ("0..T-1", slice(1, 6))])
def test_a_declaration_says_from_where_an_index_counts(declared: str, wanted: slice) -> None:
    energy = "Σ_{t=1}^{T-1} w[t]^3 + ||y||^2 + ||x||^2"
    assert codes(HEAD + f"F(y, x) = {energy}\n")[0] == "EB0234"
    m = model(HEAD + f"index t in {declared}\nF(y, x) = {energy}\n")
    symbols = {s.name: s for s in m.symbols}
    at = values(symbols)
    assert number(add(*(t.node for t in m.terms[:-2])), symbols, at) == pytest.approx((at["w"][wanted] ** 3).sum())


def test_a_declared_index_runs_where_all_entries_exist() -> None:
    for declared in ("1..T", "0..T-1"):
        m = model(HEAD + f"time t in {declared}\nF(y, x) = Σ_t t (w[t+1] - w[t]) + ||y||^2 + ||x||^2\n")
        symbols = {s.name: s for s in m.symbols}
        at = values(symbols)
        first = int(declared[0])
        wanted = float((np.arange(first, first + 5) * np.diff(at["w"])).sum())
        assert number(add(*(t.node for t in m.terms[:-2])), symbols, at) == pytest.approx(wanted)
