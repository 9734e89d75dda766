"""Fast transforms and conjugate gradients against a dense solve, and the claims of diagonality against the matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ebdsl.facts.modes import CHANNEL, COSINE, FOURIER, modes, operator
from ebdsl.runtime.modes import cosine_transform, inverse_cosine_transform, to_modes
from tests.emit.compiled import Compiled, compile_spec
from tests.emit.test_bands import dense
from tests.emit.test_inference import certified

PICTURE = "observed y : R[9, 8]\nlatent x : R[9, 8]\n"
DOWN, ACROSS = "Σ_{i,j} (x[i+1, j] - x[i, j])^2", "Σ_{i,j} (x[i, j+1] - x[i, j])^2"
MAPS = "observed y : R[9, 8]\nlatent z : R[3, 9, 8]\nparam D : R[3, 4, 3], unit filters\n"

TRANSFORMS = {
    "free ends": PICTURE + f"F(y) = min_x ||y - x||^2 + 2 {DOWN} + 0.3 {ACROSS}",
    "a ring": "observed y : R[70]\nlatent x : R[70]\n"
    "F(y) = min_x ||y - x||^2 + Σ_t (x[t+1] - x[t])^2 + (x[-1] - x[0])^2",
    "a ring of free rows": PICTURE + f"F(y) = min_x ||y - x||^2 + {DOWN} + Σ_j (x[0, j] - x[-1, j])^2 + 2 {ACROSS}",
    "blurred": PICTURE + "param k : R[3, 2], unit filters\nF(y) = min_x ||y - cconv(k, x)||^2 + 0.1||x||^2",
    "blurred by its own": "observed k : R[3, 3]\n" + PICTURE + "F(k, y) = min_x ||y - cconv(k, x)||^2 + 0.1||x||^2",
    "blurred within, sloped without": PICTURE + "param k : R[3, 2], unit filters\n"
    f"F(y) = min_x ||y - cconv(k, x)||^2 + 0.1 {DOWN} + 0.1||x||^2",
    "maps": MAPS + "F(y) = min_z ||y - Σ_k cconv(D[k], z[k])||^2 + 0.1||z||^2",
    "maps alone": MAPS + "F(y) = min_z Σ_k ||y - cconv(D[k], z[k])||^2 + 0.1||z||^2",
    "maps with slopes": MAPS + "param g : R[3], > 0\n"
    "F(y) = min_z ||y - Σ_k cconv(D[k], z[k])||^2 + 0.1 Σ_k g[k] ||z[k]||^2 + ||g||^2 - Σ_k log g[k]",
    "colours": "observed y : R[9, 8, 2]\nlatent x : R[9, 8, 2]\nparam A : R[2, 2], unit rows\n"
    "F(y) = min_x Σ_{i,j} ||y[i, j] - A x[i, j]||^2 + 0.1||x||^2"
    " + Σ_{i,j,c} (x[i+1, j, c] - x[i, j, c])^2 + 3 Σ_{i,j,c} (x[i, j+1, c] - x[i, j, c])^2",
}  # fmt: skip
GRADIENTS = {
    "blurred with ends": PICTURE + "param k : R[3, 2], unit filters\n"
    f"F(y) = min_x ||y - k * x||^2 + 0.1 {DOWN} + 0.1||x||^2",
    "masked and blurred": "observed m : {0,1}[9, 8]\n" + PICTURE + "param k : R[3, 3], unit filters\n"
    "F(m, y) = min_x Σ_{i,j} m[i, j] (y[i, j] - (k * x)[i, j])^2 + 0.1||x||^2",
    "maps with ends": MAPS + "F(y) = min_z ||y - Σ_k D[k] * z[k]||^2 + 0.1||z||^2",
    "blurred by its own with ends": "observed k : R[3, 3]\n" + PICTURE + "F(k, y) = min_x ||y - k * x||^2 + 0.3||x||^2",
}  # fmt: skip
ALL = TRANSFORMS | GRADIENTS


@pytest.mark.parametrize("name", ALL)
def test_against_a_dense_solve(name: str) -> None:
    c = compile_spec(ALL[name])
    assert c.rule == ("fast transform" if name in TRANSFORMS else "conjugate gradients")
    net = c.randomise(c.build(), seed=3)
    y = c.observed(3, seed=4)
    order = [y[c.python(s)] for s in c.model.role("observed")]
    found = net.infer(*order)
    assert bool(found.converged.all())
    (z,) = c.model.role("latent")
    for i in range(3):
        wanted = dense(c, net, [v[i : i + 1] for v in order])
        torch.testing.assert_close(found.latents[c.python(z)][i].reshape(-1), wanted, rtol=1e-6, atol=1e-7)
    single = c.module.build(seed=0)
    single.load_state_dict(net.state_dict())
    again = single.float().infer(*(v.float() for v in order))
    assert bool(again.converged.all())
    torch.testing.assert_close(again.energy.double(), found.energy, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["maps", "masked and blurred", "free ends"])
def test_certified(name: str) -> None:
    c = compile_spec(ALL[name])
    net, y = c.randomise(c.build(), seed=3), c.observed(2, seed=4)
    result = certified(c, net, y, net.infer(*(y[c.python(s)] for s in c.model.role("observed"))))
    assert result.reason is None and result.good.all(), (result.reason, result.residual, result.target)


def matrix(c: Compiled, net: Any, y: list[torch.Tensor]) -> torch.Tensor:
    """The second derivative of the first sample's energy, through autograd."""
    (z,) = c.model.role("latent")
    shape = c.shape(z)

    def energy(x: torch.Tensor) -> torch.Tensor:
        return net.energy(*(v[:1] for v in y), x.reshape(1, *shape)).sum()

    return torch.autograd.functional.hessian(energy, torch.zeros(int(np.prod(shape)), dtype=torch.float64))


