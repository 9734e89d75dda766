"""Energies that are negative log-likelihoods: ``Σ_y exp(-E) = 1`` whatever the parameters, tested at random ones.

An energy that is not normalised fails at a random point with probability one, however either is written.
"""

from __future__ import annotations

import math

from ebdsl.model.model import Model

MOST_VALUES = 1024


def normalised(model: Model) -> str | None:
    """Name of the observed symbol over whose finitely many values ``exp(-E)`` adds up to a constant; else None."""
    import numpy as np

    from ebdsl.model import reference

    finite = [s for s in model.role("observed") if s.domain.row.finite]
    if len(finite) != 1 or model.role("latent"):
        return None
    (y,) = finite
    free = [d for d, size in model.dims.items() if size is None]
    small = model.bind({d: 2 + k for k, d in enumerate(free)})
    sizes = {d: size for d, size in small.dims.items() if size is not None}
    shape = [d if isinstance(d, int) else sizes[d] for d in y.shape]
    if math.prod(shape) > 16 and y.domain.kind != "onehot":
        return None
    values = list(reference.points(y, sizes))
    if len(values) > MOST_VALUES:
        return None
    rng = np.random.default_rng(7)
    totals = []
    for _ in range(3):
        given = reference.random_values(small, rng)
        functions = reference.random_functions(small, rng)
        energies = [reference.energy(small, {**given, y: v}, functions) for v in values]
        low = min(energies)
        if not math.isfinite(low):
            return None
        totals.append(math.log(sum(math.exp(low - e) for e in energies)) - low)
    return y.name if max(totals) - min(totals) < 1e-9 * max(1.0, abs(totals[0])) else None
