"""Codes of many steps: rows that nothing ties are solved as so many samples; what ties them is not lost."""

from __future__ import annotations

import pytest
import torch

from tests.emit.compiled import compile_spec

ONE = "observed y : R[5]\nlatent z : {domain}\nparam W : R[5, 4], unit columns\nF(y) = min_z ||y - W z||^2 + {rest}"
MANY = (
    "observed y : R[3, 5]\nlatent z : {domain}\nparam W : R[5, 4], unit columns\n"
    "F(y) = min_z Σ_t ||y[t] - W z[t]||^2 + {rest}"
)
CASES = {
    "entries": ("R[4]", "0.4|z|", "R[3, 4]", "0.4||z||_1"),
    "weights": ("R[4]", "Σ_k (1 + k) 0.1 |z[k]|", "R[3, 4]", "Σ_{t,k} (1 + k) 0.1 |z[t,k]|"),
    "nonnegative": ("R[4], >= 0", "0.4 Σ_k z[k]", "R[3, 4], >= 0", "0.4 Σ_{t,k} z[t,k]"),
    "simplex": ("simplex[4]", "0.1||z||^2", "simplex[3, 4]", "0.1||z||^2"),
    "norms": ("R[4]", "0.4||z||", "R[3, 4]", "0.4 Σ_t ||z[t]||"),
    "largest": ("R[4]", "0.4||z||_inf", "R[3, 4]", "0.4 Σ_t max_k |z[t,k]|"),
}


@pytest.mark.parametrize("name", CASES)
def test_rows_are_samples(name: str) -> None:
    domain, rest, domains, rests = CASES[name]
    one = compile_spec(ONE.format(domain=domain, rest=rest))
    many = compile_spec(MANY.format(domain=domains, rest=rests))
    assert any("each row is solved by itself" in f for f in many.plan.inference[0].facts)
    net, nets = one.randomise(one.build(), seed=1), many.randomise(many.build(), seed=1)
    nets.W.data.copy_(net.W.data)
    y = many.observed(4, seed=2)["y"]
    found, wanted = nets.infer(y), net.infer(y.reshape(-1, 5))
    assert bool(found.converged.all()) and found.residual.shape == found.iterations.shape == (4,)
    torch.testing.assert_close(found.latents["z"].reshape(-1, 4), wanted.latents["z"], atol=1e-7, rtol=1e-6)
    torch.testing.assert_close(found.energy, wanted.energy.reshape(4, 3).sum(1))
    again = nets.infer(y, start=found.latents)
    torch.testing.assert_close(again.energy, found.energy)


@pytest.mark.parametrize("rest", ["0.4 Σ_k ||z[:,k]||", "Σ_{t,k} (1 + t) 0.1 |z[t,k]|"])
def test_what_ties_rows_is_not_lost(rest: str) -> None:
    c = compile_spec(MANY.format(domain="R[3, 4]", rest=rest))
    assert not any("each row" in f for f in c.plan.inference[0].facts)
    net = c.randomise(c.build(), seed=1)
    y = c.observed(3, seed=2)["y"]
    found = net.infer(y)
    assert bool(found.converged.all())
    for size in (1e-3, 0.1):
        moved = found.latents["z"] + size * torch.randn(200, 3, 3, 4, dtype=torch.float64)
        for at in moved:
            assert bool((net.energy(y, at) >= found.energy - 1e-9).all())
