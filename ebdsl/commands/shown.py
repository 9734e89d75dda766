"""How a command speaks: diagnostics to standard error, results to standard output."""

from __future__ import annotations

import json
import math
import os
import sys
import traceback
from collections.abc import Iterable
from typing import Any

from ebdsl.diagnostics import Diagnostic, Source, SpecError


def diagnostics(found: Iterable[Diagnostic], source: Source | None) -> None:
    """Show what was found, as text, on standard error."""
    from ebdsl.diagnostics import render

    found = list(found)
    if found:
        print(render.text(found, source, color=colours(sys.stderr)), end="", file=sys.stderr, flush=True)


def errors(error: SpecError) -> None:
    """What a command that failed says; as JSON on standard output where ``--format json`` was asked for."""
    if getattr(error, "as_json", False):
        print_json(as_json(error.diagnostics, error.source))
    else:
        diagnostics(error.diagnostics, error.source)


def as_json(found: Iterable[Diagnostic], source: Source | None) -> Any:
    """Diagnostics as what JSON holds."""
    from ebdsl.diagnostics import render

    return {"diagnostics": json.loads(render.to_json(found, source))}


def print_json(value: Any) -> None:
    print(json.dumps(_finite(value), ensure_ascii=False, indent=1))


def _finite(value: Any) -> Any:
    """JSON has no word for NaN and infinity: null."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def say(text: str) -> None:
    """A remark, for a person: standard error."""
    print(text, file=sys.stderr, flush=True)


def count(n: int, thing: str) -> str:
    """``1 step``, ``2 steps``."""
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"


MORE = "more steps help: --steps 10000"
RESCALE = "numbers of this size are lost in rounding: scale the data, or train with --dtype float64"


def unconverged(converged: int, samples: int, lost: int, encoded: bool = False) -> None:
    """Warn (EB0723) of what is no minimum: ``lost`` energies are not finite, steps ran out, or nothing was solved."""
    if converged < samples:
        message = f"inference did not converge for {samples - converged} of {count(samples, 'sample')}"
        left = () if converged + lost == samples else ("--exact solves for the minimum",) if encoded else (MORE,)
        if lost:
            message += f": the energy of {lost} is not finite"
        diagnostics([Diagnostic("EB0723", message, (), (*left, *(RESCALE,) * bool(lost)))], None)


def colours(stream: Any) -> bool:
    """Whether to colour: on a terminal, unless NO_COLOR is set (https://no-color.org)."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")


def no_room(error: OSError) -> None:
    """Nothing more can be written where output goes."""
    diagnostics([Diagnostic("EB0808", f"the output could not be written: {str(error.strerror).lower()}")], None)


def fault(error: Exception) -> None:
    """A fault of ours: said as one, with the traceback only for those who ask."""
    if os.environ.get("EBDSL_TRACEBACK"):
        traceback.print_exception(error)
    message = f"ebdsl failed where it should not: {' '.join(str(error).split())[:300] or 'no more is known'}"
    help = (
        "please report it, with the spec and the command",
        "EBDSL_TRACEBACK=1 in the environment shows what a report should hold",
    )
    diagnostics([Diagnostic("EB0799", message, (), help)], None)
