"""What rows of layers share: reading arguments and keywords, and texts of shapes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ebdsl.atoms.core import ShapeError
from ebdsl.model.ir import Dim

Shape = tuple[Dim, ...]
Texts = tuple[str, ...]
Keywords = Mapping[str, Any] | Iterable[tuple[str, Any]]

NO = {"no", "false", "off"}
YES = {"yes", "true", "on"}


def truth(keywords: Keywords, key: str, default: bool) -> bool:
    value = dict(keywords).get(key, default)
    if isinstance(value, str):
        if value.lower() in NO | YES:
            return value.lower() in YES
        raise ShapeError(f"{key} is yes or no, not {value}")
    return bool(value)


def whole(value: Any, what: str, low: int = 1) -> int:
    if isinstance(value, str) or value != int(value) or value < low:
        raise ShapeError(f"{what} is a whole number from {low}, not {value}")
    return int(value)


def fraction(value: Any, what: str) -> float:
    if isinstance(value, str) or not 0 <= value < 1:
        raise ShapeError(f"{what} is a number from 0 to below 1, not {value}")
    return float(value)


def at_most(name: str, args: tuple[Any, ...], count: int) -> None:
    if len(args) > count:
        raise ShapeError(f"{name} takes at most {count} argument{'s' if count != 1 else ''}, and these are {len(args)}")


def tuple_text(texts: Texts) -> str:
    return f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"


def sequence(stages: list[str]) -> str:
    return stages[0] if len(stages) == 1 else f"nn.Sequential({', '.join(stages)})"


def entries(shape: Shape) -> int | None:
    """The number of entries, None where a size is a name."""
    return math.prod(d for d in shape if isinstance(d, int)) if all(isinstance(d, int) for d in shape) else None
