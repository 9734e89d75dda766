"""What a certificate needs: the values of a trained model, and the naive interpreter over a batch."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ebdsl import settings
from ebdsl.emit.argmins import within
from ebdsl.emit.context import make_context
from ebdsl.infer.core import Problem
from ebdsl.infer.rules.enumeration import States
from ebdsl.model.algebra import with_batch
from ebdsl.model.ir import BATCH, Apply, Axis, Node, Symbol, nodes_of
from ebdsl.model.reference import points, table
from ebdsl.plan import Plan

Array = np.ndarray
Given = dict[Symbol, Array]


@dataclass
class Verdict:
    """Of a batch: residuals, what the tolerance is relative to, and the energies that belong to the answers, ``(B,)``.

    ``doubt`` is what these may be off here.
    """

    residual: Array
    scale: Array
    energy: Array
    doubt: Array | float = 0.0


@dataclass
class Certificates:
    """One number for each sample: how far from optimal, and what the tolerance allows.

    ``measure`` says what the number is; ``reason`` why there is none. ``off`` is how far the energies that were given
    are from those of the answers.
    """

    measure: str
    target: float = math.nan
    reason: str | None = None
    parts: list[Array] = field(default_factory=list)
    allowed: list[Array] = field(default_factory=list)
    off: list[Array] = field(default_factory=list)
    off_allowed: list[Array] = field(default_factory=list)

    @property
    def residual(self) -> Array:
        return _joined(self.parts)

    @property
    def energies_hold(self) -> Array:
        return _joined(self.off) <= _joined(self.off_allowed)  # false for NaN

    @property
    def good(self) -> Array:
        near = self.residual <= _joined(self.allowed)
        return near & self.energies_hold if self.off else near


def _joined(parts: list[Array]) -> Array:
    return np.concatenate(parts) if parts else np.zeros(0)


class Judge:
    """A plan with the float64 values of a trained network. ``whole``: what holds the argmin that is judged."""

    def __init__(self, plan: Plan, network: Any, tolerance: float | None = None) -> None:
        self.whole, self.names = plan, make_context(plan).names
        if plan.answers:
            plan = within(make_context(plan), plan.answers[0]).plan
        self.plan = plan
        self.model = plan.model
        state = {k: v.detach().cpu().double().numpy() for k, v in network.state_dict().items()}
        self.values = {s: state[self.names[s.name]] for s in self.model.role("param")}
        for s in self.model.role("const"):
            self.values[s] = np.asarray(s.value if s.value is not None else getattr(network, self.names[s.name]), float)
        self.double = copy.deepcopy(network).double().cpu()
        self.functions = {m.name: _function(getattr(self.double, self.names[m.name])) for m in self.model.modules}
        dtype = next((p.dtype for p in network.parameters()), torch.float32)
        single = dtype == torch.float32
        self.tolerance = tolerance or settings.tolerances(plan)[0 if single else 1]
        self.rounding = 64 * torch.finfo(dtype).eps
        coupled = any(s.domain.kind not in ("real", "nonnegative", "box") for s in self.model.role("latent"))
        coupled |= any(isinstance(n, Apply) and n.function in ("nuclear", "spectral") for n in nodes_of(plan.energy))
        self.share = max(1e-5, torch.finfo(dtype).eps ** 0.4) if coupled else 1e-5  # all entries are rounded
        self.probed = settings.inference_rule(plan) in settings.LOCAL
        # the least element of a subdifferential may have a larger entry than others
        self.slack = 2.0 if coupled or self.probed else 1.01
        steps = {e.kind for e in self.model.eliminations}
        latents = tuple(s for e in self.model.eliminations for s in e.latents)
        beta = self.model.eliminations[0].beta if self.model.eliminations else None
        self.problem = Problem(self.model, "min" if steps <= {"min"} else "softmin", latents, plan.energy, beta)
        self.steps = steps

    def table(self, node: Node, given: Given, axes: tuple[Axis, ...] = ()) -> Array:
        """A node for each sample of a batch, over ``axes`` besides: ``(B, *axes)``."""
        rows = len(next(iter(given.values())))
        sizes = {k: v for k, v in self.model.dims.items() if v is not None} | {"batch": rows}
        with np.errstate(all="ignore"):
            return table(
                with_batch(node), (BATCH, *axes), self.values | given, sizes=sizes, functions=self.functions
            )  # fmt: skip

    def energy(self, given: Given) -> Array:
        return self.table(self.plan.energy, given)

    def beta(self, node: Node | None, given: Given) -> Array:
        rows = len(next(iter(given.values())))
        return np.ones(rows) if node is None else self.table(node, given)

    def size(self, given: Given) -> Array:
        """What an energy is summed up from, at the answers and where latents are 0."""
        zero = given | {s: np.zeros_like(v) for s, v in given.items() if s.role == "latent"}
        return sum(
            (np.nan_to_num(np.abs(self.table(t.node, at)), posinf=0) for t in self.model.terms for at in (given, zero)),
            np.zeros(len(next(iter(given.values())))),
        )

    def known(self, states: tuple[States, ...]) -> None:
        """Make the values of finite latents known."""
        sizes = {k: v for k, v in self.model.dims.items() if v is not None}
        for s in states:
            if s.table is not None:
                self.values[s.table] = np.stack(list(points(s.symbol, sizes)))

    def marginal(self, weights: Array, k: int, s: States) -> Array:
        """The mean of finite latent number ``k`` under shares ``(B, states)``, an axis for each latent."""
        own = weights.sum(tuple(j + 1 for j in range(weights.ndim - 1) if j != k))
        return own if s.table is None else np.tensordot(own, self.values[s.table], 1)


def shares(beta: Array, energies: Array) -> tuple[Array, Array]:
    """Of energies ``(B, *states)``: the softmax of ``-β E``, and ``-1/β log Σ exp(-β E)`` ``(B,)``."""
    flat = -beta[:, None] * energies.reshape(len(energies), -1)
    top = flat.max(1, keepdims=True)
    weights = np.exp(flat - top)
    total = weights.sum(1, keepdims=True)
    return (weights / total).reshape(energies.shape), -(top + np.log(total))[:, 0] / beta


def apart(found: Array, wanted: Array) -> Array:
    """The largest difference in each row."""
    return np.abs(found - wanted).reshape(len(wanted), -1).max(1, initial=0)


def _function(module: Any) -> Callable[..., Array]:
    def call(*x: Array) -> Array:
        with torch.no_grad():
            found: Array = module(*(torch.from_numpy(np.array(v))[None] for v in x))[0].numpy()
        return found

    return call
