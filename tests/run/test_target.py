"""Targets: what is measured, what is remembered, and what is said where one does not serve."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

import ebdsl
from ebdsl.diagnostics import Source
from ebdsl.driver import TARGETS
from ebdsl.run import cache, target
from ebdsl.run.options import Options
from ebdsl.run.program import Program, checked_model, program
from ebdsl.runtime import compiling

CODES = """
model m
observed y : R[6]
latent   z : R[9]
param    W : R[6, 9], unit columns
E(y, z) = ||y - W z||^2 + 0.3|z|
F(y)    = min_z E(y, z)
"""
MEANS = """
model m
observed y : R[6]
latent   z : onehot[3]
param    W : R[6, 3]
E(y, z) = ||y - W z||^2
F(y)    = min_z E(y, z)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EBDSL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_USERS", "kept as it is")
    return tmp_path / "cache"


def built(text: str) -> Program:
    model, _ = checked_model(Source("m.ebm", text))
    return program(model, {})


def samples(count: int = 12) -> dict[str, np.ndarray]:
    return {"y": np.random.default_rng(0).standard_normal((count, 6)).astype(np.float32)}


def test_eager_is_left_alone() -> None:
    p = built(CODES)
    assert target.settled(p, Options(), samples()) == (p, Options(), [])


def test_a_plan_with_nothing_to_compile_says_so() -> None:
    p = built(MEANS)
    for asked, missing in (("inductor", "fused loop"), ("native", "kernel in C++")):
        same, options, (said,) = target.settled(p, Options(target=asked), samples())
        assert same.text == p.text and options.target == "eager" and missing in said.message
    assert target.settled(p, Options(target="auto"), samples())[2] == []


def test_without_a_compiler_the_eager_text_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "missing_compiler", lambda: "there is no C++ compiler that it can use")
    monkeypatch.setattr(target, "cpp_compiler", lambda: None)
    for asked in ("inductor", "native", "auto"):
        same, options, (said,) = target.settled(built(CODES), Options(target=asked, device="cpu"), samples())
        assert same.target == options.target == "eager" and said.code == "EB0726"


@pytest.mark.parametrize("quick", ["eager", "inductor", "native"])
def test_auto_takes_the_fastest_one_and_remembers(quick: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "missing_compiler", lambda: None)
    monkeypatch.setattr(target, "cpp_compiler", lambda: "one that is not called")
    monkeypatch.setattr(compiling, "shared_library", lambda source: None)
    monkeypatch.setattr(torch, "compile", lambda function: function)
    now = iter(range(10**6))
    ticks: list[float] = []

    def clock() -> float:  # two readings a measurement
        turn = ("eager", "native", "inductor")[next(now) // 2 % 3]
        ticks.append((ticks[-1] if ticks else 0.0) + (1.0 if turn == quick else 3.0))
        return ticks[-1]

    monkeypatch.setattr(target.time, "perf_counter", clock)
    given = Options(target="auto", device="cpu")
    chosen, options, said = target.settled(built(CODES), given, samples())
    assert chosen.target == options.target == quick and not said
    count = len(ticks)
    assert target.settled(built(CODES), given, samples())[1].target == quick and len(ticks) == count
    target.settled(built(CODES), given, samples(5))
    assert len(ticks) > count  # other shapes are measured anew


def test_keys_follow_text_and_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    first = cache.key("a")
    assert first == cache.key("a") != cache.key("b") and first != cache.key("a", (3, 4))
    monkeypatch.setattr(cache, "processor", lambda: "another one")
    assert cache.key("a") != first


def test_inductor_keeps_a_folder_for_each_text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, "mine")
    cache.use("a")
    assert os.environ[cache.VARIABLE] == "mine"
    monkeypatch.setattr(cache, "_USERS", None)
    places = set()
    for text in ("a", "b", "a"):
        cache.use(text)
        places.add(Path(os.environ[cache.VARIABLE]))
    assert len(places) == 2 and all(p.parent == folder / "compiled" for p in places)


def test_the_cache_is_shown_and_cleared(folder: Path) -> None:
    assert list(cache.entries()) == [] and cache.clear() == 0
    cache.remember("d1", "eager", eager=1.0, inductor=2.0)
    (folder / "compiled" / "x" / "y").mkdir(parents=True)
    (folder / "compiled" / "x" / "y" / "z.so").write_bytes(b"123")
    (folder / "other").write_text("stays")
    assert dict(cache.entries()).keys() == {"compiled/x", "choices/d1"} and dict(cache.entries())["compiled/x"] == 3
    assert cache.choice("d1") == "eager"
    assert cache.clear() == 2 and cache.choice("d1") is None and (folder / "other").exists()


def test_a_damaged_choice_counts_as_none(folder: Path) -> None:
    (folder / "choices").mkdir(parents=True)
    for text in ("", "[]", '{"target": "magic"}', "{"):
        (folder / "choices" / "d.json").write_text(text)
        assert cache.choice("d") is None


def test_a_fit_by_another_target_is_the_eager_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.ebm").write_text(CODES, encoding="utf-8")
    monkeypatch.setattr(target, "missing_compiler", lambda: None)
    monkeypatch.setattr(torch, "compile", lambda function: function)
    y = samples(40)["y"]
    found = []
    for asked in TARGETS:
        spec = ebdsl.load(tmp_path / "m.ebm")
        spec.fit(y, epochs=2, batch=10, target=asked, device="cpu", dtype="float64")
        found.append(spec.infer(y).energy)
        assert ("@compiled" in spec.source(target=asked)) == (asked == "inductor")
        assert ("straight_entries(" in spec.source(target=asked)) == (asked == "native")
    assert np.mean(found[0]) == pytest.approx(np.mean(found[1]), rel=1e-2)  # steps solve to 1e-3
