"""Certificates of finite latents and of averages: sums over states, Gaussian integrals, eliminations, quadratures."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch

from ebdsl.infer.core import Refusal
from ebdsl.infer.rules import elimination, enumeration, gaussian, quadrature
from ebdsl.infer.rules.elimination import Elimination, lead_of, site_count, values_of
from ebdsl.model.derivative import derivative, fresh_index
from ebdsl.model.ir import Dim, Symbol, extent
from ebdsl.run.cubature import integrate
from ebdsl.run.judge import Array, Certificates, Given, Judge, Verdict, apart, shares
from ebdsl.run.tables import Factor, alone, order_of, reduced

MOST_CHANGES = 4096
"""Changes of one finite variable that are tried where all states together are too many."""


class Averages(Judge):
    """Sets ``one``, which judges a batch, by what leaves the energy."""

    one: Callable[[Given], Verdict]

    # ------------------------------------------------------------- finite latents

    def prepare_states(self) -> Certificates:
        decision = enumeration.consider(self.problem)
        if isinstance(decision, Refusal):
            return self._prepare_tables(decision.reason)
        payload = decision.payload
        assert isinstance(payload, enumeration.Enumeration)
        axes = tuple(s.axis for s in payload.states)
        self.known(payload.states)

        def lowest(given: Given) -> Verdict:
            states = self.table(payload.energy, given, axes)
            flat = states.reshape(len(states), -1)
            energy = self.energy(given)
            return Verdict(energy - flat.min(1), np.abs(flat).max(1), energy)

        def averaged(given: Given) -> Verdict:
            states = self.table(payload.energy, given, axes)
            beta = self.beta(payload.beta, given)
            weights, free = shares(beta, states)
            far = [apart(self.marginal(weights, k, s), given[s.symbol]) for k, s in enumerate(payload.states)]
            large = beta * np.abs(states).reshape(len(states), -1).max(1)
            return Verdict(np.max(far, 0), 1 + self.rounding * large, free)

        self.one = lowest if payload.kind == "min" else averaged
        what = "energy above the lowest state" if payload.kind == "min" else "distance from the softmax of -β E"
        return Certificates(what)

    def _prepare_tables(self, reason: str) -> Certificates:
        """Of parts with few variables each: an elimination of our own, in another order."""
        decision = elimination.consider(self.problem)
        if isinstance(decision, Refusal):
            return self._prepare_changes(reason)
        e = decision.payload
        assert isinstance(e, Elimination)
        for s in e.latents:
            if s.domain.kind != "onehot":
                row = s.domain.row.points
                assert row is not None
                self.values[values_of(s)] = np.asarray(row(()), float)
        scopes, sizes = self._scopes(e)
        order = order_of([scope for part in scopes for scope in part], sizes)
        rng = np.random.default_rng(0)

        def tables(given: Given) -> list[Factor]:
            found: list[Factor] = []
            for p, places in zip(e.parts, scopes, strict=True):
                whole = self.table(p.node, given, p.axes)
                whole = whole.reshape(len(whole), len(places), *whole.shape[1 + len(p.lead) :])
                found += [alone(scope, torch.from_numpy(whole[:, k].copy())) for k, scope in enumerate(places)]
            return found

        def at_random(given: Given, factors: list[Factor]) -> Array:
            """How far the parts are from the energy at states that are drawn, relative to it."""
            rows = len(next(iter(given.values())))
            drawn = {v: rng.integers(n, size=rows) for v, n in sizes.items()}
            at = dict(given)
            for s in e.latents:
                places = list(np.ndindex(*self._extents(lead_of(s))))
                state = np.stack([drawn[s.name, place] for place in places], 1)
                if s.domain.kind == "onehot":
                    at[s] = np.eye(self._extents((site_count(s),))[0])[state].reshape(given[s].shape)
                else:
                    at[s] = self.values[values_of(s)][state].reshape(given[s].shape)
            parts = self.table(e.rest, at) + sum(
                t.numpy()[(np.arange(rows), *(drawn[v] for v in scope))] for scope, t in factors
            )
            energy = self.energy(at)
            return np.abs(parts - energy) / np.maximum(np.abs(energy), 1e-12 + self.size(at))

        def judged(given: Given) -> Verdict:
            factors = tables(given)
            unlike = np.where(at_random(given, factors) < 1e-9, 0.0, np.inf)
            rest = self.table(e.rest, given)
            if e.kind == "min":
                least = reduced(factors, order, None).numpy() + rest
                energy = self.energy(given)
                return Verdict(energy - least + unlike, self.size(given), energy)
            beta = self.beta(e.beta, given)
            rows = len(beta)
            each = {v: torch.zeros(rows, n, dtype=torch.float64, requires_grad=True) for v, n in sizes.items()}
            free = reduced([*factors, *(((v,), t) for v, t in each.items())], order, torch.tensor(beta))
            found = torch.autograd.grad(free.sum(), list(each.values()))
            share = dict(zip(each, (g.numpy() for g in found), strict=True))
            far = np.zeros(rows)
            for s in e.latents:
                own = np.stack([share[s.name, place] for place in np.ndindex(*self._extents(lead_of(s)))], 1)
                mean = own if s.domain.kind == "onehot" else own @ self.values[values_of(s)]
                far = np.maximum(far, apart(mean.reshape(given[s].shape), given[s]))
            total = free.detach().numpy() + rest
            return Verdict(far + unlike, 1 + self.rounding * beta * (np.abs(total) + self.size(given)), total)

        self.one = judged
        order_said = "an elimination in another order"
        if e.kind == "min":
            return Certificates(f"energy above the lowest state, by {order_said}")
        return Certificates(f"distance from the posterior's marginals, by {order_said}")

    def _extents(self, dims: tuple[Dim, ...]) -> list[int]:
        found = [extent(d, self.model.dims) for d in dims]
        return [n or 0 for n in found]

    def _scopes(self, e: Elimination) -> tuple[list[list[tuple[object, ...]]], dict[object, int]]:
        """The variables at each place of each part, and how many values every variable takes."""
        sizes: dict[object, int] = {}
        for s in e.latents:
            for place in np.ndindex(*self._extents(lead_of(s))):
                sizes[s.name, place] = self._extents((site_count(s),))[0]
        scopes = []
        for p in e.parts:
            places: list[tuple[object, ...]] = []
            for at in np.ndindex(*self._extents(tuple(a.dim for a in p.lead))):
                here = dict(zip(p.lead, at, strict=True))
                places.append(tuple(elimination.site_at(s, here, self._extents(lead_of(s.latent))) for s in p.sites))
            scopes.append(places)
        return scopes, sizes

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

        def lowest(given: Given) -> Verdict:
            energy = self.energy(given)
            least = energy.copy()
            for s, at, values in sites:
                for v in values:
                    moved = given[s].copy()
                    np.moveaxis(moved, 0, len(at))[at] = v
                    least = np.minimum(least, self.energy(given | {s: moved}))
            return Verdict(energy - least, np.abs(energy), energy)

        self.one = lowest
        return Certificates("energy above the lowest that one changed variable gives")

    # ------------------------------------------------------------- integrals

    def prepare_means(self) -> Certificates:
        """Means of a posterior that is normal, given the finite latents: from the second derivative, by numpy."""
        decision = gaussian.consider(self.problem)
        if isinstance(decision, Refusal):
            return self._prepare_nodes(decision.reason)
        payload = decision.payload
        assert isinstance(payload, gaussian.Gaussian)
        self.known(payload.states)
        latents, energy, axes = payload.latents, payload.energy, payload.axes
        ats, twins = [[fresh_index(z) for z in latents] for _ in range(2)]
        slopes = [derivative(energy, z, at) for z, at in zip(latents, ats, strict=True)]
        bends = [[derivative(g, z, twin) for z, twin in zip(latents, twins, strict=True)] for g in slopes]

        def means(given: Given) -> Verdict:
            at_zero = given | {z: np.zeros_like(given[z]) for z in latents}
            least = self.table(energy, at_zero, axes)
            lead = least.shape
            b = [self.table(g, at_zero, (*axes, *at)).reshape(*lead, -1) for g, at in zip(slopes, ats, strict=True)]
            sizes = [x.shape[-1] for x in b]
            q = [
                [
                    self.table(bend, at_zero, (*axes, *at, *twin)).reshape(*lead, n, m)
                    for bend, twin, m in zip(row, twins, sizes, strict=True)
                ]
                for row, at, n in zip(bends, ats, sizes, strict=True)
            ]
            slope, square = np.concatenate(b, -1), np.block(q)
            beta = self.beta(payload.beta, given)
            wide = beta.reshape(-1, *[1] * len(axes))
            mean = -np.linalg.solve(square, slope[..., None])[..., 0]
            volume = np.linalg.slogdet(square)[1] + sum(sizes) * np.log(wide / (2 * math.pi))
            states = least + (slope * mean).sum(-1) / 2 + volume / (2 * wide)
            weights, free = shares(beta, states)
            far = [np.zeros(len(free))]
            far += [apart(self.marginal(weights, k, s), given[s.symbol]) for k, s in enumerate(payload.states)]
            expected = (weights[..., None] * mean).sum(tuple(range(1, weights.ndim)))
            found = np.concatenate([given[z].reshape(len(free), -1) for z in latents], -1)
            size = np.abs(mean).reshape(len(free), -1).max(1)
            far.append(apart(expected, found) / np.where(size > 0, size, 1))
            condition = np.linalg.cond(square).reshape(len(free), -1).max(1)
            large = beta * np.abs(states).reshape(len(free), -1).max(1) + condition
            return Verdict(np.max(far, 0), 1 + self.rounding * large, free, self.rounding * condition / beta)

        self.one = means
        return Certificates("distance from the posterior's mean, in units of its largest entry")

    def _prepare_nodes(self, reason: str) -> Certificates:
        """Integrals over few numbers: boxes that are halved until they agree, in the naive interpreter."""
        decision = quadrature.consider(self.problem)
        if isinstance(decision, Refusal):
            return Certificates("", reason=f"averages have a certificate where they are sums or integrals: {reason}")
        q = decision.payload
        assert isinstance(q, quadrature.Quadrature)
        self.tolerance = max(self.tolerance, quadrature.ACCURACY[q.size])
        shapes = [tuple(n or 0 for n in self.model.shape(z)) for z in q.latents]
        cuts = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
        ends = [z.domain.row.bounds(z.domain.args) for z, shape in zip(q.latents, shapes, strict=True)
                for _ in range(math.prod(shape))]  # fmt: skip

        def judged(given: Given) -> Verdict:
            beta = self.beta(q.beta, given)
            found = np.concatenate([given[z].reshape(len(beta), -1) for z in q.latents], 1)

            def f(rows: Array, x: Array) -> Array:
                values = []
                for begin in range(0, len(rows), 65_536):
                    some, part = rows[begin : begin + 65_536], x[begin : begin + 65_536]
                    at = {s: v[some] for s, v in given.items() if s.role != "latent"}
                    split = zip(q.latents, shapes, np.split(part, cuts, 1), strict=True)
                    at |= {z: own.reshape(len(some), *shape) for z, shape, own in split}
                    values.append(beta[some] * self.energy(at))
                return np.concatenate(values)

            edges = [[_edges(low, high, x, q.size) for (low, high), x in zip(ends, row, strict=True)] for row in found]
            exact = integrate(f, edges, self.tolerance / 16)
            # where two halves of a posterior are far apart, its spread is the unit and not its place
            unit = np.maximum(exact.spread, 1e-3 * np.abs(exact.mean))
            far = (np.abs(found - exact.mean) / np.where(unit > 0, unit, 1)).max(1)
            return Verdict(far, np.ones(len(beta)) + exact.error / self.tolerance, -exact.log_total / beta,
                           (self.tolerance + exact.error) / beta)  # fmt: skip

        self.one = judged
        return Certificates("distance from the posterior's mean by adaptive cubature, in units of its spread")


def _edges(low: float, high: float, at: float, size: int) -> Array:
    """Where boxes begin: around 0, around an answer, and from an end; ends that are open are far away."""
    at = at if math.isfinite(at) else 0.0
    steps = [s * max(1.0, abs(at)) for s in ((1e-2, 1.0, 10.0, 1e3, 1e6) if size == 1 else (3.0, 100.0, 1e4))]
    middle = [x for x in (0.0, low, high) if math.isfinite(x)]
    cuts = {at, *middle, *(m + sign * s for m in middle for s in steps for sign in (1, -1))}
    first, last = max(min(cuts), low), min(max(cuts), high)
    return np.array(sorted({first, last, *(x for x in cuts if first < x < last)}))
