"""Large numbers in float32: sums of exponentials neither overflow nor lose their gradients."""

from __future__ import annotations

import pytest
import torch

from tests.emit.compiled import compile_spec

HEAD = "observed x : R[P]\n"
SPECS = {
    "softmax": HEAD + "observed y : onehot[K]\nparam A : R[K, P]\nF(x, y) = log Σ_k exp(Σ_p A[k, p] x_p) - y'A x\n",
    "weighted": HEAD + "observed y : onehot[K]\nparam A : R[K, P], w : simplex[K]\n"
    "F(x, y) = log Σ_k w_k exp(Σ_p A[k, p] x_p) - y'A x - 0.1 Σ_k log w_k\n",
    "two": HEAD + "observed y : {-1,1}\nparam A : R[P]\nF(x, y) = log(1 + exp(-y A'x))\n",
    "three": HEAD + "observed y : {-1,1}\nparam A : R[P]\n"
    "F(x, y) = log(exp(A'x) + exp(-A'x) + 3) - y A'x + 0.1||A||^2\n",
    "cosh": HEAD + "observed y : R\nparam A : R[P]\nF(x, y) = log cosh(y - A'x)\n",
    "module": HEAD + "observed y : onehot[3]\nmodule f : R[P] -> R[3] = linear\nF(x, y) = -y' log(softmax(f(x)))\n",
    "mixture": "observed x : R[P]\nlatent z : onehot[K]\nparam μ : R[K, P], π : simplex[K]\n"
    "F(x) = softmin_z[1] Σ_k z_k (||x - μ_k||^2 - log π_k)\n",
    "free energy": "observed x : R[P]\nparam W : R[K, P], b : R[P]\n"
    "F(x) = ||x - b||^2 - Σ_k log(1 + exp(Σ_p W[k, p] x_p)) + ||W||^2\n",
    "squares": HEAD + "observed y : onehot[K]\nparam A : R[K, P]\n"
    "F(x, y) = (log Σ_k exp(Σ_p A[k, p] x_p) - y'A x)^2\n",
}  # fmt: skip


@pytest.mark.parametrize("name", SPECS)
def test_large_exponents(name: str) -> None:
    c = compile_spec(SPECS[name])
    sizes = {k: c.sizes[k] for k in c.model.dims}
    exact, rough = c.module.build(**sizes, dtype=torch.float64), c.module.build(**sizes)
    with torch.no_grad():
        for a, b in zip(exact.parameters(), rough.parameters(), strict=True):
            a.copy_(b.double())
    data = {k: v[:4] for k, v in c.observed(4, seed=1).items()}
    data["x"] = 300 * torch.randn(data["x"].shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    data = {k: v.float().double() for k, v in data.items()}
    args = [data[c.python(s)] for s in c.model.role("observed")]
    energies = exact.free_energy(*args), rough.free_energy(*(a.float() for a in args))
    assert torch.isfinite(energies[1]).all()
    assert torch.allclose(energies[0].float(), energies[1], rtol=1e-4, atol=1e-2)
    for net, d in ((exact, data), (rough, {k: v.float() for k, v in data.items()})):
        c.module.Learner(net, lr=0.0).step(d)
    for a, b in zip(exact.parameters(), rough.parameters(), strict=True):
        assert torch.isfinite(b).all()
        if a.grad is not None and b.grad is not None:
            assert torch.isfinite(b.grad).all()
            assert torch.allclose(a.grad.float(), b.grad, rtol=1e-3, atol=1e-2)
