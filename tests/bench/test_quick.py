"""``python -m bench --quick``: every item runs on tiny sizes, agrees with its peer, prints a table and writes JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.__main__ import ITEMS, main
from bench.items import training_step
from bench.peers import sparse_coding
from bench.rounds import Row, clock, interleave, torch_threads

# those that start many processes, or compile
SLOW = {"startup", "training_step", "targets"}


@pytest.mark.parametrize("item", [pytest.param(i, marks=[pytest.mark.slow] if i in SLOW else []) for i in ITEMS])
def test_quick(item: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([item, "--quick", "--threads", "1", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert ITEMS[item] in printed and "ours / peer" in printed
    (path,) = tmp_path.iterdir()
    found = json.loads(path.read_text(encoding="utf-8"))
    assert path.name == f"{item}.json" and found["item"] == item and found["threads"] == 1
    assert found["rows"]
    for row in found["rows"]:
        assert row["name"] in printed and row["peer"] in printed
        assert row["ours seconds"] > 0 and row["peer seconds"] > 0 and row["ratio"] > 0


@pytest.mark.parametrize("steps", [training_step.sparse_steps, training_step.autoencoder_steps])
def test_steps_agree_with_the_peer(steps: Callable[..., list[Row]]) -> None:
    """The item compares parameters, codes and energies before it measures, and fails where they differ."""
    with torch_threads(1):
        rows = steps(True, "1 thread", clock(1))
    assert rows and all(len(r.ours) == len(r.peer) == 2 for r in rows)


def test_a_peer_that_differs_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = sparse_coding.codes

    def other(*args: Any, **options: Any) -> tuple[torch.Tensor, Any]:
        z, more = exact(*args, **options)
        return z + 0.01, more

    monkeypatch.setattr(sparse_coding, "codes", other)
    with pytest.raises(AssertionError):
        training_step.sparse_steps(True, "1 thread", clock(1))


@pytest.mark.parametrize(
    "item, module", [("kmeans", "sklearn.cluster"), ("mixture", "sklearn.mixture"), ("langevin", "torchebm.core")]
)
def test_a_peer_that_is_missing_is_named(
    item: str, module: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert main([item, "--quick", "--threads", "1", "--out", str(tmp_path)]) == 0
    package = module.partition(".")[0]
    assert f"peers missing: {package}" in capsys.readouterr().out
    found = json.loads((tmp_path / f"{item}.json").read_text(encoding="utf-8"))
    assert found["peers missing"] == package and {row["peer"] for row in found["rows"]} >= {"by hand"}


def test_threads_are_those_of_before_afterwards() -> None:
    before = torch.get_num_threads()
    with pytest.raises(KeyError), torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise KeyError
    assert torch.get_num_threads() == before


def test_an_unknown_item_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["nothing"])
    assert stopped.value.code == 2
    assert "there is no item nothing" in capsys.readouterr().err


def test_rounds_alternate() -> None:
    order: list[str] = []
    now = iter(range(100))
    interleave(lambda k: order.append(f"a{k}"), lambda k: order.append(f"b{k}"), 3, lambda: float(next(now)))
    assert order == ["a0", "b0", "b1", "a1", "a2", "b2"]


def test_the_ratio_is_the_median_of_the_rounds() -> None:
    row = Row("x", (1.0, 30.0, 3.0), (1.0, 10.0, 2.0))
    assert row.ratio == 1.5 and row.facts()["ratio of the quickest"] == 1.0
