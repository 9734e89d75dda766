"""Layers of maps ``R[channels, …]``: convolutions, pooling."""

from __future__ import annotations

import math
from typing import Any

from ebdsl.atoms.core import LayerAtom, ShapeError, register
from ebdsl.atoms.layer_arguments import Keywords, Shape, Texts, at_most, truth, whole
from ebdsl.atoms.shapes import show
from ebdsl.model.ir import Dim


def _map(name: str, inputs: Shape) -> int:
    """The number of spatial axes of a map ``(channels, …)``."""
    if len(inputs) not in (2, 3, 4):
        raise ShapeError(f"{name} takes maps with a channel axis first, as R[3, H, W], and this is {show(inputs)}")
    return len(inputs) - 1


def _conv_args(name: str, args: tuple[Any, ...], keywords: Keywords) -> tuple[int | None, int, int]:
    """Channels (None where the declaration tells), size, stride."""
    at_most(name, args, 3)
    given = {**dict(zip(("channels", "size", "stride"), args, strict=False)), **dict(keywords)}
    if "size" not in given:
        raise ShapeError(f"{name} needs the size of its kernel, as in {name}(16, 5)")
    channels = given.get("channels")
    return (
        None if channels is None else whole(channels, "the number of channels"),
        whole(given["size"], "the size of a kernel"),
        whole(given.get("stride", 1), "a stride"),
    )


def _channels(name: str, channels: int | None, inputs: Shape, output: Shape | None) -> Dim:
    if channels is not None:
        return channels
    if output is None or len(output) != len(inputs):
        raise ShapeError(f"how many channels? Write them, as in {name}(16, 5)")
    return output[0]


def _strided(name: str, inputs: Shape, stride: int, extent: Any) -> Shape:
    if stride == 1:
        return inputs[1:]
    unknown = [d for d in inputs[1:] if not isinstance(d, int)]
    if unknown:
        raise ShapeError(f"{name} with stride {stride} needs maps whose size is a number, and {unknown[0]} is a name")
    return tuple(extent(d) for d in inputs[1:])


def _conv_shape(inputs: Shape, output: Shape | None, args: tuple[Any, ...], keywords: Keywords) -> Shape:
    _map("conv", inputs)
    channels, size, stride = _conv_args("conv", args, keywords)
    truth(keywords, "bias", True)
    spatial = _strided("conv", inputs, stride, lambda d: (d + 2 * (size // 2) - size) // stride + 1)
    return (_channels("conv", channels, inputs, output), *spatial)


def _conv_torch(inputs: Texts, output: Texts, args: tuple[Any, ...], keywords: Keywords) -> str:
    _, size, stride = _conv_args("conv", args, keywords)
    dims = len(inputs) - 1
    uneven = stride == 1 and size % 2 == 0  # one more entry behind than before: padding='same' would copy, and warn
    options = [f"padding={size // 2}"] if size > 1 and not uneven else []
    options += [f"stride={stride}"] if stride > 1 else []
    options += [] if truth(keywords, "bias", True) else ["bias=False"]
    conv = f"nn.Conv{dims}d({', '.join([inputs[0], output[0], str(size), *options])})"
    if not uneven:
        return conv
    sides = ", ".join([str(size // 2 - 1), str(size // 2)] * dims)
    return f"nn.Sequential(nn.ConstantPad{dims}d(({sides}), 0.0), {conv})"


register(
    LayerAtom(
        name="conv",
        spellings=("conv",),
        doc="a learned convolution of maps R[channels, …]: conv(16, 5) has 16 channels and kernels of size 5; "
        "the maps keep their size, or have it divided by the stride",
        sets_shape=True,
        shape=_conv_shape,
        torch=_conv_torch,
        keywords=("channels", "size", "stride", "bias"),
        examples=(
            ((2, 9, 8), None, (3, 5), {}),
            ((2, 9, 8), (4, 9, 8), (), {"size": 3}),
            ((2, 9), None, (3, 4, 2), {}),
            ((1, 6, 5, 4), None, (2, 2), {}),
        ),
    )
)


def _upconv_shape(inputs: Shape, output: Shape | None, args: tuple[Any, ...], keywords: Keywords) -> Shape:
    _map("conv_transpose", inputs)
    channels, size, stride = _conv_args("conv_transpose", args, keywords)
    truth(keywords, "bias", True)
    if size < stride:
        raise ShapeError(f"kernels of size {size} leave gaps at stride {stride}")
    if stride == 1 and size % 2 == 0:
        raise ShapeError(f"conv_transpose with stride 1 needs kernels of odd size, not {size}")
    spatial = _strided("conv_transpose", inputs, stride, lambda d: d * stride)
    return (_channels("conv_transpose", channels, inputs, output), *spatial)


def _upconv_torch(inputs: Texts, output: Texts, args: tuple[Any, ...], keywords: Keywords) -> str:
    _, size, stride = _conv_args("conv_transpose", args, keywords)
    padding = math.ceil((size - stride) / 2)
    extra = 2 * padding - (size - stride)
    options = [f"stride={stride}"] if stride > 1 else []
    options += [f"padding={padding}"] if padding else []
    options += [f"output_padding={extra}"] if extra else []
    options += [] if truth(keywords, "bias", True) else ["bias=False"]
    return f"nn.ConvTranspose{len(inputs) - 1}d({', '.join([inputs[0], output[0], str(size), *options])})"


register(
    LayerAtom(
        name="conv_transpose",
        spellings=("conv_transpose", "deconv"),
        doc="a learned transposed convolution: conv_transpose(16, 4, 2) has 16 channels and doubles the maps' size",
        sets_shape=True,
        shape=_upconv_shape,
        torch=_upconv_torch,
        keywords=("channels", "size", "stride", "bias"),
        examples=(
            ((2, 4, 3), None, (3, 4, 2), {}),
            ((2, 4), None, (3, 5, 2), {}),
            ((2, 4, 3), (5, 4, 3), (), {"size": 3}),
            ((2, 4), None, (1, 3, 3), {}),
        ),
    )
)


def _pool_shape(inputs: Shape, output: Shape | None, args: tuple[Any, ...], keywords: Keywords) -> Shape:
    _map("pooling", inputs)
    size = _pool_size(args)
    spatial = _strided("pooling", inputs, size, lambda d: d // size)
    if 0 in spatial:
        raise ShapeError(f"nothing is left of {show(inputs)} after pooling by {size}")
    return (inputs[0], *spatial)


def _pool_size(args: tuple[Any, ...]) -> int:
    at_most("pooling", args, 1)
    return whole(args[0], "the size of pooling") if args else 2


for _kind, _word in (("Max", "greatest"), ("Avg", "mean")):
    register(
        LayerAtom(
            name=f"{_kind.lower()}pool",
            spellings=(f"{_kind.lower()}pool",),
            doc=f"the {_word} value of each block of a map; {_kind.lower()}pool(2), the default, halves its size",
            sets_shape=False,
            shape=_pool_shape,
            examples=(((2, 9, 8), None, (), {}), ((2, 9), None, (3,), {})),
            torch=lambda inputs, output, args, keywords, kind=_kind: (
                f"nn.{kind}Pool{len(inputs) - 1}d({_pool_size(args)})"
            ),
        )
    )
