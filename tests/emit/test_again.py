"""Learners that see the same samples again look at what changes alone, and learn the same."""

from __future__ import annotations

import copy

import pytest
import torch

from ebdsl.emit.file import generate
from tests.emit.compiled import load, planned

SPECS = {
    "distances": """
        observed y : R[D]
        latent   z : onehot[K]
        param    W : R[D, K]
        dim      K = 6
        E(y, z) = ||y - W z||^2
        F(y)    = min_z E(y, z)
    """,
    "renamed and smaller": """
        observed x : R[P]
        latent   c : onehot[S]
        param    V : R[S, P]
        dim      S = 6
        E(x, c) = Σ_k c_k (0.001 Σ_d (x_d - V[k, d])^2)
        F(x)    = min_c E(x, c)
    """,
    "on spheres": """
        observed y : R[D]
        latent   z : onehot[K]
        param    W : R[D, K], unit columns
        dim      K = 6
        E(y, z) = ||y - W z||^2
        F(y)    = min_z E(y, z)
    """,
}


@pytest.mark.parametrize("name", SPECS)
def test_a_step_that_looks_at_changes_is_the_same_step(name: str) -> None:
    """As one that looks at all samples, and to the bit when it goes on from a checkpoint."""
    module = load(generate(planned(SPECS[name])))
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(500, 3, generator=generator) + 2 * torch.randn(8, 3, generator=generator)[torch.arange(500) % 8]
    (observed, (dim,)), *_ = module.Spec.OBSERVED.items()
    model = module.build(**{dim: 3})
    learner = module.Learner(model)
    learner.start({observed: y})
    plain_model = copy.deepcopy(model)
    plain, other = module.Learner(plain_model), None
    for _ in range(25):
        found, wanted = learner.step({observed: y}), plain.step({observed: y})
        plain.again = False
        for key, value in wanted.items():
            assert float(found[key]) == pytest.approx(float(value), rel=1e-6)
        torch.testing.assert_close(list(model.parameters()), list(plain_model.parameters()), rtol=1e-5, atol=1e-5)
        if other is not None:
            other.step({observed: y})
            assert all(map(torch.equal, model.parameters(), other.model.parameters()))
        elif learner.members is not None:
            other = module.Learner(copy.deepcopy(model))
            other.load_state_dict(learner.state_dict())
    assert other is not None and other.members is not None and plain.members is None
    learner.step({observed: y + 1})
    assert learner.members is None
