from __future__ import annotations

import io

import pytest

from ebdsl.run.health import Record
from ebdsl.run.progress import Bar, Plain, Summary, clip, clock, progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def records(steps, total: int = 20) -> list[Record]:
    values = {"energy": 3.0, "energy/||y - W[k] z||^2": 2.0, "energy/λ[bold]|z|": 1.0}
    return [Record(step, (step - 1) // 10, 0.1 * step, values) for step in steps]


def test_on_a_terminal_there_is_a_bar_with_every_term(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    with progress(20, 0, 2, stream) as bar:
        assert isinstance(bar, Bar)
        bar.steps(records(range(1, 11)))
        bar.held_out(10, 0, 3.25)
        bar.steps(records(range(11, 21)))
    shown = stream.getvalue()
    assert "2/2" in shown and "20/20" in shown and "held out 3.25" in shown
    assert "energy 3 = 2 ||y - W[k] z||^2 + 1 λ[bold]|z|" in shown


def test_elsewhere_there_are_lines(monkeypatch) -> None:
    clock_now = [100.0]
    monkeypatch.setattr("ebdsl.run.progress.time.monotonic", lambda: clock_now[0])
    stream = io.StringIO()
    with progress(20, 0, 2, stream) as lines:
        assert isinstance(lines, Plain)
        for step in range(1, 21):
            clock_now[0] += 0.3
            lines.steps(records([step]))
    shown = stream.getvalue().splitlines()
    assert 2 <= len(shown) <= 4 and shown[-1].startswith("epoch 2/2  step 20/20  energy 3") and "\x1b" not in shown[0]
    assert shown[0].startswith("epoch 1/2  step 7/20") and shown[0].endswith("eta 0:04")


def test_nothing_is_said_of_no_steps() -> None:
    stream = io.StringIO()
    with progress(20, 20, 2, stream):
        pass
    assert stream.getvalue() == ""


def test_a_summary_is_the_mean_since_the_last() -> None:
    summary = Summary()
    summary.add([Record(1, 0, 0, {"energy": 1.0}), Record(2, 0, 0, {"energy": 2.0})])
    assert summary.take() == "energy 1.5"
    summary.add([Record(3, 0, 0, {"energy": 4.0, "gap": 0.5})])
    assert summary.take() == "energy 4   gap 0.5"


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (61, "1:01"), (3723, "1:02:03")])
def test_clock(seconds, text) -> None:
    assert clock(seconds) == text


def test_clip() -> None:
    assert clip("a\n  b") == "a b" and len(clip("x" * 99)) == 28
