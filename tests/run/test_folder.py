from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from ebdsl.diagnostics import SpecError
from ebdsl.run import folder as folders
from ebdsl.run.files import write_atomically
from ebdsl.run.folder import Folder, folder_name, fresh, latest, numbered


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_in(path, status: str = "finished") -> None:
    path.mkdir(parents=True, exist_ok=True)
    Folder(path).write_facts({"status": status})


@pytest.mark.parametrize(
    ("model", "name"),
    [("kmeans", "kmeans"), ("a/b", "a_b"), ("../up", "_up"), (".hidden", "hidden"), ("", "run"), ("λ", "λ")],
)
def test_a_models_name_is_one_folder(model, name) -> None:
    assert folder_name(model) == name


def test_runs_are_numbered_and_an_unfinished_one_is_told(here) -> None:
    assert fresh(None, "m", force=False) == (Folder(Path("runs/m")), None)
    run_in(here / "runs" / "m", "interrupted")
    new, unfinished = fresh(None, "m", force=False)
    assert new.path.name == "m-2" and unfinished is not None and unfinished.name == "m"


def test_many_at_once_get_a_folder_each() -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(str(numbered("m")[0].path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 8


def test_latest_is_the_last_unfinished_one(here) -> None:
    assert latest("m") is None
    for name, status in (
        ("m", "interrupted"),
        ("m-2", "training"),
        ("m-10", "finished"),
        ("m-x", "training"),
        ("mm", "training"),
    ):
        run_in(here / "runs" / name, status)
    assert latest("m").name == "m-2"
    run_in(here / "runs" / "m-2")
    run_in(here / "runs" / "m")
    assert latest("m").name == "m-10"


def test_only_the_runs_own_files_are_replaced(here) -> None:
    run_in(here / "r")
    (here / "r" / "checkpoints").mkdir()
    (here / "r" / "checkpoints" / "step-0000001.safetensors").touch()
    elsewhere = here / "precious"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    (here / "r" / "pictures").symlink_to(elsewhere)
    fresh("r", "m", force=True)
    assert [p.name for p in (here / "r").iterdir()] == [".lock"]
    assert (elsewhere / "file").exists()


def test_a_file_is_the_old_one_or_the_new_one(here) -> None:
    path = here / "f"
    write_atomically(path, "old")

    def fails(part) -> None:
        part.write_text("half")
        raise OSError(5, "Input/output error")

    with pytest.raises(SpecError) as error:
        write_atomically(path, fails)
    assert error.value.diagnostics[0].code == "EB0807" and "input/output error" in error.value.diagnostics[0].message
    assert path.read_text() == "old" and [p.name for p in here.iterdir()] == ["f"]
    write_atomically(path, b"new", durable=True)
    assert path.read_bytes() == b"new"
    mask = os.umask(0o022)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_status_of_a_damaged_run(here) -> None:
    run_in(here / "r")
    assert folders.status(here / "r") == "finished"
    (here / "r" / "run.json").write_text("[" * 100_000)
    assert folders.status(here / "r") == "damaged"
