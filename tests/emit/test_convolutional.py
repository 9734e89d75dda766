"""Convolutional sparse coding: certified answers, against proximal gradient, and the bound of the curvature."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ebdsl.runtime.convolution import circular_convolve, convolve
from ebdsl.runtime.convolutional import curvature_of_modes, fast_length
from ebdsl.runtime.inference import proximal_gradient
from tests.emit.compiled import compile_spec
from tests.emit.test_inference import certified

HEAD = "observed y : R[7, 6]\nlatent z : R[3, 7, 6]{}\nparam D : R[3, 4, 3], unit filters\n"
PLAIN, BOUNDED = HEAD.format(""), HEAD.format(", >= 0")
SPECS = {
    "with ends": PLAIN + "F(y) = min_z ||y - Σ_k D[k] * z[k]||^2 + 0.3|z|",
    "circular": PLAIN + "F(y) = min_z ½||y - Σ_k cconv(D[k], z[k])||^2 + 0.3|z|",
    "multiplied out": PLAIN + "F(y) = min_z ||y||^2 - 2 sum(y ⊙ Σ_k cconv(D[k], z[k]))"
    " + ||Σ_k cconv(D[k], z[k])||^2 + 0.3|z|",
    "elastic": PLAIN + "const μ = 3\n"
    "F(y) = min_z μ||2 y - Σ_k 2 cconv(D[k], z[k])||^2 + 0.1||z||^2 + Σ_k (k + 1)|z[k]|",
    "nonnegative": BOUNDED + "F(y) = min_z ||y - Σ_k D[k] * z[k]||^2 + 0.1 Σ_{k,i,j} z[k, i, j]",
    "groups of maps": PLAIN + "F(y) = min_z ||y - Σ_k D[k] * z[k]||^2 + 0.3 Σ_{i,j} sqrt(Σ_k z[k, i, j]^2)",
    "one map": "observed y : R[40]\nlatent z : R[40]\nparam D : R[5]\n"
    "F(y) = min_z ||y - D * z||^2 + 0.3|z| + ||D||^2",
    "correlated": PLAIN + "F(y) = min_z ||y - Σ_k circular_correlate(D[k], z[k])||^2 + 0.3|z|",
}  # fmt: skip


@pytest.mark.parametrize("name", SPECS)
def test_certified(name: str) -> None:
    c = compile_spec(SPECS[name])
    assert c.rule == ("proximal gradient" if name == "correlated" else "convolutional splitting")
    net, y = c.randomise(c.build(), seed=1), c.observed(3, seed=2)
    y["y"][2] *= 10
    found = net.infer(y["y"])
    assert bool(found.converged.all()), (found.residual, found.iterations)
    result = certified(c, net, y, found)
    assert result.reason is None and result.good.all(), (result.reason, result.residual, result.target)
    again = net.infer(y["y"], start={"z": found.latents["z"]})
    torch.testing.assert_close(again.energy, found.energy, rtol=1e-9, atol=1e-9)
    single = c.module.build(seed=0)
    single.load_state_dict(net.state_dict())
    rough = single.float().infer(y["y"].float())
    assert bool(rough.converged.all())
    torch.testing.assert_close(rough.energy.double(), found.energy, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["with ends", "circular"])
def test_against_proximal_gradient(name: str) -> None:
    c = compile_spec(SPECS[name])
    net, y = c.randomise(c.build(), seed=3), c.observed(4, seed=4)["y"]
    found = net.infer(y)
    weight, conv = (1, convolve) if name == "with ends" else (0.5, circular_convolve)

    def slope(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            left = y - conv(net.D, x.reshape(-1, 3, 7, 6), 2).sum(1)
            return torch.autograd.grad(weight * left.square().sum(), x)[0]

    def shrink(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return x - x.clamp(-0.3 * t, 0.3 * t)

    start = torch.zeros(4, 3 * 7 * 6, dtype=torch.float64)
    wanted, residual, _ = proximal_gradient(slope, shrink, start, (y,), torch.full((4,), 1e-9).double(), 50_000)
    assert float(residual.max()) <= 1e-9
    energies = net.energy(y, wanted.reshape(4, 3, 7, 6))
    torch.testing.assert_close(found.energy, energies, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("text", [
    "F(y, m) = min_z Σ_{i,j} m[i, j] (y[i, j] - (Σ_k D[k] * z[k])[i, j])^2 + 0.3|z|",
    "F(y, m) = min_z ||y - Σ_k D[k] * z[k]||^2 + ||m - Σ_k D[k] * z[k]||^2 + Σ_k ||y - D[k] * z[k]||^2 + 0.3|z|",
    "F(y, m) = min_z Σ_k ||y - D[k] * z[k]||^2 + ||m||^2 + 0.3|z|",
    "F(y, m) = min_z ||y - Σ_k D[k] * (D[k] * z[k])||^2 + ||m||^2 + 0.3|z|",
])  # fmt: skip
def test_others_keep_proximal_gradient(text: str) -> None:
    c = compile_spec("observed m : {0,1}[7, 6]\n" + PLAIN + text.replace("F(y, m)", "F(m, y)"))
    assert c.rule == "proximal gradient"
    assert any(r.rule == "convolutional splitting" and r.reason for r in c.plan.inference[0].refused)


@pytest.mark.parametrize("seed", range(20))
def test_the_curvature_is_never_underestimated(seed: int) -> None:
    """Exact for maps that go on at their other end, a bound for maps with ends."""
    rng = np.random.default_rng(seed)
    ndim = int(rng.integers(1, 3))
    maps = int(rng.integers(1, 4))
    size = tuple(int(n) for n in rng.integers(3, 9, ndim))
    width = tuple(int(n) for n in rng.integers(1, 6, ndim))
    kernel = torch.tensor(rng.standard_normal((maps, *width)))
    ring = tuple(fast_length(n + w - 1) for n, w in zip(size, width, strict=True))
    n = int(np.prod(size))
    eye = torch.eye(maps * n, dtype=torch.float64).reshape(maps * n, maps, *size)
    for conv, around in ((circular_convolve, size), (convolve, ring)):
        matrix = conv(kernel, eye, ndim).sum(1).reshape(maps * n, n).T
        largest = float(torch.linalg.matrix_norm(matrix, 2)) ** 2
        bound = float(curvature_of_modes(kernel, around).max())
        assert largest <= bound * (1 + 1e-12)
        if around == size:
            assert largest == pytest.approx(bound, rel=1e-10)


def test_lengths() -> None:
    assert [fast_length(n) for n in (1, 7, 11, 266, 270)] == [1, 8, 12, 270, 270]
