"""The vocabulary of modules: ``linear >> tanh >> gain``, ``mlp(128, 128, silu)``, ``conv(16, 5)``."""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ebdsl.atoms.core import LAYER_SPELLINGS, LayerAtom, ShapeError, register
from ebdsl.atoms.tensors import show
from ebdsl.model.ir import Dim

Shape = tuple[Dim, ...]
Texts = tuple[str, ...]
Keywords = Mapping[str, Any] | Iterable[tuple[str, Any]]

NO = {"no", "false", "off"}
YES = {"yes", "true", "on"}


# --------------------------------------------------------------------------- arguments


def _truth(keywords: Keywords, key: str, default: bool) -> bool:
    value = dict(keywords).get(key, default)
    if isinstance(value, str):
        if value.lower() in NO | YES:
            return value.lower() in YES
        raise ShapeError(f"{key} is yes or no, not {value}")
    return bool(value)


def _whole(value: Any, what: str, low: int = 1) -> int:
    if isinstance(value, str) or value != int(value) or value < low:
        raise ShapeError(f"{what} is a whole number from {low}, not {value}")
    return int(value)


def _fraction(value: Any, what: str) -> float:
    if isinstance(value, str) or not 0 <= value < 1:
        raise ShapeError(f"{what} is a number from 0 to below 1, not {value}")
    return float(value)


def _at_most(name: str, args: tuple[Any, ...], count: int) -> None:
    if len(args) > count:
        raise ShapeError(f"{name} takes at most {count} argument{'s' if count != 1 else ''}, and these are {len(args)}")


def _tuple(texts: Texts) -> str:
    return f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"


# --------------------------------------------------------------------------- linear, mlp


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
    _at_most("linear", args, 1)
    _truth(keywords, "bias", True)
    return (_whole(args[0], "the width of linear"),) if args else _vector_out("linear", output)


def _linear(inputs: str, output: Texts, bias: bool) -> list[str]:
    """A linear map to a vector, or to a number without an axis."""
    stages = [f"nn.Linear({inputs}, {output[0] if output else 1}{'' if bias else ', bias=False'})"]
    return stages if output else [*stages, "nn.Flatten(-2)"]


def _sequence(stages: list[str]) -> str:
    return stages[0] if len(stages) == 1 else f"nn.Sequential({', '.join(stages)})"


register(
    LayerAtom(
        name="linear",
        spellings=("linear", "dense"),
        doc="W x + b; linear(64) sets the width, bias = no leaves b out",
        sets_shape=True,
        shape=_linear_shape,
        torch=lambda inputs, output, args, keywords: _sequence(
            _linear(inputs[0], output, _truth(keywords, "bias", True))
        ),
        keywords=("bias",),
        examples=(((4,), (3,), (), {}), ((4,), None, (6,), {"bias": "no"}), ((4,), (), (), {})),
    )
)


def _mlp_parts(args: tuple[Any, ...]) -> tuple[list[int], str]:
    words = [a for a in args if isinstance(a, str)]
    widths = [_whole(a, "a width of mlp") for a in args if not isinstance(a, str)]
    if len(words) > 1 or (words and args[-1] != words[0]):
        raise ShapeError("mlp takes widths and then one activation, as in mlp(128, 128, silu)")
    activation = words[0] if words else "relu"
    row = LAYER_SPELLINGS.get(activation)
    if row is None or row.sets_shape or row.foreign:
        raise ShapeError(f"{activation} is no activation; tanh, relu and silu are some")
    return widths, activation


def _mlp_shape(inputs: Shape, output: Shape | None, args: tuple[Any, ...], keywords: Keywords) -> Shape:
    _vector("mlp", inputs)
    _truth(keywords, "bias", True)
    _mlp_parts(args)
    if output is None:
        raise ShapeError("mlp ends in the module's output; before another stage write linear(64) >> relu")
    return _vector_out("mlp", output)


def _mlp_torch(inputs: Texts, output: Texts, args: tuple[Any, ...], keywords: Keywords) -> str:
    widths, activation = _mlp_parts(args)
    bias = _truth(keywords, "bias", True)
    stages, width = [], inputs[0]
    for h in map(str, widths):
        stages += [*_linear(width, (h,), bias), LAYER_SPELLINGS[activation].torch((h,), (h,), (), ())]
        width = h
    return _sequence([*stages, *_linear(width, output, bias)])


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

# --------------------------------------------------------------------------- maps


def _map(name: str, inputs: Shape) -> int:
    """The number of spatial axes of a map ``(channels, …)``."""
    if len(inputs) not in (2, 3, 4):
        raise ShapeError(f"{name} takes maps with a channel axis first, as R[3, H, W], and this is {show(inputs)}")
    return len(inputs) - 1


