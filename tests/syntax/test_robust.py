"""Text that is no spec: a message, quickly, and never a traceback."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ebdsl.diagnostics import Source, render
from ebdsl.syntax import ast, format, parse, show

_RANDOM = random.Random(0)

REFUSED = {
    "parentheses": "E = " + "(" * 10_000 + "x" + ")" * 10_000,
    "open parentheses": "E = " + "(" * 10_000,
    "signs": "E = " + "- " * 10_000 + "x",
    "primes": "E = x" + "'" * 10_000,
    "powers": "E = x" + "^2" * 10_000,
    "indices": "E = x" + "[1]" * 10_000,
    "calls": "E = " + "f(" * 10_000 + ")" * 10_000,
    "sums": "E = " + "Σ_k " * 10_000 + "x",
    "minima": "E = " + "min_k " * 10_000 + "x",
    "functions": "E = " + "log " * 10_000 + "x",
    "integrals": "E = " + "∫ " * 10_000 + "x dx",
    "norms": "E = " + "‖" * 2_000 + "x" + "‖" * 2_000,
    "bars": "E = " + "|x|" * 1_000,
    "open bars": "E = " + "|x" * 2_001,
    "fractions": "E = " + r"\frac{1}{" * 3_000 + "2" + "}" * 3_000,
    "a long line": "x " * 500_000,
    "a long name": "x" * 200_000,
    "zero bytes": "\0" * 1_000,
    "binary": "".join(chr(_RANDOM.randrange(1, 0x3000)) for _ in range(50_000)),
    "ascii": "".join(chr(_RANDOM.randrange(33, 127)) for _ in range(50_000)),
    "empty": "",
    "blank": " \t\r\n\n",
    "comments": "# nothing\n# here",
    "semicolons": ";" * 50_000,
    "quotes": '"' * 50_001,
    "indents": "".join(" " * i + "a 1\n" for i in range(300)),
    "surrogate": "E = \ud800",
    "turned around": "E = \u202ey",
    "braces": "{" * 500 + "}" * 500,
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_quickly(name: str) -> None:
    parse(Source("warm", "E = 1"))
    source = Source("junk", REFUSED[name])
    began = time.process_time()
    found = parse(source)
    seconds = time.process_time() - began
    assert found.errors
    assert len(found.diagnostics) < 30
    assert seconds < 10  # of this process: other work on the machine does not count
    assert render.text(found.diagnostics, source)
    assert render.to_json(found.diagnostics, source)
    assert format(source).value is None


@pytest.mark.parametrize("depth", [40, 99, 100, 101, 400])
def test_depth_is_counted_and_not_recursed_on(depth: int) -> None:
    found = parse(Source("deep", "E = " + "f(" * depth + "x" + ")" * depth))
    assert bool(found.errors) == (depth >= 100)
    if not found.errors:
        assert found.value is not None
        (define,) = found.value.statements
        assert isinstance(define, ast.Define)
        assert show(define.body).count("(") == depth


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(max_size=80))
def test_any_text(text: str) -> None:
    source = Source("any", text)
    render.text(parse(source).diagnostics, source)
    format(source, "ascii")


_KEYS = "model dim observed latent param module const noise index time infer plan by train in R y z W E F k"
_SIGNS = """( ) [ ] { } | || ‖ , ; : = + - * / ^ ' ² .. -> >> ~ _{ Σ Σ_k min_z softmin_z ∫ dz ∂ ½ √ λ λz 2 0.5 "a" >="""
_WORDS = [*_KEYS.split(), *_SIGNS.split(), "\n", "\n    ", "# c\n", " "]


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(_WORDS), max_size=25))
def test_any_words(words: list[str]) -> None:
    for joint in ("", " "):
        source = Source("any", joint.join(words))
        found = parse(source)
        render.text(found.diagnostics, source)
        for diagnostic in found.diagnostics:
            for label in diagnostic.labels:
                assert 0 <= label.span.start <= label.span.end <= len(source.text) + 1
        if not found.errors:
            for style in ("unicode", "ascii", None):
                once = format(source, style).value
                assert once is not None
                assert format(once, style).value == once
