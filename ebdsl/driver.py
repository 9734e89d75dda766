"""The compiler's table of contents."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from ebdsl.diagnostics import Checked, Diagnostic, Source

if TYPE_CHECKING:
    from ebdsl.model.model import Model
    from ebdsl.plan import Plan
    from ebdsl.syntax.ast import Spec

T = TypeVar("T")
Settings = Mapping[str, float | int | str]
TARGETS = ("eager", "inductor", "native")
"""What :func:`emit` writes for."""


def parse(source: Source) -> Checked[Spec]:
    """text -> [Statement]"""
    from ebdsl import syntax

    return syntax.parse(source)


def check(spec: Spec, source: Source, settings: Settings | None = None, allow_python: bool = False) -> Checked[Model]:
    """[Statement] -> Model: typed terms, named dimensions"""
    from ebdsl import check as checker

    return checker.check(spec, source, settings=dict(settings or {}), allow_python=allow_python)


def plan(model: Model, allow_flat: bool = False) -> Checked[Plan]:
    """Model -> Plan: facts, rules of inference and learning, volume of low energy"""
    from ebdsl import plan as planner

    return planner.plan(model, allow_flat)


def emit(plan: Plan, target: str = "eager") -> str:
    """Plan -> PyTorch text; for ``inductor`` the plan's loops are functions that it compiles"""
    from ebdsl import emit as emitter

    return emitter.generate(plan, target)


def check_source(source: Source, settings: Settings | None = None, allow_python: bool = False) -> Checked[Model]:
    """text -> Model, with the findings of both phases"""
    parsed = parse(source)
    if parsed.value is None or parsed.errors:
        return Checked(None, parsed.diagnostics)
    checked = check(parsed.value, source, settings, allow_python)
    return Checked(checked.value, (*parsed.diagnostics, *checked.diagnostics))


def plan_source(
    source: Source, settings: Settings | None = None, allow_python: bool = False, allow_flat: bool = False
) -> Checked[Plan]:
    """text -> Plan, with the findings of all phases"""
    checked = check_source(source, settings, allow_python)
    if checked.value is None or checked.errors:
        return Checked(None, checked.diagnostics)
    planned = plan(checked.value, allow_flat)
    return Checked(planned.value, (*checked.diagnostics, *planned.diagnostics))


def compile_source(
    source: Source, settings: Settings | None = None, allow_python: bool = False, allow_flat: bool = False
) -> Checked[str]:
    """text -> PyTorch text, with the findings of all phases"""
    planned = plan_source(source, settings, allow_python, allow_flat)
    text = emit(planned.value) if planned.value is not None else None
    return Checked(text, planned.diagnostics)


def timed(phase: Callable[[], T]) -> tuple[T, float]:
    """A phase's result and the seconds it took."""
    begin = time.perf_counter()
    result = phase()
    return result, time.perf_counter() - begin


__all__ = ["Diagnostic", "check", "check_source", "compile_source", "emit", "parse", "plan", "plan_source", "timed"]
