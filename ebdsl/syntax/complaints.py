"""The words for a statement that cannot be read: what was found, and what could have stood there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from lark import Token

from ebdsl.diagnostics import Diagnostic, Label
from ebdsl.syntax import ast
from ebdsl.syntax.guesses import RULES, misplaced_operator
from ebdsl.syntax.stop import SHAPES, Stop
from ebdsl.syntax.tokens import CLOSERS, OPENERS, start

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


def too_large(most: int) -> Diagnostic:
    return Diagnostic(
        "EB0124",
        f"this is too large for a spec: no more than {most // 1024} KiB are read",
        (),
        ("a spec is a page of mathematics; data belongs in its own file, which the `train` block names",),
    )


def unexpected(tokens: Sequence[Token], token: Token | None, accepts: Collection[str]) -> Diagnostic:
    """Say what is wrong at ``token`` (None: at the end), where any of ``accepts`` could have stood."""
    at = next((i for i, t in enumerate(tokens) if t is token), len(tokens))
    stop = Stop(tokens, at, set(accepts))
    for rule in RULES:
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
    return SHAPES.get(str(stop.tokens[0]), SHAPES.get(stop.opening, ""))


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
