"""What the energy of some data is: in the mean, by term, and sample by sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ebdsl.run.batched import free_energies, inferences
from ebdsl.run.batches import Batches


@dataclass(frozen=True)
class Evaluation:
    """``free_energy`` (n,) in float64; ``terms`` are means over the samples, at the latents that were inferred.

    ``converged`` is the share of samples whose inference met its tolerance, None without latents.
    """

    free_energy: np.ndarray
    terms: dict[str, float]
    converged: float | None
    iterations: float | None

    def to_json(self) -> dict[str, Any]:
        f = self.free_energy
        spread = {"std": f.std(), "min": f.min(), "median": np.median(f), "max": f.max()}
        return {
            "samples": len(f),
            "free_energy": {"mean": float(f.mean()), **{k: float(v) for k, v in spread.items()}},
            "terms": self.terms,
            "converged": self.converged,
            "iterations": self.iterations,
        }


def mean_energy(network: Any, data: Batches, size: int) -> float:
    """Mean free energy, summed in float64 on the device: one transfer."""
    total = sum(f.double().sum() if f.device.type != "mps" else f.sum() for f in free_energies(network, data, size))
    return float(total) / len(data)


def terms_of(network: Any, given: dict[str, Tensor], latents: dict[str, Tensor]) -> dict[str, Tensor]:
    """The energy of each sample term by term, in the mean over noise."""
    return network.mean_terms(**given) if hasattr(network, "mean_terms") else network.terms(**given, **latents)


def evaluate(network: Any, data: Batches, size: int) -> Evaluation:
    """Free energies of all samples and the mean of every term."""
    has_latents = bool(network.LATENT)
    energies: list[np.ndarray] = []
    terms: dict[str, float] = {}
    counts = [0.0, 0.0]
    for batch, found in inferences(network, data, size):
        with torch.no_grad():
            energies.append(network.free_energy(**batch).detach().double().cpu().numpy())
            for name, value in terms_of(network, batch, found.latents).items():
                terms[name] = terms.get(name, 0.0) + float(value.detach().double().sum()) / len(data)
        if has_latents:
            counts[0] += float(found.converged.double().sum()) / len(data)
            counts[1] += float(found.iterations.double().sum()) / len(data)
    converged, iterations = counts if has_latents else (None, None)
    return Evaluation(np.concatenate(energies), terms, converged, iterations)
