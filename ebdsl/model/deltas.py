"""Kronecker's delta and shifts, folded where they are known."""

from __future__ import annotations

from ebdsl.model.ir import ONE, ZERO, Axis, Delta, Node, Shift, difference

Index = Axis | int


def delta(i: Index, j: Index) -> Node:
    """Kronecker's delta, folded where it is known. An entry from the start is never one counted from the end: axes of
    which a spec picks both have more than one entry."""
    if i == j:
        return ONE
    if isinstance(i, int) and isinstance(j, int):
        return ZERO
    if isinstance(i, int):
        i, j = j, i
    return Delta(i, j)


def shift(left: Index, right: Index, offset: int) -> Node:
    """1 where ``left + offset == right``, folded where it is known; see :class:`Shift`."""
    if isinstance(left, int):
        return delta(left + offset, right)
    if isinstance(right, int) and (right < offset or isinstance(left.dim, int)):
        inside = isinstance(left.dim, int) and offset <= right < left.dim + offset
        return delta(left, right - offset) if inside else ZERO
    if isinstance(right, Axis) and offset == 0 and left.dim == right.dim:
        return delta(left, right)
    return Shift(left, right, offset)


def shift_at(left: Axis, right: Index, offset: int, new_left: Index, new_right: Index) -> Node:
    """A shift with its indices replaced; a place counted from the end is counted from the end of the other axis."""
    rest = difference(right.dim, left.dim) if isinstance(right, Axis) else None
    if rest is not None:
        after = rest - offset  # entries of right past the last that left meets
        if isinstance(new_left, int) and new_left < 0:
            return delta(new_left - after, new_right)
        if isinstance(new_right, int) and new_right < 0:
            place = new_right + after
            return ZERO if place >= 0 else delta(new_left, place)
    return shift(new_left, new_right, offset)
