r"""Pasted LaTeX as the tokens it stands for: ``\frac{1}{\beta}`` is ``(1/β)``, ``\left`` is nothing.

Only what an energy is written with. The rest stays a COMMAND token, which is reported.
"""

from __future__ import annotations

from lark import Token

from ebdsl.syntax.spellings import GREEK
from ebdsl.syntax.tokens import end, kind_at, make, partners, start

_SIGNS = {
    "sum": ("BIGSUM", "Σ"),
    "prod": ("BIGPROD", "∏"),
    "int": ("INTEGRAL", "∫"),
    "partial": ("PARTIAL", "∂"),
    "infty": ("INFINITY", "∞"),
    "in": ("ELEMENT", "∈"),
    "cdot": ("DOT", "·"),
    "odot": ("ELEMENTWISE", "⊙"),
    "circ": ("ELEMENTWISE", "⊙"),
    "times": ("CROSS", "×"),
    "ast": ("STAR", "*"),
    "star": ("STAR", "*"),
    "le": ("COMPARE", "<="),
    "leq": ("COMPARE", "<="),
    "ge": ("COMPARE", ">="),
    "geq": ("COMPARE", ">="),
    "to": ("ARROW", "->"),
    "rightarrow": ("ARROW", "->"),
    "sim": ("TILDE", "~"),
    "prime": ("PRIME", "'"),
    "ldots": ("DOTS", ".."),
    "dots": ("DOTS", ".."),
    "cdots": ("DOTS", ".."),
    "|": ("DOUBLEBAR", "‖"),
    "Vert": ("DOUBLEBAR", "‖"),
    "lVert": ("DOUBLEBAR", "‖"),
    "rVert": ("DOUBLEBAR", "‖"),
    "vert": ("BAR", "|"),
    "lvert": ("BAR", "|"),
    "rvert": ("BAR", "|"),
    "{": ("LBRACE", "{"),
    "}": ("RBRACE", "}"),
    "top": ("NAME", "T"),
    "intercal": ("NAME", "T"),
    "ell": ("NAME", "ℓ"),
    "varepsilon": ("NAME", "ε"),
    "varphi": ("NAME", "φ"),
}
_NAMES = "log ln exp det sin cos tan sinh cosh tanh min max argmin argmax"
_FUNCTIONS = frozenset(_NAMES.split())
_SIZES = "left right big Big bigg Bigg bigl bigr Bigl Bigr displaystyle textstyle limits nolimits quad qquad"
_SPACING = frozenset([*_SIZES.split(), ",", ";", ":", "!", " "])
_FONTS = "mathrm mathbf mathcal mathbb mathit mathsf boldsymbol bm operatorname text textrm textbf textit mathop"
_ALPHABETS = frozenset(_FONTS.split())
_ACCENTS = {
    "hat": "\u0302",
    "bar": "\u0304",
    "overline": "\u0304",
    "tilde": "\u0303",
    "check": "\u030c",
    "dot": "\u0307",
}


def plain(tokens: list[Token]) -> list[Token]:
    """The tokens without the commands that are understood."""
    if all(token.type != "COMMAND" for token in tokens):
        return tokens
    closing = partners(tokens)
    fractions: dict[int, str] = {}  # index of a brace -> what stands there instead
    out: list[Token] = []
    dropped: set[int] = set()
    for at, token in enumerate(tokens):
        if at in dropped:
            continue
        if at in fractions:
            out.extend(make(kind, text, start(token), end(token)) for kind, text in _bracket(fractions[at]))
            continue
        if token.type != "COMMAND":
            out.append(token)
            continue
        name = token.lstrip("\\")
        where = start(token), end(token)
        if name in _SPACING or token[0] == "$":
            continue
        if name in GREEK or name in ("Sigma", "Pi"):
            out.append(make("NAME", GREEK.get(name, name), *where))
        elif name in _FUNCTIONS:
            out.append(make("NAME", name, *where))
        elif name == "arg" and _follows(tokens, at, ("\\min", "\\max")):
            tokens[at + 1] = make("COMMAND", "\\arg" + tokens[at + 1][1:], start(token), end(tokens[at + 1]))
        elif name in _SIGNS:
            out.append(make(*_SIGNS[name], *where))
        elif name in _ALPHABETS or name in _ACCENTS:
            _letter(tokens, at, closing, _ACCENTS.get(name, ""), out, dropped)
        elif name in ("frac", "dfrac", "tfrac") and kind_at(tokens, at + 1) == "LBRACE":
            _fraction(tokens, at, closing, fractions, out)
        elif name == "sqrt" and kind_at(tokens, at + 1) == "LBRACE":
            out.append(make("NAME", "sqrt", *where))
            fractions[at + 1], fractions[closing[at + 1]] = "(", ")"
        else:
            out.append(token)
    return _joined(out)


def _bracket(text: str) -> list[tuple[str, str]]:
    kinds = {"(": "LPAR", ")": "RPAR", "/": "SLASH"}
    return [(kinds[character], character) for character in text]


def _follows(tokens: list[Token], at: int, words: tuple[str, ...]) -> bool:
    return at + 1 < len(tokens) and str(tokens[at + 1]) in words


def _fraction(tokens: list[Token], at: int, closing: dict[int, int], instead: dict[int, str], out: list[Token]) -> None:
    r"""``\frac{a}{b}`` -> ``((a)/(b))``, with the inner parentheses only where something needs them."""
    above = closing[at + 1]
    if kind_at(tokens, above + 1) != "LBRACE":
        out.append(tokens[at])
        return
    below = closing[above + 1]
    derivative = tokens[at + 2] == "\\partial" and kind_at(tokens, above + 2) == "COMMAND"
    bare_above = derivative or above - at == 3
    bare_below = derivative or below - above == 3
    instead[at + 1] = "(" if bare_above else "(("
    instead[above] = "/" if bare_above else ")/"
    instead[above + 1] = "" if bare_below else "("
    instead[below] = ")" if bare_below else "))"


def _letter(
    tokens: list[Token], at: int, closing: dict[int, int], accent: str, out: list[Token], dropped: set[int]
) -> None:
    r"""``\mathcal{D}`` is D, ``\hat{y}`` is ŷ."""
    if kind_at(tokens, at + 1) == "STAR":  # \operatorname*
        dropped.add(at + 1)
        at += 1
    inner = at + 1
    if kind_at(tokens, inner) == "LBRACE":
        shut = closing[inner]
        word = "".join(tokens[inner + 1 : shut])
        dropped.update(range(inner, shut + 1))
        if word.isalnum():
            out.append(make("NAME", word + accent, start(tokens[at]), end(tokens[shut])))
            return
    out.append(tokens[at])


def _joined(tokens: list[Token]) -> list[Token]:
    """A name and the subscript right after it are one name, as everywhere."""
    out: list[Token] = []
    for token in tokens:
        if token.type == "SUB" and out and out[-1].type == "NAME" and token[0] == "_":
            base = out.pop()
            out.append(make("NAME", base + token, start(base), end(token)))
        else:
            out.append(token)
    return out
