"""``patches(natural, size = 12)`` as text, for the command line; a spec's train block brings it parsed."""

from __future__ import annotations

import re
from pathlib import Path

from ebdsl.model.model import Word
from ebdsl.run.data.core import Trouble

SUFFIXES = (".npy", ".npz", ".csv", ".tsv", ".txt", ".parquet", ".pq")
_CALL = re.compile(r"\s*([^\W\d]\w*)\s*(?:\((.*)\))?\s*", re.DOTALL)
_ARGUMENT = re.compile(r"""\s*(?:([^\W\d]\w*)\s*=(?!=)\s*)?("[^"]*"|'[^']*'|[^,"'()]+)\s*(?:,|$)""")


def as_word(source: Word | str | Path) -> Word:
    """What to load, as a word: a path becomes ``file(path)``. Raises :class:`Trouble` for text that is neither."""
    if isinstance(source, Word):
        return source
    if isinstance(source, Path) or _is_path(source):
        return Word("file", (str(source),))
    call = _CALL.fullmatch(source)
    if call is None:
        raise Trouble("EB0602", f"{source!r} is neither a data source nor a file", "write  patches(natural, size = 12)")
    args: list[object] = []
    keywords: list[tuple[str, object]] = []
    text = (call[2] or "").strip()
    at = 0
    while at < len(text):
        found = _ARGUMENT.match(text, at)
        if found is None:
            raise Trouble("EB0603", f"cannot read the arguments ({text})", f"write  {call[1]}(word, key = value)")
        value = _value(found[2].strip())
        if found[1]:
            keywords.append((found[1], value))
        else:
            args.append(value)
        at = found.end()
    return Word(call[1], tuple(args), tuple(keywords))


def _is_path(text: str) -> bool:
    plain = text.strip()
    if _CALL.fullmatch(plain) and "(" in plain:
        return False
    return plain.lower().endswith(SUFFIXES) or "/" in plain or "\\" in plain or (not plain.isidentifier())


def _value(text: str) -> object:
    if text[:1] in "\"'" and text[-1:] == text[:1]:
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            pass
    return text


def shown(value: object) -> str:
    """A value or a word as a spec writes it."""
    if isinstance(value, Word):
        inside = [*map(shown, value.args), *(f"{k} = {shown(v)}" for k, v in value.keywords)]
        return value.head + (f"({', '.join(inside)})" if inside else "")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str) and not value.isidentifier():
        return f'"{value}"'
    return str(value)