def _conv_args(name: str, args: tuple[Any, ...], keywords: Keywords) -> tuple[int | None, int, int]:
    """Channels (None where the declaration tells), size, stride."""
    _at_most(name, args, 3)
    given = {**dict(zip(("channels", "size", "stride"), args, strict=False)), **dict(keywords)}
    if "size" not in given:
        raise ShapeError(f"{name} needs the size of its kernel, as in {name}(16, 5)")
    channels = given.get("channels")
    return (
        None if channels is None else _whole(channels, "the number of channels"),
        _whole(given["size"], "the size of a kernel"),
        _whole(given.get("stride", 1), "a stride"),
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
    _truth(keywords, "bias", True)
    spatial = _strided("conv", inputs, stride, lambda d: (d + 2 * (size // 2) - size) // stride + 1)
    return (_channels("conv", channels, inputs, output), *spatial)


def _conv_torch(inputs: Texts, output: Texts, args: tuple[Any, ...], keywords: Keywords) -> str:
    _, size, stride = _conv_args("conv", args, keywords)
    padding = "'same'" if stride == 1 else str(size // 2)
    options = [f"padding={padding}"] if size > 1 else []
    options += [f"stride={stride}"] if stride > 1 else []
    options += [] if _truth(keywords, "bias", True) else ["bias=False"]
    return f"nn.Conv{len(inputs) - 1}d({', '.join([inputs[0], output[0], str(size), *options])})"


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
    _truth(keywords, "bias", True)
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
    options += [] if _truth(keywords, "bias", True) else ["bias=False"]
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
    _at_most("pooling", args, 1)
    return _whole(args[0], "the size of pooling") if args else 2


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

# --------------------------------------------------------------------------- shapes


def _entries(shape: Shape) -> int | None:
    """The number of entries, None where a size is a name."""
    return math.prod(d for d in shape if isinstance(d, int)) if all(isinstance(d, int) for d in shape) else None


def _flatten_shape(inputs: Shape, output: Shape | None, args: tuple[Any, ...], keywords: Keywords) -> Shape:
    _at_most("flatten", args, 0)
    if len(inputs) == 1:
        return inputs
    total = _entries(inputs)
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
    new: Shape = tuple(_whole(a, "an extent of reshape") for a in args) if args else output or ()
    before, after = _entries(inputs), _entries(new)
    if before is not None and after is not None and before != after:
        raise ShapeError(f"{show(inputs)} has {before} entries and {show(new)} has {after}")
    return new


def _reshape_torch(inputs: Texts, output: Texts, args: tuple[Any, ...], keywords: Keywords) -> str:
    if inputs == output:
        return "nn.Identity()"
    if not output:
        return f"nn.Flatten({-len(inputs) - 1})"
    flat = [f"nn.Flatten({-len(inputs)})"] if len(inputs) > 1 else []
    split = [f"nn.Unflatten(-1, {_tuple(output)})"] if len(output) > 1 else []
    return _sequence([*flat, *split] or ["nn.Identity()"])


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

# --------------------------------------------------------------------------- normalisation, noise, gains


def _same(name: str, count: int = 0) -> Any:
    def shape(inputs: Shape, output: Shape | None, args: tuple[Any, ...], keywords: Keywords) -> Shape:
        _at_most(name, args, count)
        return inputs

    return shape


def _dropout_rate(args: tuple[Any, ...]) -> float:
    _at_most("dropout", args, 1)
    return _fraction(args[0], "the rate of dropout") if args else 0.5


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
        _at_most(name, args, 0)
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
            f"nn.LayerNorm({inputs[0] if len(inputs) == 1 else _tuple(inputs)})"
        ),
        examples=(((5,), None, (), {}), ((2, 3), None, (), {})),
    )
)


def _batchnorm_shape(inputs: Shape, output: Shape | None, args: tuple[Any, ...], keywords: Keywords) -> Shape:
    _at_most("batchnorm", args, 0)
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

# --------------------------------------------------------------------------- the user's own

_PATH = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)", re.ASCII)


def _path(args: tuple[Any, ...]) -> tuple[str, str]:
    """Package and class of ``"package.module:Class"``."""
    found = _PATH.fullmatch(args[0]) if args and isinstance(args[0], str) else None
    if found is None or any(keyword.iskeyword(part) for part in re.split("[.:]", args[0])):
        raise ShapeError('python takes a text like "package.module:Class"')
    return found[1], found[2]


def _python_shape(inputs: Shape, output: Shape | None, args: tuple[Any, ...], keywords: Keywords) -> Shape:
    _path(args)
    if any(not key.isidentifier() or keyword.iskeyword(key) for key, _ in _pairs(keywords)):
        raise ShapeError("the settings of python are names of the class's arguments")
    if output is None:
        raise ShapeError("what python gives is only known at the end of a module; give it a module of its own")
    return output


def _pairs(keywords: Keywords) -> tuple[tuple[str, Any], ...]:
    return tuple(dict(keywords).items())


def _python_torch(inputs: Texts, output: Texts, args: tuple[Any, ...], keywords: Keywords) -> str:
    given = [repr(a) for a in args[1:]] + [f"{key}={value!r}" for key, value in _pairs(keywords)]
    return f"{_path(args)[1]}({', '.join(given)})"


register(
    LayerAtom(
        name="python",
        spellings=("python",),
        doc='your own class of layers, python("package.module:Class", 3, depth = 2): run only when you allow it',
        sets_shape=True,
        shape=_python_shape,
        torch=_python_torch,
        keywords=("*",),
        imports=lambda args: (f"from {_path(args)[0]} import {_path(args)[1]}",),
        foreign=True,
        examples=(((5,), (5,), ("torch.nn:Tanh",), {}),),
    )
)
