"""TensorBoard's own reader reads what is written here."""

from __future__ import annotations

import pytest

from ebdsl.run import train
from ebdsl.run.events import Events, crc32c, varint
from ebdsl.run.folder import Folder
from ebdsl.run.health import Record
from ebdsl.run.metrics import read_lines
from ebdsl.run.options import Options
from ebdsl.run.session import session


def test_crc32c_is_that_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA and crc32c(b"\xff" * 32) == 0x62A8AB43  # RFC 3720, B.4


def test_varints() -> None:
    assert [varint(n) for n in (0, 1, 127, 128, 300)] == [b"\0", b"\1", b"\x7f", b"\x80\1", b"\xac\2"]


def curves(folder):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    return reader.EventAccumulator(str(folder)).Reload()


def test_tensorboard_reads_what_a_run_leaves(tmp_path, program, arrays) -> None:
    folder = Folder(tmp_path)
    folder.write_facts({})
    options = Options(epochs=4, batch=16, holdout=0.1, device="cpu")
    train.go(session(program, arrays, options), folder, train.Report(), fresh=True)
    seen = curves(folder.events)
    found = set(seen.Tags()["scalars"])
    assert {n for n in found if n.startswith("energy")} == {
        "energy", "energy/||y - W z||^2", "energy/λ|z|", "energy, held out",
    }  # fmt: skip
    kinds = ("uniform", "noise", "shuffled", "neighbours")
    assert found >= {f"{what}/{kind}" for what in ("contrast", "gap") for kind in kinds}
    last = seen.Scalars("energy")[-1]
    energies = [row["energy"] for row in read_lines(folder.metrics) if "energy" in row]
    assert last.step == 16 and last.value == pytest.approx(energies[-1])


def test_steps_that_are_done_again_are_forgotten(tmp_path) -> None:
    with Events(tmp_path, 0) as first:
        for step in range(1, 11):
            first.steps([Record(step, 0, 0.0, {"energy": float(step)})])
    with Events(tmp_path, 6) as second:
        second.steps([Record(7, 0, 0.0, {"energy": 70.0})])
    found = [(e.step, e.value) for e in curves(tmp_path).Scalars("energy")]
    assert found == [*((step, float(step)) for step in range(1, 7)), (7, 70.0)]


def test_any_number_and_any_name_can_be_written(tmp_path) -> None:
    values = {"energy": 1e300, "energy/a/b": float("nan"), "energy/λ": -1e300}
    with Events(tmp_path, 0) as events:
        events.steps([Record(2**40, 0, 0.0, values)])
    seen = curves(tmp_path)
    assert set(seen.Tags()["scalars"]) == {"energy", "energy/a∕b", "energy/λ"}
    assert seen.Scalars("energy")[0].value == float("inf") and seen.Scalars("energy")[0].step == 2**40
