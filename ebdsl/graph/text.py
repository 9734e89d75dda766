"""Words in pictures: numbers of the spec, mathematics made pretty, long lines cut."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ebdsl.graph.font import font
from ebdsl.model.ir import Add, Get, Lit, Mul, Node, Pow

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_PRETTY = ((r"\|\|", "‖"), (r">=", "≥"), (r"<=", "≤"), (r"(?<=[\w)\]])'", "ᵀ"), (r"-", "−"), (r">>", "→"))

_WORD = r"(?:(?![⁰¹²³⁴-⁹ᵀ])\w)+"
_RUN = re.compile(rf"((?:[^_^]|[_^](?!{_WORD}|\{{))+)|([_^])(\{{[^{{}}]*\}}|{_WORD}(?:[.,]{_WORD})*|\{{)")


def number_text(node: Node) -> str:
    """A scalar that the spec gives, such as a temperature: ``0.5``, ``β``, ``2 β``."""
    match node:
        case Lit(value):
            return f"{value:g}"
        case Get(symbol, ()):
            return symbol.name if symbol.value is None else f"{symbol.name} = {symbol.value:g}"
        case Pow(base, Lit(value)):
            return f"{number_text(base)}^{value:g}"
        case Mul(factors):
            return " ".join(number_text(f) for f in factors)
        case Add(terms):
            return " + ".join(number_text(t) for t in terms)
        case _:
            return "…"


def pretty(text: str) -> str:
    """ASCII spellings as a slide has them: ``||x||^2`` is ``‖x‖²``. For the eye alone."""
    text = re.sub(r"\^(\d)(?![\w.])", lambda m: m[1].translate(_SUPERSCRIPTS), text)
    for ascii_, sign in _PRETTY:
        text = re.sub(ascii_, sign, text)
    return text


@dataclass(frozen=True)
class Run:
    """A piece of a line: ``scale`` of its size, ``rise`` of its baseline, both in parts of the line's size."""

    text: str
    scale: float = 1.0
    rise: float = 0.0


def runs(text: str) -> tuple[Run, ...]:
    """``min_z E`` with its subscript set low and small, and ``x^T`` with its exponent set high."""
    pieces: list[Run] = []
    for plain, sign, low in _RUN.findall(text):
        if plain:
            pieces.append(Run(plain))
        else:
            pieces.append(Run(low[1:-1] if low.endswith("}") else low, 0.7, -0.18 if sign == "_" else 0.4))
    return tuple(pieces)


def width(text: str, size: float) -> float:
    """Of a line as :func:`runs` sets it."""
    return sum(font().width(r.text, r.scale * size) for r in runs(text))


def one_line(text: str) -> str:
    """White space made one blank, and what cannot be printed made visible."""
    text = re.sub(r"\s+", " ", text).strip()
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def wrap(text: str, width: int = 32, lines: int = 4) -> tuple[str, ...]:
    """Lines of at most ``width`` characters, broken at blanks where there are any; the end is cut with ``…``."""
    rows: list[str] = []
    rest = text
    while len(rest) > width and len(rows) < lines - 1:
        cut = rest.rfind(" ", width // 2, width + 1)
        cut = width if cut < 0 else cut
        rows.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    rows.append(rest if len(rest) <= width else rest[: width - 1] + "…")
    return tuple(rows)
