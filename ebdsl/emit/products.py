"""Products summed over axes: pairwise contractions, as matrix products where they are that."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ebdsl.emit.values import Value, aligned, bracket, is_product, is_tight, number, reduced, union
from ebdsl.model.ir import BATCH, Axis

Volume = Callable[[Sequence[Axis]], float]
"""The number of entries of a tensor with these axes, known or guessed."""


def contracted(values: list[Value], axes: tuple[Axis, ...], volume: Volume) -> Value:
    values, left = list(values), list(axes)
    while len(values) > 1:
        best: tuple[tuple[float, float], int, int, tuple[Axis, ...]] | None = None
        for i in range(len(values)):
            for j in range(i + 1, len(values)):
                both = union(values[i].axes, values[j].axes)
                others = {a for k, v in enumerate(values) if k not in (i, j) for a in v.axes}
                gone = tuple(a for a in left if a in both and a not in others)
                out = volume([a for a in both if a not in gone])
                before = volume(values[i].axes) + volume(values[j].axes)
                rank = (out - before if out > before else 0.0, volume(both))
                if best is None or rank < best[0]:
                    best = (rank, i, j, gone)
        assert best is not None
        _, i, j, gone = best
        joined = _pair(values[i], values[j], gone)
        left = [a for a in left if a not in gone]
        values = [v for k, v in enumerate(values) if k not in (i, j)] + [joined]
    return reduced(values[0], tuple(left)) if left else values[0]


def _pair(a: Value, b: Value, gone: tuple[Axis, ...]) -> Value:
    picked = _sum_by_state(a, b, gone) or _sum_by_state(b, a, gone)
    if picked is not None:
        return picked
    # what only one of the two has is summed first
    for_a = tuple(x for x in gone if x not in b.axes)
    for_b = tuple(x for x in gone if x not in a.axes)
    if for_a or for_b:
        a = reduced(a, for_a) if for_a else a
        b = reduced(b, for_b) if for_b else b
        gone = tuple(x for x in gone if x not in for_a and x not in for_b)
    if not gone:
        axes = union(a.axes, b.axes)
        if a.code == b.code and a.axes == b.axes and a.axes:
            return Value(f"{a.atom}.square()", axes)
        for over, by in ((a, b), (b, a)):
            if over.fresh and over.axes == axes and BATCH in axes:
                return Value(f"{over.atom}.mul_({aligned(by, axes)})", axes)
        left, right = aligned(a, axes), aligned(b, axes)
        left = left if is_tight(left) or (is_product(left) and "@" not in left and "/" not in left) else f"({left})"
        return Value(f"{left} * {bracket(right)}", axes, False)
    shared = [x for x in a.axes if x in b.axes and x not in gone]
    only_a = [x for x in a.axes if x not in b.axes]
    only_b = [x for x in b.axes if x not in a.axes]
    if not shared and len(gone) == 1:
        product = _matmul(a, b, gone[0])
        if product is not None:
            return product
    if not only_a or not only_b:
        product = _pair(a, b, ())
        return reduced(product, gone)
    letters: dict[Axis, str] = {BATCH: "b"}
    pool = iter("ijklmnopqrstuvwxyzacdefgh")
    for x in (*a.axes, *b.axes):
        if x not in letters:
            letters[x] = next(pool)
    out = union(tuple(x for x in a.axes if x not in gone), tuple(x for x in b.axes if x not in gone))
    spec = ",".join("".join(letters[x] for x in v.axes) for v in (a, b)) + "->" + "".join(letters[x] for x in out)
    return Value(f'torch.einsum("{spec}", {a.code}, {b.code})', out, factors=_factors(a, b, gone, out))


def _factors(a: Value, b: Value, gone: tuple[Axis, ...], out: tuple[Axis, ...]) -> tuple[str, str, float] | None:
    """The factors of ``x @ w`` with ``x`` ``(B, n)`` and all axes but the first of ``w`` those of the result."""
    x, w = (a, b) if BATCH in a.axes else (b, a)
    if len(gone) != 1 or x.axes != (BATCH, *gone) or set(w.axes) != {*gone, *out[1:]}:
        return None
    return x.code, aligned(w, (*gone, *out[1:])), 1.0


def fused(parts: list[tuple[float, Value]], axes: tuple[Axis, ...]) -> Value | None:
    """One matrix product after the other added to what broadcasts against them."""
    products = [(s, v) for s, v in parts if v.factors is not None and v.axes == axes and len(axes) >= 2]
    rest = [(s, v) for s, v in parts if v.factors is None and v.axes]
    if not products or not rest or len(products) + len(rest) != len(parts):
        return None
    text = ""
    for sign, v in sorted(rest, key=lambda p: p[0] < 0):
        piece = aligned(v, axes)
        piece = bracket(piece) if sign < 0 and not is_product(piece) else piece
        text = f"{text} {'+' if sign > 0 else '-'} {piece}" if text else piece if sign > 0 else f"-{bracket(piece)}"
    for sign, v in products:
        assert v.factors is not None
        left, right, scale = v.factors
        alpha = f", alpha={number(sign * scale)}" if sign * scale != 1 else ""
        text = f"add_product({text}, {left}, {right}{alpha})"
    return Value(text, axes, last=True)


def _sum_by_state(a: Value, b: Value, gone: tuple[Axis, ...]) -> Value | None:
    """``Σ_b a_bk b_b...`` for a one-hot ``a`` given by its positions."""
    if a.picks is None or gone != (BATCH,) or b.axes[:1] != (BATCH,) or a.axes[1] in b.axes:
        return None
    state, count, _ = a.picks
    return Value(f"sum_by_state({b.code}, {state}, {count})", (a.axes[1], *b.axes[1:]))


def _matmul(a: Value, b: Value, over: Axis) -> Value | None:
    """``a @ b`` for matrices and vectors, the sample's axis kept in front."""
    if BATCH in b.axes and BATCH not in a.axes:
        a, b = b, a
    elif BATCH not in (*a.axes, *b.axes) and over == BATCH:
        return None
    if len(a.axes) > 2 and a.axes[-1] != over:
        if len(b.axes) > 2 and b.axes[-1] == over:
            a, b = b, a
        else:
            return None
    if len(b.axes) > 2 or not a.axes or not b.axes:
        return None
    if len(a.axes) == 1 and len(b.axes) == 2 and b.axes[-1] == over:
        a, b = b, a
    left = a.atom if a.axes[-1] == over else f"{a.atom}.T"
    right = b.atom if b.axes[0] == over else f"{b.atom}.T"
    out = tuple(x for x in a.axes if x != over) + tuple(x for x in b.axes if x != over)
    return Value(f"{left} @ {right}", out, False, factors=(left, right, 1.0))
