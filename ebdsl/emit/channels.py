"""Sums of convolutions as one convolution of several channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ebdsl.emit.values import Value
from ebdsl.model.ir import Axis, Tensor

if TYPE_CHECKING:
    from ebdsl.emit.tensors import Scope


CHANNELS = {"conv": "convolve_channels", "circular_conv": "circular_convolve_channels"}


def are_channels(args: tuple[Tensor, ...], axes: tuple[Axis, ...]) -> bool:
    """Whether ``Σ_axes kernel * map`` is one convolution of channels: both have the axes, the kernel no others."""
    return len(axes) == 1 and args[0].free == frozenset(axes) and frozenset(axes) <= args[1].free


def convolved(
    scope: Scope, function: str, args: tuple[Tensor, ...], index: tuple[Axis | int, ...], axes: tuple[Axis, ...]
) -> Value:
    """``Σ_axes kernel * map`` at ``index``."""
    kernel, x = (scope._emit(a.body) for a in args)
    outer = (*(a for a in x.axes if a not in args[1].axes and a not in axes), *axes)
    texts = [scope._full(kernel, axes, args[0].axes), scope._full(x, outer, args[1].axes)]
    scope.imports.add(CHANNELS[function])
    code = f"{CHANNELS[function]}({texts[0]}, {texts[1]}, {len(args[0].axes)})"
    return scope._indexed(code, outer[: -len(axes)], index)
