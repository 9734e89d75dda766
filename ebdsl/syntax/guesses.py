"""What was probably meant where reading stopped: one short rule for each slip that people make."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

from lark import Token

from ebdsl.diagnostics import Diagnostic, Fix, Label, Span
from ebdsl.syntax.layout import KEYWORDS
from ebdsl.syntax.stop import SHAPES, Stop, after
from ebdsl.syntax.tokens import CLOSERS, OPENERS, end, span, start

_OTHER_WORDS = {
    "input": "observed",
    "output": "observed",
    "data": "observed",
    "parameter": "param",
    "weight": "param",
    "variable": "latent",
    "hidden": "latent",
    "constant": "const",
    "dimension": "dim",
    "network": "module",
    "function": "module",
}
_WORDS = "epochs batch lr seed data strategy optimizer steps device encoder schedule learn"
_SETTINGS = frozenset(_WORDS.split())
_INFIX = frozenset({"OPERATOR", "SLASH", "CARET"})
_SIGNS = frozenset({"PLUS", "MINUS"})
_OPERATORS = _INFIX | _SIGNS

Rule = Callable[[Stop], Diagnostic | None]


def _first_word(stop: Stop) -> Diagnostic | None:
    """``latnet z : R[N]``: the line starts with a word that is nearly a keyword, or with none we know."""
    tokens = stop.tokens
    first = tokens[0]
    if first.type not in ("NAME", "FNAME") or (first.type == "FNAME" and stop.kind != "COLON"):
        return None
    second = tokens[1].type if len(tokens) > 1 else ""
    declares = any(token.type in ("COLON", "TILDE", "BY", "MEMBER") for token in tokens[:4])
    if first == "train":
        help_ = "`train` stands alone on its line, with the settings indented under it"
        return Diagnostic("EB0107", "a `train` line holds nothing else", (Label(span(first)),), (help_,))
    word = _keyword_like(str(first))
    if str(first).lower() in _SETTINGS and second in ("NAME", "NUMBER", "FNAME", "STRING") and not declares:
        help_ = f"a setting such as `{first}` stands indented under `train`"
        return Diagnostic("EB0107", f"no line starts with `{first}`", (Label(span(first)),), (help_,))
    if not (declares or (word and second in ("NAME", "FNAME")) or (second in ("NAME", "") and stop.kind == "$END")):
        return None
    if word:
        return Diagnostic(
            "EB0107",
            f"no line starts with `{first}`",
            (Label(span(first)),),
            (f"did you mean `{word}`?",),
            Fix(span(first), word),
        )
    help_ = "a declaration starts with its role, as in `latent z : R[N]`; a definition reads `E(y, z) = ...`"
    return Diagnostic("EB0107", f"no line starts with `{first}`", (Label(span(first)),), (help_,))


def _keyword_like(word: str) -> str | None:
    near = difflib.get_close_matches(word.lower(), [*KEYWORDS, *_OTHER_WORDS], 1, 0.75)
    return _OTHER_WORDS.get(near[0], near[0]) if near else None


def _doubled(stop: Stop) -> Diagnostic | None:
    """``**`` and ``==``, as in programs."""
    token, before = stop.token, stop.before
    if token is None or before is None or end(before) != start(token):
        return None
    meant = {("*", "*"): "^", ("=", "="): "=", (":", "="): "=", ("*", "^"): "^"}.get((str(before), str(token)))
    if meant is None:
        return None
    where = span(before).to(span(token))
    return Diagnostic(
        "EB0101",
        f"`{before}{token}` is no operator",
        (Label(where),),
        (f"a power is written `{meant}`" if meant == "^" else f"write `{meant}`",),
        Fix(where, meant),
    )


def _assigned(stop: Stop) -> Diagnostic | None:
    """``E(y) := y`` stops at the colon."""
    after = stop.tokens[stop.at + 1] if stop.at + 1 < len(stop.tokens) else None
    if stop.kind != "COLON" or after is None or after.type != "EQUAL":
        return None
    where = stop.where.to(span(after))
    return Diagnostic("EB0101", "`:=` is no operator", (Label(where),), ("write `=`",), Fix(where, "="))


def _between(stop: Stop) -> Diagnostic | None:
    """Two operators with nothing between them."""
    return _clash(stop.tokens, stop.at) if stop.token is not None else None


def _clash(tokens: Sequence[Token], at: int) -> Diagnostic | None:
    token, before = tokens[at], tokens[at - 1] if at else None
    if before is None:
        return None
    if token.type in _INFIX and before.type in _OPERATORS:
        message = f"something is missing between `{before}` and `{token}`"
    elif token.type in _INFIX and (before.type in ("EQUAL", "COMMA", "BARL") or before.type in OPENERS):
        message = f"something is missing before `{token}`"
    elif before.type in _OPERATORS and (token.type in ("EQUAL", "COMMA", "BARR") or token.type in CLOSERS):
        message = f"something is missing after `{before}`"
    else:
        return None
    return Diagnostic("EB0101", message, (Label(span(before).to(span(token))),), ("expected an expression",))


def misplaced_operator(tokens: Sequence[Token]) -> Diagnostic | None:
    """An operator without its operand, whichever way bars are read."""
    for at in range(1, len(tokens)):
        found = _clash(tokens, at)
        if found is not None:
            return found
    last = tokens[-1]
    if last.type in _OPERATORS:
        help_ = ("expected an expression",)
        return Diagnostic("EB0101", f"something is missing after `{last}`", (Label(after(last)),), help_)
    return None


def _missing_sign(stop: Stop) -> Diagnostic | None:
    """``latent z R[N]``, ``const λ 0.5``, ``R[M] unit columns``: one sign is missing before what stands there."""
    if stop.token is None or stop.before is None or stop.opening not in ("ROLE", "CONST", "MODULE", "DIM", "INDEX"):
        return None
    typed = any(token.type == "MEMBER" for token in stop.tokens[: stop.at])
    if (
        stop.opening in ("ROLE", "MODULE")
        and not typed
        and "MEMBER" in stop.accepts
        and stop.kind in ("NAME", "LBRACE")
    ):
        sign = ":"
    elif stop.opening in ("DIM", "CONST") and "EQUAL" in stop.accepts and stop.kind in ("NUMBER", "FNAME", "MINUS"):
        sign = "="
    elif typed and "COMMA" in stop.accepts and stop.kind == "NAME" and stop.opening != "INDEX":
        sign = ","
    elif stop.opening == "INDEX" and not typed and "MEMBER" in stop.accepts and stop.kind == "NUMBER":
        sign = "in"
    else:
        return None
    room = Span(end(stop.before), start(stop.token))
    fix = Fix(room, ", " if sign == "," else f" {sign} ")
    shape = SHAPES.get(str(stop.tokens[0]), SHAPES[stop.opening])
    help_ = (f"such a line reads {shape}",) if sign != "," else ("constraints follow the domain after a comma",)
    return Diagnostic("EB0101", f"`{sign}` is missing before `{stop.token}`", (Label(stop.where),), help_, fix)


def _model_name(stop: Stop) -> Diagnostic | None:
    if stop.opening != "MODEL" or len(stop.tokens) < 2:
        return None
    where = span(stop.tokens[1]).to(span(stop.tokens[-1]))
    word = "_".join("".join(c if c.isalnum() else " " for c in " ".join(stop.tokens[1:])).split())
    if not word or not word[0].isalpha():
        return None
    return Diagnostic(
        "EB0101", "a model's name is one word", (Label(where),), (f"write `model {word}`",), Fix(where, word)
    )


def _no_equals(stop: Stop) -> Diagnostic | None:
    """An expression on its own defines nothing."""
    if stop.kind != "$END" or "EQUAL" not in stop.accepts or stop.opening in SHAPES:
        return None
    whole = span(stop.tokens[0]).to(span(stop.tokens[-1]))
    return Diagnostic(
        "EB0101",
        "this line defines nothing: it has no `=`",
        (Label(whole),),
        ("an energy is a function with a name, as in `E(y, z) = ...`",),
    )


def _range_without_end(stop: Stop) -> Diagnostic | None:
    if stop.accepts != {"CARET"} or stop.before is None or stop.before.type != "RBRACE":
        return None
    return Diagnostic(
        "EB0101",
        "the range of this sum has no upper end",
        (Label(span(stop.before)),),
        ("write `Σ_{k=1}^K` or `Σ_{k=1..K}`",),
    )


def _derivative(stop: Stop) -> Diagnostic | None:
    """``∂y`` alone."""
    if not any(token.type == "PARTIAL" for token in stop.tokens[: stop.at]):
        return None
    if stop.accepts != {"PARTIAL"} and not ("SLASH" in stop.accepts and "OPERATOR" not in stop.accepts):
        return None
    help_ = ("a derivative is written `∂f(y)/∂y`",)
    return Diagnostic("EB0101", "this derivative does not say by what", (Label(stop.where),), help_)


def _comparison(stop: Stop) -> Diagnostic | None:
    if stop.kind != "COMPARE":
        return None
    return Diagnostic(
        "EB0101",
        f"`{stop.token}` compares, which an expression does not",
        (Label(stop.where),),
        ("a bound belongs to the declaration, as in `latent z : R[N], >= 0`",),
    )


def _braces(stop: Stop) -> Diagnostic | None:
    if stop.kind != "LBRACE" or "LPAR" not in stop.accepts:
        return None
    return Diagnostic("EB0101", "braces do not group here", (Label(stop.where),), ("group with `(` and `)`",))


RULES: tuple[Rule, ...] = (
    _doubled,
    _assigned,
    _first_word,
    _missing_sign,
    _model_name,
    _range_without_end,
    _derivative,
    _comparison,
    _between,
    _braces,
    _no_equals,
)
