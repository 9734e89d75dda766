"""A hole in the proof that the energy is not flat."""

from __future__ import annotations

from dataclasses import dataclass

from ebdsl.model.ir import Symbol
from ebdsl.model.model import Term


@dataclass(frozen=True)
class Finding:
    """A hole in the proof: where, why, and the ways out."""

    code: str
    message: str
    term: Term | None
    symbol: Symbol | None
    help: tuple[str, ...]
