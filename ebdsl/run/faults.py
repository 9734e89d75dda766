"""What PyTorch throws, said in the terms of the spec."""

from __future__ import annotations

import linecache
import re
import traceback

import torch

from ebdsl.diagnostics import Diagnostic, SpecError
from ebdsl.diagnostics.core import Label
from ebdsl.model.model import Model

TOO_LARGE = "not enough memory|can't allocate memory|[Ss]ize calculation overflowed|Overflow when unpacking"
"""What PyTorch says where there is no room, which is a RuntimeError of its own kind on each system."""


def translated(error: BaseException, model: Model, when: str) -> SpecError | None:
    """EB0703, EB0712, EB0713 or EB0722 for a failure inside the generated file; None for what is not its doing.

    ``when`` says where in the run: ``"at step 12"``.
    """
    place, labels = generated_line(error, model)
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or re.search(TOO_LARGE, str(error)):
        help = ("use a smaller --batch, or smaller sizes",)
        return SpecError([Diagnostic("EB0712", f"out of memory {when}{place}", labels, help)], model.source)
    if place and re.search(r"non-finite|\b(nan|inf)\b|must be in range", str(error)):
        message = f"numbers are too large, or none any more, {when}{place}"
        ways = ("scale the data, or train with --dtype float64", "try --lr ten times smaller")
        return SpecError([Diagnostic("EB0703", message, labels, ways)], model.source)
    if isinstance(error, torch.linalg.LinAlgError):
        help = ("a small quadratic term (+ 1e-6 ||W||^2) makes it regular",)
        message = f"a linear system is singular {when}{place}"
        return SpecError([Diagnostic("EB0713", message, labels, help)], model.source)
    foreign = any(layer.name == "python" for m in model.modules for layer in m.layers)  # their code may raise anything
    if place and (foreign or isinstance(error, RuntimeError | ValueError | IndexError | ArithmeticError | TypeError)):
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        return SpecError([Diagnostic("EB0722", f"{first} ({when}{place})", labels)], model.source)
    return None


def generated_line(error: BaseException, model: Model) -> tuple[str, tuple[Label, ...]]:
    """The innermost line of the generated file, and the term of the spec that is quoted nearest above it."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith("<ebdsl_generated_")]
    if not frames or frames[-1].lineno is None:
        return "", ()
    frame, number = frames[-1], frames[-1].lineno
    lines = linecache.getlines(frame.filename)
    labels: tuple[Label, ...] = ()
    for line in reversed(lines[max(0, number - 15) : number]):
        comment = line.partition("#")[2]
        hits = [t for t in model.terms if t.text and t.text in comment]
        if hits:
            labels = (Label(hits[0].span, "this term"),)
            break
    return f", line {number} of the generated file: {(frame.line or '').strip()}", labels
