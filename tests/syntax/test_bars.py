"""Bars mean what a reader thinks they mean, or are one clear error."""

from __future__ import annotations

import cProfile

import pytest
from hypothesis import HealthCheck, given, settings

from ebdsl.diagnostics import Source
from ebdsl.syntax import ast, parse, show
from tests.syntax.expressions import expressions, read_back

SAME = {
    "λ|z|": "λ abs(z)",
    "|x||z|": "abs(x) abs(z)",
    "|x| |z|": "abs(x) abs(z)",
    "||z| - 1|": "abs(abs(z) - 1)",
    "||y - W z||^2 + |z|": "norm(y - W z)^2 + abs(z)",
    "||y - W z||² + λ|z|": "norm(y - W z)^2 + λ abs(z)",
    "|a| b |z|": "abs(a) b abs(z)",
    "|a |b| z|": "abs(a abs(b) z)",
    "||W z||": "norm(W z)",
    "| |a| - |b| |": "abs(abs(a) - abs(b))",
    "||a| - |b||": "abs(abs(a) - abs(b))",
    "|| |z| - 1 ||": "norm(abs(z) - 1)",
    "|||z| - 1||": "norm(abs(z) - 1)",
    "|x|||z||": "abs(x) norm(z)",
    "||x|||z|": "norm(x) abs(z)",
    "||x||||z||": "norm(x) norm(z)",
    "-|z|": "-abs(z)",
    "2|z|": "2 abs(z)",
    "|z|'": "abs(z)'",
    "|-z|": "abs(-z)",
    "|z|^2|x|": "abs(z)^2 abs(x)",
    "||z||+||x||": "norm(z) + norm(x)",
    "||z||-λ||x||": "norm(z) - λ norm(x)",
    "λ||z||+α_1||x||": "λ norm(z) + α_1 norm(x)",
    "|λ||z|| + 1|": "abs(λ norm(z) + 1)",
    "| ||x|| - 1 |": "abs(norm(x) - 1)",
    "|||x|| - 1|": "abs(norm(x) - 1)",
    "‖|x|-1‖": "norm(abs(x) - 1)",
    "‖y - W z‖": "norm(y - W z)",
    "‖x‖‖z‖": "norm(x) norm(z)",
    "|z| / |x|": "abs(z) / abs(x)",
    "|z|/|x|": "abs(z)/abs(x)",
    "|x*z|": "abs(x*z)",
    "f(|z|, |x|)": "f(abs(z), abs(x))",
    "x[|k|]": "x[abs(k)]",
    "(|z|)|x|": "(abs(z)) abs(x)",
    "|(x)||(z)|": "abs((x)) abs((z))",
    "Σ_k |z[k]|": "Σ_k abs(z[k])",
    "|Σ_k z[k]|": "abs(Σ_k z[k])",
    "Σ_{k=1}^W |z[k]| |x|": "Σ_{k=1}^W abs(z[k]) abs(x)",
    "min_k |x| + |z|": "min_k abs(x) + abs(z)",
    "softmin_k[β] |x|": "softmin_k[β] abs(x)",
    "∣x∣ + ∥z∥": "abs(x) + norm(z)",
    "||x| + ||z|| |": "abs(abs(x) + norm(z))",
    "||a|x| + y||": "norm(a abs(x) + y)",
    "|λ||z||-1|": "abs(λ norm(z) - 1)",
}


def in_words(node: object) -> object:
    """The tree with every pair of bars as a call of abs or norm."""
    match node:
        case ast.Bars(kind=kind, body=body, order=None):
            return ("call", kind, in_words(body))
        case ast.Call(func=func, args=(body,)):
            return ("call", func, in_words(body))
        case ast.Expr():
            return (type(node).__name__, *(in_words(v) for k, v in vars(node).items() if "span" not in k))
        case tuple():
            return tuple(in_words(part) for part in node)
    return node


@pytest.mark.parametrize("text", SAME)
def test_bars_read_as_words(text: str) -> None:
    assert in_words(read_back(text)) == in_words(read_back(SAME[text]))


@pytest.mark.parametrize("text", ["log |x|", "log|x|", "log det W", "log|det W|"])
def test_functions_without_parentheses_take_bars(text: str) -> None:
    tree = read_back(text)
    assert isinstance(tree, ast.Call) and tree.func == "log"


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("||x||_1", "1"),
        ("||x||_F", "F"),
        ("‖x‖₂", "2"),
        ("||x||_∞", "inf"),
        ("||x||_{1,2}", "1,2"),
        ("|x|_1", "1"),
        ("||x||_*", "*"),
        ("‖x‖_*", "*"),
    ],
)
def test_orders(text: str, order: str) -> None:
    tree = read_back(text)
    assert isinstance(tree, ast.Bars) and (tree.kind, tree.order) == ("norm", order)


def test_order_then_power() -> None:
    tree = read_back("||x||_2^2")
    assert isinstance(tree, ast.Power) and isinstance(tree.base, ast.Bars) and tree.base.order == "2"
    assert read_back("‖x‖₂²") == tree


@pytest.mark.parametrize("text", ["|a|x|z|", "|x||y||z|", "| a | x | z |", "|x||y||z||W|"])
def test_ambiguous_bars_are_one_error(text: str) -> None:
    found = parse(Source("text", f"E(x, y, z) = {text}"))
    assert [d.code for d in found.diagnostics] == ["EB0104"]
    assert "abs(...)" in found.diagnostics[0].help[0] and "norm(...)" in found.diagnostics[0].help[0]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("|x", 4),
        ("x|", 5),
        ("|x| + |y", 10),
        ("(|x)|", 5),
        ("|x| + * |y|", None),
        ("||x|", 5),
        ("|x + |", None),
        ("||", 4),
    ],
)
def test_a_bar_without_partner(text: str, place: int | None) -> None:
    found = parse(Source("text", f"E = {text}"))
    assert [d.code for d in found.diagnostics] in (["EB0105"], ["EB0101"])
    if place is not None:
        assert found.diagnostics[0].code == "EB0105"
        assert found.diagnostics[0].labels[0].span.start == place


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(expressions)
def test_what_is_shown_reads_back(tree: ast.Expr) -> None:
    assert read_back(show(tree)) == ast.bare(tree)


def test_work_is_linear_in_the_number_of_terms() -> None:
    """Eight times the terms take about eight times as many calls."""

    def calls(terms: int) -> int:
        text = "E(y, z) = " + " + ".join(f"λ_{i} ||y - W_{i} z||^2 + |z_{i}|" for i in range(terms))
        with cProfile.Profile() as profile:
            assert not parse(Source("text", text)).diagnostics
        return sum(entry.callcount for entry in profile.getstats())

    calls(10)
    assert calls(800) < 10 * calls(100)
