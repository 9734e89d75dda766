"""The command plot; what the pictures show is tested in tests/plots."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib")


@pytest.fixture
def run(cli, tmp_path) -> str:
    done = cli("train", "kmeans", "--set", "K=3", "--data", "spiral(200)", "--out", "r", "--device", "cpu")
    assert done.code == 0 and (tmp_path / "r" / "pictures" / "surface.png").exists()
    return "r"


def test_plot_draws_one_kind_or_all(cli, run, tmp_path) -> None:
    assert cli("plot", run, "surface", "-o", "s.svg").out == "s.svg\n"
    assert (tmp_path / "s.svg").read_text().lstrip().startswith("<?xml")
    drawn = cli("plot", run, "-o", "pictures").out.split()
    assert "pictures/curves.png" in drawn and all((tmp_path / name).exists() for name in drawn)


def test_plot_on_other_data(cli, run, tmp_path) -> None:
    cli("plot", run, "surface", "-o", "a.png")
    cli("plot", run, "surface", "-o", "b.png", "--data", "ellipse(300)")
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "b.png").read_bytes()


def test_plot_lists_its_kinds(cli, run) -> None:
    listed = cli("plot", run, "--list").out
    assert "atoms" in listed and "surface" in listed and "all" in listed
    done = cli("plot", run, "surfaces")
    assert done.code == 1 and "surface" in done.err


def test_a_run_without_its_pictures_says_why(cli, monkeypatch) -> None:
    monkeypatch.setattr("ebdsl.plots.draw._missing", lambda: True)
    done = cli("train", "kmeans", "--data", "spiral(100)", "--set", "K=3", "--out", "bare", "--device", "cpu")
    assert done.code == 0 and "ebdsl[plot]" in done.err
    assert cli("plot", "bare").code == 1
