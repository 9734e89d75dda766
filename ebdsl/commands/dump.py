"""``compile --dump``: the result of a phase, as an indented text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from ebdsl.diagnostics import Source, Span
from ebdsl.run.program import checked_model, parsed, planned

WIDTH = 100


def dumped(phase: str, source: Source, settings: Mapping[str, str], *, allow_python: bool, allow_flat: bool) -> str:
    """The text of ``ast``, ``model``, ``facts`` or ``plan``. Raises :class:`SpecError`."""
    if phase == "ast":
        spec, _, _ = parsed(source, settings)
        return tree(spec)
    if phase == "model":
        model, _ = checked_model(source, settings, allow_python=allow_python)
        return tree(model)
    _, plan, _ = planned(source, settings, allow_python=allow_python, allow_flat=allow_flat)
    if phase == "facts":
        return tree(
            {d.task: d for d in plan.inference} | {d.task: d for _, d in plan.learning} | {"volume": plan.volume}
        )
    return tree(plan)


def tree(value: Any) -> str:
    """Nested records, one to a line where it fits. Places in the text and the source itself are left out."""
    return "\n".join(_lines(value, 0))


def _lines(value: Any, depth: int) -> Iterator[str]:
    short = _short(value)
    if len(short) + 2 * depth <= WIDTH:
        yield short
        return
    pairs: list[tuple[str, Any]]
    if is_dataclass(value) and not isinstance(value, type):
        yield type(value).__name__
        pairs = [(f"{name} ", v) for name, v in _parts(value)]
    elif isinstance(value, Mapping):
        yield "{}"[:1] + f" {len(value)} entries" + "{}"[1:]
        pairs = [(f"{k}: ", v) for k, v in value.items()]
    elif isinstance(value, tuple | list):
        yield f"{len(value)} of"
        pairs = [("- ", v) for v in value]
    else:
        yield short
        return
    for head, part in pairs:
        inner = _lines(part, depth + 1)
        yield "  " + head + next(inner)
        yield from ("  " + line for line in inner)


def _short(value: Any) -> str:
    if is_dataclass(value) and not isinstance(value, type):
        return f"{type(value).__name__}({', '.join(_short(v) for _, v in _parts(value))})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {_short(v)}" for k, v in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "(" + ", ".join(map(_short, value)) + ")"
    return repr(value) if isinstance(value, str) else str(value)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    for field in fields(value):
        part = getattr(value, field.name)
        if field.repr and not isinstance(part, Span | Source) and not callable(part):
            yield field.name, part
