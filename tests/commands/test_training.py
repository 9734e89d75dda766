"""train, --resume, infer and eval, from the command line, on small data."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

import ebdsl
from ebdsl.run import checkpoint
from ebdsl.run.metrics import read_lines
from tests.commands.test_files import GOOD, ROOT

SMALL = ("--device", "cpu", "--batch", "20", "--epochs", "4")


@pytest.fixture
def spec(tmp_path) -> Path:
    file = tmp_path / "m.ebm"
    file.write_text(GOOD.replace("R[2]", "R[M]").replace("R[2, N]", "R[M, N]"), encoding="utf-8")
    return file


@pytest.fixture
def data(tmp_path) -> Path:
    np.save(tmp_path / "y.npy", np.random.default_rng(1).normal(size=(90, 5)).astype(np.float32))
    return tmp_path / "y.npy"


def curve(folder: Path) -> list[dict]:
    rows = [row for row in read_lines(folder / "metrics.jsonl") if not any(k.startswith("contrast/") for k in row)]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def test_a_run_leaves_its_folder(cli, spec, data, tmp_path) -> None:
    done = cli("train", spec, "--data", data, "--holdout", "0.1", *SMALL)
    run = tmp_path / "runs" / "m"
    assert done.code == 0 and done.out == "runs/m\n" and "finished after 20 steps" in done.err
    assert {"spec.ebm", "model.py", "run.json", "metrics.jsonl", "checkpoints", "tb"} <= {p.name for p in run.iterdir()}
    assert (run / "spec.ebm").read_text(encoding="utf-8") == spec.read_text(encoding="utf-8")
    about = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert about["status"] == "finished" and about["sizes"] == {"N": 3, "M": 5} and about["options"]["batch"] == 20
    rows = curve(run)
    assert [r["step"] for r in rows if "energy" in r] == list(range(1, 21))
    first = rows[0]
    assert first["energy"] == pytest.approx(first["energy/||y - W z||^2"] + first["energy/λ|z|"], rel=1e-5)
    assert len([r for r in rows if "held_out" in r]) == 4
    with safe_open(checkpoint.found(run / "checkpoints")[0], "numpy") as file:
        facts = json.loads(file.metadata()["facts"])
        assert file.get_tensor("model.W").shape == (5, 3)
        assert np.linalg.norm(file.get_tensor("model.W"), axis=0) == pytest.approx(1, abs=1e-5)
    assert facts["version"] == ebdsl.__version__ and facts["position"]["step"] == 20


def test_the_generated_file_of_a_run_trains_alone(cli, spec, data, tmp_path) -> None:
    cli("train", spec, "--data", data, *SMALL)
    code = (
        "import model, torch, numpy\n"
        f"y = torch.from_numpy(numpy.load({str(data)!r}))\n"
        "m = model.build(); model.fit(m, {'y': y}, epochs=2, batch=30)\n"
        "print(float(m.free_energy(y).mean()))"
    )
    run = tmp_path / "runs" / "m"
    environment = {"PYTHONPATH": str(run), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd="/", check=True
    )
    assert np.isfinite(float(done.stdout.split()[-1]))


def test_the_same_seed_is_the_same_run_and_another_is_not(cli, spec, data, tmp_path) -> None:
    for out, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert cli("train", spec, "--data", data, "--out", out, "--seed", seed, *SMALL).code == 0
    assert curve(tmp_path / "a") == curve(tmp_path / "b") != curve(tmp_path / "c")


def test_runs_are_numbered_and_never_overwritten(cli, spec, data, tmp_path) -> None:
    for name in ("m", "m-2", "m-3"):
        assert cli("train", spec, "--data", data, *SMALL).out == f"runs/{name}\n"
    done = cli("train", spec, "--data", data, "--out", "runs/m", *SMALL)
    assert done.code == 1 and "EB0811" in done.err
    before = curve(tmp_path / "runs" / "m")
    assert cli("train", spec, "--data", data, "--out", "runs/m", "--force", "--seed", "9", *SMALL).code == 0
    assert curve(tmp_path / "runs" / "m") != before


def test_a_folder_that_holds_something_else_is_left_alone(cli, spec, data, tmp_path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("years of work")
    for force in ((), ("--force",)):
        done = cli("train", spec, "--data", data, "--out", "home", *force, *SMALL)
        assert done.code == 1 and "EB0810" in done.err and "thesis.tex" in done.err
    assert [p.name for p in (tmp_path / "home").iterdir()] == ["thesis.tex"]
    cli("train", spec, "--data", data, "--out", "run", *SMALL)
    (tmp_path / "run" / "notes.txt").write_text("mine")
    done = cli("train", spec, "--data", data, "--out", "run", "--force", *SMALL)
    assert done.code == 1 and "notes.txt" in done.err and (tmp_path / "run" / "metrics.jsonl").exists()


@pytest.mark.parametrize("size", [10**12, 10**20])
def test_parameters_that_no_machine_holds(cli, spec, data, size) -> None:
    done = cli("train", spec, "--data", data, "--set", f"N={size}")
    assert done.code == 1 and "EB0712" in done.err and "W has" in done.err


def test_an_output_that_cannot_be(cli, spec, data, tmp_path) -> None:
    (tmp_path / "file").touch()
    for out in ("file", "file/deeper", "a\0b"):
        done = cli("train", spec, "--data", data, "--out", out, *SMALL)
        assert done.code == 1 and "EB0807" in done.err


# ------------------------------------------------------------------ resuming


def test_longer_training_can_be_had_later(cli, spec, data, tmp_path) -> None:
    cli("train", spec, "--data", data, "--out", "long", *SMALL[:-1], "8")
    cli("train", spec, "--data", data, "--out", "short", *SMALL)
    assert "--epochs 8 would train it further" in cli("train", "short", "--resume").err
    assert cli("train", "short", "--resume", "--epochs", "8").code == 0
    assert curve(tmp_path / "short") == curve(tmp_path / "long")


def test_a_killed_process_is_taken_up_to_the_bit(tmp_path, spec, data) -> None:
    ebdsl_ = [sys.executable, str(ROOT / "cli.py"), "train"]
    options = ["--data", str(data), "--batch", "9", "--epochs", "60", "--device", "cpu", "--checkpoint-steps", "11"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def call(*arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [*ebdsl_, *arguments], env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    whole = call(str(spec), "--out", "whole", *options)
    kept = lambda: len(checkpoint.found(tmp_path / "cut" / "checkpoints"))  # noqa: E731
    wait = random.Random(7)
    first = call(str(spec), "--out", "cut", *options)
    while first.poll() is None and kept() < 2:
        time.sleep(0.005 * wait.random())
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert whole.wait() == 0
    ending = call("cut", "--resume")
    out, _ = ending.communicate()
    assert ending.returncode == 0, out
    assert curve(tmp_path / "cut") == curve(tmp_path / "whole")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on(tmp_path, spec, data, number, code) -> None:
    command = [sys.executable, str(ROOT / "cli.py"), "train", str(spec), "--data", str(data), *SMALL[:-1], "1000000"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    run = tmp_path / "runs" / "m"
    while process.poll() is None and not read_lines(run / "metrics.jsonl"):
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate()
    assert process.returncode == code and "ebdsl train runs/m --resume" in said and "Traceback" not in said
    step = checkpoint.newest(run / "checkpoints")[0].facts["position"]["step"]
    assert step > 0 and read_lines(run / "metrics.jsonl")[-1]["step"] == step
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"


def test_a_full_disk_loses_nothing_that_was_kept(cli, tmp_path, spec, data) -> None:
    options = f"--data {data} --device cpu --batch 9 --epochs 60 --checkpoint-steps 11"
    limited = f"ulimit -f 32; {sys.executable} {ROOT / 'cli.py'} train {spec} --out full {options}"  # 32 KiB a file
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 1 and "EB0808" in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert "the state of step" in done.stderr
    assert not list(tmp_path.rglob("*.part"))
    assert cli("train", "full", "--resume").code == 0
    assert cli("train", spec, "--out", "whole", *options.split()).code == 0
    assert curve(tmp_path / "full") == curve(tmp_path / "whole")


@pytest.mark.parametrize(
    ("option", "value", "word"),
    [("--seed", "5", "seed"), ("--batch", "7", "batch"), ("--lr", "0.5", "lr"), ("--dtype", "float64", "dtype")],
)
def test_resuming_keeps_the_options_of_the_run(cli, spec, data, option, value, word) -> None:
    cli("train", spec, "--data", data, "--out", "r", *SMALL)
    done = cli("train", spec, "--out", "r", "--resume", option, value)
    assert done.code == 1 and "EB0708" in done.err and word in done.err


def test_resuming_with_another_spec_or_other_data_is_refused(cli, spec, data, tmp_path) -> None:
    cli("train", spec, "--data", data, "--out", "r", *SMALL)
    spec.write_text(spec.read_text(encoding="utf-8").replace("0.5", "0.6"), encoding="utf-8")
    done = cli("train", spec, "--out", "r", "--resume", "--epochs", "9")
    assert done.code == 1 and "EB0707" in done.err and "line 6" in done.err and "0.6" in done.err
    done = cli("train", "r", "--resume", "--epochs", "9", "--set", "λ=0.6")
    assert done.code == 1 and "EB0707" in done.err
    np.save(data, np.load(data) + 1)
    done = cli("train", "r", "--resume", "--epochs", "9")
    assert done.code == 1 and "EB0709" in done.err


def test_nothing_to_resume(cli, spec, data, tmp_path) -> None:
    assert "EB0711" in cli("train", spec, "--resume").err
    assert "EB0812" in cli("train", spec, "--resume", "--out", "nowhere").err
    (tmp_path / "empty").mkdir()
    assert "EB0812" in cli("train", spec, "--resume", "--out", "empty").err
    assert "EB0802" in cli("train", "r").err or cli("train", "r").code == 1


def test_damaged_checkpoints(cli, spec, data, tmp_path) -> None:
    cli("train", spec, "--data", data, "--out", "r", "--checkpoint-steps", "5", *SMALL)
    newest, older = checkpoint.found(tmp_path / "r" / "checkpoints")
    leftover = newest.with_name(f".{newest.name}.99.part")  # of a process that was killed while it wrote
    leftover.write_bytes(b"half")
    whole = curve(tmp_path / "r")
    newest.write_bytes(newest.read_bytes()[:-7])
    done = cli("train", "r", "--resume")
    assert done.code == 0 and "EB0706" in done.err and curve(tmp_path / "r") == whole
    assert not leftover.exists()
    for path in checkpoint.found(tmp_path / "r" / "checkpoints"):
        path.write_bytes(b"")
    for verb in (("train", "r", "--resume"), ("eval", "r"), ("infer", "r", "-o", "z.npy")):
        done = cli(*verb)
        assert done.code == 1 and "EB0705" in done.err
    assert not (tmp_path / "z.npy").exists() and older.exists()


def test_a_run_that_was_killed_before_its_first_checkpoint(cli, spec, data, tmp_path) -> None:
    cli("train", spec, "--data", data, "--out", "whole", *SMALL)
    cli("train", spec, "--data", data, "--out", "r", *SMALL)
    for path in checkpoint.found(tmp_path / "r" / "checkpoints"):
        path.unlink()
    assert "EB0711" in cli("eval", "r").err
    assert cli("train", "r", "--resume").code == 0
    assert curve(tmp_path / "r") == curve(tmp_path / "whole")


@pytest.mark.parametrize(
    "facts",
    [
        "",
        "[]",
        "{",
        '{"format": "other"}',
        '{"format": "ebdsl run 1", "options": {"epochs": "x"}}',
        '{"format": "ebdsl run 1", "options": 7, "data": 9, "spec": []}',
    ],
)
def test_a_strangers_run_folder(cli, spec, data, tmp_path, facts) -> None:
    cli("train", spec, "--data", data, "--out", "r", *SMALL)
    (tmp_path / "r" / "run.json").write_text(facts)
    (tmp_path / "r" / "model.py").write_text("raise SystemExit('executed')")
    for verb in (("train", "r", "--resume", "--epochs", "5"), ("eval", "r"), ("infer", "r", "-o", "z.npz")):
        done = cli(*verb)
        assert "executed" not in done.err and done.code in (0, 1)


def test_two_processes_do_not_train_in_one_folder(cli, spec, data, tmp_path) -> None:
    fcntl = pytest.importorskip("fcntl")
    cli("train", spec, "--data", data, "--out", "r", *SMALL)
    with (tmp_path / "r" / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = cli("train", "r", "--resume", "--epochs", "9")
        assert done.code == 1 and "EB0813" in done.err
        done = cli("train", spec, "--data", data, "--out", "r", "--force", *SMALL)
        assert done.code == 1 and "EB0813" in done.err


# ------------------------------------------------------------------ what training can be refused for


def test_no_data(cli, spec) -> None:
    done = cli("train", spec)
    assert done.code == 1 and "EB0701" in done.err


def test_a_dimension_without_a_size(cli, spec, data) -> None:
    spec.write_text(spec.read_text(encoding="utf-8").replace("dim N = 3", "dim N"), encoding="utf-8")
    done = cli("train", spec, "--data", data, *SMALL)
    assert done.code == 1 and "EB0702" in done.err and "--set N=" in done.err
    assert cli("train", spec, "--data", data, "--set", "N=4", *SMALL).code == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--epochs", "0"), "EB0715"),
        (("--batch", "-3"), "EB0715"),
        (("--lr", "nan"), "EB0715"),
        (("--holdout", "1"), "EB0715"),
        (("--seed", "-1"), "EB0715"),
        (("--device", "abacus"), "EB0714"),
        (("--device", "cuda:99"), "EB0714"),
        (("--holdout", "0.999"), "EB0720"),
    ],
)
def test_options_that_cannot_be(cli, spec, data, tmp_path, arguments, code) -> None:
    done = cli("train", spec, "--data", data, *arguments)
    assert done.code == 1 and code in done.err
    assert not (tmp_path / "runs").exists()


def test_data_with_holes(cli, spec, data) -> None:
    values = np.load(data)
    values[7, 2] = np.nan
    np.save(data, values)
    done = cli("train", spec, "--data", data, *SMALL)
    assert done.code == 1 and "error[EB06" in done.err


# ------------------------------------------------------------------ using a run


@pytest.fixture
def run(cli, spec, data) -> str:
    assert cli("train", spec, "--data", data, "--out", "r", *SMALL).code == 0
    return "r"


@pytest.mark.parametrize("kind", ["npy", "npz", "csv"])
def test_infer_writes_what_the_python_interface_answers(cli, run, data, tmp_path, kind) -> None:
    done = cli("infer", run, "--data", data, "-o", f"out/z.{kind}")
    assert done.code == 0, done.err
    expected = ebdsl.load(tmp_path / run).infer(np.load(data))
    file = tmp_path / "out" / f"z.{kind}"
    if kind == "npy":
        codes = np.load(file)
    elif kind == "npz":
        found = np.load(file)
        assert set(found.files) == {"z", "energy", "residual", "iterations", "converged", "status"}
        assert set(found["status"]) == {"converged"}
        assert np.array_equal(found["energy"], expected.energy)
        codes = found["z"]
    else:
        head, *lines = file.read_text().splitlines()
        assert head.split(",")[3:] == ["energy", "residual", "iterations", "converged", "status"]
        codes = np.array([[float(x) for x in line.split(",")[:3]] for line in lines])
    assert np.allclose(codes, expected["z"], atol=1e-7) and codes.shape == (90, 3)
    assert [p.name for p in (tmp_path / "out").iterdir()] == [f"z.{kind}"]


def test_infer_in_several_batches_is_infer_at_once(cli, run, data, tmp_path, monkeypatch) -> None:
    cli("infer", run, "--data", data, "-o", "once.npz")
    monkeypatch.setattr("ebdsl.run.infer.SIZE", 7)
    monkeypatch.setattr("ebdsl.run.batches.free_memory", lambda device: 0)
    cli("infer", run, "--data", data, "-o", "often.npz")
    once, often = np.load(tmp_path / "once.npz"), np.load(tmp_path / "often.npz")
    assert np.allclose(once["z"], often["z"], atol=5e-3) and np.allclose(once["energy"], often["energy"], rtol=1e-4)


@pytest.mark.parametrize("word", ["nan", "inf", "0", "-1"])
def test_tolerances_that_are_none(cli, word) -> None:
    assert cli("infer", "r", "-o", "z.npz", "--tolerance", word).code == 2


def test_infer_as_json(cli, run) -> None:
    answer = json.loads(cli("infer", run, "-o", "z.npz", "--format", "json").out)
    assert answer["samples"] == 90 and answer["latents"] == {"z": [3]}


def test_energies_that_are_not_finite_are_no_answers(cli, run, data, tmp_path) -> None:
    y = np.load(data).astype(np.float64)
    y[3] *= 1e30
    np.save(tmp_path / "large.npy", y)
    done = cli("infer", run, "--data", "large.npy", "-o", "z.npz", "--check", "--format", "json")
    said = json.loads(done.out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert done.code == 3 and said["check"]["good"] == 89 and said["energy"] is None
    found = np.load(tmp_path / "z.npz")
    assert not found["converged"][3] and found["status"][3] == "not finite" and found["converged"].sum() == 89
    done = cli("infer", run, "--data", "large.npy", "-o", "z.npz")
    assert "the energy of 1 is not finite" in done.err and "--dtype float64" in done.err
    done = cli("train", tmp_path / "m.ebm", "--data", "large.npy", "--out", "other", *SMALL)
    assert done.code == 1 and "EB0703" in done.err and "Warning:" not in done.err


def test_infer_tells_where_it_did_not_converge(cli, run) -> None:
    done = cli("infer", run, "-o", "z.npz", "--steps", "1", "--tolerance", "1e-7")
    assert done.code == 0 and "EB0723" in done.err


@pytest.mark.parametrize(
    ("name", "code"), [("z.pt", "EB0809"), ("z", "EB0809"), ("y.npy", "EB0817"), ("d.npz", "EB0807")]
)
def test_outputs_that_infer_refuses(cli, run, data, tmp_path, name, code) -> None:
    (tmp_path / "d.npz").mkdir()
    before = data.read_bytes()
    done = cli("infer", run, "--data", data, "-o", name)
    assert done.code == 1 and code in done.err and data.read_bytes() == before


def test_eval_measures(cli, run, data, tmp_path) -> None:
    answer = json.loads(cli("eval", run, "--data", data, "--format", "json", "-o", "f.npy").out)
    energies = ebdsl.load(tmp_path / run).free_energy(np.load(data))
    assert answer["samples"] == 90
    assert answer["free_energy"]["mean"] == pytest.approx(energies.mean(), rel=1e-5)
    assert sum(answer["terms"].values()) == pytest.approx(energies.mean(), rel=1e-4)
    assert np.allclose(np.load(tmp_path / "f.npy"), energies, rtol=1e-5)
    table = cli("eval", run).out
    assert "term λ|z|, mean" in table and "inference converged" in table


def test_other_shapes_are_refused_by_a_trained_model(cli, run, tmp_path) -> None:
    np.save(tmp_path / "wide.npy", np.zeros((4, 6), dtype=np.float32))
    for verb in (("eval", run), ("infer", run, "-o", "z.npy")):
        done = cli(*verb, "--data", "wide.npy")
        assert done.code == 1 and "error[EB0" in done.err


def test_what_is_no_run(cli, spec, tmp_path) -> None:
    for name in ("nowhere", tmp_path, spec):
        for verb in (("eval", name), ("infer", name, "-o", "z.npy"), ("plot", name)):
            assert "EB0812" in cli(*verb).err


def test_an_edited_copy_of_the_spec_is_not_used(cli, run, data, tmp_path) -> None:
    before = cli("eval", run, "--format", "json").out
    (tmp_path / run / "spec.ebm").write_text("model other\n")
    done = cli("eval", run, "--format", "json")
    assert done.out == before and "EB0725" in done.err
    assert "EB0707" in cli("train", run, "--resume", "--epochs", "9").err


def test_an_energy_without_latents_has_nothing_to_infer(cli, tmp_path, data) -> None:
    cli("train", "pca", "--data", data, "--out", "p", "--device", "cpu")
    done = cli("infer", "p", "-o", "z.npz")
    assert done.code == 1 and "EB0717" in done.err
    assert cli("eval", "p").code == 0


def test_infer_checks_its_answers(cli, run) -> None:
    done = cli("infer", run, "-o", "z.npz", "--check")
    assert done.code == 0 and "90 of 90" in done.err and "float64" in done.err
    failed = cli("infer", run, "-o", "z.npz", "--check", "--steps", "1", "--tolerance", "1e-7")
    assert failed.code == 3 and "EB0731" in failed.err
    answer = cli("infer", run, "-o", "z.npz", "--check", "--steps", "1", "--tolerance", "1e-7", "--format", "json")
    assert answer.code == 3 and json.loads(answer.out)["check"]["good"] < 90
    with np.load("z.npz") as found:
        assert found["checked_residual"].shape == (90,) and "step limit" in found["status"]


@pytest.mark.parametrize(
    "latents, formula",
    [
        ("k : onehot[2], z : R", "softmin_k[2] min_z ||y - m k - z w||^2 + 0.5|z|"),
        ("z : R", "softmin_z[2] ||y - m[:, 0] - z w||^2 + 0.5 z^4"),
    ],
)
def test_infer_checks_averages_and_their_energies(cli, tmp_path, monkeypatch, latents, formula) -> None:
    """What ``infer`` gives besides the means goes to the certificate; one sample that is off is found."""
    spec = f"""model averages
