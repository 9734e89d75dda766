"""The words for what cannot be read: what was found, and what could have stood there."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Collection, Sequence

from lark import Token

from ebdsl.diagnostics import Diagnostic, Fix, Label, Span
from ebdsl.syntax.layout import KEYWORDS
from ebdsl.syntax.tokens import end, span, start

_OPERANDS = frozenset({"NUMBER", "LPAR", "FNAME"})
_MEANT = {
    "COMMA": "`,`",
    "EQUAL": "`=`",
    "COLON": "`:`",
    "RPAR": "`)`",
    "RSQ": "`]`",
    "RBRACE": "`}`",
    "LPAR": "`(`",
    "LSQ": "`[`",
    "ARROW": "`->`",
    "THEN": "`>>`",
    "DOTS": "`..`",
    "BY": "`by`",
    "DIFF": "`dz`",
    "ABSR": "`|`",
    "NORMR": "`||`",
    "MEMBER": "`in`",
    "PARTIAL": "`∂`",
    "SUB": "a subscript",
    "SLASH": "`/`",
    "$END": "the end of the line",
}
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


def too_large(most: int) -> Diagnostic:
    return Diagnostic(
        "EB0124",
        f"this is too large for a spec: no more than {most // 1024} KiB are read",
        (),
        ("a spec is a page of mathematics; data belongs in its own file, which the `train` block names",),
    )


def many(problems: list[Diagnostic], most: int) -> tuple[Diagnostic, ...]:
    """In the order of the text, and no more than anybody reads."""
    ordered = sorted(problems, key=lambda d: d.labels[0].span if d.labels else Span(0, 0))
    if len(ordered) <= most:
        return tuple(ordered)
    rest = ordered[most:]
    return (*ordered[:most], Diagnostic("EB0119", f"{len(rest)} more errors follow; is this a spec?", rest[0].labels))


# ------------------------------------------------------------------ characters


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
    first = str(run[0])
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
    meant = "".join(_LOOKALIKES.get(str(t)) or _plain(str(t)) for t in run)
    if meant:
        help_ = (f"{_code(first)} is not `{meant[0]}`; write `{meant}`",)
        fix = Fix(where, meant)
    elif first in _FOREIGN and len(run) == 1:
        hint, instead = _FOREIGN[first]
        help_ = (hint,) if hint else ()
        fix = Fix(where, instead) if instead is not None else None
    return Diagnostic("EB0102", f"{_describe(run)} is no part of the language", (Label(where),), help_, fix)


def _describe(run: list[Token]) -> str:
    first = str(run[0])
    if len(run) > 1:
        return f"what starts with {_code(first)} and is {len(run)} characters long"
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


# ------------------------------------------------------------------ statements


def unexpected(text: str, tokens: Sequence[Token], token: Token, accepts: Collection[str]) -> Diagnostic:
    """Say what is wrong at ``token``, where any of ``accepts`` could have stood."""
    at = next((i for i, t in enumerate(tokens) if t is token), len(tokens))
    before = tokens[at - 1] if at else None
    for rule in (_first_word, _numbers, _power_sign, _equality):
        found = rule(tokens, at, accepts)
        if found is not None:
            return found
    wanted = _wanted(accepts, before)
    where = span(token) if at < len(tokens) else Span(end(tokens[-1]), end(tokens[-1]) + 1)
    found_text = "the line ends" if at == len(tokens) else f"`{token}` does not belong here"
    if wanted and "an expression" in wanted and before is not None:
        message = f"something is missing after `{before}`" if at == len(tokens) else found_text
    elif at == len(tokens) and wanted:
        message = f"the line ends where {_listed(wanted)} is expected"
    else:
        message = found_text
    help_ = (f"expected {_listed(wanted)}",) if wanted else ()
    return Diagnostic("EB0101", message, (Label(where),), help_)


def _wanted(accepts: Collection[str], before: Token | None) -> list[str]:
    words: list[str] = []
    if accepts >= _OPERANDS:
        if before is not None and "CARET" in accepts:
            words.append("an operator")
        else:
            words.append("an expression")
    elif "FNAME" in accepts or ("NAME" in accepts and "LBRACE" in accepts):
        words.append("a domain such as `R[N]`")
    elif "NAME" in accepts:
        words.append("a name")
    elif "NUMBER" in accepts:
        words.append("a number")
    return words + [
        said for kind, said in _MEANT.items() if kind in accepts and not (kind == "LPAR" or _minor(kind, accepts))
    ]


def _minor(kind: str, accepts: Collection[str]) -> bool:
    """Possible there, and hardly what was meant."""
    if kind in ("SLASH", "LSQ", "SUB", "PARTIAL", "MEMBER") and len(accepts) > 4:
        return True
    return kind in ("DOTS", "ARROW", "THEN") and len(accepts) > 12


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


def _first_word(tokens: Sequence[Token], at: int, accepts: Collection[str]) -> Diagnostic | None:
    """``latnet z : R[N]``: the statement starts with a word that is nearly a keyword."""
    first = tokens[0]
    if first.type not in ("NAME", "FNAME") or at == 0 or str(first) in KEYWORDS:
        return None
    if len(tokens) < 2 or tokens[1].type not in ("NAME", "FNAME", "COLON"):
        return None
    if at < len(tokens) and tokens[at].type not in ("COLON", "MEMBER", "TILDE", "COMMA", "EQUAL", "DOTS", "NAME"):
        return None
    near = difflib.get_close_matches(
        str(first).lower(), [*KEYWORDS, "input", "output", "parameter", "variable"], 1, 0.7
    )
    meant = {"input": "observed", "output": "observed", "parameter": "param", "variable": "latent"}
    word = meant.get(near[0], near[0]) if near else None
    if word is None and not any(token.type == "COLON" for token in tokens):
        return None
    return Diagnostic(
        "EB0107",
        f"no line starts with `{first}`",
        (Label(span(first)),),
        (f"did you mean `{word}`?",) if word else ("a declaration starts with its role, as in `latent z : R[N]`",),
        Fix(span(first), word) if word else None,
    )


def _numbers(tokens: Sequence[Token], at: int, accepts: Collection[str]) -> Diagnostic | None:
    if 0 < at < len(tokens) and tokens[at].type == "NUMBER" and tokens[at - 1].type == "NUMBER":
        return numbers(tokens[at - 1], tokens[at])
    return None


def numbers(left: Token, right: Token) -> Diagnostic:
    """``1.2.3`` and ``2 3``."""
    glued = end(left) == start(right)
    message = f"`{left}{right}` is not a number" if glued else f"two numbers side by side: {left} and {right}"
    help_ = ("a number is written as `12`, `0.5` or `1e-3`",) if glued else (f"write `{left} * {right}` for a product",)
    return Diagnostic("EB0108", message, (Label(span(left).to(span(right))),), help_)


def _power_sign(tokens: Sequence[Token], at: int, accepts: Collection[str]) -> Diagnostic | None:
    if 0 < at < len(tokens) and tokens[at].type == tokens[at - 1].type == "STAR":
        where = span(tokens[at - 1]).to(span(tokens[at]))
        return Diagnostic(
            "EB0101", "`**` is no operator", (Label(where),), ("a power is written `^`",), Fix(where, "^")
        )
    return None


def _equality(tokens: Sequence[Token], at: int, accepts: Collection[str]) -> Diagnostic | None:
    if 0 < at < len(tokens) and tokens[at].type == tokens[at - 1].type == "EQUAL":
        where = span(tokens[at - 1]).to(span(tokens[at]))
        return Diagnostic("EB0101", "`==` is no operator", (Label(where),), ("write one `=`",), Fix(where, "="))
    return None
