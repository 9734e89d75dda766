"""Random expressions for property tests, as trees in the form that the parser makes."""

from __future__ import annotations

from hypothesis import strategies as st

from ebdsl.diagnostics import Source, Span
from ebdsl.syntax import ast, parse

AT = Span(0, 0)
NAMES = ("x", "y", "z", "W", "W_k", "λ", "α_1", "a")


def number(value: int) -> ast.Number:
    return ast.Number(AT, float(value), str(value))


def power(base: ast.Expr, exponent: int) -> ast.Expr:
    return ast.Power(AT, base, number(exponent))


def total(terms: list[tuple[int, ast.Expr]]) -> ast.Expr:
    """A sum as the parser makes it: one negative term alone is a negation, and ``(-a) + b`` is ``-a + b``."""
    if len(terms) == 1:
        sign, term = terms[0]
        return term if sign > 0 else ast.Negate(AT, term)
    if terms[0][0] > 0 and isinstance(terms[0][1], ast.Negate):
        terms = [(-1, terms[0][1].body), *terms[1:]]
    return ast.Sum(AT, tuple(terms))


def product(factors: list[tuple[str, ast.Expr]]) -> ast.Expr:
    first, *rest = factors
    return first[1] if not rest else ast.Product(AT, (("", first[1]), *rest))


names = st.sampled_from(NAMES).map(lambda name: ast.Name(AT, name))
numbers = st.integers(0, 12).map(number)
_indices = st.sampled_from(("i", "j", "k"))


def _bigger(inner: st.SearchStrategy[ast.Expr]) -> st.SearchStrategy[ast.Expr]:
    operators = st.sampled_from(("", "", "", "*", "/", "⊙", "·"))
    bars = st.builds(
        lambda kind, body, order: ast.Bars(AT, "norm" if order else kind, body, order),
        st.sampled_from(("abs", "norm")),
        inner,
        st.sampled_from((None, None, "1", "2", "inf", "F")),
    )
    big = st.builds(
        lambda kind, name, body: ast.BigOp(AT, kind, (ast.Name(AT, name),), body),
        st.sampled_from(("sum", "prod", "mean", "min", "argmax", "softmin", "integral", "expect")),
        _indices,
        inner,
    )
    return st.one_of(
        bars,
        bars,
        big,
        st.builds(power, inner, st.integers(2, 3)),
        st.builds(lambda body: ast.Transpose(AT, body), inner),
        st.builds(lambda body: ast.Index(AT, body, (ast.Name(AT, "k"), ast.Slice(AT))), names),
        st.builds(lambda body: ast.Call(AT, "f", AT, (body,)), inner),
        st.builds(lambda of: ast.Derivative(AT, ast.Call(AT, "f", AT, (of,)), ast.Name(AT, "y")), inner),
        st.lists(st.tuples(st.sampled_from((1, -1)), inner), min_size=1, max_size=3).map(total),
        st.lists(st.tuples(operators, inner), min_size=2, max_size=4).map(product),
    )


expressions = st.recursive(st.one_of(names, numbers), _bigger, max_leaves=12)


def read_back(text: str) -> ast.Expr:
    """The tree of an expression's text, without spans, where NAMES are declared. Fails where it does not parse."""
    found = parse(Source("text", f"param {', '.join(NAMES)} : R\nQ = {text}"))
    assert not found.diagnostics, (text, found.diagnostics)
    assert found.value is not None
    statement = found.value.statements[-1]
    assert isinstance(statement, ast.Define), text
    return ast.bare(statement.body)
