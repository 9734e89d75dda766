"""Algorithms asked for by name, and encoders unrolled from them. Torch only; copied into generated files by name.

In all, ``prox(v, t)`` is ``argmin_x t R(x) + ½‖x - v‖²`` and the energy is ``½ x'Gx + b'x + R(x)`` for each row.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def proximal_steps(
    prox: Callable[[Tensor, float], Tensor],
    matrix: Tensor,
    shift: Tensor,
    step: float,
    start: Tensor,
    goal: Tensor | None,
    max_steps: int,
    momentum: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """A first pass, then ``max_steps`` steps ``x ← prox(x @ matrix + shift, step)``: answer, residual, steps.

    ``matrix`` is ``I - step G`` and ``shift`` ``-step b``. With ``momentum`` the step is taken from
    ``x + (t - 1)/t⁺ (x - x⁻)`` (Beck & Teboulle 2009, equation 4.2). The loop ends when the element of the
    subdifferential of every row is within its ``goal``; without one it makes all steps.
    """
    down = torch.addmm(shift, start, matrix)
    x = before = prox(down, step)
    t, count, residual = 1.0, 0, torch.full_like(x[:, 0], torch.inf)
    for count in range(1, max_steps + 1):
        t, weight = (0.5 + (0.25 + t * t) ** 0.5, (t - 1) / (0.5 + (0.25 + t * t) ** 0.5)) if momentum else (t, 0.0)
        down = torch.addmm(shift, torch.lerp(before, x, 1 + weight) if weight else x, matrix)
        x, before = prox(down, step), x
        if count % 10 == 0 and goal is not None:
            residual = (down - torch.addmm(shift, x, matrix)).abs().amax(1) / step
            if bool((residual <= goal).all()):
                break
    residual = (down - torch.addmm(shift, x, matrix)).abs().amax(1) / step
    return x, residual, torch.full_like(residual, count, dtype=torch.int64)


def coordinate_steps(
    prox: Callable[[Tensor, Tensor], Tensor],
    gram: Tensor,
    linear: Tensor,
    start: Tensor,
    goal: Tensor | None,
    max_steps: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Each step sets the coordinate that would move furthest to its minimum: answer, residual, steps.

    Li & Osher 2009; Gregor & LeCun 2010, algorithm 2, for any diagonal: ``prox`` acts entry by entry. At the end all
    coordinates are set once, as there.
    """
    curvature = gram.diagonal().clamp_min(torch.finfo(gram.dtype).tiny)
    scale = (1 / curvature)[None]
    beside = gram * scale
    beside.diagonal().zero_()
    x, inside = start, torch.addmm(-linear * scale, start, beside, beta=1, alpha=-1)
    beside, count = beside.T.contiguous().T, 0
    for count in range(1, max_steps + 1):
        move = prox(inside, scale) - x
        if goal is not None and count % 16 == 1 and bool(((move.abs() * curvature).amax(1) <= goal).all()):
            break
        place = move.abs().argmax(1, keepdim=True)
        change = move.gather(1, place)
        x = x.scatter_add(1, place, change)
        inside = torch.addcmul(inside, beside[place[:, 0]], change, value=-1)
    x = prox(inside, scale)
    residual = proximal_residual(prox, gram, linear, x, scale)
    return x, residual, torch.full_like(residual, count, dtype=torch.int64)


def proximal_residual(
    prox: Callable[..., Tensor], gram: Tensor, linear: Tensor, x: Tensor, step: Tensor | float
) -> Tensor:
    """For each row of ``x`` how far a proximal step moves it, the largest entry over ``step``: 0 at the minimum alone.

    ``step`` is a number or one for each entry (Parikh & Boyd 2014, section 4.2).
    """
    return ((x - prox(x - torch.addmm(linear, x, gram) * step, step)) / step).abs().amax(1)


class UnrolledEncoder(nn.Module):
    """What is learned of an unrolled algorithm: its matrices as differences from those of the energy.

    All differences start at zero, so that the encoder starts as the algorithm itself and follows the energy's
    parameters. ``layers`` 1: the steps share their weights. ``thresholds`` entries, or 1 for all together.
    """

    def __init__(self, inputs: int, code: int, layers: int, thresholds: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.zeros(layers, inputs, code, dtype=dtype))
        self.lateral = nn.Parameter(torch.zeros(layers, code, code, dtype=dtype))
        self.threshold = nn.Parameter(torch.ones(layers, thresholds, dtype=dtype))

    def proximal(
        self,
        prox: Callable[[Tensor, Tensor], Tensor],
        matrix: Tensor,
        shift: Tensor,
        step: float,
        y: Tensor,
        steps: int,
    ) -> Tensor:
        """LISTA: ``z ← prox(W_e y + S z)``, a first pass without ``S`` and ``steps`` more (Gregor & LeCun 2010)."""
        last = len(self.input) - 1
        tied = torch.addmm(shift, y, self.input[0])
        z = prox(tied, step * self.threshold[:1].abs())
        for k in range(1, steps + 1):
            k = min(k, last)
            inside = tied if k == 0 else torch.addmm(shift, y, self.input[k])
            z = prox(torch.addmm(inside, z, matrix + self.lateral[k]), step * self.threshold[k : k + 1].abs())
        return z

    def coordinate(
        self, prox: Callable[[Tensor, Tensor], Tensor], gram: Tensor, linear: Tensor, y: Tensor, steps: int
    ) -> Tensor:
        """LCoD: ``steps`` steps of :func:`coordinate_steps` from zero (Gregor & LeCun 2010, section 3.2).

        Gradients flow through the coordinates that were chosen.
        """
        scale = 1 / gram.diagonal().clamp_min(torch.finfo(gram.dtype).tiny)[None]
        beside = -gram * scale
        beside = beside - beside.diagonal().diag()
        last = len(self.input) - 1
        inside = torch.addmm(-linear * scale, y, self.input[0])
        z = torch.zeros_like(linear)
        rows = [beside + lateral for lateral in self.lateral]
        for k in range(steps):
            k = min(k, last)
            move = prox(inside, scale * self.threshold[k : k + 1].abs()) - z
            place = move.detach().abs().argmax(1, keepdim=True)
            change = move.gather(1, place)
            z = z.scatter_add(1, place, change)
            inside = inside + nn.functional.embedding(place[:, 0], rows[k]) * change
        return prox(inside, scale * self.threshold[last:].abs())
