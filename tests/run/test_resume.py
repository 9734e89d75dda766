"""A run that is killed and taken up again is the run that was not killed, to the bit."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import ebdsl
from ebdsl.diagnostics import SpecError
from ebdsl.run import checkpoint, train
from ebdsl.run.folder import Folder
from ebdsl.run.options import Options
from ebdsl.run.session import resume, session

OPTIONS = Options(epochs=6, batch=16, holdout=0.1, device="cpu", checkpoint_steps=1)


def curve(folder: Path) -> list[dict]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().split("\n") if line]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def whole(path: Path, program, arrays, options=OPTIONS) -> Folder:
    folder = Folder(path)
    path.mkdir(exist_ok=True)
    folder.write_facts({})
    train.go(session(program, arrays, options), folder, train.Report(), fresh=True)
    return folder


def test_resuming_from_every_step_gives_the_same_end(tmp_path, program, arrays) -> None:
    folder = whole(tmp_path / "whole", program, arrays)
    end = checkpoint.newest(folder.checkpoints)[0]
    steps = end.facts["position"]["step"]
    assert steps == 6 * 4
    for stop in range(1, steps):
        path = tmp_path / f"from {stop}"
        cut = session(program, arrays, OPTIONS)
        path.mkdir()
        Folder(path).write_facts({})
        calls = iter(range(1, 10**6))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                train.Interrupt,
                "signal",
                property(lambda _, c=calls, s=stop: 2 if next(c) >= s else None, lambda *_: None),
                raising=False,
            )
            outcome = train.go(cut, Folder(path), train.Report(), fresh=True)
        assert outcome.ending == "interrupted" and outcome.session.position.step == stop
        assert Folder(path).facts()["status"] == "interrupted"
        torch.manual_seed(999)  # the generator's state comes from the checkpoint and from nowhere else
        again = session(program, arrays, OPTIONS)
        saved = checkpoint.newest(path / "checkpoints")[0]
        assert resume(again, saved) == ()
        train.go(again, Folder(path), train.Report(), offset=saved.facts["metrics"])
        final = checkpoint.newest(path / "checkpoints")[0]
        assert all(torch.equal(final.tensors[k], v) for k, v in end.tensors.items())
        assert curve(path) == curve(folder.path)


def test_killing_a_process_at_random_moments_changes_nothing(tmp_path) -> None:
    worker = [sys.executable, str(Path(__file__).with_name("kill_worker.py"))]
    root = str(Path(ebdsl.__file__).parents[1])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root}
    subprocess.run([*worker, str(make(tmp_path / "whole"))], check=True, env=environment)
    choose = random.Random(4)
    folder, kills = make(tmp_path / "killed"), 0
    for _ in range(4):
        process = subprocess.Popen([*worker, str(folder)], env=environment)
        reached = steps_kept(folder) + choose.randrange(1, 260)
        while process.poll() is None and steps_kept(folder) < reached:
            time.sleep(choose.random() * 0.004)
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        assert curve_is_ahead_by_at_most(folder, 64 + 9)
    assert kills >= 2
    subprocess.run([*worker, str(folder)], check=True, env=environment)
    assert curve(folder) == curve(tmp_path / "whole")
    ends = [checkpoint.newest(tmp_path / name / "checkpoints")[0] for name in ("whole", "killed")]
    assert ends[0].facts["position"]["step"] == ends[1].facts["position"]["step"] == 60 * 12
    assert all(torch.equal(ends[1].tensors[k], v) for k, v in ends[0].tensors.items())


def make(path: Path) -> Path:
    path.mkdir()
    return path


def steps_kept(folder: Path) -> int:
    return max((int(p.stem[5:]) for p in checkpoint.found(folder / "checkpoints")), default=0)


def curve_is_ahead_by_at_most(folder: Path, steps: int) -> bool:
    """What a kill loses: steps that were told and not yet kept."""
    rows = (folder / "metrics.jsonl").read_text().split("\n")[:-1]
    last = max((json.loads(row)["step"] for row in rows), default=0)
    return last - steps_kept(folder) <= steps


def test_other_data_is_refused(tmp_path, program, arrays) -> None:
    folder = whole(tmp_path / "run", program, arrays)
    saved = checkpoint.newest(folder.checkpoints)[0]
    for other, word in (
        ({"y": arrays["y"][:-1]}, "[70, 6]"),
        ({"y": arrays["y"].astype("float64")}, "type"),
        ({"y": arrays["y"] + 1}, "other values"),
    ):
        with pytest.raises(SpecError) as error:
            resume(session(program, other, OPTIONS), saved)
        assert error.value.diagnostics[0].code == "EB0709"
        assert word in error.value.diagnostics[0].message


def test_other_ground_is_told(tmp_path, program, arrays) -> None:
    saved = checkpoint.newest(whole(tmp_path / "run", program, arrays).checkpoints)[0]
    facts = {**saved.facts, "ground": {**saved.facts["ground"], "torch": "1.0"}}
    (warning,) = resume(session(program, arrays, OPTIONS), replace(saved, facts=facts))
    assert warning.code == "EB0710" and "torch was 1.0" in warning.message


def test_a_state_that_is_not_the_learners_is_refused(tmp_path, program, arrays) -> None:
    saved = checkpoint.newest(whole(tmp_path / "run", program, arrays).checkpoints)[0]
    lacking = {k: v for k, v in saved.tensors.items() if k != "learner.velocity"}
    for broken in (
        replace(saved, tensors=lacking),
        replace(saved, tensors={**saved.tensors, "learner.velocity": torch.zeros(2, 2)}),
        replace(saved, tensors={**saved.tensors, "rng.cpu": torch.zeros(3, dtype=torch.uint8)}),
        replace(saved, tensors={k: v for k, v in saved.tensors.items() if k != "model.W"}),
        replace(saved, facts={**saved.facts, "position": {"hop": 1}}),
        replace(saved, facts={k: v for k, v in saved.facts.items() if k != "scale"}),
    ):
        with pytest.raises(SpecError) as error:
            resume(session(program, arrays, OPTIONS), broken)
        assert error.value.diagnostics[0].code == "EB0705"
