"""The log-likelihood of samples under exp(-β F): exact where the partition function is a short sum, else annealed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ebdsl.diagnostics import Diagnostic
from ebdsl.run.alternatives import shaped
from ebdsl.run.files import refuse
from ebdsl.run.sampling import annealed
from ebdsl.run.sampling.sampler import still, temperature
from ebdsl.run.trained import Trained
from ebdsl.runtime.strategies import binary_states, covariance_factor, one_hot_states
from ebdsl.strategies.methods.likelihood import MOST_STATES

WIDER = 1.3
"""Standard deviations of the data's that the first normal distribution has: wider than what is to be found."""
FEW = 0.05
"""Share of the chains that bears the weight at which an estimate is not to be trusted."""


@dataclass(frozen=True)
class Likelihood:
    """``log_likelihood``: mean over the samples, in nats; ``log_z`` with its standard ``error``, 0 where exact."""

    log_likelihood: float
    log_z: float
    error: float
    beta: float
    how: str
    warnings: tuple[Diagnostic, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "log-likelihood": self.log_likelihood,
            "log partition": self.log_z,
            "error": self.error,
            "beta": self.beta,
            "how": self.how,
        }


def likelihood(
    model: Trained, arrays: Mapping[str, np.ndarray], energies: np.ndarray, *, chains: int = 256,
    temperatures: int = 500, seed: int = 0,
) -> Likelihood:  # fmt: skip
    """Of samples with these free ``energies`` ``(n,)``. Raises :class:`SpecError` (EB0767)."""
    spec = model.program.model
    over = shaped(spec)
    if len(spec.role("observed")) > 1:
        raise refuse(
            "EB0767", f"the partition function is another one for every value of what {over.name} is given",
            "a log-likelihood is reported of energies of one variable",
        )  # fmt: skip
    y = np.asarray(arrays[over.name])
    beta = temperature(model)
    own = model.program.observed[over.name]
    dtype = getattr(torch, model.options.dtype)

    def potential(x: torch.Tensor) -> torch.Tensor:
        return beta * model.network.free_energy(**{own: x})

    generator = torch.Generator(model.where).manual_seed(seed)
    some = torch.as_tensor(np.ascontiguousarray(y[:: max(1, len(y) // 8192)])).to(model.where, dtype)
    kind, shape = over.domain.kind, y.shape[1:]
    size = math.prod(shape)
    with still(model.network):
        every = _every_state(kind, shape, some)
        if every is not None:
            log_z, error, how = (
                float(torch.logsumexp(-potential(every).double(), 0)),
                0.0,
                f"{len(every)} states: exact",
            )
            warnings: tuple[Diagnostic, ...] = ()
        else:
            base = _base(over.domain, kind, shape, size, some, generator)
            found = annealed.anneal(
                potential, base, generator, chains=chains, temperatures=temperatures, discrete=kind == "binary"
            )
            log_z, error = found.log_z, found.error
            how = f"annealed importance sampling, {chains} chains through {temperatures} temperatures"
            warnings = _warnings(found, some)
    return Likelihood(float(-beta * energies.mean() - log_z), log_z, error, beta, how, warnings)


def _every_state(kind: str, shape: tuple[int, ...], like: torch.Tensor) -> torch.Tensor | None:
    if kind == "onehot" and len(shape) == 1:
        return one_hot_states(like)
    if kind == "binary" and 2 ** min(math.prod(shape), 60) <= MOST_STATES:
        return binary_states(like)
    return None


def _base(
    domain: Any, kind: str, shape: tuple[int, ...], size: int, some: torch.Tensor, generator: torch.Generator
) -> annealed.Base:
    if kind == "binary":
        return annealed.bernoulli(some.mean(0).clamp(0.05, 0.95), generator)
    low, high = domain.row.bounds(domain.args)
    if kind == "box":
        return annealed.uniform(torch.full_like(some[0], low), torch.full_like(some[0], high), generator)
    if kind != "real":
        raise refuse(
            "EB0767", f"no chain begins in {domain}", "a log-likelihood is reported in R, in a box and of {0,1}"
        )
    flat = some.flatten(1)
    if size <= 512:
        factor = WIDER * covariance_factor(flat)
    else:
        factor = torch.diag(WIDER * flat.std(0).clamp_min(1e-3 * float(flat.std())))
    return annealed.gaussian(flat.mean(0), factor, shape, generator)


def _warnings(found: annealed.Annealed, some: torch.Tensor) -> tuple[Diagnostic, ...]:
    said = []
    extent = float((some.amax(0) - some.amin(0)).max())
    if not bool(torch.isfinite(found.states).all()) or float((found.states - some.mean(0)).abs().max()) > 100 * extent:
        what = "chains went a hundred times as far as the data: exp(-β F) may have no finite integral"
        said.append(
            Diagnostic("EB0764", what, (), ("a penalty on far values, or a strategy that pushes up everywhere",))
        )
    if found.effective < FEW * found.chains:
        what = f"{found.effective:.3g} of {found.chains} chains bear the weight: the partition function is a guess"
        said.append(Diagnostic("EB0768", what, (), ("more temperatures: --temperatures 5000",)))
    return tuple(said)
