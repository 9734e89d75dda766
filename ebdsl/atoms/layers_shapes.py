"""Layers that give the same entries another shape."""

from __future__ import annotations

from typing import Any

from ebdsl.atoms.core import LayerAtom, ShapeError, register
from ebdsl.atoms.layer_arguments import Keywords, Shape, Texts, at_most, entries, sequence, tuple_text, whole
from ebdsl.atoms.shapes import show


def _flatten_shape(inputs: Shape, output: Shape | None, args: tuple[Any, ...], keywords: Keywords) -> Shape:
    at_most("flatten", args, 0)
    if len(inputs) == 1:
        return inputs
    total = entries(inputs)
    if total is None:
        raise ShapeError(f"flatten needs sizes that are numbers, and this is {show(inputs)}")
    return (total,)


def _flatten_torch(inputs: Texts, output: Texts, args: tuple[Any, ...], keywords: Keywords) -> str:
    if len(inputs) == 1:
        return "nn.Identity()"
    return f"nn.Flatten({-len(inputs)})" if inputs else "nn.Unflatten(0, (-1, 1))"


register(
    LayerAtom(
        name="flatten",
        spellings=("flatten",),
        doc="all entries as one vector",
        sets_shape=False,
        shape=_flatten_shape,
        torch=_flatten_torch,
        examples=(((2, 3, 4), None, (), {}), ((5,), None, (), {}), ((), None, (), {})),
    )
)


def _reshape_shape(inputs: Shape, output: Shape | None, args: tuple[Any, ...], keywords: Keywords) -> Shape:
    if not args and output is None:
        raise ShapeError("to which shape? Write it, as in reshape(16, 7, 7)")
    new: Shape = tuple(whole(a, "an extent of reshape") for a in args) if args else output or ()
    before, after = entries(inputs), entries(new)
    if before is not None and after is not None and before != after:
        raise ShapeError(f"{show(inputs)} has {before} entries and {show(new)} has {after}")
    return new


def _reshape_torch(inputs: Texts, output: Texts, args: tuple[Any, ...], keywords: Keywords) -> str:
    if inputs == output:
        return "nn.Identity()"
    if not output:
        return f"nn.Flatten({-len(inputs) - 1})"
    flat = [f"nn.Flatten({-len(inputs)})"] if len(inputs) > 1 else []
    split = [f"nn.Unflatten(-1, {tuple_text(output)})"] if len(output) > 1 else []
    return sequence([*flat, *split] or ["nn.Identity()"])


register(
    LayerAtom(
        name="reshape",
        spellings=("reshape", "unflatten"),
        doc="the same entries in another shape: that of the output, or reshape(16, 7, 7)",
        sets_shape=True,
        shape=_reshape_shape,
        torch=_reshape_torch,
        examples=(
            ((12,), (3, 4), (), {}),
            ((2, 6), None, (12,), {}),
            ((1,), (), (), {}),
            ((2, 6), None, (3, 2, 2), {}),
        ),
    )
)
