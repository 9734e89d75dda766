"""Layers of vectors: ``linear``, ``mlp(128, 128, silu)``."""

from __future__ import annotations

from typing import Any

from ebdsl.atoms.core import LAYER_SPELLINGS, LayerAtom, ShapeError, register
from ebdsl.atoms.layer_arguments import Keywords, Shape, Texts, at_most, sequence, truth, whole
from ebdsl.atoms.shapes import show


def _vector(name: str, inputs: Shape) -> None:
    if len(inputs) != 1:
        remedy = "" if not inputs else f"; write flatten >> {name}"
        raise ShapeError(f"{name} takes a vector, and this is {show(inputs)}{remedy}")


def _vector_out(name: str, output: Shape | None) -> Shape:
    if output is None:
        raise ShapeError(f"how wide? Write the width of what {name} gives, as in {name}(64)")
    if len(output) > 1:
        raise ShapeError(f"{name} gives a vector, and {show(output)} is asked for; end with reshape")
    return output


def _linear_shape(inputs: Shape, output: Shape | None, args: tuple[Any, ...], keywords: Keywords) -> Shape:
    _vector("linear", inputs)
    at_most("linear", args, 1)
    truth(keywords, "bias", True)
    return (whole(args[0], "the width of linear"),) if args else _vector_out("linear", output)


def _linear(inputs: str, output: Texts, bias: bool) -> list[str]:
    """A linear map to a vector, or to a number without an axis."""
    stages = [f"nn.Linear({inputs}, {output[0] if output else 1}{'' if bias else ', bias=False'})"]
    return stages if output else [*stages, "nn.Flatten(-2)"]


register(
    LayerAtom(
        name="linear",
        spellings=("linear", "dense"),
        doc="W x + b; linear(64) sets the width, bias = no leaves b out",
        sets_shape=True,
        shape=_linear_shape,
        torch=lambda inputs, output, args, keywords: sequence(
            _linear(inputs[0], output, truth(keywords, "bias", True))
        ),
        keywords=("bias",),
        examples=(((4,), (3,), (), {}), ((4,), None, (6,), {"bias": "no"}), ((4,), (), (), {})),
    )
)


def _mlp_parts(args: tuple[Any, ...]) -> tuple[list[int], str]:
    words = [a for a in args if isinstance(a, str)]
    widths = [whole(a, "a width of mlp") for a in args if not isinstance(a, str)]
    if len(words) > 1 or (words and args[-1] != words[0]):
        raise ShapeError("mlp takes widths and then one activation, as in mlp(128, 128, silu)")
    activation = words[0] if words else "relu"
    row = LAYER_SPELLINGS.get(activation)
    if row is None or row.sets_shape or row.foreign:
        raise ShapeError(f"{activation} is no activation; tanh, relu and silu are some")
    return widths, activation


def _mlp_shape(inputs: Shape, output: Shape | None, args: tuple[Any, ...], keywords: Keywords) -> Shape:
    _vector("mlp", inputs)
    truth(keywords, "bias", True)
    _mlp_parts(args)
    if output is None:
        raise ShapeError("mlp ends in the module's output; before another stage write linear(64) >> relu")
    return _vector_out("mlp", output)


def _mlp_torch(inputs: Texts, output: Texts, args: tuple[Any, ...], keywords: Keywords) -> str:
    widths, activation = _mlp_parts(args)
    bias = truth(keywords, "bias", True)
    stages, width = [], inputs[0]
    for h in map(str, widths):
        stages += [*_linear(width, (h,), bias), LAYER_SPELLINGS[activation].torch((h,), (h,), (), ())]
        width = h
    return sequence([*stages, *_linear(width, output, bias)])


register(
    LayerAtom(
        name="mlp",
        spellings=("mlp",),
        doc="linear maps with an activation (relu if not said) between them: mlp(128, 128, silu) has two hidden layers",
        sets_shape=True,
        shape=_mlp_shape,
        torch=_mlp_torch,
        keywords=("bias",),
        needs=("Pointwise", "Gain", "Shrink"),
        examples=(((4,), (3,), (8, 5, "silu"), {}), ((4,), (), (6,), {}), ((4,), (2,), (6, "sin"), {"bias": "no"})),
    )
)
