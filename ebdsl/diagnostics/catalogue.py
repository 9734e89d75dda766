"""Every diagnostic code: a row each, with the long story that ``ebdsl explain EBxxxx`` prints.

EB01xx reading the text · EB02xx names, roles and dimensions · EB03xx the energy itself ·
EB04xx lints: legal and probably wrong · EB05xx planning and volume of low energy ·
EB06xx data · EB07xx running · EB08xx files and command line.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """``title`` is one line; ``story`` says what it means, shows an example and how to mend it."""

    code: str
    severity: str
    title: str
    story: str


CATALOGUE: dict[str, Entry] = {}


def register(code: str, severity: str, title: str, story: str) -> Entry:
    """Add one row. Raises ``ValueError`` for a code that is taken."""
    if code in CATALOGUE:
        raise ValueError(f"diagnostic {code} is registered twice")
    entry = CATALOGUE[code] = Entry(code, severity, title, story.strip())
    return entry


def _load() -> None:
    from ebdsl.diagnostics import codes

    for module in pkgutil.iter_modules(codes.__path__):
        importlib.import_module(f"{codes.__name__}.{module.name}")


_load()
