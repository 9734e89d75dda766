"""docs/talk.md: every spec is in it, and what it points to is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "talk.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| `")
]


def test_rows_are_whole_and_ids_are_unique() -> None:
    ids = [row[0] for row in ROWS]
    assert len(ids) == len(set(ids)) > 90
    assert all(len(row) == 4 and all(row) for row in ROWS)


def test_every_spec_has_its_row_and_every_row_its_spec() -> None:
    shipped = {p.stem for p in (ROOT / "specs").glob("*.ebm")}
    rows = {row[0].strip("`"): row[3] for row in ROWS}
    named = {name for where in rows.values() for name in re.findall(r"\(\.\./specs/(\w+)\.ebm\)", where)}
    assert shipped
    assert named == shipped
    for name in shipped:
        assert f"(../specs/{name}.ebm)" in rows[name], f"the row of {name} does not lead to its spec"
