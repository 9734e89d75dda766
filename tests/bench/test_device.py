"""The GPU column, with the processor in the place of the device."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from bench import device
from bench.__main__ import ITEMS, main
from bench.device import Measured, Peak, Work

ON_DEVICE = [i for i in ITEMS if hasattr(importlib.import_module(f"bench.items.{i}"), "on_device")]


def test_a_share_is_that_of_the_bound_that_is_met_first() -> None:
    at = Peak(operations=100.0, bytes=10.0)
    assert at.share(Work(50.0, 1.0), 1.0) == (0.5, "operations")
    assert at.share(Work(50.0, 8.0), 1.0) == (0.8, "bandwidth")
    assert at.share(Work(50.0, 8.0), 2.0) == (0.4, "bandwidth")


def test_peaks_are_counted_from_products_and_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([4.0, 2.0, 3.0, 0.5])
    monkeypatch.setattr(device, "seconds", lambda *_: next(times))
    assert device.peak("cpu", size=8, rounds=2) == Peak(2 * 8**3 / 2.0, 2 * 64 * 4 / 0.5)


def test_the_host_waits_at_both_ends_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(device, "synchronize", lambda _: order.append("wait"))
    device.seconds(lambda k: order.append(f"call {k}"), "cuda", calls=3)
    assert order == ["wait", "call 0", "call 1", "call 2", "wait"]


def test_ours_and_the_peer_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def seconds(work: object, _: str) -> float:
        work(0)  # type: ignore[operator]
        return 1.0 if order[-1] == "ours" else 2.0

    monkeypatch.setattr(device, "seconds", seconds)
    item = SimpleNamespace(
        on_device=lambda quick, on: {"x": (lambda _: order.append("ours"), lambda _: order.append("peer"), Work(5, 1))}
    )
    (row,) = device.measure(item, False, "cuda", Peak(10.0, 10.0))  # type: ignore[arg-type]
    assert row == Measured("x", 1.0, 2.0, 0.5, "operations")
    assert order[2:6] == ["ours", "peer", "peer", "ours"]


@pytest.mark.parametrize("item", ON_DEVICE)
def test_items_on_a_device(item: str) -> None:
    """The same functions, on the processor: they run, and count a work that can be done."""
    module = importlib.import_module(f"bench.items.{item}")
    rows = device.measure(module, True, "cpu", Peak(1e15, 1e15))
    assert rows
    for row in rows:
        assert row.ours > 0 and row.peer > 0 and 0 < row.share < 1
        assert row.name in device.table(rows, Peak(1e12, 1e11), "cpu")


def test_the_command_adds_the_column_where_there_is_a_device(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "available", lambda: "cpu")
    monkeypatch.setattr(device, "peak", lambda _: Peak(1e12, 1e11))
    assert main(["kmeans", "--quick", "--threads", "1", "--out", str(tmp_path)]) == 0
    assert "GPU: ours / peer" in capsys.readouterr().out
    found = json.loads((tmp_path / "kmeans.json").read_text(encoding="utf-8"))
    assert found["device"]["name"] == "cpu" and found["device"]["rows"][0]["share of peak"] > 0


def test_each_side_can_be_measured_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither loses what is on file of the other."""
    monkeypatch.setattr(device, "available", lambda: "cpu")
    monkeypatch.setattr(device, "peak", lambda _: Peak(1e12, 1e11))
    quick = ["kmeans", "--quick", "--threads", "1", "--out", str(tmp_path), "--on"]
    assert main([*quick, "gpu"]) == 0 and "iterations / by hand" not in capsys.readouterr().out
    assert main([*quick, "cpu"]) == 0 and "GPU" not in capsys.readouterr().out
    found = json.loads((tmp_path / "kmeans.json").read_text(encoding="utf-8"))
    assert main([*quick, "gpu"]) == 0
    again = json.loads((tmp_path / "kmeans.json").read_text(encoding="utf-8"))
    assert found["rows"] == again["rows"] and found["device"]["name"] == again["device"]["name"] == "cpu"


def test_a_gpu_that_is_not_there_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    if device.available() is None:
        with pytest.raises(SystemExit):
            main(["kmeans", "--on", "gpu"])
        assert "no GPU" in capsys.readouterr().err


def test_without_a_device_there_is_no_column() -> None:
    assert torch.cuda.is_available() or device.available() is None
