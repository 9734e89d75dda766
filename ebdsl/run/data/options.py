"""Keywords of a source, checked against its row: types, ranges, spelling."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import Any

from ebdsl.model.model import Word
from ebdsl.run.data.core import Keyword, Source, Trouble
from ebdsl.run.data.preprocess import UNIFORM
from ebdsl.run.data.words import shown


def close(name: str, known: Iterable[str]) -> str:
    """``"did you mean X?"``, or the whole list where nothing is near."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean  {near[0]} ?" if near else f"known are {', '.join(known)}"


def options(word: Word, source: Source) -> tuple[dict[str, Any], dict[str, Any]]:
    """The source's own keywords, with defaults, and those uniform keywords that were given.

    Raises :class:`Trouble` (EB0603).
    """
    own = {k.name: k for k in source.keywords}
    known = {**{k.name: k for k in UNIFORM}, **own}
    given: dict[str, object] = {}
    if len(word.args) > len(source.positional):
        takes = f"{len(source.positional)} ({', '.join(source.positional)})" if source.positional else "none"
        raise Trouble(
            "EB0603",
            f"{source.name} was given {len(word.args)} values without a keyword and takes {takes}",
            f"write the others by keyword; {source.name} has {', '.join(known)}",
        )
    pairs = [*zip(source.positional, word.args, strict=False), *word.keywords]
    for name, value in pairs:
        if name not in known:
            raise Trouble("EB0603", f"{source.name} has no keyword {name}", close(name, known))
        if name in given:
            raise Trouble("EB0603", f"{source.name} is given {name} twice", "keep one of them")
        given[name] = value
    values = {name: _cast(source.name, known[name], value) for name, value in given.items()}
    mine = {name: values.get(name, k.default) for name, k in own.items()}
    return mine, {name: value for name, value in values.items() if name not in own}


def _cast(source: str, keyword: Keyword, value: object) -> Any:
    if isinstance(value, Word) and not value.args and not value.keywords:
        value = value.head
    if isinstance(value, str) and value in ("true", "false"):
        value = value == "true"
    kind = keyword.kind
    if kind in ("flag", "option") and isinstance(value, bool):
        return value
    if kind in ("word", "option") and isinstance(value, str):
        if value in keyword.choices:
            return value
        if kind == "word" or keyword.choices:
            raise Trouble("EB0603", f"{source}: {keyword.name} = {value} is unknown", close(value, keyword.choices))
    if kind == "text" and isinstance(value, str):
        return value
    if kind in ("count", "number", "option") and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value) or (kind == "count" and value != int(value)):
            raise Trouble("EB0603", f"{source}: {keyword.name} = {shown(value)} is not {_wanted(keyword)}")
        if keyword.low <= value <= keyword.high:
            return int(value) if kind == "count" else float(value)
        raise Trouble(
            "EB0603", f"{source}: {keyword.name} = {shown(value)} is out of range", f"it is {_wanted(keyword)}"
        )
    raise Trouble("EB0603", f"{source}: {keyword.name} = {shown(value)} is not {_wanted(keyword)}")


def _wanted(keyword: Keyword) -> str:
    low, high = keyword.low, keyword.high
    within = ""
    if math.isfinite(low):
        within = f" from {low:.10g}" + (f" to {high:.10g}" if math.isfinite(high) else "")
    words = " or ".join(keyword.choices)
    return {
        "count": "a whole number" + within,
        "number": "a number" + within,
        "flag": "true or false",
        "word": words,
        "text": "a text in quotes",
        "option": " or ".join(filter(None, ["true, false", "a number" + within if math.isfinite(low) else "", words])),
    }[keyword.kind]