@pytest.mark.parametrize("name", ALL)
def test_what_is_said_to_be_diagonal_is(name: str) -> None:
    """Along no axis but the channels' does the matrix couple modes; where no basis is claimed, none holds."""
    c = compile_spec(ALL[name])
    (z,) = c.model.role("latent")
    op = operator(c.plan.energy, z)
    assert op is not None
    bases = modes(op)
    if name in GRADIENTS:
        assert isinstance(bases, str) or not {COSINE, FOURIER} & set(bases) or CHANNEL in bases
        return
    net = c.randomise(c.build(), seed=5)
    order = list(c.observed(1, seed=6).values())
    shape, n = c.shape(z), int(np.prod(c.shape(z)))
    places = {b: tuple(k + 1 for k, x in enumerate(bases) if x == b) for b in (COSINE, FOURIER, CHANNEL)}
    basis = to_modes(torch.eye(n, dtype=torch.float64).reshape(n, *shape), places[COSINE], ()).to(torch.complex128)
    basis = torch.fft.fftn(basis, dim=places[FOURIER], norm="ortho") if places[FOURIER] else basis
    basis = basis.reshape(n, n).T
    whole = (basis @ matrix(c, net, order).to(basis.dtype) @ basis.mH).reshape(*shape, *shape)
    kept = torch.ones(whole.shape, dtype=torch.bool)
    for p in range(len(shape)):
        if p + 1 not in places[CHANNEL]:
            same = torch.eye(shape[p], dtype=torch.bool)
            kept &= same.reshape([shape[p] if k in (p, p + len(shape)) else 1 for k in range(2 * len(shape))])
    assert float(whole[~kept].abs().max()) < 1e-10 * float(whole.abs().max())


@pytest.mark.parametrize("text", [
    "{y} + 2 Σ_{i,j} (x[i+1, j] - 2 x[i, j] + x[i-1, j])^2",  # its ends are not those of cosines
    "{y} + 2 Σ_{i,j} (x[i+2, j] - x[i, j])^2",
    "{y} + Σ_{i,j} ((x[i+1, j] - x[i, j])^2 + (x[i, j+1] - x[i, j])^2)",  # no difference in the last row and column
    "{y} + Σ_{i,j} y[i, j]^2 x[i, j]^2 + Σ_{i,j} (x[i+1, j] - x[i, j])^2",
    "{y} + x[3, 2]^2 + Σ_{i,j} (x[i+1, j] - x[i, j])^2",
    "Σ_{i,j} y[i, j]^2 (y[i, j] - cconv(k, x)[i, j])^2 + ||x||^2",
    "||y - cconv(k, k * x)||^2 + ||x||^2",
])  # fmt: skip
def test_what_is_diagonal_in_no_basis(text: str) -> None:
    head = PICTURE + "param k : R[3, 2], unit filters\n" * ("k" in text)
    c = compile_spec(head + f"F(y) = min_x {text.replace('{y}', '||y - x||^2')}")
    assert c.rule != "fast transform"
    (reason,) = (r.reason for r in c.plan.inference[0].refused if r.rule == "fast transform")
    assert any(words in reason for words in ("basis", "from place to place", "no sequence of convolutions")), reason


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_cosines_are_scipys(n: int) -> None:
    from scipy.fft import dct

    x = torch.randn(3, n, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = cosine_transform(x, 1)
    np.testing.assert_allclose(y.numpy(), dct(x.numpy(), axis=1, norm="ortho"), atol=1e-12)
    torch.testing.assert_close(inverse_cosine_transform(y, 1), x)


def test_large_pictures_are_not_factored() -> None:
    """What a band or a factor would take, and what the residual says of many steps in float32."""
    text = "dim H = 96, L = 80\nobserved y : R[H, L], m : {0,1}[H, L]\nlatent x : R[H, L]\n"
    text += f"F(y, m) = min_x Σ_{{i,j}} m[i, j] (y[i, j] - x[i, j])^2 + 0.01||x||^2 + {DOWN} + {ACROSS}"
    c = compile_spec(text)
    assert c.rule == "conjugate gradients"
    assert any(r.rule == "banded solve" and "several axes" in r.reason for r in c.plan.inference[0].refused)
    net, y = c.build(), c.observed(4)
    y["m"][1] = 0
    found = net.infer(y["y"], y["m"])
    assert bool(found.converged.all()) and float(found.latents["x"][1].abs().max()) == 0
    slope = found.latents["x"].requires_grad_(True)
    net.energy(y["y"], y["m"], slope).sum().backward()
    assert slope.grad is not None
    torch.testing.assert_close(slope.grad.flatten(1).abs().amax(1), found.residual, rtol=1e-2, atol=1e-12)
