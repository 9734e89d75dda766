"""What is the same mathematics comes out as the same index notation."""

from __future__ import annotations

import pytest

from ebdsl.model.algebra import modules_in
from ebdsl.model.build import add, fn, fresh, lit, mul, neg, power, sum_over, tensor
from ebdsl.model.canonical import canonical
from ebdsl.model.ir import Apply, Get, Node, Pow, Size, Tensor
from tests.check.checking import model

HEAD = """
dim M = 6, N = 4
observed y : R[M]
observed x : R
latent   z : R[N]
latent   u : R[M]
latent   k : onehot[K]
param    W : R[M, N], A : R[M, M], V : R[M, K], D : R[K, 3, 3], B : R[K, M, N]
param    μ : R[K, M]
observed P : R[H, L]
const    λ = 0.5, β = 2
module   f : R[M] -> R = mlp(8, tanh)
module   Enc : R[M] -> R[N] = linear
"""


def energy(formula: str) -> Node:
    """The sum of the terms of an energy, in canonical form."""
    m = model(HEAD + f"F(x, y) = {formula}\n")
    return canonical(add(*(t.node for t in m.terms)))


SYMBOLS = {s.name: s for s in model(HEAD + "F(x, y) = ||y||^2 + x^2\n").symbols}


def get(name: str, *index: object) -> Get:
    return Get(SYMBOLS[name], tuple(index))  # type: ignore[arg-type]


def squared_residual() -> Node:
    m, n = fresh("M"), fresh("N")
    inner = sum_over(mul(get("W", m, n), get("z", n)), (n,))
    return sum_over(power(add(get("y", m), neg(inner)), 2), (m,))


SAME = {
    "the square of a norm": "||y - W z||^2",
    "superscript": "||y - W z||²",
    "order two": "||y - W z||_2^2",
    "product with its transpose": "(y - W z)'(y - W z)",
    "dot": "(y - W z)·(y - W z)",
    "sum of squares": "Σ_m (y[m] - Σ_n W[m, n] z[n])^2",
    "subscripts": "Σ_m (y_m - Σ_n W_{m, n} z_n)^2",
    "sum of entries": "sum((y - W z)^2)",
    "elementwise": "sum((y - W z) ⊙ (y - W z))",
    "double transpose": "||(y' - z'W')'||^2",
    "columns": "||y - Σ_n W[:, n] z[n]||^2",
    "columns by subscript": "||y - Σ_n W_n z_n||^2",
    "fourth root to the eighth": "sqrt(||y - W z||)^4",
    "two halves": "½||y - W z||^2 + ½||y - W z||^2",
    "as a function": "norm(y - W z)^2",
}


@pytest.mark.parametrize("formula", SAME.values(), ids=SAME.keys())
def test_squared_residual(formula: str) -> None:
    wanted = canonical(squared_residual())
    found = energy(formula)
    if formula.startswith("½"):
        found = canonical(mul(lit(2), model(HEAD + f"F(x, y) = {formula}\n").terms[0].node))
    assert found == wanted


def scalar_cases() -> dict[str, tuple[str, Node]]:
    m, n, i, j = fresh("M"), fresh("N"), fresh("M"), fresh("M")
    k = fresh("K")
    zz = sum_over(power(get("z", n), 2), (n,))
    az = sum_over(fn("abs", get("z", n)), (n,))
    return {
        "a weight": ("λ|z|", mul(get("λ"), az)),
        "L1 by order": ("||z||_1", az),
        "L1 by sum": ("Σ_n |z_n|", az),
        "Euclidean norm": ("||z||", Pow(zz, lit(0.5))),
        "absolute value of a number": ("|x|", fn("abs", get("x"))),
        "product of two bars": ("|x||z|", mul(fn("abs", get("x")), az)),
        "bars in bars": ("||z| - 1|", fn("abs", add(az, lit(-1)))),
        "quadratic form": (
            "y'A y",
            sum_over(mul(get("y", i), sum_over(mul(get("A", i, j), get("y", j)), (j,))), (i,)),
        ),
        "Frobenius": ("||W||^2", sum_over(power(get("W", m, n), 2), (m, n))),
        "division": ("||z||^2/N", mul(zz, power(Size("N"), -1))),
        "inverse temperature": ("1/β ||z||^2", mul(power(get("β"), -1), zz)),
        "entry": ("y[0]^2", power(get("y", 0), 2)),
        "entries of a matrix": ("W[0, 1] y[2]", mul(get("W", 0, 1), get("y", 2))),
        "a choice of columns": (
            "|x| Σ_j k_j",
            mul(fn("abs", get("x")), sum_over(get("k", k), (k,))),
        ),
        "outer product": (
            "||y y'||^2",
            sum_over(power(mul(get("y", i), get("y", j)), 2), (i, j)),
        ),
        "elementwise functions": ("sum(tanh(y))", sum_over(fn("tanh", get("y", m)), (m,))),
        "mean of an index": ("mean_n z_n^2", mul(zz, power(Size("N"), -1))),
        "largest entry": (
            "||z||_inf",
            Apply("maximum", (Tensor(fn("abs", get("z", n)), (n,)),)),
        ),
        "largest over an index": ("max_n |z[n]|", Apply("maximum", (Tensor(fn("abs", get("z", n)), (n,)),))),
        "least over an index": (
            "(min_n (z[n] + x))",
            neg(Apply("maximum", (Tensor(neg(add(get("z", n), get("x"))), (n,)),))),
        ),
        "nuclear norm": ("||W||_*", Apply("nuclear", (Tensor(get("W", m, n), (m, n)),))),
        "nuclear norm in LaTeX": (r"\|W\|_*", Apply("nuclear", (Tensor(get("W", m, n), (m, n)),))),
        "nuclear norm in longer LaTeX": (r"\lVert W \rVert_\ast", Apply("nuclear", (Tensor(get("W", m, n), (m, n)),))),
        "spectral norm": ("||W||_op", Apply("spectral", (Tensor(get("W", m, n), (m, n)),))),
        "a size as a number": ("N |x|", mul(Size("N"), fn("abs", get("x")))),
    }


@pytest.mark.parametrize("name", scalar_cases().keys())
def test_exact(name: str) -> None:
    formula, wanted = scalar_cases()[name]
    pad = add(power(get("x"), 2), sum_over(power(get("y", a := fresh("M")), 2), (a,)))
    assert energy(f"{formula} + x^2 + ||y||^2") == canonical(add(wanted, pad))


def test_module() -> None:
    m = model(HEAD + "F(x, y) = f(y) + ||z - Enc(y)||^2\n")
    node = m.terms[0].node
    assert isinstance(node, Apply) and node.index == () and node.function is m.modules[0]
    (argument,) = node.args
    assert isinstance(argument, Tensor) and argument.shape == ("M",)
    second = m.terms[1].node
    calls = modules_in(second)
    assert [c.name for c in calls] == ["Enc"] and not second.free


def test_convolution_is_as_large_as_the_map() -> None:
    text = "observed y : R[H, L]\nlatent z : R[K, H, L]\nparam D : R[K, 5, 5]\n"
    text += "F(y) = min_z ||y - Σ_k D[k] * z[k]||^2 + ||z||^2\n"
    swapped = text.replace("D[k] * z[k]", "z[k] * D[k]")
    assert canonical(model(text).terms[0].node) == canonical(model(swapped).terms[0].node)
    m = model(text)
    assert "conv" in str(m.terms[0].node)


def test_symbols_keep_their_domains() -> None:
    assert SYMBOLS["k"].domain.kind == "onehot"
    assert tensor(SYMBOLS["W"]).shape == ("M", "N")
