"""Wrong specs and what is said of them: ``tests/bad/NAME.ebm`` and the expected ``NAME.txt`` beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.check.checking import checked, said

BAD = sorted((Path(__file__).parents[1] / "bad").glob("*.ebm"))


@pytest.mark.parametrize("path", BAD, ids=lambda p: p.stem)
def test_message(path: Path, request: pytest.FixtureRequest) -> None:
    text = path.read_text(encoding="utf-8")
    found = checked(text)
    message = said(text, found.diagnostics)
    expected = path.with_suffix(".txt")
    if request.config.getoption("--update-golden"):
        expected.write_text(message, encoding="utf-8")
    assert expected.exists(), "run pytest --update-golden and read what it writes"
    assert message == expected.read_text(encoding="utf-8")
    assert (found.value is None) == bool(found.errors)
    assert found.diagnostics


@pytest.mark.parametrize("path", BAD, ids=lambda p: p.stem)
def test_no_internal_name(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    message = said(text, checked(text).diagnostics)
    for word in ("Axis", "Value(", "Symbol", "Node", "None", "object", "Traceback"):
        assert word not in message
    assert not re.search(r"\w~\w", message)


def test_every_kind_of_mistake_has_a_spec() -> None:
    """Each code of the checker that a text can bring about is seen in one of the golden messages."""
    from ebdsl.diagnostics.catalogue import CATALOGUE

    seen = "".join(p.with_suffix(".txt").read_text(encoding="utf-8") for p in BAD)
    ours = {c for c in CATALOGUE if c[:4] in ("EB02", "EB03", "EB04")}
    assert {c for c in ours if f"[{c}]" not in seen} <= {"EB0228"}  # --set is on the command line
