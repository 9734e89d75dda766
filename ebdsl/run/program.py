"""A spec, with the sizes its data has, as PyTorch text and as a module in memory."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from ebdsl.diagnostics import Checked, Diagnostic, Source, SpecError
from ebdsl.model.model import Model
from ebdsl.run.files import refuse
from ebdsl.run.load import load

if TYPE_CHECKING:
    from ebdsl.plan import Plan
    from ebdsl.syntax import ast

T = TypeVar("T")


@dataclass(frozen=True)
class Program:
    """``model`` has every dimension bound; ``text`` is the generated file."""

    source: Source
    model: Model
    text: str
    warnings: tuple[Diagnostic, ...] = ()
    target: str = "eager"

    @cached_property
    def namespace(self) -> ModuleType:
        """The generated file as a module; imports torch. Raises :class:`SpecError` (EB0722): a user's class failed."""
        from ebdsl.run import cache
        from ebdsl.run.use import using

        if self.target == "inductor":
            cache.use(self.text)
        with using(self.model, "while the generated file was loaded"):
            return load(self.text)

    @cached_property
    def plan(self) -> Plan:
        """The plan that the text was written from, decided again."""
        from ebdsl import driver

        return value_or_raise(driver.plan(self.model, True), self.source, [])

    @property
    def network(self) -> Any:
        """The generated ``nn.Module`` class."""
        return next(v for v in vars(self.namespace).values() if isinstance(v, type) and hasattr(v, "OBSERVED"))

    @cached_property
    def observed(self) -> dict[str, str]:
        """Observed variables: the spec's name -> the generated file's."""
        return dict(zip((s.name for s in self.model.role("observed")), self.network.OBSERVED, strict=True))

    @cached_property
    def latent(self) -> dict[str, str]:
        """Latent variables: the spec's name -> the generated file's."""
        return dict(zip((s.name for s in self.model.role("latent")), self.network.LATENT, strict=True))


def value_or_raise(checked: Checked[T], source: Source, found: list[Diagnostic]) -> T:
    """The value of a phase; its warnings go to ``found``. Raises :class:`SpecError`, with all of them, if it failed."""
    found.extend(d for d in checked.diagnostics if d not in found)
    if checked.value is None or checked.errors:
        raise SpecError(found, source)
    return checked.value


Found = list[Diagnostic]


def parsed(source: Source, settings: Mapping[str, str] | None = None) -> tuple[ast.Spec, Source, Found]:
    """The syntax tree of a spec with ``settings`` put into its text, and that text. Raises :class:`SpecError`."""
    from ebdsl import driver

    found: Found = []
    spec = value_or_raise(driver.parse(source), source, found)
    if settings:
        from ebdsl.run.settings import applied

        source = value_or_raise(applied(source, spec, settings), source, found)
        found.clear()
        spec = value_or_raise(driver.parse(source), source, found)
    return spec, source, found


def checked_model(
    source: Source, settings: Mapping[str, str] | None = None, *, allow_python: bool = False
) -> tuple[Model, Found]:
    """Parse and check, and all warnings. Raises :class:`SpecError`."""
    from ebdsl import driver

    spec, source, found = parsed(source, settings)
    return value_or_raise(driver.check(spec, source, allow_python=allow_python), source, found), found


def planned(
    source: Source,
    settings: Mapping[str, str] | None = None,
    *,
    allow_python: bool = False,
    allow_flat: bool = False,
) -> tuple[Model, Plan, Found]:
    """Parse, check and plan, dimensions as they stand in the spec, and all warnings. Raises :class:`SpecError`."""
    from ebdsl import driver

    model, found = checked_model(source, settings, allow_python=allow_python)
    return model, value_or_raise(driver.plan(model, allow_flat), model.source, found), found


def program(
    model: Model,
    sizes: Mapping[str, int],
    found: Found | None = None,
    *,
    allow_flat: bool = False,
    target: str = "eager",
) -> Program:
    """Plan and write out a model with the sizes of its data. Raises :class:`SpecError` (also EB0702, EB0712)."""
    from ebdsl import driver

    found = [] if found is None else found
    model = model.bind({**sizes})
    require_sizes(model)
    require_room(model)
    plan = value_or_raise(driver.plan(model, allow_flat), model.source, found)
    return Program(model.source, model, driver.emit(plan, target), tuple(found), target)


def require_sizes(model: Model) -> None:
    """Raises :class:`SpecError` (EB0702) for each dimension that nobody gave a size."""
    unknown = [name for name, size in model.dims.items() if size is None]
    if unknown:
        sets = " ".join(f"--set {name}=…" for name in unknown)
        many = "s" if len(unknown) > 1 else ""
        names = ", ".join(unknown)
        verb = "have" if many else "has"
        raise refuse(
            "EB0702",
            f"the dimension{many} {names} {verb} no size: neither the spec nor the data tells",
            f"write it in the spec (dim {unknown[0]} = 20) or on the command line ({sets})",
            source=model.source,
        )


def require_room(model: Model) -> None:
    """Raises :class:`SpecError` (EB0712) for parameters that are larger than the machine, before any is made."""
    try:
        room = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return
    counts = {s: math.prod(n or 1 for n in model.shape(s)) for s in model.role("param")}
    if 4 * sum(counts.values()) > room:
        largest = max(counts, key=counts.__getitem__)
        many = f"{counts[largest]:,}" if counts[largest] < 10**15 else "more than 10^15"
        message = f"the parameters do not fit in memory: {largest.name} has {many} numbers"
        raise refuse("EB0712", message, "make its sizes smaller", span=largest.span, source=model.source)


def renamed(program: Program, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays by the spec's names, as the generated file calls them."""
    return {python: arrays[name] for name, python in program.observed.items()}
