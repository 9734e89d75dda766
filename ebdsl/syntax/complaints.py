"""The words for a statement that cannot be read: what was found, and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from lark import Token

from ebdsl.diagnostics import Diagnostic, Fix, Label, Span
from ebdsl.syntax import ast
from ebdsl.syntax.layout import KEYWORDS
from ebdsl.syntax.tokens import CLOSERS, OPENERS, end, span, start

_MEANT = {
    "COMMA": "`,`",
    "EQUAL": "`=`",
    "RPAR": "`)`",
    "RSQ": "`]`",
    "RBRACE": "`}`",
    "LPAR": "`(`",
    "LSQ": "`[`",
    "ARROW": "`->`",
    "THEN": "`>>`",
    "DOTS": "`..`",
    "BY": "`by`",
    "BARR": "a closing bar",
    "MEMBER": "`:`",
    "PARTIAL": "`∂`",
    "CARET": "`^`",
    "$END": "the end of the line",
}
_SHAPES = {
    "MODEL": "`model sparse_coding`",
    "DIM": "`dim M = 144, N`",
    "INDEX": "`index k in 1..K`",
    "ROLE": "`latent z : R[N]`",
    "time": "`time t in 0..T`",
    "noise": "`noise u ~ normal(0, 1) : R[N]`",
    "CONST": "`const λ = 0.5`",
    "MODULE": "`module Enc : R[M] -> R[N] = linear >> sh`",
    "infer": "`infer z by Enc`",
    "plan": "`plan a by min_a E`",
    "KEY": "`epochs 10`",
}
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


def too_large(most: int) -> Diagnostic:
    return Diagnostic(
        "EB0124",
        f"this is too large for a spec: no more than {most // 1024} KiB are read",
        (),
        ("a spec is a page of mathematics; data belongs in its own file, which the `train` block names",),
    )


@dataclass(frozen=True)
class Stop:
    """Where reading stopped: the statement's tokens, the index of the one that cannot stand there (or their
    number, for a line that ends too early), and the terminals that could."""

    tokens: Sequence[Token]
    at: int
    accepts: Collection[str]

    @property
    def token(self) -> Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    @property
    def kind(self) -> str:
        return self.token.type if self.token is not None else "$END"

    @property
    def before(self) -> Token | None:
        return self.tokens[self.at - 1] if self.at else None

    @property
    def where(self) -> Span:
        return span(self.token) if self.token is not None else _after(self.tokens[-1])

    @property
    def opening(self) -> str:
        """The terminal of the statement's first word."""
        return self.tokens[0].type


def _after(token: Token) -> Span:
    return Span(end(token), end(token) + 1)


def unexpected(tokens: Sequence[Token], token: Token | None, accepts: Collection[str]) -> Diagnostic:
    """Say what is wrong at ``token`` (None: at the end), where any of ``accepts`` could have stood."""
    at = next((i for i, t in enumerate(tokens) if t is token), len(tokens))
    stop = Stop(tokens, at, set(accepts))
    for rule in _RULES:
        found = rule(stop)
        if found is not None:
            return found
    wanted = _wanted(stop)
    shape = _shape(stop)
    help_ = (f"expected {_listed(wanted)}",) if wanted else ()
    if shape:
        help_ = (*help_, f"such a line reads {shape}")
    return Diagnostic("EB0101", _message(stop, wanted), (Label(stop.where),), help_)


def _message(stop: Stop, wanted: list[str]) -> str:
    if stop.token is not None:
        return f"`{stop.token}` does not belong here"
    if wanted and wanted[0] == "an expression" and stop.before is not None:
        return f"something is missing after `{_head(stop.tokens, stop.at - 1)}`"
    if stop.opening in ("ROLE", "CONST", "MODULE", "DIM", "INDEX", "MODEL", "INFER", "KEY"):
        return f"this `{stop.tokens[0]}` line is not complete"
    return f"the line ends where {_listed(wanted)} is expected" if wanted else "the line ends too early"


def _head(tokens: Sequence[Token], at: int) -> str:
    """``min_z`` for its last token."""
    if tokens[at].type == "SUB" and at:
        return tokens[at - 1] + tokens[at]
    return str(tokens[at])


def _wanted(stop: Stop) -> list[str]:
    accepts = stop.accepts
    words: list[str] = []
    if "NUMBER" in accepts and "LPAR" in accepts:
        words.append("an operator" if "OPERATOR" in accepts else "an expression")
    elif "OPERATOR" in accepts:
        words.append("an operator")
    elif "NAME" in accepts and "LBRACE" in accepts:
        words.append("a domain such as `R[N]`")
    elif "NAME" in accepts:
        words.append("a name")
    rare = {"LPAR", "LSQ", "PARTIAL"} if words else set()
    if words == ["an operator"]:
        rare |= {"CARET", "MEMBER", "DOTS"}
    return words + [said for kind, said in _MEANT.items() if kind in accepts and kind not in rare]


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


def _shape(stop: Stop) -> str:
    depth = sum((t.type in OPENERS) - (t.type in CLOSERS) for t in stop.tokens[: stop.at])
    if depth or "OPERATOR" in stop.accepts:
        return ""
    return _SHAPES.get(str(stop.tokens[0]), _SHAPES.get(stop.opening, ""))


# ------------------------------------------------------------------ what was probably meant

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
        return Diagnostic("EB0101", f"something is missing after `{last}`", (Label(_after(last)),), help_)
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
    shape = _SHAPES.get(str(stop.tokens[0]), _SHAPES[stop.opening])
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
    if stop.kind != "$END" or "EQUAL" not in stop.accepts or stop.opening in _SHAPES:
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


_RULES: tuple[Rule, ...] = (
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


# ------------------------------------------------------------------ bars


def lonely_bar(tokens: Sequence[Token], found: Diagnostic) -> Diagnostic:
    """What to say instead, where bars cannot be paired: an operator is missing its operand, or ``P(y|x)``."""
    clash = misplaced_operator(tokens)
    if clash is not None:
        return clash
    at = next((at for at, token in enumerate(tokens) if start(token) == found.labels[0].span.start), 0)
    around = [tokens[i].type if 0 <= i < len(tokens) else "" for i in range(at - 3, at + 3)]
    if found.code == "EB0105" and around[:3] == ["FNAME", "LPAR", "NAME"] and around[4:] == ["NAME", "RPAR"]:
        given = f"{tokens[at - 3]}({tokens[at - 1]}, {tokens[at + 1]})"
        return replace(found, help=(f"what is given is an argument like any other: `{given}`",))
    return found


def left_of_equals(left: ast.Expr) -> Diagnostic:
    help_ = "define a name, as in `E(y, z) = ...`, or a recurrence, as in `s[t+1] = ...`"
    if isinstance(left, ast.Call | ast.Product):
        help_ = "an argument is a plain name, as in `E(y, z) = ...`; a step in time is an index, as in `z[t+1] = ...`"
    if isinstance(left, ast.Call) and any(isinstance(arg, ast.Product) for arg in left.args):
        help_ = "a comma parts the arguments, as in `E(y, z) = ...`"
    return Diagnostic("EB0111", "this cannot stand to the left of =", (Label(left.span),), (help_,))
