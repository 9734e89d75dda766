"""``cli(...)`` runs a command in this process: exit code, standard output and standard error."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from ebdsl.commands import run


class Done(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def cli(capsys, monkeypatch, tmp_path) -> Callable[..., Done]:
    """Commands run in ``tmp_path``. A traceback, or a fault of ours, fails the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EBDSL_TRACEBACK", raising=False)

    def call(*arguments: object, faults: bool = False) -> Done:
        capsys.readouterr()
        code = run([str(a) for a in arguments])
        done = Done(code, *capsys.readouterr())
        assert "Traceback" not in done.out + done.err
        assert faults or "[EB0799]" not in done.out + done.err, done.err
        return done

    return call
