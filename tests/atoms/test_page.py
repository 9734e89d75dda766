"""``docs/atoms.md`` says what the rows say; ``pytest --update-golden`` writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ebdsl.atoms.page import page

PATH = Path(__file__).parents[2] / "docs" / "atoms.md"


def test_the_page_is_true(request: pytest.FixtureRequest) -> None:
    text = page()
    if request.config.getoption("--update-golden"):
        PATH.write_text(text, encoding="utf-8")
    assert PATH.read_text(encoding="utf-8") == text


def test_every_row_has_a_line() -> None:
    lines = page().split("\n")
    tables = [line for line in lines if line.startswith("| `")]
    assert all(line.count(" | ") >= 1 and "| |" not in line[:20] for line in tables)
    assert len(tables) > 80
