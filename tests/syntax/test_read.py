"""Files that can and cannot be read."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from ebdsl.syntax import parse, read


def code(path: str | Path) -> str:
    found = read(path)
    assert found.value is None
    (diagnostic,) = found.diagnostics
    assert str(path) in diagnostic.message or diagnostic.code == "EB0124"
    return diagnostic.code


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.ebm"
    path.write_bytes("\ufeffobserved y : R\r\nE(y) = λ y\r\n".encode())
    found = read(path)
    assert not found.diagnostics and found.value is not None
    assert found.value.name == str(path) and found.value.text.startswith("observed")
    assert not parse(found.value).diagnostics


def test_no_file(tmp_path: Path) -> None:
    (tmp_path / "kmeans.ebm").write_text("E = 1")
    assert code(tmp_path / "kmean.ebm") == "EB0121"
    assert "kmeans.ebm" in read(tmp_path / "kmean.ebm").diagnostics[0].help[0]
    assert "kmeans.ebm" in read(tmp_path / "kmeans").diagnostics[0].help[0]
    assert code(tmp_path / "no" / "such.ebm") == "EB0121"
    assert read("").diagnostics[0].code == "EB0121"
    assert read("a\0b").diagnostics[0].code == "EB0121"
    assert read("x" * 5000).diagnostics[0].code == "EB0125"


def test_a_folder(tmp_path: Path) -> None:
    assert code(tmp_path) == "EB0122"
    (tmp_path / "one.ebm").write_text("E = 1")
    assert "one.ebm" in read(tmp_path).diagnostics[0].help[0]


@pytest.mark.parametrize(
    "data", [b"\xff\xfe\x00E", b"E = \x80", "E = λ".encode("utf-16"), b"E\0 = 1", bytes(range(256))]
)
def test_not_text(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.ebm"
    path.write_bytes(data)
    assert code(path) == "EB0123"


def test_too_large(tmp_path: Path) -> None:
    path = tmp_path / "a.ebm"
    path.write_bytes(b"x" * 1_000_000)
    assert code(path) == "EB0124"


def test_empty_is_read_and_then_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ebm"
    path.write_bytes(b"")
    found = read(path)
    assert found.value is not None and [d.code for d in parse(found.value).diagnostics] == ["EB0120"]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO("E(y) = λ y".encode())

    monkeypatch.setattr(sys, "stdin", Stdin())
    found = read("-")
    assert found.value is not None and found.value.name == "standard input"
