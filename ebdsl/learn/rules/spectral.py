"""A linear bottleneck with nothing else: the best subspace is that of the leading eigenvectors.

Both ``‖W'W y - y‖²`` and ``min_z ‖y - W z‖²`` with a free ``z`` ask for the subspace that keeps most of the second
moment (Eckart & Young 1936; Bourlard & Kamp 1988).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ebdsl.facts.identity import proportional
from ebdsl.infer.core import Decision, Refusal
from ebdsl.learn.core import Block, Rule, register
from ebdsl.model.algebra import contract
from ebdsl.model.build import fresh, mul, power, sub, sum_over
from ebdsl.model.ir import BATCH, Axis, Get, Node, Symbol

if TYPE_CHECKING:
    from ebdsl.emit.updates import LearnBody

NAME = "leading subspace"


@dataclass(frozen=True)
class Subspace:
    """``code``: the place of W's axis that is the code's; the other goes with ``observed``."""

    symbol: Symbol
    observed: Symbol
    code: int

    @property
    def moments(self) -> tuple[Node, ...]:
        """The second moment of the data, ``Σ_b y_b y_b'``."""
        i, j = fresh(self.observed.shape[0]), fresh(self.observed.shape[0])
        return (contract(mul(Get(self.observed, (BATCH, i)), Get(self.observed, (BATCH, j))), (BATCH,)),)


def _entry(w: Symbol, code: int, k: Axis, d: Axis) -> Node:
    return Get(w, (k, d) if code == 0 else (d, k))


def _projection(w: Symbol, y: Symbol, code: int) -> Node:
    k, d, e = fresh(w.shape[code]), fresh(y.shape[0]), fresh(y.shape[0])
    inner = sum_over(mul(_entry(w, code, k, e), Get(y, (e,))), (e,))
    return sum_over(power(sub(Get(y, (d,)), sum_over(mul(_entry(w, code, k, d), inner), (k,))), 2), (d,))


def _bilinear(w: Symbol, y: Symbol, z: Symbol, code: int) -> Node:
    k, d = fresh(w.shape[code]), fresh(y.shape[0])
    return sum_over(power(sub(Get(y, (d,)), sum_over(mul(_entry(w, code, k, d), Get(z, (k,))), (k,))), 2), (d,))


def consider(block: Block) -> Decision | Refusal:
    w, model = block.symbol, block.model
    observed = model.role("observed")
    if len(w.shape) != 2 or w.domain.kind not in ("real", "orthonormal", "orthonormal columns", "orthonormal rows"):
        return Refusal(NAME, f"{w.name} is not a free or orthonormal matrix")
    if len(observed) != 1 or len(observed[0].shape) != 1 or model.modules or len(model.role("param")) != 1:
        return Refusal(NAME, "there is more in the energy than one observed vector and one matrix")
    (y,) = observed
    latents = model.role("latent")
    for code in (0, 1):
        if w.shape[1 - code] != y.shape[0] or w.shape[code] == y.shape[0]:
            continue
        if (w.domain.kind == "orthonormal rows" and code != 0) or (
            w.domain.kind == "orthonormal columns" and code != 1
        ):
            continue
        if not latents:
            template = _projection(w, y, code)
        elif len(latents) == 1 and latents[0].shape == (w.shape[code],) and latents[0].domain.kind == "real":
            if len(model.eliminations) != 1 or model.eliminations[0].kind != "min":
                return Refusal(NAME, "the latent is averaged over")
            template = _bilinear(w, y, latents[0], code)
        else:
            continue
        factor = proportional(block.energy, template)
        if factor is not None and factor > 0:
            facts = (
                f"the energy is the squared distance of {y.name} to its projection onto the span of {w.name}",
                f"nothing else holds {w.name}",
            )
            return Decision(
                NAME, f"learn {w.name}", "leading eigenvectors of the second moment of the data", "global",
                "one pass over the data and one eigendecomposition", facts, (), Subspace(w, y, code),
            )  # fmt: skip
    return Refusal(NAME, f"the energy is not a projection error of {w.name}")


def emit(payload: object, body: LearnBody) -> None:
    assert isinstance(payload, Subspace)
    body.subspace_block(payload)


register(Rule(NAME, 5, "the best linear subspace", consider, emit))
