"""Whatever a command is pointed at, there is a message and exit code 1."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ebdsl

ROOT = Path(ebdsl.__file__).parents[1]
GOOD = """model m
dim N = 3
observed y : R[2]
latent   z : R[N]
param    W : R[2, N], unit columns
const    λ = 0.5
E(y, z) = ||y - W z||^2 + λ|z|
F(y)    = min_z E(y, z)
"""
VERBS = ("check", "fmt", "explain", "draw", "compile", "train")


@pytest.mark.parametrize("verb", VERBS)
def test_a_missing_file(cli, verb: str) -> None:
    done = cli(verb, "nothing.ebm")
    assert done.code == 1 and "EB0121" in done.err and "nothing.ebm" in done.err and not done.out


@pytest.mark.parametrize("verb", VERBS)
def test_a_folder(cli, tmp_path, verb: str) -> None:
    done = cli(verb, tmp_path)
    assert done.code == 1 and "EB0122" in done.err


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("junk", [bytes(range(256)) * 10, b"\xff\xfe" + "model m".encode("utf-16-le"), b"model m\0\n"])
def test_binary_junk(cli, tmp_path, verb: str, junk: bytes) -> None:
    (tmp_path / "junk.ebm").write_bytes(junk)
    done = cli(verb, "junk.ebm")
    assert done.code == 1 and "EB0123" in done.err


def test_latin_1_is_told_apart_from_binary(cli, tmp_path) -> None:
    (tmp_path / "old.ebm").write_bytes("model m # Schrödinger".encode("latin-1"))
    assert "not UTF-8" in cli("check", "old.ebm").err


def test_data_that_is_passed_as_a_spec(cli, tmp_path) -> None:
    with (tmp_path / "big.ebm").open("wb") as file:
        file.truncate(2**25)
    done = cli("check", "big.ebm")
    assert done.code == 1 and "EB0124" in done.err


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="there is no file that cannot be read")
def test_a_file_that_cannot_be_read(cli) -> None:
    done = cli("check", "/proc/self/mem")
    assert done.code == 1 and "EB0125" in done.err


@pytest.mark.parametrize("name", ["a\0b.ebm", "x" * 5000, "\udcff.ebm"])
def test_names_that_are_no_names(cli, name: str) -> None:
    assert cli("check", name).code == 1


def test_standard_input(cli, monkeypatch) -> None:
    class Stdin:
        buffer = io.BytesIO(GOOD.encode())

    monkeypatch.setattr(sys, "stdin", Stdin)
    done = cli("check", "-")
    assert done.code == 0 and "standard input" in done.out


def test_line_ends_and_byte_order_marks_do_not_matter(cli, tmp_path) -> None:
    (tmp_path / "dos.ebm").write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert cli("check", "dos.ebm").code == 0


def test_a_near_miss_is_suggested(cli, tmp_path) -> None:
    (tmp_path / "kmeens.ebm").write_text(GOOD)
    assert "kmeens.ebm" in cli("check", "kmeans_.ebm").err
    assert "sparse_coding" in cli("check", "sparse_codin").err


def test_a_shipped_spec_is_found_by_its_name(cli) -> None:
    assert cli("check", "sparse_coding").code == 0
    assert cli("check", "specs/sparse_coding.ebm").code == 0


def test_a_file_of_that_name_comes_first(cli, tmp_path) -> None:
    (tmp_path / "sparse_coding").write_text("model m\n")
    assert cli("check", "sparse_coding").code == 1


def shell(command: str, **options) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "EBDSL": f"{sys.executable} {ROOT / 'cli.py'}"}
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment, **options)


def test_a_reader_that_has_seen_enough(tmp_path) -> None:
    done = shell("set -o pipefail; $EBDSL compile sparse_coding | head -c 10", cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == "" and len(done.stdout) == 10
    done = shell("$EBDSL check nothing.ebm 2>&1 >/dev/null | true", cwd=tmp_path)
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_behind_standard_output(tmp_path) -> None:
    done = shell("$EBDSL compile sparse_coding > /dev/full", cwd=tmp_path)
    assert done.returncode == 1 and "EB0808" in done.stderr and "Traceback" not in done.stderr


def test_a_terminal_without_greek(tmp_path) -> None:
    done = shell(
        "PYTHONIOENCODING=ascii $EBDSL compile sparse_coding; PYTHONIOENCODING=ascii $EBDSL check x.ebm", cwd=tmp_path
    )
    assert "UnicodeEncodeError" not in done.stderr and "EB0121" in done.stderr
