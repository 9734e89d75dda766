"""check, explain, draw, compile, new, specs, completion."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import ebdsl
from ebdsl import commands
from ebdsl.commands.verbs.new import template
from ebdsl.diagnostics.catalogue import CATALOGUE
from tests.commands.test_files import GOOD

ROOT = Path(ebdsl.__file__).parents[1]


@pytest.fixture
def good(tmp_path) -> Path:
    file = tmp_path / "good.ebm"
    file.write_text(GOOD, encoding="utf-8")
    return file


# ------------------------------------------------------------------ the group


def test_help_and_version(cli) -> None:
    assert ebdsl.__version__ in cli("--version").out
    listed = cli("--help").out
    verbs = (
        "check",
        "fmt",
        "explain",
        "draw",
        "compile",
        "train",
        "infer",
        "eval",
        "plot",
        "new",
        "specs",
        "completion",
    )
    found = [listed.index(f"\n  {verb} ") for verb in verbs]
    assert found == sorted(found)
    for verb in verbs:
        assert cli(verb, "--help").code == 0


@pytest.mark.parametrize(
    ("slip", "meant"), [("chek", "check"), ("trian", "train"), ("Explain", "explain"), ("plt", "plot")]
)
def test_a_slip_in_a_command(cli, slip: str, meant: str) -> None:
    done = cli(slip, "x.ebm")
    assert done.code == 2 and f"did you mean {meant} ?" in done.err


def test_a_spec_without_a_command(cli) -> None:
    done = cli("x.ebm")
    assert done.code == 2 and "ebdsl check x.ebm" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("check",),
        ("check", "x.ebm", "--nonsense"),
        ("check", "x.ebm", "--set", "λ"),
        ("check", "x.ebm", "--set", "=3"),
        ("train", "x.ebm", "--epochs", "many"),
        ("train", "x.ebm", "--resume", "--force"),
        ("compile", "x.ebm", "--dump", "everything"),
        ("fmt", "-", "--write"),
        ("infer", "runs/x"),
        ("new", "not a name"),
        ("specs", "kmeans", "--copy", "kmeans"),
    ],
)
def test_a_wrong_command_line_is_2(cli, arguments) -> None:
    assert cli(*arguments).code == 2


def test_a_fault_of_ours_is_said_as_one(cli, good, monkeypatch) -> None:
    from ebdsl import driver

    def broken(*arguments: object) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr(driver, "check", broken)
    done = cli("check", good, faults=True)
    assert done.code == 1 and "EB0799" in done.err and "report it" in done.err


def test_the_traceback_is_there_for_those_who_ask(good) -> None:
    code = (
        "import sys, ebdsl.driver, ebdsl.commands as c\n"
        "ebdsl.driver.check = lambda *a, **k: 1 / 0\n"
        f"sys.exit(c.run(['check', {str(good)!r}]))"
    )
    for value, shown in (("1", True), ("", False)):
        environment = {"PYTHONPATH": str(ROOT), "EBDSL_TRACEBACK": value}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
        assert done.returncode == 1 and ("Traceback" in done.stderr) == shown and "EB0799" in done.stderr


def test_interrupting_is_130(cli, good, monkeypatch) -> None:
    from ebdsl import driver

    def pressed(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(driver, "parse", pressed)
    assert cli("check", good).code == 130


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupting_before_there_is_a_command(number, code, monkeypatch) -> None:
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a process in the background lacks
    monkeypatch.setattr(commands, "run", lambda _: signal.raise_signal(number))
    try:
        with pytest.raises(SystemExit) as left:
            commands.main([])
        assert left.value.code == code
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)


# ------------------------------------------------------------------ check


def test_check_says_fine_once_for_each(cli, good) -> None:
    done = cli("check", good, "kmeans")
    assert done.code == 0
    assert [line.rsplit(": ", 1)[1] for line in done.out.splitlines()] == ["fine", "fine"]


def test_one_wrong_spec_of_several_is_1(cli, good, tmp_path) -> None:
    (tmp_path / "bad.ebm").write_text(GOOD.replace("W z", "V z"))
    done = cli("check", good, tmp_path / "bad.ebm", "nothing.ebm")
    assert done.code == 1 and "good.ebm: fine" in done.out and "bad.ebm" in done.err and "nothing.ebm" in done.err


def test_a_flat_energy_is_refused_and_can_be_allowed(cli) -> None:
    done = cli("check", "ae_identity")
    assert done.code == 1 and "flat" in done.err
    assert cli("check", "ae_identity", "--allow-flat").code == 0


def test_check_as_json(cli, good, tmp_path) -> None:
    (tmp_path / "bad.ebm").write_text(GOOD.replace("W z", "V z"))
    answer = json.loads(cli("check", good, "--format", "json").out)
    assert answer["ok"] is True and answer["diagnostics"] == []
    rows = json.loads(cli("check", good, tmp_path / "bad.ebm", "no.ebm", "--format", "json").out)
    assert [row["ok"] for row in rows] == [True, False, False]
    assert rows[1]["diagnostics"][0]["labels"][0]["line"] == 7 and rows[2]["diagnostics"][0]["code"] == "EB0121"


# ------------------------------------------------------------------ --set


def test_set_changes_the_text_that_is_compiled(cli, good) -> None:
    out = cli("compile", good, "--set", "lambda=0.25", "--set", "N=7", "--set", "epochs=3").out
    assert "const    λ = 0.25" in out and "dim N = 7" in out and "epochs 3" in out and "lam: float = 0.25" in out


@pytest.mark.parametrize("name", ["λ", "lambda", "lam"])
def test_all_spellings_of_a_name_can_be_set(cli, good, name) -> None:
    assert "const    λ = 2" in cli("compile", good, "--set", f"{name}=2").out


@pytest.mark.parametrize(
    ("pair", "code"),
    [("Q=1", "EB0716"), ("λ=", "EB0716"), ("λ=1\nconst q = 2", "EB0716"), ("λ=1 # x", "EB0716"), ("epochs=-1", "EB0")],
)
def test_what_cannot_be_set(cli, good, pair, code) -> None:
    done = cli("check", good, "--set", pair)
    assert done.code == 1 and code in done.err


def test_what_may_have_been_meant_by_set(cli, good) -> None:
    assert "did you mean epochs ?" in cli("check", good, "--set", "epoch=3").err


# ------------------------------------------------------------------ explain


def test_explain_tells_the_plan(cli, good) -> None:
    done = cli("explain", good)
    assert done.code == 0 and "splitting" in done.out and "refused" in done.out
    answer = json.loads(cli("explain", good, "--format", "json").out)
    assert answer["inference"][0]["task"] == "min over z" and answer["diagnostics"] == []


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_explain_tells_every_code(cli, code) -> None:
    done = cli("explain", code)
    assert done.code == 0 and CATALOGUE[code].title in done.out and len(CATALOGUE[code].story) > 40


def test_explain_an_unknown_code(cli) -> None:
    done = cli("explain", "EB9999")
    assert done.code == 1 and "EB0815" in done.err
    done = cli("explain", "EB9999", "--format", "json")
    assert json.loads(done.out)["diagnostics"][0]["code"] == "EB0815"
    assert json.loads(cli("explain", "eb0703", "--format", "json").out)["severity"] == "error"


# ------------------------------------------------------------------ draw


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("x.svg", b"<svg"),
        ("x.png", b"\x89PNG"),
        ("x.pdf", b"%PDF"),
        ("x.dot", b"digraph"),
        ("x.mmd", b""),
        ("X.SVG", b"<svg"),
    ],
)
def test_draw_into_a_file(cli, good, tmp_path, name, begins) -> None:
    assert cli("draw", good, "-o", f"new/{name}").code == 0
    data = (tmp_path / "new" / name).read_bytes()
    assert data.startswith(begins) and len(data) > 100


def test_draw_to_standard_output(cli, good) -> None:
    assert cli("draw", good).out.startswith("flowchart")
    assert cli("draw", good, "--format", "dot").out.startswith("digraph")
    assert cli("draw", good, "--format", "svg", "-o", "-").out.startswith("<svg")


def test_draw_refuses_an_unknown_format(cli, good, tmp_path) -> None:
    for name in ("x.jpeg", "x"):
        done = cli("draw", good, "-o", name)
        assert done.code == 1 and ".svg" in done.err and not (tmp_path / name).exists()


def test_draw_into_a_folder(cli, good, tmp_path) -> None:
    (tmp_path / "d.svg").mkdir()
    assert cli("draw", good, "-o", "d.svg").code == 1


# ------------------------------------------------------------------ compile


def test_compile_again_is_the_same_to_the_byte(cli, good, tmp_path) -> None:
    assert cli("compile", good, "-o", "m.py").code == 0
    first = (tmp_path / "m.py").read_bytes()
    assert cli("compile", good, "-o", "m.py").code == 0
    assert (tmp_path / "m.py").read_bytes() == first
    assert cli("compile", good).out.encode() == first


def test_compile_leaves_alone_what_it_did_not_write(cli, good, tmp_path) -> None:
    mine = tmp_path / "mine.py"
    cli("compile", good, "-o", mine)
    edited = mine.read_text(encoding="utf-8").replace("import torch\n", "import torch  # mine\n", 1)
    for text in ("print('mine')\n", "", edited, mine.read_text(encoding="utf-8") + "x = 1\n"):
        mine.write_text(text, encoding="utf-8")
        done = cli("compile", good, "-o", mine)
        assert done.code == 1 and "EB0806" in done.err and mine.read_text(encoding="utf-8") == text
    assert cli("compile", good, "-o", mine, "--force").code == 0
    assert mine.read_text(encoding="utf-8").startswith("# Generated by ebdsl")


def test_compile_into_a_place_that_is_none(cli, good, tmp_path) -> None:
    (tmp_path / "file").touch()
    done = cli("compile", good, "-o", "file/m.py")
    assert done.code == 1 and "EB0807" in done.err
    (tmp_path / "d").mkdir()
    assert cli("compile", good, "-o", "d").code == 1


def test_a_generated_file_is_python_and_has_no_word_of_this_machine(cli, good) -> None:
    text = cli("compile", good).out
    compile(text, "m.py", "exec")
    assert str(good.parent) not in text


@pytest.mark.parametrize("phase", ["ast", "model", "facts", "plan"])
def test_phases_can_be_printed(cli, good, phase) -> None:
    done = cli("compile", good, "--dump", phase)
    assert done.code == 0 and len(done.out.splitlines()) > 3 and "0x" not in done.out
    assert done.out == cli("compile", good, "--dump", phase).out


# ------------------------------------------------------------------ new, specs, completion


def test_a_new_spec_is_right_and_formatted_as_we_would(cli, tmp_path) -> None:
    assert cli("new", "mine").code == 0
    assert (tmp_path / "mine.ebm").read_text(encoding="utf-8") == template("mine")
    done = cli("check", "mine.ebm")
    assert done.code == 0 and done.err == ""
    assert cli("new", "mine").code == 1
    assert cli("new", "other", "-o", "-").out.startswith("model other")


def test_specs_are_listed_printed_and_copied(cli, tmp_path) -> None:
    listed = cli("specs").out
    names = [p.stem for p in sorted((ROOT / "specs").glob("*.ebm"))]
    assert [line.split()[0] for line in listed.splitlines()] == names
    assert all(len(line.split(maxsplit=1)) == 2 for line in listed.splitlines())
    assert list(json.loads(cli("specs", "--format", "json").out)) == names
    text = (ROOT / "specs" / "pca.ebm").read_text(encoding="utf-8")
    assert cli("specs", "pca").out == text
    assert cli("specs", "--copy", "pca").code == 0 and (tmp_path / "pca.ebm").read_text(encoding="utf-8") == text
    assert cli("specs", "--copy", "pca").code == 1
    done = cli("specs", "sparse")
    assert done.code == 1 and "EB0814" in done.err and "did you mean" in done.err
    assert cli("specs", "../README").code == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(cli, shell) -> None:
    assert "_EBDSL_COMPLETE" in cli("completion", shell).out


# ------------------------------------------------------------------ speed


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "nothing.ebm"],
        ["train", "sparse_coding", "--set", "λ=|"],
        ["train", "kmeans", "--data", "nothing.npy"],
        ["train", "ae_identity"],
        ["train", "kmeans", "--epochs", "0"],
        ["train", "kmeans", "--resume"],
        ["train", "nowhere", "--resume"],
        ["eval", "nowhere"],
        ["infer", "nowhere", "-o", "z.npz"],
        ["plot", "nowhere"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_trained_is_told_before_torch_is_imported(tmp_path, arguments) -> None:
    code, modules, said = in_a_process(arguments, tmp_path)
    assert code == "1" and "error[EB" in said and "[EB0799]" not in said
    assert "torch" not in modules


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "sparse_coding", "psd", "gmm"],
        ["fmt", "sparse_coding"],
        ["explain", "psd"],
        ["explain", "EB0703"],
        ["draw", "psd", "-o", "x.png"],
        ["draw", "psd", "-o", "x.svg"],
        ["compile", "gmm"],
        ["specs"],
        ["--help"],
        ["train", "--help"],
    ],
    ids=" ".join,
)
def test_what_answers_quickly_never_imports_torch(tmp_path, arguments) -> None:
    code, modules, said = in_a_process(arguments, tmp_path)
    assert code == "0", said
    assert not {"torch", "safetensors", "matplotlib", "rich", "pandas", "sklearn"} & modules


def in_a_process(arguments, folder) -> tuple[str, set[str], str]:
    """Exit code, the modules that were imported, and standard error."""
    code = f"import sys, ebdsl.commands as c; code = c.run({arguments!r}); print(code, *sys.modules, file=sys.stderr)"
    environment = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=folder, check=True
    )
    answer, *modules = done.stderr.splitlines()[-1].split()
    return answer, set(modules), done.stderr
