"""The two spellings of everything: Unicode, as on a slide, and ASCII, as on any keyboard."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

GREEK = {
    "alpha": "α",
    "beta": "β",
    "gamma": "γ",
    "delta": "δ",
    "epsilon": "ε",
    "zeta": "ζ",
    "eta": "η",
    "theta": "θ",
    "iota": "ι",
    "kappa": "κ",
    "lambda": "λ",
    "mu": "μ",
    "nu": "ν",
    "xi": "ξ",
    "omicron": "ο",
    "pi": "π",
    "rho": "ρ",
    "sigma": "σ",
    "tau": "τ",
    "upsilon": "υ",
    "phi": "φ",
    "chi": "χ",
    "psi": "ψ",
    "omega": "ω",
    "Gamma": "Γ",
    "Delta": "Δ",
    "Theta": "Θ",
    "Lambda": "Λ",
    "Xi": "Ξ",
    "Phi": "Φ",
    "Psi": "Ψ",
    "Omega": "Ω",
}
"""English name -> letter. Σ and Π are missing on purpose: they are the sum and the product."""

ENGLISH = {letter: name for name, letter in GREEK.items()}

ACCENTS = {"hat": "\u0302", "check": "\u030c", "bar": "\u0304", "tilde": "\u0303", "dot": "\u0307"}
"""``y_hat`` is ``ŷ``: the mark on a single letter."""

COMPARE = {"≤": "<=", "≥": ">="}

BIG = {"sum": "Σ", "prod": "∏", "int": "∫"}
"""Big operators that have a sign of their own; ``min_z`` and the like are words in both spellings."""

FRACTIONS = {
    "½": (1, 2),
    "⅓": (1, 3),
    "⅔": (2, 3),
    "¼": (1, 4),
    "¾": (3, 4),
    "⅕": (1, 5),
    "⅖": (2, 5),
    "⅗": (3, 5),
    "⅘": (4, 5),
    "⅙": (1, 6),
    "⅚": (5, 6),
    "⅐": (1, 7),
    "⅛": (1, 8),
    "⅜": (3, 8),
    "⅝": (5, 8),
    "⅞": (7, 8),
    "⅑": (1, 9),
    "⅒": (1, 10),
}

SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-", strict=True))
SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉ₐₑₒₓₔₕₖₗₘₙₚₛₜᵢⱼᵣᵤᵥ", "0123456789aeoxəhklmnpstijruv", strict=True))

_MARKS = {mark: word for word, mark in ACCENTS.items()}
_SUBSCRIPT_RUN = re.compile(f"[{''.join(SUBSCRIPTS)}]+")
_GREEK_SEGMENT = re.compile(rf"({'|'.join(sorted(GREEK, key=len, reverse=True))})(\d*)")
_LETTER_SEGMENT = re.compile(rf"([{''.join(ENGLISH)}])(\d*)")


def canonical(name: str) -> str:
    """The one form of a name in the tree: ``lambda_1`` and ``λ₁`` are both ``λ_1``.

    Subscripts become ``_k``; letters that only look different (``µ`` the unit, ``𝑧`` the slanted z)
    become the plain ones.
    """
    return _canonical(str(name))  # a lexer's token is a string that equals its like of the same type alone


@lru_cache(maxsize=4096)
def _canonical(name: str) -> str:
    name = _SUBSCRIPT_RUN.sub(lambda run: "_" + "".join(SUBSCRIPTS[c] for c in run[0]), name)
    if not name.isascii():
        name = unicodedata.normalize("NFKC", name)
    segments: list[str] = []
    for segment in name.split("_"):
        if segment in ACCENTS and segments and len(segments[-1]) == 1 and segments[-1].isalpha():
            segments[-1] = unicodedata.normalize("NFKC", segments[-1] + ACCENTS[segment])
        else:
            segments.append(_greek(segment))
    return "_".join(segments)


def _greek(segment: str) -> str:
    found = _GREEK_SEGMENT.fullmatch(segment)
    return GREEK[found[1]] + found[2] if found else segment


def ascii_name(name: str) -> str:
    """``λ_1`` -> ``lambda_1``, ``ŷ`` -> ``y_hat``. A name that has no such spelling (``Δt``) stays as it is."""
    segments = []
    for segment in canonical(name).split("_"):
        letters = unicodedata.normalize("NFD", segment)
        marks = [_MARKS.get(mark, "") for mark in letters[1:]]
        base, accent = (letters[:1], "_" + marks[0]) if len(marks) == 1 and marks[0] else (segment, "")
        found = _LETTER_SEGMENT.fullmatch(base)
        segments.append((ENGLISH[found[1]] + found[2] if found else base) + accent)
    return "_".join(segments)
