"""The largest real root of polynomials of low degree, entry by entry. Torch only; copied into generated files by name.

Where there is none, the result is some number: what is compared with it is lower.
"""

from __future__ import annotations

import torch
from torch import Tensor


def line_root(linear: Tensor, constant: Tensor, right: Tensor | float) -> Tensor:
    """Where the integral of ``linear s + constant`` is least on ``s <= right``, but for the left end.

    The root where it bends up; else the right end, or ``-inf`` where it rises there.
    """
    ends = torch.where(linear * right + constant <= 0, torch.inf, -torch.inf)
    return torch.where(linear > 0, -constant / linear, ends)


def quadratic_root(a: Tensor | float, b: Tensor | float, c: Tensor) -> Tensor:
    """The larger root of ``a s² + b s + c``, ``a >= 0``, without cancellation; where ``a`` is 0 and ``b > 0`` that of
    the line."""
    b = torch.as_tensor(b, dtype=c.dtype, device=c.device)
    half = 0.5 * (b.abs() + (b.square() - 4 * a * c).clamp_min(0).sqrt())
    return torch.where(b > 0, -c / half, half / a)


def cubic_root(b: Tensor | float, c: Tensor | float, d: Tensor) -> Tensor:
    """The largest real root of ``s³ + b s² + c s + d``: Viète's and Cardano's formulas, and one step of Newton's."""
    b, c = (torch.as_tensor(x, dtype=d.dtype, device=d.device) for x in (b, c))
    third = b / 3
    p = c / 3 - third.square()
    q = third * (third.square() - 0.5 * c) + 0.5 * d  # x³ + 3 p x + 2 q = 0 at s = x - b/3
    inside = q.square() + p**3
    radius = (-p).clamp_min(0).sqrt()
    angle = (-q / (radius**3).clamp_min(torch.finfo(d.dtype).tiny)).clamp(-1, 1).acos() / 3
    one = -(q.abs() + inside.clamp_min(0).sqrt()).pow(1 / 3).copysign(q)
    s = torch.where(inside > 0, one - p / one, 2 * radius * angle.cos()) - third
    slope = (3 * s + 2 * b) * s + c
    return torch.where(slope > 0, s - (((s + b) * s + c) * s + d) / slope, s)


def quartic_root(q: Tensor, r: Tensor) -> Tensor:
    """The largest real root of ``s⁴ + q s + r``, ``q <= 0``, by factors ``s² ± α s + …``, and one step of Newton's."""
    square = cubic_root(0.0, -4 * r, -(q.square())).clamp_min(torch.finfo(q.dtype).tiny)
    first = square.sqrt()
    s = 0.5 * (first + (-2 * q / first - square).clamp_min(0).sqrt())
    slope = 4 * s**3 + q
    return torch.where(slope > 0, s - ((s**3 + q) * s + r) / slope, s)
