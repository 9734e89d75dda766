"""Everything before training that needs no torch: what is wrong with spec, data or options is said at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ebdsl.diagnostics import Diagnostic, Source
from ebdsl.model.model import Model
from ebdsl.run.observations import Observations, observations
from ebdsl.run.options import options
from ebdsl.run.program import Program, checked_model, program


@dataclass(frozen=True)
class Ready:
    """A compiled spec and its samples. ``given`` are options that were asked for, ``data`` the word of ``--data``."""

    program: Program
    seen: Observations
    given: Mapping[str, Any]
    data: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


def prepare(
    source: Source,
    *,
    data: str | None = None,
    settings: Mapping[str, str] | None = None,
    given: Mapping[str, Any] | None = None,
    allow_python: bool = False,
    allow_flat: bool = False,
) -> Ready:
    """Compile ``source`` for the data it names, or that ``data`` names.

    Raises :class:`SpecError` for all that can be wrong with spec, data and options.
    """
    given, settings = given or {}, settings or {}
    model, found = checked_model(source, settings, allow_python=allow_python)
    seen = observations(model, data, options(model, {}, given).seed)
    return ready(model, seen, given, found, data=data, settings=settings, allow_flat=allow_flat)


def ready(
    model: Model,
    seen: Observations,
    given: Mapping[str, Any],
    found: list[Diagnostic],
    *,
    data: str | None = None,
    settings: Mapping[str, str] | None = None,
    allow_flat: bool = False,
) -> Ready:
    """The same for a checked model and samples at hand. Raises :class:`SpecError`."""
    options(model, {}, given)
    built = program(model, seen.sizes, [*found, *seen.warnings], allow_flat=allow_flat)
    return Ready(built, seen, given, data, settings or {})
