"""Damaged specs: findings with places, never an exception; a model exactly where nothing is wrong."""

from __future__ import annotations

import cProfile
import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ebdsl import check, syntax
from ebdsl.diagnostics import Source

ROOT = Path(__file__).parents[2]
LARGE = {"doubling", "nested_calls"}
TEXTS = [
    p.read_text(encoding="utf-8")
    for d in ("specs", "tests/good", "tests/bad")
    for p in sorted((ROOT / d).glob("*.ebm"))
    if p.stem not in LARGE
]
TOKEN = re.compile(r"\s+|[^\W\d]\w*|\d+\.?\d*|.", re.DOTALL)
WORDS = sorted({t for text in TEXTS for t in TOKEN.findall(text) if t.strip()})


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.sampled_from(TEXTS), st.lists(st.tuples(st.integers(0, 400), st.sampled_from(["", *WORDS])), max_size=3))
def test_damaged(text: str, changes: list[tuple[int, str]]) -> None:
    tokens = TOKEN.findall(text)
    for place, new in changes:
        tokens[place % len(tokens)] = new
    source = Source("damaged.ebm", "".join(tokens))
    parsed = syntax.parse(source)
    if parsed.value is None:
        return
    found = check.check(parsed.value, source)
    assert (found.value is None) == bool(found.errors)
    for d in found.diagnostics:
        assert d.message and d.severity in ("error", "warning")
        for label in d.labels:
            assert 0 <= label.span.start <= label.span.end <= len(source.text)
        if d.fix is not None:
            assert 0 <= d.fix.span.start <= d.fix.span.end <= len(source.text)


def test_compile_time_is_linear() -> None:
    """Ten times the terms take about ten times as many calls."""

    def calls(n: int) -> int:
        params = "".join(f"param W{i} : R[M, N]\n" for i in range(n))
        terms = " + ".join(f"||y - W{i} z||^2" for i in range(n))
        source = Source("many.ebm", f"observed y : R[M]\nlatent z : R[N]\n{params}F(y) = min_z {terms} + |z|\n")
        parsed = syntax.parse(source)
        assert parsed.value is not None
        with cProfile.Profile() as profile:
            found = check.check(parsed.value, source)
        assert found.value is not None and len(found.value.terms) == n + 1
        return sum(entry.callcount for entry in profile.getstats())

    calls(5)
    assert calls(200) < 12 * calls(20)
