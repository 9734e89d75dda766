"""Characters that the language does not know, and what was probably meant by them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from lark import Token

from ebdsl.diagnostics import Diagnostic, Fix, Label, Span
from ebdsl.syntax.tokens import end, span, start

_LOOKALIKES = {
    "“": '"',
    "”": '"',
    "„": '"',
    "‘": "'",
    "`": "'",
    "´": "'",
    "⟨": "(",
    "⟩": ")",
    "【": "[",
    "】": "]",
    "、": ",",
    "。": ".",
    "∕": "/",
    "⁄": "/",
    "ǀ": "|",
    "│": "|",
    "¦": "|",
    "—": "-",
    "‐": "-",
    "‑": "-",
    "⇒": "->",
    "↦": "->",
    "≫": ">>",
}
_FOREIGN = {
    "@": ("a product is written side by side: `W z`", " "),
    "&": ("", None),
    "!": ("", None),
    "?": ("", None),
    "∇": ("gradients are derived, not written; a derivative is `∂f(y)/∂y`", None),
    "←": ("an update is derived from the energy, not written", None),
    "≠": ("", None),
    "∑": ("", None),
    "%": ("a comment starts with `#`", "#"),
    "ⁿ": ("write `^n`", "^n"),
}


def broken_characters(text: str, tokens: Sequence[Token]) -> list[Diagnostic]:
    """One finding for each run of characters that the language does not know."""
    out: list[Diagnostic] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        at += 1
        if token.type == "COMMAND":
            out.append(_command(token))
        if token.type != "JUNK":
            continue
        run = [token]
        while at < len(tokens) and tokens[at].type == "JUNK" and start(tokens[at]) == end(run[-1]):
            run.append(tokens[at])
            at += 1
        out.append(_junk(text, run))
    return out


def _junk(text: str, run: list[Token]) -> Diagnostic:
    first = run[0][0]
    where = Span(start(run[0]), end(run[-1]))
    if first == '"':
        return Diagnostic(
            "EB0109", "this quoted text does not end", (Label(where, "opened here"),), ('add the closing `"`',)
        )
    if first == "_":
        return Diagnostic(
            "EB0102",
            "a subscript is missing after `_`",
            (Label(where),),
            ("write `W_k`, or `W[k]` for an entry",),
        )
    help_: tuple[str, ...] = ()
    fix = None
    meant = "".join(_LOOKALIKES.get(c) or _plain(c) for c in "".join(run))
    if meant:
        help_ = (f"{_code(first)} is not `{meant[0]}`; write `{meant}`",)
        fix = Fix(where, meant)
    elif first in _FOREIGN and sum(map(len, run)) == 1:
        hint, instead = _FOREIGN[first]
        help_ = (hint,) if hint else ()
        fix = Fix(where, instead) if instead is not None else None
    return Diagnostic("EB0102", f"{_describe(run)} is no part of the language", (Label(where),), help_, fix)


def _describe(run: list[Token]) -> str:
    first = run[0][0]
    length = sum(map(len, run))
    if length > 1:
        return f"what starts with {_code(first)} and is {length} characters long"
    return f"`{first}`" if first.isprintable() else f"the invisible character {_code(first)}"


def _code(character: str) -> str:
    name = unicodedata.name(character, "").lower()
    return f"U+{ord(character):04X}" + (f" ({name})" if name else "")


def _plain(character: str) -> str:
    """The ASCII that a full-width or slanted character stands for, or nothing."""
    plain = unicodedata.normalize("NFKC", character)
    return plain if plain != character and plain.isascii() and plain.isprintable() else ""


def _command(token: Token) -> Diagnostic:
    return Diagnostic(
        "EB0113",
        f"the LaTeX command `{token}` is not understood here",
        (Label(span(token)),),
        ("write it out as mathematics",),
    )
