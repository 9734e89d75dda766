"""Data that stay in their file: the same training, and little memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ebdsl
from ebdsl.diagnostics import Source
from ebdsl.run import batches
from ebdsl.run.train import train

ROOT = Path(ebdsl.__file__).parents[1]


def spec() -> Source:
    path = ROOT / "specs" / "kmeans.ebm"
    return Source("kmeans.ebm", path.read_text(encoding="utf-8"))


def test_streamed_training_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    y = (rng.standard_normal((3000, 4)) + 5 * rng.integers(0, 3, (3000, 1))).astype(np.float32)
    np.save(tmp_path / "y.npy", y)

    def trained() -> np.ndarray:
        done = train(spec(), data=str(tmp_path / "y.npy"), settings={"K": "5"}, out=str(tmp_path / "run"), force=True)
        return done.session.network.W.detach().numpy()

    whole = trained()
    monkeypatch.setattr(batches, "KEPT", 1000)
    monkeypatch.setattr(batches, "PIECE", 7000)
    assert np.allclose(trained(), whole, atol=1e-4)


MEMORY = """
import sys
from pathlib import Path
from ebdsl.commands import main
try:
    main(["train", sys.argv[1], "--data", sys.argv[2], "--out", sys.argv[3], "--epochs", "2", "-q"])
except SystemExit as end:
    assert not end.code, end.code
status = Path("/proc/self/status").read_text()
print(status.split("VmHWM:")[1].split()[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak of this process alone")
def test_memory_stays_below_a_gigabyte(tmp_path: Path) -> None:
    """A file of 2 GB, sparse on disk but for its first rows."""
    shape = (2**21, 256)
    y = np.lib.format.open_memmap(tmp_path / "y.npy", "w+", dtype=np.float32, shape=shape)
    y[:4096] = np.random.default_rng(0).standard_normal((4096, 256))
    y.flush()
    del y
    arguments = [str(ROOT / "specs" / "kmeans.ebm"), str(tmp_path / "y.npy"), str(tmp_path / "run")]
    done = subprocess.run([sys.executable, "-c", MEMORY, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) < 1_000_000
