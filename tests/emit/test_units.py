"""Accuracy has no unit: data in other units get the same answers, and no sample depends on the size of another."""

from __future__ import annotations

import pytest
import torch

from tests.emit.compiled import Compiled, compile_spec

SPLIT = "observed y : R[12]\nlatent z : R[12]\n"
CODES = "observed y : R[8]\nlatent z : R[12]\nparam W : R[8, 12], unit columns\n"
GROUPS = "observed y : R[8]\nlatent z : R[4, 3]\nparam W : R[8, 4, 3]\n"

ENERGIES = {
    "lasso": CODES + "F(y) = min_z a ||y - W z||^2 + b |z|",
    "groups": GROUPS + "F(y) = min_z a ||y - Σ_{g,p} W[:,g,p] z[g,p]||^2 + b Σ_g ||z[g]|| + c ||W||^2",
    "box": CODES.replace("R[12]", "box(-10, 10)[12]") + "F(y) = min_z a ||y - W z||^2 + b |z|",
    "absolute errors": CODES + "F(y) = min_z b |y - W z| + a ||z||^2",
    "total variation": SPLIT + "F(y) = min_z a ||y - z||^2 + b Σ_i |z[i+1] - z[i]|",
}
UNITS = [(1e3, 1.0), (1e-3, 1.0), (1.0, 1e4), (1.0, 1e-4), (50.0, 1e-3)]


def compiled(name: str, data: float, energy: float) -> Compiled:
    a, b = energy / data**2, 0.2 * energy / data
    return compile_spec(f"const a = {a!r}, b = {b!r}, c = {0.01 * energy!r}\n" + ENERGIES[name])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", [n for n in ENERGIES if n != "box"])
def test_other_units_same_answers(name: str, dtype: torch.dtype) -> None:
    """``c E(s y)`` with the factors that this asks for."""
    base = compiled(name, 1.0, 1.0)
    net = base.randomise(base.build(), 1).to(dtype)
    y = 3 * base.observed(6, 2)["y"].to(dtype)
    wanted = net.infer(y)
    assert bool(wanted.converged.all())
    for data, energy in UNITS:
        c = compiled(name, data, energy)
        other = c.build().to(dtype)
        with torch.no_grad():
            for a, b in zip(net.parameters(), other.parameters(), strict=True):
                b.copy_(a)
        found = other.infer(data * y)
        assert bool(found.converged.all())
        assert torch.allclose(found.energy / energy, wanted.energy, rtol=1e-5 if dtype == torch.float32 else 1e-9)
        close = {"rtol": 0, "atol": (2e-2 if dtype == torch.float32 else 1e-6) * float(wanted.latents["z"].abs().max())}
        assert torch.allclose(found.latents["z"] / data, wanted.latents["z"], **close)


@pytest.mark.parametrize("times", [1e4, 1e13])
@pytest.mark.parametrize("name", ENERGIES)
def test_a_large_sample_makes_no_other_less_exact(name: str, times: float) -> None:
    c = compiled(name, 1.0, 1.0)
    net = c.randomise(c.build(), 1).float()
    y = 3 * c.observed(5, 2)["y"].float()
    y[0] *= times
    together, alone = net.infer(y), net.infer(y[1:])
    assert bool(together.converged[int(times > 1e4) :].all())
    assert torch.allclose(together.energy[1:], alone.energy, rtol=1e-4)