observed y : R[4]
latent {latents}
param w : sphere[4], m : R[4, 2]
F(y) = {formula} + 0.1||m||^2
"""
    (tmp_path / "averages.ebm").write_text(spec, encoding="utf-8")
    np.save(tmp_path / "y.npy", np.random.default_rng(0).standard_normal((40, 4)).astype(np.float32))
    done = cli("train", "averages.ebm", "--data", "y.npy", "--out", "r", "--epochs", "1", "--device", "cpu")
    assert done.code == 0, done.err
    done = cli("infer", "r", "-o", "z.npz", "--check")
    assert done.code == 0 and "energies hold   40 of 40" in done.err, done.err

    from ebdsl.run import certify

    add = certify.Certifier.add

    def wrong(self, observed, latents, energy=None, posterior=None) -> None:
        energy = np.array(energy)
        energy[7] += 0.01
        add(self, observed, latents, energy, posterior)

    monkeypatch.setattr(certify.Certifier, "add", wrong)
    failed = cli("infer", "r", "-o", "z.npz", "--check")
    assert failed.code == 3 and "EB0731" in failed.err and "energies hold   39 of 40" in failed.err


# ------------------------------------------------------------------ targets


def test_a_run_remembers_its_target(cli, tmp_path, monkeypatch) -> None:
    import torch

    from ebdsl.run import target

    monkeypatch.setenv("EBDSL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(target, "missing_compiler", lambda: None)
    monkeypatch.setattr(torch, "compile", lambda function: function)
    np.save(tmp_path / "y.npy", np.random.default_rng(0).standard_normal((40, 16)).astype(np.float32))
    sizes = ("--set", "M=16", "--set", "N=24", "--data", "y.npy")
    done = cli("train", "sparse_coding", *sizes, "--out", "r", "--target", "inductor", *SMALL)
    assert done.code == 0, done.err
    assert "@compiled" in (tmp_path / "r" / "model.py").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "r" / "run.json").read_text(encoding="utf-8"))["options"]["target"] == "inductor"
    assert cli("train", "r", "--resume", "--target", "eager", "--epochs", "5").code == 1
    assert cli("train", "r", "--resume", "--epochs", "5").code == 0
    for target_ in ((), ("--target", "eager"), ("--target", "auto")):
        assert cli("infer", "r", "-o", "z.npy", "--device", "cpu", "--check", *target_).code == 0
    assert "program" in cli("cache").err and cli("cache", "--clear").code == 0


def test_inductor_without_a_loop_is_told_and_trains(cli, tmp_path) -> None:
    done = cli("train", "kmeans", "--set", "K=3", "--data", "spiral(60)", "--out", "k", "--target", "inductor", *SMALL)
    assert done.code == 0 and "EB0726" in done.err
    assert "@compiled" not in (tmp_path / "k" / "model.py").read_text(encoding="utf-8")
