"""Which bar opens and which closes, and whether ``||`` is a norm or two absolute values.

Bars are the one bracket that does not say which way it faces. We try every way of pairing them, left
to right, keeping for each stack of open bars only the best; that is linear in the length as long as
bars nest as shallowly as people nest them. A reading is legal when bars nest and every operator has
its operands. Of the legal readings the best one has, first, the fewest bars that face against their
spaces (``a |b`` opens, ``a| b`` closes), then the fewest ``||`` taken apart, then the fewest bars
that open before a sign (``|x| - |y|`` is a difference). Two best readings are one error that asks for
``abs(...)`` or ``norm(...)``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from lark import Token

from ebdsl.diagnostics import Diagnostic, Label, Span
from ebdsl.syntax.tokens import CLOSERS, OPENERS, end, make, start

MAX_OPEN = 12
MAX_READINGS = 64

_ENDS = frozenset({"NAME", "NUMBER", "STRING"})
_POSTFIX = frozenset({"PRIME", "SUPER"})
_INFIX = frozenset({"OPERATOR", "SLASH", "CARET"})
_SIGNS = frozenset({"PLUS", "MINUS"})
_PREFIX = frozenset({"SUMOP", "MINOP", "ENCLOSING", "FUNC", "PARTIAL"})
_PARTNERS = {"|": "|g", "||": "N", "‖": "‖"}
_BARS = frozenset({"BAR", "DOUBLEBAR"})
_HELP = ("write `abs(...)` for an absolute value and `norm(...)` for a norm, or put a space before a bar that opens",)


class _State(NamedTuple):
    """What is open and what came last.

    ``stack`` has a character for each open bar: ``|``, ``g`` for a ``|`` glued to the one opened just
    before, ``N`` for ``||``, ``‖``. ``complete``: an operand stands here, so that a bar may close.
    ``last`` is ``open`` right after a single bar opened, ``glued`` after one of kind ``g`` closed, and
    ``half`` between the two characters of ``||``.
    """

    stack: str
    complete: bool
    last: str = ""


class _Reading(NamedTuple):
    """The cost (bars against their spaces, ``||`` taken apart, signs opened on), ways to it, the faces so far."""

    cost: tuple[int, int, int]
    ways: int
    faces: tuple[str, Any] | None  # a linked list, newest first: "open |", "close ||", …


def resolve(text: str, tokens: list[Token]) -> tuple[list[Token], list[Diagnostic]]:
    """The tokens with every bar opened or closed: types BARL, BARR and ORDER."""
    if not any(token.type in _BARS for token in tokens):
        return tokens, []
    faces: dict[int, str] = {}
    for level in _levels(tokens):
        found = _solve(text, tokens, level)
        if isinstance(found, Diagnostic):
            return tokens, [found]
        faces.update(found)
    return _orders(_apply(tokens, faces)), []


# ------------------------------------------------------------------ what a level of brackets holds

_Item = tuple[str, int]
"""A class (``operand open postfix infix sign prefix stop bar``) and the index of its token."""


def _levels(tokens: list[Token]) -> Iterator[list[_Item]]:
    """The inside of every bracket that holds bars, and the outside, with inner brackets as one item."""
    stack: list[tuple[str, list[_Item]]] = [("", [])]
    for at, token in enumerate(tokens):
        if token.type in OPENERS:
            stack.append((token.type, []))
        elif token.type in CLOSERS and len(stack) > 1:
            opener, inside = stack.pop()
            if any(kind == "bar" for kind, _ in inside):
                yield _without_limits(tokens, inside)
            level = stack[-1][1]
            level.append((_group(tokens, opener, level), at))
        else:
            stack[-1][1].append((_class(token.type), at))
    for _, inside in stack:
        if any(kind == "bar" for kind, _ in inside):
            yield _without_limits(tokens, inside)


def _group(tokens: list[Token], opener: str, before: list[_Item]) -> str:
    """A bracketed group is an operand, but ``_{…}`` and the ``[β]`` of ``softmin_z[β]`` are subscripts."""
    if opener == "SUBBRACE":
        return "subscript"
    head = next((at for kind, at in reversed(before) if kind != "subscript"), None)
    return "subscript" if opener == "LSQ" and head is not None and tokens[head].type == "MINOP" else "operand"


def _without_limits(tokens: list[Token], level: list[_Item]) -> list[_Item]:
    """Leave out subscripts of big operators and the ``^K`` of ``Σ_{k=1}^K``, which is no power."""
    out: list[_Item] = []
    at = 0
    while at < len(level):
        out.append(level[at])
        at += 1
        if out[-1][0] == "prefix":
            while at < len(level) and level[at][0] == "subscript":
                at += 1
                if at < len(level) and tokens[level[at][1]].type == "CARET":
                    at += 2
    return out


def _class(kind: str) -> str:
    if kind in _BARS:
        return "bar"
    if kind in _ENDS:
        return "operand"
    if kind in _POSTFIX:
        return "postfix"
    if kind in _INFIX:
        return "infix"
    if kind in _SIGNS:
        return "sign"
    if kind in _PREFIX:
        return "prefix"
    if kind == "SUB":
        return "subscript"
    if kind == "FNAME":
        return "callee"
    return "stop"


# ------------------------------------------------------------------ the search


def _solve(text: str, tokens: list[Token], level: list[_Item]) -> dict[int, str] | Diagnostic:
    states: dict[_State, _Reading] = {_State("", False): _Reading((0, 0, 0), 1, None)}
    ahead = sum(kind == "bar" for kind, _ in level)
    for order, (kind, _) in enumerate(level):
        fresh: dict[_State, _Reading] = {}
        if kind == "bar":
            ahead -= 1
            for state, reading in states.items():
                _face(text, tokens, level, order, state, reading, fresh)
            fresh = {state: reading for state, reading in fresh.items() if len(state.stack) <= ahead}
        else:
            for state, reading in states.items():
                after = _step(kind, state)
                if after is not None:
                    _keep(fresh, after, reading)
        if not fresh:
            return _stuck(tokens, level, order, states)
        if len(fresh) > MAX_READINGS:
            fresh = dict(sorted(fresh.items(), key=lambda pair: pair[1].cost)[:MAX_READINGS])
        states = fresh
    done = [(state, reading) for state, reading in states.items() if not state.stack and state.last != "half"]
    if not done:
        return _stuck(tokens, level, len(level), states)
    best = min(reading.cost for _, reading in done)
    winners = [reading for _, reading in done if reading.cost == best]
    faces = _unroll(winners[0])
    bars = [at for kind, at in level if kind == "bar"]
    if len(winners) > 1 or winners[0].ways > 1 or _reads_flat(text, tokens, level, faces, best):
        return Diagnostic(
            "EB0104",
            "these bars can be read in more than one way",
            (Label(Span(start(tokens[bars[0]]), end(tokens[bars[-1]])), "which of these open, and which close?"),),
            _HELP,
        )
    return dict(zip(bars, faces, strict=True))


def _step(kind: str, state: _State) -> _State | None:
    """The state after a token that is no bar; None where it cannot stand."""
    if state.last == "half":
        return None
    if kind == "operand":
        return _State(state.stack, True)
    if kind in ("sign", "prefix", "callee"):
        return _State(state.stack, False)
    if kind == "subscript":
        return state if state.complete else None
    if kind == "postfix":
        return _State(state.stack, True) if state.complete else None
    if kind == "infix":
        return _State(state.stack, False) if state.complete else None
    return None if state.stack else _State("", False)


def _face(
    text: str,
    tokens: list[Token],
    level: list[_Item],
    order: int,
    state: _State,
    reading: _Reading,
    fresh: dict[_State, _Reading],
) -> None:
    """Every way the bar at ``order`` can face, into ``fresh``."""
    at = level[order][1]
    token = tokens[at]
    after = level[order + 1] if order + 1 < len(level) else None
    if state.last == "half":  # the second character of a norm bar
        faces = reading.faces[0] if reading.faces else ""
        _keep(fresh, _State(state.stack, faces.startswith("close")), reading, faces)
        return
    glued_left = order > 0 and level[order - 1][0] == "bar" and end(tokens[level[order - 1][1]]) == start(token)
    glued_right = after is not None and after[0] == "bar" and start(tokens[after[1]]) == end(token)
    ascii_bar = token.type == "BAR"
    pair = ascii_bar and glued_right and after is not None and tokens[after[1]].type == "BAR"
    kinds = ["‖"] if not ascii_bar else ["|", "||"] if pair else ["|"]
    apart = int(ascii_bar and (pair or (glued_left and tokens[level[order - 1][1]].type == "BAR")))
    for kind in kinds:
        finish = end(token) + (1 if kind == "||" else 0)
        lean = _lean(text, start(token), finish)
        half = "half" if kind == "||" else ""
        price = apart if kind == "|" else 0
        against, taken, signs = reading.cost
        if len(state.stack) < MAX_OPEN:
            sign = "N" if kind == "||" else "g" if kind == "|" and glued_left and state.last == "open" else kind
            cost = (against + (lean == "close"), taken + price, signs + _before_sign(level, order, kind))
            opened = _State(state.stack + sign, False, half or ("open" if kind == "|" else ""))
            _keep(fresh, opened, _Reading(cost, reading.ways, reading.faces), "open " + kind)
        if state.complete and state.stack and state.stack[-1] in _PARTNERS[kind]:
            if state.last == "glued" and glued_left:
                continue  # ||x|| as |(|x|)|: the same number, and nobody means it
            cost = (against + (lean == "open"), taken + price, signs)
            closed = _State(state.stack[:-1], True, half or ("glued" if state.stack[-1] == "g" else ""))
            _keep(fresh, closed, _Reading(cost, reading.ways, reading.faces), "close " + kind)


def _before_sign(level: list[_Item], order: int, kind: str) -> bool:
    after = order + (2 if kind == "||" else 1)
    return order > 0 and after < len(level) and level[after][0] == "sign"


def _lean(text: str, begin: int, finish: int) -> str:
    """``"open"`` for a space on the left alone, ``"close"`` for one on the right alone; a bracket counts as one."""
    left = begin == 0 or text[begin - 1].isspace() or text[begin - 1] in "([{,;="
    right = finish >= len(text) or text[finish].isspace() or text[finish] in ")]},;_^'²³ᵀ"
    return "" if left == right else "open" if left else "close"


def _keep(fresh: dict[_State, _Reading], state: _State, reading: _Reading, face: str = "") -> None:
    if face:
        reading = _Reading(reading.cost, reading.ways, (face, reading.faces))
    known = fresh.get(state)
    if known is None or reading.cost < known.cost:
        fresh[state] = reading
    elif reading.cost == known.cost:
        fresh[state] = _Reading(known.cost, min(2, known.ways + reading.ways), known.faces)


def _unroll(reading: _Reading) -> list[str]:
    faces: list[str] = []
    link = reading.faces
    while link is not None:
        faces.append(link[0])
        link = link[1]
    return faces[::-1]


def _reads_flat(text: str, tokens: list[Token], level: list[_Item], faces: list[str], best: tuple[int, ...]) -> bool:
    """Whether a norm inside single bars could as well be read as single bars in a row: ``|x||y||z|``."""
    depth = 0
    inside = False
    for face in faces:
        if face == "open |":
            depth += 1
        elif face == "close |":
            depth -= 1
        elif face == "open ||" and depth:
            inside = True
    if not inside:
        return False
    opened, complete, against, signs = False, False, 0, 0
    for order, (kind, at) in enumerate(level):
        if kind == "bar":
            if tokens[at].type != "BAR" or (opened and not complete):
                return False
            opened, complete = not opened, opened
            lean = _lean(text, start(tokens[at]), end(tokens[at]))
            against += lean == ("close" if opened else "open")
            signs += opened and _before_sign(level, order, "|")
        else:
            state = _step(kind, _State("|" if opened else "", complete))
            if state is None:
                return False
            complete = state.complete
    return not opened and (against, signs) <= (best[0], best[2])


# ------------------------------------------------------------------ messages


def _stuck(tokens: list[Token], level: list[_Item], order: int, states: dict[_State, _Reading]) -> Diagnostic:
    """No reading is left before ``level[order]``: point at the bar that most likely has no partner."""
    state, reading = min(states.items(), key=lambda pair: (pair[1].cost, len(pair[0].stack)))
    faces = _unroll(reading)
    bars = [at for kind, at in level if kind == "bar"]
    open_bars: list[int] = []
    for at, face in zip(bars, faces, strict=False):
        if face.startswith("open"):
            open_bars.append(at)
        elif open_bars:
            open_bars.pop()
    culprit = tokens[open_bars[-1] if state.stack and open_bars else bars[min(len(faces), len(bars) - 1)]]
    return Diagnostic(
        "EB0105",
        f"this `{culprit}` has no partner",
        (Label(Span(start(culprit), end(culprit)), "opens or closes nothing"),),
        _HELP,
    )


# ------------------------------------------------------------------ the answer, put into the tokens


def _apply(tokens: list[Token], faces: dict[int, str]) -> list[Token]:
    out: list[Token] = []
    skip = False
    for at, token in enumerate(tokens):
        face = faces.get(at)
        if skip:
            skip = False
        elif face is None:
            out.append(token)
        else:
            way, kind = face.split(" ")
            side = "L" if way == "open" else "R"
            if kind == "||":
                out.append(make(f"BAR{side}", "||", start(token), end(token) + 1))
                skip = True
            else:
                out.append(make(f"BAR{side}", str(token), start(token), end(token)))
    return out


def _orders(tokens: list[Token]) -> list[Token]:
    """``||x||_1`` and ``||x||_{1,2}``: what follows a closing bar is its order."""
    out: list[Token] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if out and out[-1].type in ("BARR",) and token.type in ("SUB", "SUBBRACE"):
            stop = at
            while token.type == "SUBBRACE" and stop + 1 < len(tokens) and tokens[stop].type != "RBRACE":
                stop += 1
            body = "".join(tokens[at : stop + 1]).replace("\\ast", "*")
            out.append(make("ORDER", body, start(token), end(tokens[stop])))
            at = stop + 1
        else:
            out.append(token)
            at += 1
    return out
