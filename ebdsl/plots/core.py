"""What a kind of picture is, and the registry of kinds."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ebdsl.plots.view import View


class NotApplicable(Exception):
    """Why a kind of picture cannot be drawn of this model: a sentence for the user."""


@dataclass(frozen=True)
class Kind:
    """A row: ``draw`` gives figures with the stem of their file, or raises :class:`NotApplicable`.

    ``order`` places it among the others; what shows the result best comes first. One ``on_demand`` takes its time,
    and is drawn where it is asked for by name.
    """

    name: str
    doc: str
    draw: Callable[[View], Iterable[tuple[str, Figure]]]
    order: int = 50
    on_demand: bool = False


KINDS: dict[str, Kind] = {}


def register(kind: Kind) -> Kind:
    """Add one row. Raises ``ValueError`` for a name that is taken."""
    if kind.name in KINDS:
        raise ValueError(f"kind of picture {kind.name} is registered twice")
    KINDS[kind.name] = kind
    return kind


def load_kinds() -> dict[str, Kind]:
    """The registry in order, with every file of ``kinds`` read."""
    from ebdsl.plots import kinds

    for module in pkgutil.iter_modules(kinds.__path__):
        importlib.import_module(f"{kinds.__name__}.{module.name}")
    return dict(sorted(KINDS.items(), key=lambda item: item[1].order))
