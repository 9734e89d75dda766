"""Samples that every step sees again, each in the lowest of many states: only what changes is looked at. Torch only."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ebdsl.runtime.learning import add_product, lowest_state


class Members:
    """The state of each sample from step to step, and the sums over the members of each state.

    Of samples ``(n, ...)`` those that change state are added to one sum and taken from another. Sums are kept in
    float64, and what is added is rounded to a grid on which sums of n samples are exact (Demmel & Nguyen 2013), to some
    2**-50 n of a column's largest entry. So sums do not drift, and are the same however they came about.
    """

    def __init__(self, *data: Tensor) -> None:
        self.data = data
        room = len(data[0]).bit_length() + 1
        largest = [torch.maximum(t.amax(0), -t.amin(0)).double() for t in data]
        self.grids = [1.5 * torch.exp2(t.log2().ceil() + room) for t in largest]
        self.state: Tensor | None = None
        self.sums: dict[str, Tensor] = {}
        self.changed = len(data[0])
        self.bounds: Bounds | None = None

    def settle(self, state: Tensor, add_sums: Callable[..., None]) -> dict[str, Tensor]:
        """The sums with the samples in these states, ``(n,)``; ``add_sums(sums, *data, state)`` adds those of some."""
        before = self.state
        if before is not None:
            rows = (state != before).nonzero()[:, 0]
            self.changed = len(rows)
            before = None if 2 * len(rows) > len(state) else before
        if before is None:
            rows, self.sums = torch.arange(len(state)), {}
        few = max(16, 2**17 // sum(grid.numel() for grid in self.grids))  # what float64 takes of a cache
        for some in rows.split(few):
            part = [
                t.index_select(0, some).double().add_(grid).sub_(grid)
                for t, grid in zip(self.data, self.grids, strict=True)
            ]
            for sign, states in ((1, state), (-1, before)):
                if states is not None:
                    sums: dict[str, Tensor] = {}
                    add_sums(sums, *part, states[some])
                    for name, value in sums.items():
                        self.sums[name] = self.sums[name].add_(value, alpha=sign) if name in self.sums else value
        self.state = state
        return self.sums

    def lowest(self, w: Tensor, c: Tensor, alpha: float, scale: float = 1.0) -> Tensor:
        """The state of least ``c_k + alpha w_k'x`` for each sample ``x``, for ``w`` ``(k, d)`` and ``c`` ``(k,)``.

        ``scale``: how many times the squared distance to a point these are, if they are distances.
        Where few samples still change, and a product with all states costs far more than a look at as many bounds,
        only those samples are compared whose bounds leave it open.
        """
        (x,), (k, d) = self.data, w.shape
        if self.bounds is None and self.state is not None and 50 * self.changed < len(x) and k >= 32 and d >= 256:
            self.bounds = Bounds(x, k, scale)
        rows = None if self.bounds is None else self.bounds.open_rows(w, c, alpha, self.state)
        if rows is None or self.state is None:
            state, few = torch.empty(len(x), dtype=torch.int64), torch.arange(len(x))
        else:
            state, few = self.state.clone(), rows
        size = torch.get_num_threads() * min(8192, max(256, 2**19 // (k + d)))
        for some in few.split(size) if len(few) else ():
            part = x[int(some[0]) : int(some[0]) + len(some)] if rows is None else x.index_select(0, some)
            scores = add_product(c, part, w.T, alpha=alpha)
            kept = None if self.bounds is None else scores.clone()
            value, found = lowest_state(scores)
            state.index_copy_(0, some, found)
            if self.bounds is not None and kept is not None:
                self.bounds.take(some, kept, value, found)
        return state


class Bounds:
    """Bounds of the distance from each sample to its nearest point, and to each of the others (Elkan 2003).

    ``c_k + alpha w_k'x`` is, but for what all states have in common, ``scale`` times the squared distance to a point
    ``-alpha w_k / (2 scale)``, moved by some height out of the space of the samples (a power diagram, Aurenhammer
    1987). When points move, bounds give way by as much. They are wider than what rounding can do, so that a sample
    they decide would be found the same.
    """

    def __init__(self, x: Tensor, k: int, scale: float) -> None:
        self.scale = scale
        self.norms = torch.linalg.vector_norm(x, dim=1).square()
        self.rounding = 4 * x.shape[1] ** 0.5 * torch.finfo(x.dtype).eps
        self.below, self.above = x.new_empty(len(x), k), x.new_empty(len(x))
        self.points: Tensor | None = None
        self.shift, self.slack = self.norms, self.norms

    def open_rows(self, w: Tensor, c: Tensor, alpha: float, state: Tensor | None) -> Tensor | None:
        """The samples whose bounds do not decide; None for all, where these are most of them."""
        centres, before = w.double() * (-0.5 * alpha / self.scale), self.points
        lengths = centres.square().sum(1)
        height = c.double() / self.scale - lengths
        size = float(lengths.amax() + height.abs().amax())
        base = float(height.amin())
        self.points = torch.cat([centres, (height - base - self.rounding * size / 4).clamp_min(0).sqrt()[:, None]], 1)
        self.shift, self.slack = self.norms - base, self.rounding * (self.norms + size)
        if before is None:
            return None
        moved = (self.points - before).norm(dim=1).to(w.dtype) * (1 + 1e-5)
        self.above.add_(moved[state])
        rows = (self.below.sub_(moved).amin(1) <= self.above * (1 + 1e-5)).nonzero()[:, 0]
        return rows if 4 * len(rows) < 3 * len(self.norms) else None

    def take(self, rows: Tensor, scores: Tensor, value: Tensor, state: Tensor) -> None:
        """The scores of some samples, the least of each and its place; ``scores`` is overwritten."""
        shift, slack = self.shift[rows], self.slack[rows]
        scores.div_(self.scale).add_((shift - slack)[:, None]).clamp_min_(0).sqrt_().scatter_(
            1, state[:, None], torch.inf
        )
        self.below.index_copy_(0, rows, scores)
        self.above.index_copy_(0, rows, (value / self.scale + shift + slack).clamp_min_(0).sqrt_())
