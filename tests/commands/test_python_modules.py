"""python("package.module:Class"): a user's own code runs when they say so, each time, and its faults are told."""

from __future__ import annotations

import importlib

import pytest

SPEC = """model own
observed x : R[2]
observed y : R[2]
module   f : R[2] -> R[2] = python("{module}:Net")
F(x, y) = ||y - f(x)||^2
train
    data   bounce(100, noise = 0.1)
    epochs 1
    device cpu
"""
BODY = "    def forward(self, x):\n        return self.layer(x)\n"
NET = f"""import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)

{BODY}"""


@pytest.fixture
def write(tmp_path):
    def call(module: str, text: str | None) -> None:
        (tmp_path / "own.ebm").write_text(SPEC.format(module=module))
        if text is not None:
            (tmp_path / f"{module}.py").write_text(text)
        importlib.invalidate_caches()

    return call


def test_it_runs_only_when_allowed(cli, write) -> None:
    write("own_a", NET.replace("import torch\n", "import torch\nopen('ran', 'a').write('!')\n", 1))
    from pathlib import Path

    for verb in ("check", "explain", "compile", "train"):
        done = cli(verb, "own.ebm")
        assert done.code == 1 and "--allow-python" in done.err and not Path("ran").exists()
    for verb in ("check", "explain", "compile"):
        assert cli(verb, "own.ebm", "--allow-python").code == 0 and not Path("ran").exists()
    assert cli("train", "own.ebm", "--allow-python").code == 0 and Path("ran").exists()
    for verb in (
        ("eval", "runs/own"),
        ("plot", "runs/own", "curves"),
        ("train", "runs/own", "--resume", "--epochs", "2"),
    ):
        assert cli(*verb).code == 1
        assert cli(*verb, "--allow-python").code == 0


@pytest.mark.parametrize(
    ("module", "text", "word"),
    [
        ("own_b", None, "own_b"),
        ("own_c", "x = 1\n", "Net"),
        ("own_d", "raise OSError('no licence')\n", "no licence"),
        ("own_e", "def Net(:\n", "invalid syntax"),
        ("own_f", NET.replace("def __init__(self):", "def __init__(self, a):"), "missing"),
        ("own_g", NET.replace("return self.layer(x)", "return self.layer(x[:, :1])"), "mat1 and mat2"),
        ("own_h", NET.replace("return self.layer(x)", "raise KeyError('lost')"), "lost"),
    ],
)
def test_faults_of_their_code_are_told(cli, write, module, text, word) -> None:
    write(module, text)
    done = cli("train", "own.ebm", "--allow-python")
    assert done.code == 1 and "EB0722" in done.err and word in done.err
