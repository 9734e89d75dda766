"""Smooth parameters to a minimum over all samples. Torch only; copied into generated files by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ebdsl.runtime.learning import remembered, same_tensors
from ebdsl.runtime.newton import pushed


class Coordinates:
    """Parameters as one vector ``(p,)``, in which what they are multiplied with is white and slopes have unit spread.

    ``roots``: by the number of a parameter, an axis of it and the inverse root of the second moment of what meets it
    there. ``scales`` ``(blocks,)``: the spread of each parameter's slope over the samples, 0 while it is not known.
    """

    def __init__(self, params: Sequence[nn.Parameter]) -> None:
        self.params = list(params)
        self.roots: dict[int, tuple[int, Tensor]] = {}
        self.scales = params[0].new_zeros(len(self.params))

    def whiten(self, number: int, place: int, moment: Tensor) -> None:
        """Take ``moment`` ``(d, d)`` for what meets a parameter along ``place``; what hardly varies stays as it is."""
        values, vectors = torch.linalg.eigh(moment.double().nan_to_num())
        least = torch.finfo(torch.float64).tiny
        values = torch.where(values > 1e-6 * values.mean(), values, values[-1]).clamp_min(least)
        self.roots[number] = (place, ((vectors * values.rsqrt()) @ vectors.T).to(moment.dtype))

    def turned(self, number: int, x: Tensor) -> Tensor:
        """Slopes of a parameter, the last axes of ``x``, in its white coordinates; or moves in those as its moves."""
        if number not in self.roots:
            return x
        place, root = self.roots[number]
        place -= self.params[number].ndim
        return x @ root if place == -1 else (x.movedim(place, -1) @ root).movedim(-1, place)

    def slopes(self, slopes: Sequence[Tensor]) -> Tensor:
        """``(groups, p)``: the slopes along the coordinates, of slopes ``(groups, *shape)`` for each parameter."""
        parts = [self.turned(k, s).reshape(len(s), -1) / self.scales[k] for k, s in enumerate(slopes)]
        return torch.cat(parts, 1) if len(parts) > 1 else parts[0]

    def move(self, way: Tensor) -> list[Tensor]:
        """What a move along the coordinates adds to each parameter."""
        parts = zip(self.blocks(way), self.params, self.scales, strict=True)
        return [self.turned(k, (part / scale).view(p.shape)) for k, (part, p, scale) in enumerate(parts)]

    def blocks(self, vector: Tensor) -> tuple[Tensor, ...]:
        """Each parameter's part."""
        return vector.split_with_sizes([p.numel() for p in self.params], -1)

    def sizes(self, vector: Tensor) -> Tensor:
        """The Euclidean norm of each parameter's part."""
        return torch.stack([torch.linalg.vector_norm(b) for b in self.blocks(vector)])


