"""``compile --dump``: the result of a phase, as an indented text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from ebdsl.commands.notation import notation
from ebdsl.diagnostics import Source, Span
from ebdsl.model.ir import Axis, Node, Symbol
from ebdsl.model.model import Model
from ebdsl.run.program import checked_model, parsed, planned

if TYPE_CHECKING:
    from ebdsl.plan import Plan

WIDTH = 100


def dumped(phase: str, source: Source, settings: Mapping[str, str], *, allow_python: bool, allow_flat: bool) -> str:
    """The text of ``ast``, ``model``, ``facts`` or ``plan``. Raises :class:`SpecError`."""
    if phase == "ast":
        spec, _, _ = parsed(source, settings)
        return tree(spec)
    if phase == "model":
        model, _ = checked_model(source, settings, allow_python=allow_python)
        return tree(_model(model))
    _, plan, _ = planned(source, settings, allow_python=allow_python, allow_flat=allow_flat)
    if phase == "facts":
        from ebdsl.explain import to_json

        found = to_json(plan)
        return tree(
            {key: found[key] for key in ("terms", "volume", "conventions", "notes")} | {"reasons": _reasons(plan)}
        )
    return tree({**dict(_parts(plan)), "loops": plan.loops})


def _model(model: Model) -> dict[str, Any]:
    """The record of a model, with its symbols and settings as a person lists them."""
    parts = dict(_parts(model))
    parts["symbols"] = {s.name: _declaration(s) for s in model.symbols}
    parts["train"] = {s.key: s.value for s in model.train}
    return parts


def _declaration(s: Symbol) -> str:
    value = "" if s.value is None else f" = {s.value:g}"
    return f"{s.role} {s.domain}[{', '.join(map(str, s.shape))}]{value}"


def _reasons(plan: Plan) -> dict[str, Any]:
    decisions = [*plan.inference, *(d for _, d in plan.learning)]
    return {d.task: {"facts": d.facts, "refused": d.refused} for d in decisions}


def tree(value: Any) -> str:
    """Nested records, one to a line where it fits. Places in the text and the source itself are left out.

    Axes that the compiler named are numbered in order of appearance, so that the text is the same each time.
    """
    numbers: dict[str, str] = {}
    text = "\n".join(_lines(value, 0))

    def short(name: re.Match[str]) -> str:
        return numbers.setdefault(name[0], f"{name[0].partition('~')[0]}{len(numbers) + 1}")

    return re.sub(r"[^\W\d_Σ]+~\d+", short, text)


def _lines(value: Any, depth: int) -> Iterator[str]:
    short = _short(value)
    if len(short) + 2 * depth <= WIDTH:
        yield short
        return
    pairs: list[tuple[str, Any]]
    if is_dataclass(value) and not isinstance(value, type | Node):
        yield type(value).__name__
        pairs = [(f"{name} ", v) for name, v in _parts(value)]
    elif isinstance(value, Mapping):
        yield f"{len(value)} entries"
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
    if isinstance(value, Node):
        return notation(value)
    if isinstance(value, Symbol | Axis):
        return value.name
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
