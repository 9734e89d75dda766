"""Layers that keep the shape: dropout, normalisation, gains, shrinkage, softmax."""

from __future__ import annotations

from typing import Any

from ebdsl.atoms.core import LayerAtom, ShapeError, register
from ebdsl.atoms.layer_arguments import Keywords, Shape, at_most, fraction, tuple_text
from ebdsl.atoms.shapes import show


def _same(name: str, count: int = 0) -> Any:
    def shape(inputs: Shape, output: Shape | None, args: tuple[Any, ...], keywords: Keywords) -> Shape:
        at_most(name, args, count)
        return inputs

    return shape


def _dropout_rate(args: tuple[Any, ...]) -> float:
    at_most("dropout", args, 1)
    return fraction(args[0], "the rate of dropout") if args else 0.5


def _dropout_shape(inputs: Shape, output: Shape | None, args: tuple[Any, ...], keywords: Keywords) -> Shape:
    _dropout_rate(args)
    return inputs


register(
    LayerAtom(
        name="dropout",
        spellings=("dropout",),
        doc="entries set to 0 at random while training; dropout(0.1) sets the rate",
        sets_shape=False,
        shape=_dropout_shape,
        torch=lambda inputs, output, args, keywords: f"nn.Dropout({_dropout_rate(args):g})",
        examples=(((5,), None, (0.1,), {}), ((5,), None, (), {})),
    )
)


def _not_a_number(name: str) -> Any:
    def shape(inputs: Shape, output: Shape | None, args: tuple[Any, ...], keywords: Keywords) -> Shape:
        at_most(name, args, 0)
        if not inputs:
            raise ShapeError(f"{name} takes a vector, and this is a number")
        return inputs

    return shape


register(
    LayerAtom(
        name="layernorm",
        spellings=("layernorm", "layer_norm"),
        doc="each sample's entries shifted and scaled to mean 0 and variance 1, then by learned gains and biases",
        sets_shape=False,
        shape=_not_a_number("layernorm"),
        torch=lambda inputs, output, args, keywords: (
            f"nn.LayerNorm({inputs[0] if len(inputs) == 1 else tuple_text(inputs)})"
        ),
        examples=(((5,), None, (), {}), ((2, 3), None, (), {})),
    )
)


def _batchnorm_shape(inputs: Shape, output: Shape | None, args: tuple[Any, ...], keywords: Keywords) -> Shape:
    at_most("batchnorm", args, 0)
    if len(inputs) not in (1, 2, 3, 4):
        raise ShapeError(f"batchnorm takes a vector or maps R[channels, …], and this is {show(inputs)}")
    return inputs


register(
    LayerAtom(
        name="batchnorm",
        spellings=("batchnorm", "batch_norm"),
        doc="each channel shifted and scaled to mean 0 and variance 1 over the batch, then by learned gains and biases",
        sets_shape=False,
        shape=_batchnorm_shape,
        torch=lambda inputs, output, args, keywords: f"nn.BatchNorm{max(1, len(inputs) - 1)}d({inputs[0]})",
        examples=(((5,), None, (), {}), ((2, 3), None, (), {}), ((2, 3, 4), None, (), {})),
    )
)

register(
    LayerAtom(
        name="gain",
        spellings=("gain",),
        doc="each entry times a learned number",
        sets_shape=False,
        shape=_not_a_number("gain"),
        torch=lambda inputs, output, args, keywords: f"Gain({', '.join(inputs)})",
        needs=("Gain",),
        examples=(((5,), None, (), {}), ((2, 3), None, (), {})),
    )
)

register(
    LayerAtom(
        name="sh",
        spellings=("sh", "shrink"),
        doc="smooth shrinkage with a learned threshold and sharpness for each entry",
        sets_shape=False,
        shape=_not_a_number("sh"),
        torch=lambda inputs, output, args, keywords: f"Shrink({', '.join(inputs)})",
        needs=("Shrink",),
        examples=(((5,), None, (), {}), ((2, 3), None, (), {})),
    )
)

for _name, _class, _doc in (
    ("softmax", "Softmax", "exp(x) / Σ exp(x) along the last axis"),
    ("logsoftmax", "LogSoftmax", "x - log Σ exp(x) along the last axis"),
):
    register(
        LayerAtom(
            name=_name,
            spellings=(_name,),
            doc=_doc,
            sets_shape=False,
            shape=_not_a_number(_name),
            examples=(((5,), None, (), {}), ((2, 3), None, (), {})),
            torch=lambda inputs, output, args, keywords, text=_class: f"nn.{text}(dim=-1)",
        )
    )

register(
    LayerAtom(
        name="identity",
        spellings=("identity",),
        doc="what comes in",
        sets_shape=False,
        shape=_same("identity"),
        torch=lambda inputs, output, args, keywords: "nn.Identity()",
        examples=(((5,), None, (), {}),),
    )
)
