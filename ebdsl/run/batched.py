"""The generated model over many samples, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ebdsl.run.batches import Batches


def inferences(network: Any, data: Batches, size: int, **options: Any) -> Iterator[tuple[dict[str, Tensor], Any]]:
    """``(observed, Inference)`` of each batch, in the order of the data; ``options`` go to ``infer``.

    An answer whose energy is no number has not converged, whatever its residual.
    """
    for batch in data.slices(size):
        with torch.no_grad():
            found = network.infer(**batch, **options)
        yield batch, found._replace(converged=found.converged & found.energy.isfinite())


def free_energies(network: Any, data: Batches, size: int) -> Iterator[Tensor]:
    """The free energy of each sample, (size,) at a time."""
    for batch in data.slices(size):
        with torch.no_grad():
            energies = network.free_energy(**batch)
        yield energies.detach()
