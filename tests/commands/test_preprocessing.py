"""New files are prepared as the training data was, with the numbers of the training data."""

from __future__ import annotations

import numpy as np
import pytest

SPEC = """dim N = 4
observed y : R[D]
latent z : R[N]
param W : R[D, N], unit columns
E(y, z) = ||y - W z||^2 + 0.2 |z|
F(y) = min_z E(y, z)
"""


@pytest.fixture
def run(cli, tmp_path) -> str:
    (tmp_path / "m.ebm").write_text(SPEC, encoding="utf-8")
    rng = np.random.default_rng(0)
    np.save(tmp_path / "y.npy", (5 + rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6))).astype(np.float32))
    word = 'file("y.npy", centre = true, whiten = true)'
    assert cli("train", "m.ebm", "--data", word, "--epochs", "2", "--out", "r").code == 0
    return "r"


def codes(cli, tmp_path, *arguments: str) -> np.ndarray:
    done = cli("infer", "r", *arguments, "-o", "z.npz")
    assert done.code == 0, done.err
    return np.load(tmp_path / "z.npz")["z"]


def test_a_new_file_is_whitened_as_the_training_data_was(cli, run, tmp_path) -> None:
    own = codes(cli, tmp_path)
    assert np.array_equal(codes(cli, tmp_path, "--data", "y.npy"), own)
    np.save(tmp_path / "few.npy", np.load(tmp_path / "y.npy")[:3])  # too few to estimate anything from
    assert np.allclose(codes(cli, tmp_path, "--data", "few.npy"), own[:3], atol=1e-3)
    done = cli("eval", run, "--data", "few.npy")
    assert "prepared as the training data: the mean taken off, whitened (ZCA" in done.out + done.err


def test_who_says_how_has_said_it(cli, run, tmp_path) -> None:
    assert not np.allclose(codes(cli, tmp_path, "--data", 'file("y.npy", centre = false)'), codes(cli, tmp_path))


def test_a_run_without_preparation_has_no_such_file(cli, run, tmp_path) -> None:
    assert (tmp_path / "r" / "preprocessing.safetensors").exists()
    assert cli("train", "m.ebm", "--data", "y.npy", "--epochs", "1", "--out", "plain").code == 0
    assert not (tmp_path / "plain" / "preprocessing.safetensors").exists()


@pytest.mark.parametrize("content", [b"", b"junk", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_broken_file_is_an_error(cli, run, tmp_path, content) -> None:
    (tmp_path / "r" / "preprocessing.safetensors").write_bytes(content)
    done = cli("infer", run, "--data", "y.npy", "-o", "z.npz")
    assert done.code == 1 and "EB0705" in done.err and not (tmp_path / "z.npz").exists()
