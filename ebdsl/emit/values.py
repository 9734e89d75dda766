"""A Python expression and the axes of its tensor; how one is brought to broadcast against another."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ebdsl.model.ir import BATCH, Axis


@dataclass(frozen=True)
class Value:
    """``code`` evaluates to a tensor with ``axes``; ``tight`` where it needs no brackets.

    ``picks``: of a one-hot tensor ``(B, k)``, the texts of its positions ``(B,)``, of ``k``, and of the type of its
    numbers. ``factors``: of a matrix product, the texts of its two factors and its scale. ``last``: whether the samples
    lie side by side in memory, although their axis is the first. ``fresh``: whether nothing else holds the tensor.
    """

    code: str
    axes: tuple[Axis, ...] = ()
    tight: bool = True
    picks: tuple[str, str, str] | None = None
    factors: tuple[str, str, float] | None = None
    last: bool = False
    fresh: bool = False

    @property
    def atom(self) -> str:
        return self.code if self.tight else f"({self.code})"


def union(*axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    """All axes, those of the longest operand in its order, the sample's first, or last where an operand has it so."""
    order = sorted(axes, key=len, reverse=True)
    result: list[Axis] = []
    for group in order:
        for k, a in enumerate(group):
            if a not in result:
                after = [result.index(x) for x in group[k + 1 :] if x in result]
                result.insert(min(after), a) if after else result.append(a)
    if BATCH in result:
        result.remove(BATCH)
        result.insert(len(result) if any(len(g) > 1 and g[-1] == BATCH for g in axes) else 0, BATCH)
    return tuple(result)


def aligned(value: Value, axes: tuple[Axis, ...], explicit: bool = False) -> str:
    """The text of ``value`` so that it broadcasts against a tensor with ``axes``."""
    order = tuple(a for a in axes if a in value.axes)
    code, changed = value.code, False
    if order != value.axes:
        if len(order) == 2:
            code = f"{value.atom}.T"
        else:
            code = f"{value.atom}.permute({', '.join(str(value.axes.index(a)) for a in order)})"
        changed = True
    if order and len(order) < len(axes):
        first = axes.index(order[0])
        tail = [a in order for a in axes[first:]]
        if not all(tail):
            base = code if changed else value.atom
            if all(tail[: len(order)]) and len(order) > 1:
                code = f"{base}[..., {', '.join(['None'] * (len(tail) - len(order)))}]"
            else:
                code = f"{base}[{', '.join(':' if there else 'None' for there in tail)}]"
    return code


def reduced(value: Value, axes: tuple[Axis, ...]) -> Value:
    """``value.sum(...)`` over axes that it has."""
    places = [value.axes.index(a) for a in axes]
    rest = tuple(a for a in value.axes if a not in axes)
    if value.picks is not None and axes == (BATCH,):
        state, count, dtype = value.picks
        return Value(f"torch.bincount({state}, minlength={count}).to({dtype})", rest)
    if not rest:
        return Value(f"{value.atom}.sum()", ())
    n = len(value.axes)
    if len(places) == 1:
        where = "-1" if places[0] == n - 1 else str(places[0])
    else:
        where = (
            f"({', '.join(str(p - n) if p >= n - len(places) and min(places) > 0 else str(p) for p in sorted(places))})"
        )
    if value.last and len(places) == 1 and places[0] > 0:
        return Value(f"{value.atom}.movedim(0, -1).sum({places[0] - 1}).movedim(-1, 0)", rest)
    return Value(f"{value.atom}.sum({where})", rest)


def stretched(value: Value, axis: Axis, by: Axis, before: int, after: int) -> Value:
    """``value`` without the first ``before`` and the last ``after`` entries along ``axis``, which is then ``by``."""
    k = value.axes.index(axis)
    axes = tuple(by if a == axis else a for a in value.axes)
    if not before and not after:
        return Value(value.code, axes, value.tight)
    cut = f"{before or ''}:{-after if after else ''}"
    return Value(f"{value.atom}[{', '.join([':'] * k + [cut])}]", axes)


def padded(value: Value, axis: Axis, by: Axis, before: int, after: int) -> Value:
    """``value`` with ``before`` zeros before it and ``after`` behind it along ``axis``, which is then ``by``."""
    k = value.axes.index(axis)
    axes = tuple(by if a == axis else a for a in value.axes)
    if not before and not after:
        return Value(value.code, axes, value.tight)
    pairs = ["0, 0"] * (len(value.axes) - 1 - k) + [f"{before}, {after}"]
    return Value(f"nn.functional.pad({value.code}, ({', '.join(pairs)}))", axes)


def number(value: float) -> str:
    """The shortest text of a number."""
    if math.isinf(value):
        return "math.inf" if value > 0 else "-math.inf"
    if math.isnan(value):
        return "math.nan"
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return repr(value)


def is_number(code: str) -> bool:
    try:
        float(code)
    except ValueError:
        return False
    return True


def is_tight(code: str) -> bool:
    """Whether a text can be followed by ``.method()`` as it stands: no operator outside brackets."""
    depth = 0
    for k, c in enumerate(code):
        if c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif depth == 0 and (c in " -" if k else c == "-"):
            return False
    return True


def is_product(code: str) -> bool:
    """No ``+`` or ``-`` outside brackets."""
    depth = 0
    for k, c in enumerate(code):
        if c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif depth == 0 and c in "+-" and (k == 0 or code[k - 1] == " "):
            return False
    return True


def bracket(code: str) -> str:
    return code if is_tight(code) else f"({code})"
