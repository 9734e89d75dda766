"""What a training run depends on besides the spec and the data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ebdsl.diagnostics import Source, Span
from ebdsl.driver import TARGETS
from ebdsl.model.model import Model
from ebdsl.run.files import refuse


@dataclass(frozen=True)
class Options:
    """``lr`` None leaves the step to the learner. ``batch`` is not looked at by a learner that wants all samples.

    ``checkpoint_steps`` and ``checkpoint_seconds``: a checkpoint is due when either has passed. ``target``: how the
    plan is compiled; a run remembers what ``auto`` chose.
    """

    epochs: int = 10
    batch: int = 256
    lr: float | None = None
    seed: int = 0
    dtype: str = "float32"
    holdout: float = 0.0
    device: str = "auto"
    checkpoint_steps: int | None = None
    checkpoint_seconds: float = 15.0
    target: str = "eager"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


FIXED = ("batch", "lr", "seed", "dtype", "holdout", "target")
"""What a resumed run keeps."""


def _whole(low: int) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v < 2**62


def _number(test: Callable[[float], bool]) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) and test(v)


RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "epochs": (_whole(1), "a positive whole number"),
    "batch": (_whole(1), "a positive whole number"),
    "lr": (lambda v: v is None or _number(lambda x: x > 0)(v), "a positive number"),
    "seed": (_whole(0), "a whole number from 0"),
    "dtype": (lambda v: v in ("float32", "float64"), "float32 or float64"),
    "holdout": (_number(lambda x: 0 <= x < 1), "a share from 0 to below 1"),
    "device": (lambda v: isinstance(v, str), "cpu, cuda, cuda:1, mps or auto"),
    "checkpoint_steps": (lambda v: v is None or _whole(1)(v), "a positive whole number"),
    "checkpoint_seconds": (_number(lambda x: x > 0), "a positive number"),
    "target": (lambda v: v in (*TARGETS, "auto"), f"{', '.join(TARGETS)} or auto"),
}


WHOLE = ("epochs", "batch", "seed", "checkpoint_steps")


def options(model: Model, defaults: Mapping[str, Any], given: Mapping[str, Any]) -> Options:
    """What was asked for, before the spec's ``train`` block, before the generated file's defaults.

    Raises :class:`SpecError` (EB0715).
    """
    values: dict[str, Any] = {}
    for field in fields(Options):
        key, span = field.name, None
        setting = model.setting(key)
        if given.get(key) is not None:
            value = given[key]
        elif setting is not None:
            value, span = setting.value, setting.span
        elif key in defaults:
            value = defaults[key]
        else:
            continue
        values[key] = valid(key, value, span, model.source if span else None)
    return Options(**values)


def valid(key: str, value: Any, span: Span | None = None, source: Source | None = None) -> Any:
    """``value``, a whole float made an int. Raises :class:`SpecError` (EB0715)."""
    if isinstance(value, float) and value.is_integer() and key in WHOLE:
        value = int(value)
    test, wanted = RULES[key]
    if not test(value):
        raise refuse("EB0715", f"{key} is {value!r}, and has to be {wanted}", span=span, source=source)
    return value


def merged(saved: Any, path: Path) -> Options:
    """Options that a run folder holds, checked: it may be a stranger's. Raises :class:`SpecError` (EB0715, EB0812)."""
    if not isinstance(saved, dict) or not saved.keys() <= RULES.keys():
        raise refuse("EB0812", f"{path} is damaged: its options are unreadable")
    return Options(**{key: valid(key, value) for key, value in saved.items()})
