"""The picture of algorithms on their way to the exact code: its numbers, and for which models there is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from ebdsl.commands import run as ebdsl
from ebdsl.plots.kinds import convergence
from ebdsl.plots.kinds.convergence import Encoders, Line, panels, worth

SPEC = """model m
dim M = 9, N = 12
observed y : R[M]
latent   z : R[N]
param    W : R[M, N], unit columns
const    λ = 0.2
E(y, z) = ½||y - W z||^2 + λ|z|
F(y)    = min_z E(y, z)
infer z by lista(steps = 1)

train
    data   patches(leaves, size = 3, count = 2000)
    epochs 1
"""


def line(name: str, steps: list[float], code: list[float]) -> Line:
    x, y = np.array(steps), np.array(code)
    return Line(name, x, 100 * x, y, y / 2)


def test_what_a_step_is_worth() -> None:
    fista = line("fista", [1, 2, 10, 18], [8.0, 4.0, 2.0, 0.5])
    assert worth(4.0, fista, fista.steps) == 2
    between = worth(1.0, fista, fista.steps)
    assert between is not None and abs(between - 14) < 1e-9  # half of the way down on a logarithmic scale
    assert worth(9.0, fista, fista.steps) is None and worth(0.1, fista, fista.steps) is None


def test_the_title_says_what_a_step_is_worth() -> None:
    from matplotlib.text import Text

    fista = line("fista", [1, 2, 10, 18], [8.0, 4.0, 2.0, 0.5])
    cod = line("cod", [4, 40], [9.0, 1.0])
    from ebdsl.model.algorithms import ALGORITHMS, Chosen

    chosen = Chosen(ALGORITHMS["lista"], 1)
    fig = panels("m", "z", [fista, cod], Encoders(chosen, line("lista", [1], [2.0]), line("lista", [1], [3.0])), "10")
    words = "\n".join(t.get_text() for t in fig.findobj(Text))
    assert "1 lista step = 10 fista steps" in words and "cod steps" not in words


@pytest.mark.slow
def test_a_run_with_an_encoder(tmp_path: Path, monkeypatch) -> None:
    seen: list[tuple[list[Line], Encoders | None, str]] = []
    drawn = panels

    def keep(name, z, lines, encoders, where):
        seen.append((lines, encoders, where))
        return drawn(name, z, lines, encoders, where)

    monkeypatch.setattr(convergence, "panels", keep)
    monkeypatch.setattr(convergence, "LESSONS", 60)
    spec, run = tmp_path / "m.ebm", tmp_path / "run"
    spec.write_text(SPEC, encoding="utf-8")
    assert ebdsl(["train", str(spec), "--out", str(run), "--device", "cpu"]) == 0
    assert ebdsl(["plot", str(run), "convergence"]) == 0
    assert (run / "pictures" / "convergence.png").exists()
    ((lines, encoders, where),) = seen
    assert [x.name for x in lines] == ["ista", "fista", "cod"] and "has not seen" in where
    for x in lines:
        assert x.energy[-1] < 1e-2 * x.energy[0] and (np.diff(x.cost) > 0).all()
        assert (x.energy > -1e-4 * x.energy[0]).all()
    assert lines[0].code[0] == pytest.approx(lines[1].code[0], rel=1e-5)  # momentum acts from the second step on
    assert encoders is not None and list(encoders.line.steps) == [1, 3]
    assert encoders.line.code[0] < lines[0].code[0]  # trained


def test_there_is_none_of_a_choice(tmp_path: Path, capsys) -> None:
    spec, run = tmp_path / "k.ebm", tmp_path / "run"
    spec.write_text(
        "observed y : R[2]\nlatent z : onehot[K]\nparam W : R[2, K]\ndim K = 3\nE(y, z) = ||y - W z||^2\n"
        "F(y) = min_z E(y, z)\ntrain\n    data blobs(60, 3)\n",
        encoding="utf-8",
    )
    assert ebdsl(["train", str(spec), "--out", str(run), "--device", "cpu"]) == 0
    assert ebdsl(["plot", str(run), "convergence"]) == 1
    assert "no algorithm of inference by name fits z" in capsys.readouterr().err
