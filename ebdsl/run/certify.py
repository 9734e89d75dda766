"""Certificates: are the answers of inference optimal? Measured in float64 from the energy itself.

Energies and slopes come from the naive interpreter, not from the generated code that made the answers.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import torch

from ebdsl import settings
from ebdsl.emit.descent import PROBES, span
from ebdsl.facts.gauges import GAUGES
from ebdsl.facts.penalties import ENTRYWISE, Penalty
from ebdsl.infer.core import Problem
from ebdsl.infer.rules.enumeration import count
from ebdsl.infer.rules.nested import OfMinima, OfSoftmin
from ebdsl.infer.rules.proximal_gradient import analyse
from ebdsl.model.adjoint import gradient
from ebdsl.model.derivative import NoDerivative, fresh_index
from ebdsl.model.ir import Axis, Node, Symbol
from ebdsl.model.reference import points
from ebdsl.plan import Plan
from ebdsl.run.averages import Averages
from ebdsl.run.coordinatewise import entrywise
from ebdsl.run.judge import Array, Certificates, Given, Verdict, apart, shares
from ebdsl.run.subgradients import lowest_by_steps, smallest_subgradient
from ebdsl.runtime.inference import starting_points

ROWS = 32
"""Samples at a time: the naive interpreter makes large arrays."""

MOST_DIFFERENCES = 256
"""Entries of a latent inside learned functions for which slopes are taken by differences."""

MOST_STATES = 256
"""Values of finite latents at which the others are minimised again."""


class Certifier(Averages):
    """``add(observed, latents)`` certifies a batch, arrays by the spec's names; ``found`` is what came out."""

    def __init__(self, plan: Plan, network: Any, tolerance: float | None = None) -> None:
        super().__init__(plan, network, tolerance)
        kinds = {s.domain.row.finite for s in self.model.role("latent")}
        nested = plan.inference[0].payload if plan.inference else None
        if len(plan.answers) > 1:
            self.found = Certificates("", reason="several argmins have no certificate together")
        elif isinstance(nested, OfSoftmin):
            self.found = self._prepare_softmin(nested)
        elif isinstance(nested, OfMinima):
            self.found = self._prepare_minima(nested)
        elif not self.steps <= {"min", "softmin"}:
            self.found = Certificates("", reason="what is averaged over noise has no answer")
        elif kinds == {True}:
            self.found = self.prepare_states()
        elif self.steps == {"min"}:
            self.found = self._prepare_slopes()
        else:
            self.found = self.prepare_means()
        if self.found.measure and plan.inference[0].guarantee == "local":
            self.found.measure += "; a minimum that may be local"

    def add(
        self,
        observed: dict[str, Array],
        latents: dict[str, Array],
        energy: Array | None = None,
        posterior: dict[str, Array] | None = None,
    ) -> None:
        """Certify one batch; nothing where there is no certificate.

        ``energy`` ``(B,)`` and ``posterior``, by the names of the generated file, are what ``infer`` gave besides.
        """
        if self.found.reason is not None:
            return
        given = {self.whole.model.symbol(k): np.asarray(v, float) for k, v in {**observed, **latents}.items()}
        given |= self._at_states(observed, posterior)
        n = len(next(iter(given.values())))
        parts = [self.one({s: v[k : k + ROWS] for s, v in given.items()}) for k in range(0, n, ROWS)]
        residual, scale, wanted = (_column(parts, name) for name in ("residual", "scale", "energy"))
        some = scale[scale > 0]
        asked = np.maximum(scale, self.rounding * np.median(some)) if some.size else np.ones_like(scale)
        allowed = self.slack * self.tolerance * asked + self.rounding * scale
        self.found.parts.append(residual)
        self.found.allowed.append(allowed)
        self.found.target = max(float(allowed.max(initial=0)), np.nan_to_num(self.found.target))
        if energy is not None:
            blocks = [{s: v[k : k + ROWS] for s, v in given.items()} for k in range(0, n, ROWS)]
            if self.whole.answers:
                wanted = np.concatenate([np.zeros(0), *(self.table(self.whole.energy, b) for b in blocks)])
            size = np.concatenate([np.zeros(0), *(self.size(b) for b in blocks)]) + np.abs(wanted)
            with np.errstate(invalid="ignore"):
                self.found.off.append(np.abs(np.asarray(energy, float) - wanted))
            self.found.off_allowed.append(
                (self.slack * self.tolerance + self.rounding) * size + _column(parts, "doubt")
            )

    # ------------------------------------------------------------- nested

    def _at_states(self, observed: dict[str, Array], posterior: dict[str, Array] | None) -> Given:
        """The minima at all states, of a softmin of minima: those of ``infer``, or found again."""
        nested = self.plan.inference[0].payload
        if not isinstance(nested, OfMinima):
            return {}
        if posterior is None:
            posterior = {k: v.numpy() for k, v in self._again(observed).posterior.items()}
        return {n: np.asarray(posterior[self.names[n.name]], float) for n in nested.nodes}

    def _again(self, observed: dict[str, Array]) -> Any:
        """What the generated file answers in float64, with many steps."""
        args = [torch.from_numpy(np.array(observed[s.name], float)) for s in self.model.role("observed")]
        with torch.no_grad():
            return self.double.infer(*args, max_steps=50_000)

    def _prepare_softmin(self, p: OfSoftmin) -> Certificates:
        """A minimum of a softmin: slopes of the average, and the states' shares at the answer."""
        self.problem = Problem(self.model, "min", p.latents, p.averaged)
        self.known(p.states)
        found = self._prepare_slopes()
        if found.reason is not None:
            return found
        slopes, axes = self.one, tuple(s.axis for s in p.states)

        def judged(given: Given) -> Verdict:
            verdict = slopes(given)
            states, beta = self.table(p.energy, given, axes), self.beta(p.beta, given)
            weights, free = shares(beta, states)
            far = np.max([apart(self.marginal(weights, k, s), given[s.symbol]) for k, s in enumerate(p.states)], 0)
            large = self.rounding * beta * np.abs(states).reshape(len(states), -1).max(1)
            unit = np.where(verdict.scale > 0, verdict.scale, 1)
            verdict.residual = np.maximum(verdict.residual, np.maximum(far - large, 0) * unit)
            verdict.energy = free
            return verdict

        self.one = judged
        return Certificates(f"{found.measure} of the average, or distance from the states' shares there")

    def _prepare_minima(self, p: OfMinima) -> Certificates:
        """A softmin of minima: each minimum as a minimum alone, and their shares."""
        self.problem = Problem(self.model, "min", p.free, self.plan.energy)
        found = self._prepare_slopes()
        if found.reason is not None:
            return found
        minimum = self.one

        def judged(given: Given) -> Verdict:
            rows, states = given[p.nodes[0]].shape[:2]
            each = {s: np.repeat(v, states, 0) for s, v in given.items() if s.role == "observed"}
            for z, n in zip(p.latents, p.nodes, strict=True):
                each[z] = given[n].reshape(rows * states, *given[z].shape[1:])
            block = states * max(1, 1024 // states)
            parts = [minimum({s: v[k : k + block] for s, v in each.items()}) for k in range(0, rows * states, block)]
            residual, scale, energy = (
                _column(parts, name).reshape(rows, states) for name in ("residual", "scale", "energy")
            )
            unit = np.where(scale > 0, scale, 1)
            beta = self.beta(p.beta, given)
            weights, free = shares(beta, energy)
            worst = (residual / unit).max(1)
            for z, n in zip(p.latents, p.nodes, strict=True):
                mean = (weights.reshape(rows, states, *[1] * (given[z].ndim - 1)) * given[n]).sum(1)
                size = np.abs(given[n]).reshape(rows, -1).max(1)
                worst = np.maximum(worst, apart(mean, given[z]) / np.where(size > 0, size, 1))
            return Verdict(worst, 1 + self.rounding * beta * np.abs(energy).max(1), free)

        self.one = judged
        return Certificates(f"{found.measure}, of every state's minimum, or distance from their mean")

    # ------------------------------------------------------------- continuous latents

    def _prepare_slopes(self) -> Certificates:
        free = tuple(s for s in self.problem.latents if not s.domain.row.finite)
        finite = tuple(s for s in self.problem.latents if s.domain.row.finite)
        known = {k: v for k, v in self.model.dims.items() if v is not None}
        values = list(itertools.product(*(points(s, known) for s in finite))) if self._few(finite) else []
        if settings.inference_rule(self.plan) == "coordinate descent":
            found = entrywise(self.problem.energy, free, self.table, lambda given: self._cold(given, free))
            if isinstance(found, str):
                return Certificates("", reason=found)
            self.one, measure, quadratic = found
            self.probed = not quadratic
            self.slack = 1.01 if quadratic else 2.0
            return Certificates(measure + ", the finite latents as they are" * bool(finite))
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

        def slope(s: Symbol, at: tuple[Axis, ...], node: Node | None, given: Given) -> Array:
            return self.table(node, given, at) if node is not None else self._differences(smooth, s, given)

        def residual(given: Given) -> Verdict:
            rows = len(next(iter(given.values())))
            worst = np.zeros(rows)
            cold = [given | at for at in self._cold(given, free)]
            size = np.zeros((len(cold), rows))
            for s, at, node in slopes:
                found = slope(s, at, node, given)
                own = [(p.kind, self._weights(p, given), p.within) for p in penalties[s]]
                worst = np.maximum(worst, smallest_subgradient(given[s], found, own, s, self.share))
                own_size = np.stack([np.abs(slope(s, at, node, c).reshape(rows, -1)).max(1) for c in cold])
                size = np.maximum(size, own_size)
            energy = self.table(self.problem.energy, given)
            if any(node is None for *_, node in slopes):  # what differences of rounded energies are off
                worst = np.maximum(worst - 1e-12 * self.size(given), 0)
            scale = np.where(np.isfinite(size[0]), size[0], size[1])  # log z has no slope at 0
            if self.probed:
                scale = np.median(size, 0)
            if values:
                least = np.min([downhill(given | _everywhere(finite, at, rows)) for at in values], 0)
                worst[energy - least > (self.slack * self.tolerance + self.rounding) * self.size(given)] = np.inf
            return Verdict(worst, np.nan_to_num(scale, posinf=0), energy)

        def downhill(given: Given) -> Array:
            """An energy that is reached at other values of the finite latents."""
            weights = {s: [(p.kind, self._weights(p, given), p.within) for p in penalties[s]] for s in free}
            return lowest_by_steps(
                {s: given[s] for s in free},
                lambda z: self.table(smooth, given | z),
                lambda z: {s: slope(s, at, node, given | z) for s, at, node in slopes},
                lambda z: self.table(self.problem.energy, given | z),
                weights,
            )

        self.one = residual
        other = ", none lower at other values of the finite latents" if values else ", the finite latents as they are"
        return Certificates(f"largest entry of the smallest subgradient{other if finite else ''}")

    def _few(self, finite: tuple[Symbol, ...]) -> bool:
        """Whether the minima at all values of finite latents can be compared."""
        counts = [count(s, self.problem) for s in finite]
        total = math.prod(n or MOST_STATES + 1 for n in counts)
        return bool(finite) and total <= MOST_STATES and self.plan.inference[0].guarantee == "global"

    def _prepare_gap(self, reason: str) -> Certificates:
        """Of penalties of linear maps: the energy above what duality proves in float64 that none lies below."""
        rule, one = settings.inference_rule(self.plan), len(self.problem.latents) == 1
        if rule != "interior points" and not (
            one and rule in ("splitting", "total variation", "banded interior point")
        ):
            return Certificates("", reason=reason)
        self.slack = 2.0  # the bound has a gap of its own
        nested = self.plan.inference[0].payload

        def above(given: Given) -> Verdict:
            cold = [given | {s: np.full_like(given[s], at) for s in self.problem.latents} for at in (0.0, 1.0)]
            zero, one, energy = (np.abs(self.energy(cold[0])), np.abs(self.energy(cold[1])), self.energy(given))
            scale = np.where(np.isfinite(zero), zero, one)  # log z has no value at 0
            observed = {s.name: given[s] for s in self.model.role("observed")}
            if isinstance(nested, OfMinima):  # each sample comes once for each state
                states = nested.axis.dim
                assert isinstance(states, int)
                again = self._again({k: v[::states] for k, v in observed.items()})
                nodes = [again.posterior[self.names[n.name]].numpy() for n in nested.nodes]
                at = {z: n.reshape(given[z].shape) for z, n in zip(nested.latents, nodes, strict=True)}
                bound = self.energy(given | at) - again.residual.numpy().repeat(states)
            else:
                again = self._again(observed)
                at = {s: again.latents[self.names[s.name]].numpy() for s in self.model.role("latent")}
                bound = self.energy(given | at) - again.residual.numpy()
            return Verdict(energy - bound, np.nan_to_num(scale, posinf=0), energy)

        self.one = above
        return Certificates("energy above the bound of duality")

    def _cold(self, given: Given, free: tuple[Symbol, ...]) -> list[Given]:
        """Where accuracy is measured from: 0 and 1, or a few points where the slope at 0 may vanish."""
        if not self.probed:
            return [{s: np.full_like(given[s], at) for s in free} for at in (0.0, 1.0)]
        rows = len(given[free[0]])
        ends = np.cumsum([given[s].size // rows for s in free])
        like = torch.zeros(rows, int(ends[-1]), dtype=torch.float64)
        points = starting_points(like, PROBES, *span(free), grid=False).numpy().reshape(rows, PROBES, -1)
        cut = [np.split(points[:, k], ends[:-1], axis=1) for k in range(PROBES)]
        return [{s: x.reshape(given[s].shape) for s, x in zip(free, parts, strict=True)} for parts in cut]

    def _weights(self, p: Penalty, given: Given) -> Array:
        """The weight of a penalty for each sample over the symbol's axes, ones where it does not vary."""
        own = tuple(a for a in p.at if a in p.weight.free)
        found = self.table(p.weight, given, own)
        places = [k for k, a in enumerate(p.at) if a in own]
        shape = [1] * len(p.at)
        for k, n in zip(places, found.shape[1:], strict=True):
            shape[k] = n
        return found.reshape(len(found), *shape)

    def _differences(self, smooth: Node, s: Symbol, given: Given) -> Array:
        """The slope by five-point differences, for what goes through learned functions."""
        x = given[s]
        result = np.zeros_like(x)
        for place in np.ndindex(x.shape[1:]):
            for k, weight in ((-2, 1.0), (-1, -8.0), (1, 8.0), (2, -1.0)):
                moved = x.copy()
                moved[(slice(None), *place)] += k * 1e-3
                result[(slice(None), *place)] += weight * self.table(smooth, given | {s: moved}) / 12e-3
        return result


def _column(parts: list[Verdict], name: str) -> Array:
    """One of the numbers of all blocks."""
    return np.concatenate([np.zeros(0), *(np.zeros(len(v.scale)) + getattr(v, name) for v in parts)])


def _everywhere(finite: tuple[Symbol, ...], at: tuple[Any, ...], rows: int) -> Given:
    return {s: np.broadcast_to(v, (rows, *np.shape(v))) for s, v in zip(finite, at, strict=True)}


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
        *([f"          energies hold   {found.energies_hold.sum()} of {len(good)}"] if found.off else []),
        f"          target          {found.target:.3g}",
        f"          median          {median:.3g}",
        f"          worst           {worst:.3g}  (sample {int(np.nan_to_num(residual, nan=np.inf).argmax())})",
    ]
