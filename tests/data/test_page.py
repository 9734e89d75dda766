"""``docs/data.md`` says what the registry says; ``pytest --update-golden`` writes it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ebdsl.run.data.core import load_sources
from ebdsl.run.data.page import page
from tests.data.specs import spec

PATH = Path(__file__).parents[2] / "docs" / "data.md"


def test_the_page_is_true(request: pytest.FixtureRequest) -> None:
    text = page()
    if request.config.getoption("--update-golden"):
        PATH.write_text(text, encoding="utf-8")
    assert PATH.read_text(encoding="utf-8") == text


def test_every_source_and_keyword_is_there() -> None:
    text = page()
    for source in load_sources().values():
        section = re.search(rf"### `{source.name}.*?(?=\n##|\Z)", text, re.S)
        assert section is not None, source.name
        for keyword in source.keywords:
            assert f"| `{keyword.name}` |" in section[0] and keyword.doc


@pytest.mark.parametrize(
    "written",
    [
        "digits",
        "blobs(1000, 5, dim = 3)",
        '"measurements.csv"',
        'file("patches.npy", size = 12)',
        '"holiday/photos"',
        "patches(natural, size = 12, whiten = zca, colour = false)",
        "spiral(200, noise = 1e-3, centre = true, scale = unit)",
    ],
)
def test_the_language_reads_what_the_page_shows(written: str) -> None:
    from ebdsl.run.data.options import options
    from ebdsl.run.data.words import as_word

    setting = spec("y : R[D]", data=written).setting("data")
    assert setting is not None
    word, same = as_word(setting.value), as_word(written.strip('"'))
    assert options(word, load_sources()[word.head]) == options(same, load_sources()[same.head])
