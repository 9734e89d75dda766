"""Every layer's text makes a module that gives the shape which its row promises."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ebdsl.atoms import LAYERS, SCALARS, ShapeError
from ebdsl.atoms.core import LAYER_SPELLINGS, LayerAtom
from ebdsl.atoms.layers_maps import _conv_torch
from ebdsl.runtime.layers import Gain, Pointwise, Shrink

ROWS = pytest.mark.parametrize("row", LAYERS.values(), ids=LAYERS.keys())
NAMES = {"torch": torch, "nn": nn, "F": F}
CLASSES = {"Gain": Gain, "Pointwise": Pointwise, "Shrink": Shrink}


def texts(shape: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(map(str, shape))


@ROWS
def test_no_hole(row: LayerAtom) -> None:
    assert row.doc and "\n" not in row.doc and not row.doc.endswith(".")
    assert row.spellings and all(LAYER_SPELLINGS[s] is row for s in row.spellings)
    assert row.examples and set(row.needs) <= CLASSES.keys()


@ROWS
def test_shape_and_text(row: LayerAtom) -> None:
    torch.manual_seed(0)
    for inputs, output, args, keywords in row.examples:
        shape = row.shape(inputs, output, args, keywords)
        assert output is None or shape == output
        text = row.torch(texts(inputs), texts(shape), args, tuple(keywords.items()))
        space: dict[str, Any] = {**NAMES, **{n: CLASSES[n] for n in row.needs}}
        for line in row.imports(args) if row.imports else ():
            exec(line, space)
        module = eval(text, space)
        assert isinstance(module, nn.Module)
        x = torch.randn(4, *inputs, requires_grad=True)
        y = module(x)
        assert y.shape == (4, *shape), text
        if y.requires_grad and row.name not in ("sign", "step"):
            y.square().sum().backward()
            assert x.grad is not None and bool(torch.isfinite(x.grad).all())


@ROWS
def test_named_sizes(row: LayerAtom) -> None:
    """Where a layer takes a vector it also takes one whose size is a name."""
    if (5,) not in [e[0] for e in row.examples] or row.foreign:
        return
    shape = row.shape(("M",), ("M",) if row.sets_shape else None, (), {})
    assert shape == ("M",)


@pytest.mark.parametrize(
    ("name", "inputs", "output", "args", "keywords", "words"),
    [
        ("linear", (28, 28), (10,), (), {}, "flatten >> linear"),
        ("linear", (4,), None, (), {}, "how wide"),
        ("linear", (4,), (28, 28), (), {}, "reshape"),
        ("linear", (4,), (3,), (2.5,), {}, "whole number"),
        ("linear", (4,), (3,), (), {"bias": "maybe"}, "yes or no"),
        ("mlp", (4,), (3,), ("tanh", 5), {}, "then one activation"),
        ("mlp", (4,), (3,), (5, "no_such"), {}, "no activation"),
        ("mlp", (4,), (3,), (5, "conv"), {}, "no activation"),
        ("conv", (4,), None, (3, 3), {}, "channel axis"),
        ("conv", (1, 8, 8), None, (3,), {}, "size of its kernel"),
        ("conv", (1, "H", "W"), None, (3, 3, 2), {}, "H is a name"),
        ("conv", (1, 8, 8), None, (), {"size": 3}, "how many channels"),
        ("conv_transpose", (1, 8, 8), None, (3, 2, 3), {}, "gaps"),
        ("conv_transpose", (1, 8, 8), None, (3, 4), {}, "odd"),
        ("reshape", (12,), (5, 2), (), {}, "12 entries"),
        ("flatten", ("H", "W"), None, (), {}, "R[H, W]"),
        ("dropout", (4,), None, (1.5,), {}, "from 0 to below 1"),
        ("maxpool", (2, 1, 1), None, (), {}, "nothing is left"),
        ("softmax", (), None, (), {}, "is a number"),
        ("python", (4,), (4,), ("os.system('x')",), {}, "package.module:Class"),
        ("python", (4,), (4,), ("a.b:class",), {}, "package.module:Class"),
        ("python", (4,), (4,), ("a:B\n",), {}, "package.module:Class"),
        ("python", (4,), (4,), ("a.b:C",), {"x=1, y": 2}, "names"),
        ("python", (4,), None, ("a.b:C",), {}, "only known at the end"),
    ],
)
def test_mistakes(
    name: str, inputs: Any, output: Any, args: tuple[Any, ...], keywords: dict[str, Any], words: str
) -> None:
    with pytest.raises(ShapeError) as found:
        LAYERS[name].shape(inputs, output, args, keywords)
    assert words in str(found.value)


def test_every_unary_scalar_is_an_activation() -> None:
    for row in SCALARS.values():
        if row.arity == 1 and row.domain[0] == (float("-inf"), float("inf")):
            assert row.name in LAYERS


def test_convolution_keeps_the_size() -> None:
    for size in (1, 2, 3, 4, 5):
        assert LAYERS["conv"].shape((2, "H", "W"), None, (3, size), {}) == (3, "H", "W")


def test_shrinkage_is_soft_thresholding_when_sharp() -> None:
    layer = Shrink(3)
    with torch.no_grad():
        layer.threshold.fill_(0.5413)  # softplus of it is 1
        layer.sharpness.fill_(60.0)
    x = torch.linspace(-4, 4, 81)[:, None].expand(-1, 3)
    threshold = F.softplus(layer.threshold)
    expected = x.sign() * (x.abs() - threshold).clamp_min(0)
    torch.testing.assert_close(layer(x), expected, atol=0.03, rtol=0)
    assert bool(torch.isfinite(layer(torch.full((1, 3), 1e4))).all())


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dims, size", [(1, 4), (2, 2), (2, 3), (3, 2)])
def test_convolutions_keep_the_size_without_a_warning(dims: int, size: int) -> None:
    """Kernels of even size reach one further behind than before, as torch's ``padding='same'``."""
    shape = ("2", *["5"] * dims)
    ours = eval(_conv_torch(shape, ("3", *shape[1:]), (3, size), {}), {"nn": nn})
    theirs = getattr(nn, f"Conv{dims}d")(2, 3, size, padding="same")
    theirs.load_state_dict({k.split(".")[-1]: v for k, v in ours.state_dict().items()})
    x = torch.randn(2, 2, *[5] * dims, generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = theirs(x)
    assert torch.allclose(ours(x), wanted, atol=1e-6)
