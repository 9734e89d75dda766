"""The README and docs/ say what is true: their commands run, their specs check.

A fenced block is run by its language: ``ebm`` is checked, ``sh`` and ``python`` run in order, a document in one
folder. A comment on the line before says otherwise: ``<!-- refused EB0203 -->``, ``<!-- not run: why -->``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ebdsl.diagnostics import Source
from ebdsl.driver import check_source
from ebdsl.graph import draw

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^(?:<!-- (?P<note>[^\n]*?) -->\n)?```(?P<language>\w*)\n(?P<body>.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    document: str
    line: int
    language: str
    body: str
    note: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def blocks(path: Path) -> list[Block]:
    text = path.read_text(encoding="utf-8")
    return [
        Block(path.name, text.count("\n", 0, m.start("body")) + 1, m["language"], m["body"], m["note"] or "")
        for m in FENCE.finditer(text)
    ]


ALL = [b for path in DOCUMENTS for b in blocks(path)]


def test_every_fence_is_closed_and_has_a_known_language() -> None:
    for path in DOCUMENTS:
        assert path.read_text(encoding="utf-8").count("\n```") == 2 * len(blocks(path)), path.name
    assert {b.language for b in ALL} <= {"", "ebm", "sh", "python", "text", "mermaid"}
    assert any(b.language == "ebm" for b in ALL) and any(b.language == "sh" for b in ALL)


@pytest.mark.parametrize("block", [b for b in ALL if b.language == "ebm"], ids=str)
def test_specs_check(block: Block) -> None:
    found = check_source(Source(str(block), block.body)).errors
    if block.note.startswith("refused"):
        assert block.note.removeprefix("refused ") in {d.code for d in found}
    else:
        assert not found, [d.message for d in found]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """``ebdsl`` and ``python`` are those of this interpreter and this checkout, installed or not."""
    tools = tmp_path_factory.mktemp("bin")
    for name, command in (("ebdsl", f'"{sys.executable}" "{ROOT / "cli.py"}"'), ("python", f'"{sys.executable}"')):
        (tools / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (tools / name).chmod(0o755)
    path = os.pathsep.join([str(tools), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def runs(path: Path) -> list[Block]:
    return [b for b in blocks(path) if b.language in ("sh", "python") and not b.note.startswith("not run")]


@pytest.mark.slow
@pytest.mark.parametrize("path", [p for p in DOCUMENTS if runs(p)], ids=lambda p: p.name)
def test_commands_run(path: Path, environment: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(ROOT / "specs", tmp_path / "specs")
    for block in runs(path):
        shell = ["bash", "-euo", "pipefail", "-c"] if block.language == "sh" else [sys.executable, "-c"]
        done = subprocess.run(
            [*shell, block.body],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        wanted = int(block.note.removeprefix("exits with ")) if block.note.startswith("exits with ") else 0
        assert done.returncode == wanted, f"{block}\n{block.body}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "pictures").glob("*.svg")), ids=lambda p: p.name)
def test_diagrams_are_what_the_tool_draws_today(path: Path, request: pytest.FixtureRequest) -> None:
    spec = ROOT / "specs" / f"{path.stem}.ebm"
    model = check_source(Source(spec.name, spec.read_text(encoding="utf-8"))).value
    assert model is not None
    if request.config.getoption("--update-golden"):
        draw(model, path)
    assert path.read_text(encoding="utf-8") == draw(model)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?^```|`[^`\n]*`", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} links to {target}"
