"""Certificates: are the answers of inference optimal? Measured in float64 from the energy itself.

Energies and slopes come from the naive interpreter, not from the generated code that made the answers.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ebdsl import settings
from ebdsl.emit.context import make_context
from ebdsl.emit.descent import PROBES, span
from ebdsl.facts.gauges import GAUGES
from ebdsl.facts.penalties import ENTRYWISE, Penalty
from ebdsl.infer.core import Problem, Refusal
from ebdsl.infer.rules import enumeration, gaussian
from ebdsl.infer.rules.enumeration import States
from ebdsl.infer.rules.nested import OfSoftmin
from ebdsl.infer.rules.proximal_gradient import analyse
from ebdsl.model.adjoint import gradient
from ebdsl.model.algebra import with_batch
from ebdsl.model.derivative import NoDerivative, derivative, fresh_index
from ebdsl.model.ir import BATCH, Axis, Node, Symbol
from ebdsl.model.reference import points, table
from ebdsl.plan import Plan
from ebdsl.run.subgradients import smallest_subgradient
from ebdsl.runtime.inference import starting_points

Array = np.ndarray
ROWS = 32
"""Samples at a time: the naive interpreter makes large arrays."""

MOST_DIFFERENCES = 256
"""Entries of a latent inside learned functions for which slopes are taken by differences."""

MOST_CHANGES = 4096
"""Changes of one finite variable that are tried where all states together are too many."""


@dataclass
class Certificates:
    """One number for each sample: how far from optimal, and what the tolerance allows.

    ``measure`` says what the number is; ``reason`` why there is none.
    """

    measure: str
    target: float = math.nan
    reason: str | None = None
    parts: list[Array] = field(default_factory=list)
    allowed: list[Array] = field(default_factory=list)

    @property
    def residual(self) -> Array:
        return np.concatenate(self.parts) if self.parts else np.zeros(0)

    @property
    def good(self) -> Array:
        limits = np.concatenate(self.allowed) if self.allowed else np.zeros(0)
        return self.residual <= limits  # false for NaN


class Certifier:
    """``add(observed, latents)`` certifies a batch, arrays by the spec's names; ``found`` is what came out."""

    def __init__(self, plan: Plan, network: Any, tolerance: float | None = None) -> None:
        self.plan = plan
        self.model = plan.model
        state = {k: v.detach().cpu().double().numpy() for k, v in network.state_dict().items()}
        names = make_context(plan).names
        self.values = {s: state[names[s.name]] for s in self.model.role("param")}
        for s in self.model.role("const"):
            self.values[s] = np.asarray(s.value if s.value is not None else getattr(network, names[s.name]), float)
        self.double = copy.deepcopy(network).double().cpu()
        self.functions = {m.name: _function(getattr(self.double, names[m.name])) for m in self.model.modules}
        dtype = next((p.dtype for p in network.parameters()), torch.float32)
        single = dtype == torch.float32
        self.tolerance = tolerance or settings.tolerances(plan)[0 if single else 1]
        self.rounding = 64 * torch.finfo(dtype).eps
        coupled = any(s.domain.kind not in ("real", "nonnegative", "box") for s in self.model.role("latent"))
        self.share = max(1e-5, torch.finfo(dtype).eps ** 0.4) if coupled else 1e-5  # a projection rounds all entries
        self.probed = settings.inference_rule(plan) in settings.LOCAL
        # the least element of a subdifferential may have a larger entry than others
        self.slack = 2.0 if coupled or self.probed else 1.01
        kinds = {s.domain.row.finite for s in self.model.role("latent")}
        steps = {e.kind for e in self.model.eliminations}
        latents = tuple(s for e in self.model.eliminations for s in e.latents)
        beta = self.model.eliminations[0].beta if self.model.eliminations else None
        self.problem = Problem(self.model, "min" if steps <= {"min"} else "softmin", latents, plan.energy, beta)
        self._one: Callable[[dict[Symbol, Array]], tuple[Array, Array]]
        nested = plan.inference[0].payload if plan.inference else None
        if isinstance(nested, OfSoftmin):
            self.problem = Problem(self.model, "min", nested.latents, nested.averaged)
            self._tabulate(nested.states)
            self.found = self._prepare_slopes()
        elif len(steps) > 1:
            self.found = Certificates("", reason="a softmin of minima has no certificate")
        elif kinds == {True}:
            self.found = self._prepare_states()
        elif steps == {"min"}:
            self.found = self._prepare_slopes()
        else:
            self.found = self._prepare_means()

    def add(self, observed: dict[str, Array], latents: dict[str, Array]) -> None:
        """Certify one batch; nothing where there is no certificate."""
        if self.found.reason is not None:
            return
        given = {self.model.symbol(k): np.asarray(v, float) for k, v in {**observed, **latents}.items()}
        n = len(next(iter(given.values())))
        parts = [self._one({s: v[k : k + ROWS] for s, v in given.items()}) for k in range(0, n, ROWS)]
        residual, scale = (np.concatenate(x) for x in zip(*parts, strict=True))
        asked = np.maximum(scale, self.rounding * scale.max(initial=0)) if scale.any() else np.ones_like(scale)
        allowed = self.slack * self.tolerance * asked + self.rounding * scale
        self.found.parts.append(residual)
        self.found.allowed.append(allowed)
        self.found.target = max(float(allowed.max(initial=0)), np.nan_to_num(self.found.target))

    def _table(self, node: Node, given: dict[Symbol, Array], axes: tuple[Axis, ...] = ()) -> Array:
        rows = len(next(iter(given.values())))
        sizes = {k: v for k, v in self.model.dims.items() if v is not None} | {"batch": rows}
        with np.errstate(all="ignore"):
            return table(
                with_batch(node), (BATCH, *axes), self.values | given, sizes=sizes, functions=self.functions
            )  # fmt: skip

    # ------------------------------------------------------------- finite latents

    def _prepare_states(self) -> Certificates:
        decision = enumeration.consider(self.problem)
        if isinstance(decision, Refusal):
            return self._prepare_changes(decision.reason)
        payload = decision.payload
        assert isinstance(payload, enumeration.Enumeration)
        axes = tuple(s.axis for s in payload.states)
        self._tabulate(payload.states)

        def lowest(given: dict[Symbol, Array]) -> tuple[Array, Array]:
            states = self._table(payload.energy, given, axes)
            flat = states.reshape(len(states), -1)
            energy = self._table(self.plan.energy, given)
            return energy - flat.min(1), np.abs(flat).max(1)

        def averaged(given: dict[Symbol, Array]) -> tuple[Array, Array]:
            states = self._table(payload.energy, given, axes)
            beta = 1.0 if payload.beta is None else self._table(payload.beta, given)[:, None]
            flat = -beta * states.reshape(len(states), -1)
            weights = np.exp(flat - flat.max(1, keepdims=True))
            weights = (weights / weights.sum(1, keepdims=True)).reshape(states.shape)
            worst = np.zeros(len(states))
            for k, s in enumerate(payload.states):
                apart = np.abs(self._marginal(weights, k, s) - given[s.symbol]).reshape(len(states), -1)
                worst = np.maximum(worst, apart.max(1))
            return worst, np.ones(len(states)) + self.rounding * np.abs(flat).max(1)

        self._one = lowest if payload.kind == "min" else averaged
        what = "energy above the lowest state" if payload.kind == "min" else "distance from the softmax of -β E"
        return Certificates(what)

    def _tabulate(self, states: tuple[States, ...]) -> None:
        """Make the values of finite latents known."""
        known = {k: v for k, v in self.model.dims.items() if v is not None}
        for s in states:
            if s.table is not None:
                self.values[s.table] = np.stack(list(points(s.symbol, known)))

    def _marginal(self, weights: Array, k: int, s: States) -> Array:
        """The mean of finite latent number ``k`` under shares ``(B, states)``, an axis for each latent."""
        own = weights.sum(tuple(j + 1 for j in range(weights.ndim - 1) if j != k))
        return own if s.table is None else np.tensordot(own, self.values[s.table], 1)

    def _prepare_changes(self, reason: str) -> Certificates:
        """Of too many states to try, those that differ from an answer in one variable."""
        sites: list[tuple[Symbol, tuple[int, ...], Array]] = []
        for s in self.problem.latents:
            shape, row = self.model.shape(s), s.domain.row
            if None in shape or row.points is None or self.problem.kind != "min":
                return Certificates("", reason=reason)
            known = tuple(n or 0 for n in shape)
            lead = known[: len(known) - row.whole]
            sites += [(s, at, row.points(known[len(lead) :])) for at in np.ndindex(*lead)]
        if sum(len(values) for _, _, values in sites) > MOST_CHANGES:
            return Certificates("", reason=f"{reason}; single changes are more than {MOST_CHANGES}")

        def lowest(given: dict[Symbol, Array]) -> tuple[Array, Array]:
            energy = self._table(self.plan.energy, given)
            least = energy.copy()
            for s, at, values in sites:
                for v in values:
                    moved = given[s].copy()
                    np.moveaxis(moved, 0, len(at))[at] = v
                    least = np.minimum(least, self._table(self.plan.energy, given | {s: moved}))
            return energy - least, np.abs(energy)

        self._one = lowest
        return Certificates("energy above the lowest that one changed variable gives")

    # ------------------------------------------------------------- Gaussian integrals

    def _prepare_means(self) -> Certificates:
        """Means of a posterior that is normal, given the finite latents: from the second derivative, by numpy."""
        decision = gaussian.consider(self.problem)
        if isinstance(decision, Refusal):
            return Certificates(
                "", reason=f"averages have a certificate where they are finite sums or {decision.reason}"
            )
        payload = decision.payload
        assert isinstance(payload, gaussian.Gaussian)
        self._tabulate(payload.states)
        latents, energy, axes = payload.latents, payload.energy, payload.axes
        ats, twins = [[fresh_index(z) for z in latents] for _ in range(2)]
        slopes = [derivative(energy, z, at) for z, at in zip(latents, ats, strict=True)]
        bends = [[derivative(g, z, twin) for z, twin in zip(latents, twins, strict=True)] for g in slopes]

        def means(given: dict[Symbol, Array]) -> tuple[Array, Array]:
            at_zero = given | {z: np.zeros_like(given[z]) for z in latents}
            least = self._table(energy, at_zero, axes)
            lead = least.shape
            b = [self._table(g, at_zero, (*axes, *at)).reshape(*lead, -1) for g, at in zip(slopes, ats, strict=True)]
            sizes = [x.shape[-1] for x in b]
            q = [
                [
                    self._table(bend, at_zero, (*axes, *at, *twin)).reshape(*lead, n, m)
                    for bend, twin, m in zip(row, twins, sizes, strict=True)
                ]
                for row, at, n in zip(bends, ats, sizes, strict=True)
            ]
            slope, square = np.concatenate(b, -1), np.block(q)
            beta = 1.0 if payload.beta is None else self._table(payload.beta, given).reshape(-1, *[1] * len(axes))
            mean = -np.linalg.solve(square, slope[..., None])[..., 0]
            free = least + (slope * mean).sum(-1) / 2 + np.linalg.slogdet(square)[1] / (2 * beta)
            flat = (-beta * free).reshape(len(free), -1)
            weights = np.exp(flat - flat.max(1, keepdims=True))
            weights = (weights / weights.sum(1, keepdims=True)).reshape(lead)
            worst = np.zeros(len(free))
            for k, s in enumerate(payload.states):
                apart = np.abs(self._marginal(weights, k, s) - given[s.symbol]).reshape(len(free), -1)
                worst = np.maximum(worst, apart.max(1))
            expected = (weights[..., None] * mean).sum(tuple(range(1, weights.ndim)))
            found = np.concatenate([given[z].reshape(len(free), -1) for z in latents], -1)
            size = np.abs(mean).reshape(len(free), -1).max(1)
            worst = np.maximum(worst, np.abs(expected - found).max(1) / np.where(size > 0, size, 1))
            condition = np.linalg.cond(square).reshape(len(free), -1).max(1)
            return worst, np.ones(len(free)) + self.rounding * (np.abs(flat).max(1) + condition)

        self._one = means
        return Certificates("distance from the posterior's mean, in units of its largest entry")

    # ------------------------------------------------------------- continuous latents

    def _prepare_slopes(self) -> Certificates:
        free = tuple(s for s in self.problem.latents if not s.domain.row.finite)
        given_finite = "" if len(free) == len(self.problem.latents) else ", the finite latents as they are"
        analysed = analyse(Problem(self.model, "min", free, self.problem.energy))
        if isinstance(analysed, str):
            return self._prepare_gap(analysed)
        smooth, penalties = analysed
        for s in free:
            unknown = [p.kind for p in penalties[s] if p.kind not in ENTRYWISE and p.kind not in GAUGES]
            if unknown or (s.domain.kind != "real" and s.domain.row.project is None):
                what = f"a {unknown[0]} penalty" if unknown else f"the domain {s.domain}"
                return Certificates("", reason=f"there is no certificate for {what}")
        slopes: list[tuple[Symbol, tuple[Axis, ...], Node | None]] = []
        for s in free:
            at = fresh_index(s)
            try:
                slopes.append((s, at, gradient(smooth, s, at)))
            except NoDerivative:
                if math.prod(n or 0 for n in self.model.shape(s)) > MOST_DIFFERENCES:
                    return Certificates("", reason=f"{s.name} goes through a learned function and is large")
                slopes.append((s, at, None))

        def slope(s: Symbol, at: tuple[Axis, ...], node: Node | None, given: dict[Symbol, Array]) -> Array:
            return self._table(node, given, at) if node is not None else self._differences(smooth, s, given)

        def residual(given: dict[Symbol, Array]) -> tuple[Array, Array]:
            rows = len(next(iter(given.values())))
            worst = np.zeros(rows)
            cold = [given | at for at in self._cold(given, free)]
            size = np.zeros((len(cold), rows))
            for s, at, node in slopes:
                found = slope(s, at, node, given)
                own = [(p.kind, self._weights(p), p.within) for p in penalties[s]]
                worst = np.maximum(worst, smallest_subgradient(given[s], found, own, s, self.share))
                own_size = np.stack([np.abs(slope(s, at, node, c).reshape(rows, -1)).max(1) for c in cold])
                size = np.maximum(size, own_size)
            if self.probed:
                return worst, np.nan_to_num(np.median(size, 0), posinf=0)
            scale = np.where(np.isfinite(size[0]), size[0], size[1])  # log z has no slope at 0
            return worst, np.nan_to_num(scale, posinf=0)

        self._one = residual
        return Certificates(f"largest entry of the smallest subgradient{given_finite}")

    def _prepare_gap(self, reason: str) -> Certificates:
        """Of penalties of linear maps: the energy above what duality proves in float64 that none lies below."""
        if settings.inference_rule(self.plan) not in ("splitting", "total variation") or len(self.problem.latents) > 1:
            return Certificates("", reason=reason)
        self.slack = 2.0  # the bound has a gap of its own

        def above(given: dict[Symbol, Array]) -> tuple[Array, Array]:
            observed = [torch.from_numpy(np.ascontiguousarray(given[s])) for s in self.model.role("observed")]
            again = self.double.infer(*observed, max_steps=50_000)
            bound = (again.energy - again.residual).detach().numpy()
            at_zero = given | {s: np.zeros_like(given[s]) for s in self.problem.latents}
            scale = np.abs(self._table(self.plan.energy, at_zero))
            return self._table(self.plan.energy, given) - bound, np.nan_to_num(scale, posinf=0)

        self._one = above
        return Certificates("energy above the bound of duality")

    def _cold(self, given: dict[Symbol, Array], free: tuple[Symbol, ...]) -> list[dict[Symbol, Array]]:
        """Where accuracy is measured from: 0 and 1, or a few points where the slope at 0 may vanish."""
        if not self.probed:
            return [{s: np.full_like(given[s], at) for s in free} for at in (0.0, 1.0)]
        rows = len(given[free[0]])
        ends = np.cumsum([given[s].size // rows for s in free])
        like = torch.zeros(rows, int(ends[-1]), dtype=torch.float64)
        points = starting_points(like, PROBES, *span(free), grid=False).numpy().reshape(rows, PROBES, -1)
        cut = [np.split(points[:, k], ends[:-1], axis=1) for k in range(PROBES)]
        return [{s: x.reshape(given[s].shape) for s, x in zip(free, parts, strict=True)} for parts in cut]

    def _weights(self, p: Penalty) -> Array:
        """The weight of a penalty over the symbol's axes, ones where it does not vary."""
        sizes = {k: v for k, v in self.model.dims.items() if v is not None}
        own = tuple(a for a in p.at if a in p.weight.free)
        found = table(p.weight, own, self.values, sizes=sizes)
        places = [k for k, a in enumerate(p.at) if a in own]
        shape = [1] * len(p.at)
        for k, n in zip(places, found.shape, strict=True):
            shape[k] = n
        return found.reshape(shape)

    def _differences(self, smooth: Node, s: Symbol, given: dict[Symbol, Array]) -> Array:
        """The slope by five-point differences, for what goes through learned functions."""
        x = given[s]
        result = np.zeros_like(x)
        for place in np.ndindex(x.shape[1:]):
            for k, weight in ((-2, 1.0), (-1, -8.0), (1, 8.0), (2, -1.0)):
                moved = x.copy()
                moved[(slice(None), *place)] += k * 1e-3
                result[(slice(None), *place)] += weight * self._table(smooth, given | {s: moved}) / 12e-3
        return result


def _function(module: Any) -> Callable[..., Array]:
    def call(*x: Array) -> Array:
        with torch.no_grad():
            found: Array = module(*(torch.from_numpy(np.array(v))[None] for v in x))[0].numpy()
        return found

    return call


def report(found: Certificates) -> list[str]:
    """The table: share at the target, worst, median."""
    residual, good = found.residual, found.good
    if not len(residual):
        return []
    finite = residual[np.isfinite(residual)]
    median = float(np.median(finite)) if len(finite) else math.nan
    worst = float(residual.max()) if not np.isnan(residual).any() else math.nan
    return [
        f"check   {found.measure}, float64",
        f"          at the target   {good.sum()} of {len(good)} ({100 * good.mean():.2f} %)",
        f"          target          {found.target:.3g}",
        f"          median          {median:.3g}",
        f"          worst           {worst:.3g}  (sample {int(np.nan_to_num(residual, nan=np.inf).argmax())})",
    ]