class SmoothDescent:
    """Limited memory quasi-Newton (L-BFGS: Liu & Nocedal 1989) on the mean energy over samples, on growing shares.

    ``summed(*tensors)`` gives the energies of the terms and a slope for each parameter, summed over some samples;
    ``rest()`` the same of what no sample enters, for one sample. ``bounds``: the ends between which each parameter's
    entries stay. ``width``: numbers that a sample takes in the widest tensor.

    A residual is a parameter's slope over the spread of that over the samples, which groups of them tell: it has no
    unit. A share of the samples is done where the slope is a tenth of what chance makes it, and four times as many are
    next (Byrd, Chin, Nocedal & Wu 2012); all samples are where the residual is at most ``tolerance``.
    """

    def __init__(
        self,
        params: Sequence[nn.Parameter],
        bounds: Sequence[tuple[float, float]],
        tolerance: float,
        width: int,
        seed: int,
        summed: Callable[..., tuple[Sequence[float | Tensor], list[Tensor]]],
        rest: Callable[[], tuple[Sequence[float | Tensor], list[Tensor]]],
    ) -> None:
        self.params, self.bounds, self.tolerance, self.width = list(params), list(bounds), tolerance, width
        self.seed, self.summed, self.rest = seed, summed, rest
        self.entries = sum(p.numel() for p in params)
        self.bounded = any(math.isfinite(end) for ends in bounds for end in ends)
        self.coordinates = Coordinates(params)
        self.count = self.tries = 0
        self.largest = params[0].new_zeros(len(self.params))
        self.residual = torch.full_like(self.largest, torch.inf)
        self.moves: list[Tensor] = []
        self.turns: list[Tensor] = []
        self.converged = False
        self.seen: tuple[tuple[Tensor, int], ...] = ()

    def step(self, data: tuple[Tensor, ...]) -> Tensor:
        """Moves worth about one pass over ``data``; gives the terms' mean energies ``(terms,)`` before them."""
        samples = len(data[0])
        self.count = min(self.count, samples) or self.first_share(data)
        if not bool(self.coordinates.scales.any()):
            self.scale(data)
        if not same_tensors(self.seen, (*data, *self.params)):
            self.take(data)
        before, spent = self.energies, 0
        while True:
            worst = float(self.residual.max())
            self.converged |= self.count == samples and worst <= self.tolerance
            if self.converged or spent >= samples:
                break
            if self.count < samples and (self.tries >= 100 or worst <= max(self.tolerance, 0.1 * self.count**-0.5)):
                self.count, self.tries = samples if 8 * self.count > samples else 4 * self.count, 0
                self.take(data)
                spent += self.count
                continue
            looks, found = self.move()
            spent, self.tries = spent + looks * self.count, self.tries + 1
            if not found:  # to the last digits of the energy there is nowhere to go
                self.converged, self.tries = self.count == samples, 100
        self.seen = remembered((*data, *self.params))
        return before

    def first_share(self, data: tuple[Tensor, ...]) -> int:
        """Samples to begin with: a power of 4 fewer, while there are ten numbers for each parameter."""
        entries = sum(t[0].numel() for t in data)
        least = max(2048, 10 * self.entries // max(1, entries))
        count = len(data[0])
        while count // 4 >= least:
            count //= 4
        return count

    def scale(self, data: tuple[Tensor, ...]) -> None:
        """Fix the units of the coordinates: slopes of spread 1, or of norm 1 where no sample enters."""
        self.coordinates.scales = torch.ones_like(self.largest)
        self.take(data)
        sizes = torch.where(self.spread > 0, self.spread, self.coordinates.sizes(self.slope))
        self.coordinates.scales = torch.where(sizes > 0, sizes, 1.0)
        self.largest = torch.zeros_like(self.largest)
        self.take(data)

    def take(self, data: tuple[Tensor, ...]) -> None:
        """Draw the share of the samples and measure at it."""
        samples = len(data[0])
        if self.count < samples:
            drawn = torch.randperm(samples, generator=torch.Generator().manual_seed(self.seed))[: self.count]
            data = tuple(t[drawn.to(t.device)] for t in data)
        size = -(-self.count // (4 if self.entries > 64 else 16))  # few entries tell little of their spread
        rows = -(-size // -(-size // max(256, 2**17 // self.width)))
        groups = zip(*(t.split(size) for t in data), strict=True)
        self.groups = [list(zip(*(t.split(rows) for t in group), strict=True)) for group in groups]
        self.sizes = self.largest.new_tensor([len(x) for x in data[0].split(size)])[:, None]
        self.enter(self.measure())

    def measure(self) -> tuple[Tensor, Tensor, Tensor]:
        """Mean energies of the terms, the mean slope ``(p,)`` and the spread of each block over the samples."""
        energies, mean = self.rest()
        groups: list[list[Tensor]] = []
        for group in self.groups:
            sums: list[Tensor] = []
            for piece in group:
                values, slopes = self.summed(*piece)
                energies = [e + v / self.count for e, v in zip(energies, values, strict=True)]
                sums = [s.add_(t) for s, t in zip(sums, slopes, strict=True)] if sums else slopes
            groups.append(sums)
        packed = self.coordinates.slopes([torch.stack(parts) for parts in zip(*groups, strict=True)])
        slope = packed.sum(0) / self.count
        apart = (packed / self.sizes - slope) * self.sizes.sqrt()
        spread = torch.stack([torch.linalg.vector_norm(b, dim=1) for b in self.coordinates.blocks(apart)]).norm(dim=1)
        terms = torch.stack([torch.as_tensor(e, dtype=torch.float64, device=slope.device) for e in energies])
        slope = slope + self.coordinates.slopes([s[None] for s in mean])[0]
        return terms, slope, spread / max(1, len(groups) - 1) ** 0.5

    def enter(self, measured: tuple[Tensor, Tensor, Tensor]) -> None:
        """What was measured is where the search stands."""
        self.energies, self.slope, self.spread = measured
        self.value = float(self.energies.sum())
        free = self.free()
        sizes = self.coordinates.sizes(self.slope if free is None else self.slope * free)
        self.largest = torch.maximum(self.largest, sizes)
        scale = torch.hypot(self.spread, 1e-3 * self.largest)
        self.residual = torch.where(scale > 0, sizes / scale, sizes)

    def free(self) -> Tensor | None:
        """Which entries ``(p,)`` the slope does not push against a bound that they are at; None where all are free."""
        if not self.bounded:
            return None
        parts = []
        for p, (low, high), part in zip(self.params, self.bounds, self.coordinates.blocks(self.slope), strict=True):
            x = p.detach().reshape(-1)
            parts.append(~pushed(x, part, x.new_full((), low), x.new_full((), high)))
        return torch.cat(parts)

    def move(self) -> tuple[int, bool]:
        """One step along the quasi-Newton direction; how many points were looked at, and whether one is lower.

        The length is found by bisection for Wolfe's weak conditions (Lewis & Overton 2013), so that the curvature
        along each kept move is positive.
        """
        begin = [p.detach().clone() for p in self.params]
        old, value, slope, worst = (self.energies, self.slope, self.spread), self.value, self.slope, self.residual.max()
        way = limited_memory_step(slope, self.moves, self.turns, self.free())
        if not bool(way @ slope < 0):
            self.moves, self.turns = [], []
            way = limited_memory_step(slope, [], [], self.free())
        adds, length = self.coordinates.move(way), 1.0
        if not self.moves:  # a tenth of what is there: nothing is known of the curvature
            reach = [float(a.norm() / x.norm()) for a, x in zip(adds, begin, strict=True) if bool(x.any())]
            length = 0.1 / max([0.1, *reach])
        low, high, best = 0.0, math.inf, None
        for looks in range(1, 21):
            step = self.place(begin, adds, way, length)
            drop = float(slope @ step)
            self.enter(self.measure())
            gone = math.isfinite(self.value) and self.value <= value + 1e-4 * drop
            blurred = value + 64 * torch.finfo(slope.dtype).eps * abs(value)
            if not gone and not (self.value <= blurred and bool(self.residual.max() < worst)):
                high = length
            elif gone and looks < 20 and float(self.slope @ step) < 0.9 * drop:
                low, best = length, (self.energies, self.slope, self.spread)
            else:
                self.moves, self.turns = [*self.moves[-6:], step], [*self.turns[-6:], self.slope - slope]
                return looks, True
            length = 2 * low if high == math.inf else (low + high) / 2
            if high - low < 1e-3 * low or (best is None and looks > 12):
                break
        self.place(begin, adds, way, low)
        self.enter(best or old)
        forgot = bool(self.moves)
        self.moves, self.turns = [], []
        return looks, best is not None or forgot

    def place(self, begin: list[Tensor], adds: list[Tensor], way: Tensor, length: float) -> Tensor:
        """Put the parameters ``length`` along the way, within bounds; gives the move ``(p,)`` in coordinates."""
        parts = []
        blocks = zip(self.params, begin, adds, self.bounds, self.coordinates.blocks(way), strict=True)
        for k, (p, x, add, (low, high), part) in enumerate(blocks):
            p.copy_(torch.add(x, add, alpha=length))
            if low > -math.inf or high < math.inf:
                part = (p.clamp_(low, high) - x).reshape(-1) * (self.coordinates.scales[k] / max(length, 1e-30))
            parts.append(part)
        return length * torch.cat(parts)

    def state_dict(self) -> dict[str, Tensor]:
        """What resuming needs besides the parameters."""
        none = self.largest.new_zeros(0, self.entries)
        return {
            "count": torch.tensor(self.count),
            "tries": torch.tensor(self.tries),
            "largest": self.largest,
            "scales": self.coordinates.scales,
            "moves": torch.stack(self.moves) if self.moves else none,
            "turns": torch.stack(self.turns) if self.turns else none,
            **{f"root.{k}.{place}": root for k, (place, root) in self.coordinates.roots.items()},
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from what ``state_dict`` gave."""
        self.count, self.tries = int(state["count"]), int(state["tries"])
        self.largest, self.coordinates.scales = (state[n].to(self.largest) for n in ("largest", "scales"))
        self.moves, self.turns = (list(state[n].to(self.largest)) for n in ("moves", "turns"))
        for name in state:
            if name.startswith("root."):
                k, place = map(int, name.split(".")[1:])
                self.coordinates.roots[k] = (place, state[name].to(self.largest))


def limited_memory_step(slope: Tensor, moves: list[Tensor], turns: list[Tensor], free: Tensor | None) -> Tensor:
    """``-H slope`` for ``(p,)``, where H maps what the slope turned by to the move that turned it, newest last.

    Two loops over the pairs (Nocedal & Wright 2006, algorithm 7.4) on the inner products of all vectors, which one
    product gives (Chen, Wang & Zhou 2014). Entries that are not ``free`` go by the scale alone.
    """
    m, eps = len(moves), torch.finfo(slope.dtype).eps
    basis = torch.stack([*moves, *turns, slope])
    if free is not None:
        basis = basis * free
    inner = (basis @ basis.T).tolist()
    weights, shares, scale = [0.0] * (2 * m) + [1.0], [0.0] * m, 1.0 / max(float(slope.abs().max()), 1e-30)
    good = [inner[k][m + k] > eps * inner[m + k][m + k] for k in range(m)]
    for k in reversed(range(m)):
        if good[k]:
            shares[k] = sum(w * x for w, x in zip(weights, inner[k], strict=True)) / inner[k][m + k]
            weights[m + k] -= shares[k]
    for k in range(m):
        scale = inner[k][m + k] / inner[m + k][m + k] if good[k] else scale
    weights = [scale * w for w in weights]
    for k in range(m):
        if good[k]:
            turned = sum(w * x for w, x in zip(weights, inner[m + k], strict=True)) / inner[k][m + k]
            weights[k] += shares[k] - turned
    way = -(basis.new_tensor(weights) @ basis)
    return way if free is None else torch.where(free, way, -scale * slope)
