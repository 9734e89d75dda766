"""The command fmt; what it does to a text is tested in tests/syntax."""

from __future__ import annotations

import pytest

from ebdsl.commands.verbs.new import template
from tests.commands.test_files import GOOD

UGLY = GOOD.replace("const    λ = 0.5", "const λ=0.5  # weight")


@pytest.fixture
def ugly(tmp_path):
    (tmp_path / "ugly.ebm").write_text(UGLY, encoding="utf-8")
    return tmp_path / "ugly.ebm"


def test_fmt_prints_and_leaves_the_file(cli, ugly) -> None:
    done = cli("fmt", ugly)
    assert done.code == 0 and "# weight" in done.out and done.out != UGLY
    assert ugly.read_text(encoding="utf-8") == UGLY


def test_fmt_writes_and_is_idempotent(cli, ugly) -> None:
    shown = cli("fmt", ugly).out
    assert cli("fmt", "--write", ugly).code == 0
    assert ugly.read_text(encoding="utf-8") == shown
    assert cli("fmt", "-w", ugly).code == 0 and ugly.read_text(encoding="utf-8") == shown


def test_fmt_check_shows_the_difference(cli, ugly) -> None:
    done = cli("fmt", "--check", ugly)
    assert done.code == 1 and "-const λ=0.5  # weight" in done.out
    cli("fmt", "-w", ugly)
    assert cli("fmt", "--check", ugly) == (0, "", "")


def test_fmt_there_and_back(cli, ugly) -> None:
    plain = cli("fmt", "--ascii", ugly).out
    assert plain.isascii() and "lambda" in plain
    ugly.write_text(plain)
    assert "λ" in cli("fmt", "--unicode", ugly).out


def test_fmt_keeps_what_it_cannot_read(cli, ugly) -> None:
    ugly.write_text("model m\nE(y = ((\n")
    done = cli("fmt", "-w", ugly)
    assert done.code == 1 and "error[EB01" in done.err and ugly.read_text() == "model m\nE(y = ((\n"


def test_a_shipped_spec_is_not_changed_in_place(cli) -> None:
    done = cli("fmt", "-w", "kmeans")
    assert done.code == 1 and "ebdsl specs --copy kmeans" in done.err


def test_the_template_is_formatted(cli, tmp_path) -> None:
    (tmp_path / "t.ebm").write_text(template("t"), encoding="utf-8")
    assert cli("fmt", "--check", "t.ebm") == (0, "", "")
