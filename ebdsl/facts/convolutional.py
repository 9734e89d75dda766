"""Quadratics whose second derivative is ``weight D'D + ridge``, D a sum of convolutions of all maps of a latent."""

from __future__ import annotations

from dataclasses import dataclass

from ebdsl.facts.convexity import sign
from ebdsl.facts.modes import Operator
from ebdsl.model.algebra import addends, contract, multiply, rename
from ebdsl.model.build import add, mul
from ebdsl.model.canonical import canonical
from ebdsl.model.ir import ONE, Apply, Axis, Get, Mul, Node, Sum, Tensor

ADJOINT = {"correlate": "conv", "circular_correlate": "circular_conv"}


@dataclass(frozen=True)
class Convolutional:
    """``kernel`` over ``channel`` (where there are several maps) and its own axes; ``circular``: without ends."""

    op: Operator
    kernel: Tensor
    channel: Axis | None
    weight: Node
    ridge: Node
    circular: bool


def convolutional(op: Operator) -> Convolutional | str:
    """The operator as one Gram operator of convolutions, or why it is none."""
    ridge: list[Node] = []
    found: list[Convolutional] = []
    for part in addends(op.product):
        weight, inner = _apart(part, op)
        if weight.free or any(s.per_sample for s in weight.symbols):
            return "its curvature differs from entry to entry"
        if inner == Get(op.symbol, op.at):
            ridge.append(weight)
            continue
        gram = _gram(inner, weight, op)
        if isinstance(gram, str):
            return gram
        found.append(gram)
    if len(found) != 1:
        return "it is not convolved" if not found else "it is convolved in several terms"
    (one,) = found
    if sign(one.weight) != "positive" or sign(add(*ridge)) not in ("positive", "nonnegative"):
        return "the weight of the convolution is not known to be positive"
    return Convolutional(op, one.kernel, one.channel, one.weight, add(*ridge), one.circular)


def _apart(node: Node, op: Operator) -> tuple[Node, Node]:
    """Factors without the latent, and the rest."""
    if not isinstance(node, Mul):
        return ONE, node
    held = [f for f in node.factors if op.symbol in f.symbols]
    return mul(*(f for f in node.factors if op.symbol not in f.symbols)), multiply(*held)


def _convolved(node: Node) -> bool:
    return (isinstance(node, Apply) and "conv" in str(node.function)) or any(_convolved(c) for c in node.children)


def _gram(node: Node, weight: Node, op: Operator) -> Convolutional | str:
    """``correlate(D[c], Σ_k conv(D[k], z[k]))`` at the latent's places."""
    no = "it is convolved in another way than by one sum of all maps"
    if not isinstance(node, Apply) or node.function not in ADJOINT:
        return no if _convolved(node) else "it is not convolved"
    assert isinstance(node.function, str)
    kernel, picture = node.args
    rank = len(node.index)
    if len(op.at) - rank > 1 or node.index != op.at[len(op.at) - rank :] or op.symbol in kernel.symbols:
        return no
    if any(s.per_sample for s in kernel.symbols):
        return "its kernels differ from sample to sample"
    channel = op.at[0] if len(op.at) > rank else None
    scale, body = _apart(picture.body, op)
    bound: tuple[Axis, ...] = ()
    if isinstance(body, Sum):
        bound, body = body.axes, body.body
        more, body = _apart(body, op)
        scale = mul(scale, more)
    if scale.free or not isinstance(body, Apply) or body.function != ADJOINT[node.function]:
        return no
    if len(bound) != (channel is not None) or body.index != picture.axes:
        return no
    mine = dict(zip((channel, *kernel.axes) if channel else kernel.axes, (*bound, *body.args[0].axes), strict=True))
    if canonical(rename(kernel.body, dict(mine))) != canonical(body.args[0].body):
        return no
    maps = body.args[1]
    if maps.body != Get(op.symbol, (*bound, *maps.axes)):
        return no
    whole = contract(multiply(weight, scale), ())
    return Convolutional(op, kernel, channel, whole, ONE, node.function.startswith("circular"))
