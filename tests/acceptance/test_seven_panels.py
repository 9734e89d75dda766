"""Seven energies of the parabola by seven strategies: one command, one picture, a valley along the curve in each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ebdsl
from ebdsl.commands import run

FOLDER = Path(ebdsl.__file__).parents[1] / "specs" / "seven_panels"
SPECS = sorted(FOLDER.glob("*.ebm"))


def test_one_for_each_strategy() -> None:
    numbers = [ebdsl.load(path).explain() for path in SPECS]
    assert [f"strategy {k}" in text for k, text in enumerate(numbers, 1)] == [True] * 7


@pytest.mark.slow
def test_seven_valleys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The energy is lowest along the curve, and the contrast with uniform points is at least 0.97 in each."""
    monkeypatch.chdir(tmp_path)
    assert run(["compare", "seven_panels", "--out", "seven", "-o", "seven.png"]) == 0
    said = capsys.readouterr().err
    found = [
        float(line.split("AUC ")[1].split()[0]) for line in said.splitlines() if " AUC " in line and "against" in line
    ]
    assert len(found) == 7 and min(found) >= 0.97, found
    assert Path("seven.png").stat().st_size > 10_000
    x = np.linspace(-0.9, 0.9, 19)
    for path in SPECS:
        spec = ebdsl.load(Path("seven") / path.stem)
        on = np.asarray(spec.free_energy(np.stack([x, x**2], 1).astype(np.float32)))
        for offset in (-0.4, 0.4):  # above and below the curve
            off = np.asarray(spec.free_energy(np.stack([x, x**2 + offset], 1).astype(np.float32)))
            assert np.mean(off > on) > 0.85, (path.stem, offset)


def test_small_comparisons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Specs, runs and folders; what cannot be drawn over one plane is told."""
    monkeypatch.chdir(tmp_path)
    Path("mine").mkdir()
    text = "observed y : R[2]\nlatent z : onehot[K]\ndim K = 5\nparam W : R[2, K]\nF(y) = min_z ||y - W z||^2\n"
    Path("mine/a.ebm").write_text(text)
    Path("mine/b.ebm").write_text(text.replace("K = 5", "K = 9"))
    np.save("y.npy", np.random.default_rng(0).standard_normal((200, 2)).astype(np.float32))
    assert run(["compare", "mine", "--data", "y.npy", "-o", "two.svg", "-q"]) == 0
    assert Path("two.svg").exists() and Path("runs/compare/a").is_dir() and Path("runs/compare/b").is_dir()
    assert run(["compare", "runs/compare/a", "runs/compare/b", "-o", "again.png", "-q"]) == 0
    np.save("y.npy", np.random.default_rng(0).standard_normal((200, 3)).astype(np.float32))
    Path("c.ebm").write_text(text.replace("R[2]", "R[3]").replace("R[2, K]", "R[3, K]"))
    capsys.readouterr()
    assert run(["compare", "c.ebm", "--data", "y.npy", "-q"]) == 1
    assert "EB0770" in capsys.readouterr().err or "EB0791" in capsys.readouterr().err
    assert run(["compare", "c.ebm", "-o", "x.txt"]) == 1
    assert "EB0809" in capsys.readouterr().err
