"""Energies that no spec holds: each gets the class of algorithm that a textbook takes, and its answer is a minimum.

For a convex energy over a convex domain an answer is one exactly if no way from it to another point of the domain goes
down: ``E((1-t) z* + t s) >= E(z*)``. Ways go to random points of the domain, and to the answer's own neighbourhood.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.emit.compiled import Compiled, compile_spec

CODE = "observed y : R[5]\nlatent z : R[4]\nparam W : R[5, 4], unit columns\nF(y) = min_z "
OF = {
    k: CODE.replace("R[4]\nparam", f"{k}\nparam") for k in ("R[4], >= 0", "box(-0.2, 0.5)[4]", "simplex[4]", "ball[4]")
}
SEQUENCE = "observed y : R[7]\nlatent z : R[7]\nF(y) = min_z "
TWO = "observed y : R[5]\nlatent z : R[4], w : R[3]\nparam W : R[5, 4], unit columns, B : R[5, 3], unit columns\n"
GROUPS = "observed y : R[5]\nlatent z : R[2, 3]\nparam W : R[5, 2, 3]\nF(y) = min_z 0.1||W||^2 + "

CONVEX = {
    "ridge": (CODE + "||y - W z||^2 + 0.3||z||^2", "closed form"),
    "Mahalanobis": (
        "observed y : R[5]\nlatent z : R[4]\nparam W : R[5, 4], unit columns, P : R[5, 5], positive definite\n"
        "F(y) = min_z (y - W z)' P (y - W z) + 0.1||z||^2 - log det P + ||P||^2", "closed form",
    ),
    "smoothing": (SEQUENCE + "||y - z||^2 + 2 Σ_i (z[i+1] - z[i])^2", "closed form"),
    "weighted L1": (CODE + "½||y - W z||^2 + Σ_k 0.1 (1 + k) |z[k]|", "proximal gradient"),
    "elastic net": (CODE + "||y - W z||^2 + 0.4|z| + 0.2||z||^2", "proximal gradient"),
    "L1 around learned points": (
        CODE.replace("unit columns", "unit columns, b : R[4]") + "||y - W z||^2 + 0.4|z - b| + 0.01||b||^2",
        "splitting",
    ),
    "nonnegative": (OF["R[4], >= 0"] + "||y - W z||^2 + 0.3|z|", "proximal gradient"),
    "box": (OF["box(-0.2, 0.5)[4]"] + "||y - W z||^2", "proximal gradient"),
    "simplex": (OF["simplex[4]"] + "||y - W z||^2", "proximal gradient"),
    "ball": (OF["ball[4]"] + "||y - W z||^2", "proximal gradient"),
    "groups and entries": (
        GROUPS + "||y - Σ_{g,p} W[:,g,p] z[g,p]||^2 + 0.3|z| + 0.5 Σ_g ||z[g]||", "proximal gradient",
    ),
    "Huber data": (CODE + "Σ_i huber((y - W z)[i], 1) + 0.1||z||^2", "Newton"),
    "L1 data": (CODE + "|y - W z| + 0.2||z||^2", "splitting"),
    "L1 data, L1 code": (CODE + "|y - W z| + 0.3|z| + 0.05||z||^2", "splitting"),
    "square-root lasso": (CODE + "||y - W z|| + 0.2|z|", "splitting"),
    "hinges": (CODE + "Σ_i relu(1 - y[i] (W z)[i]) + 0.3||z||^2", "interior points"),
    "pinball": (CODE + "Σ_i (0.7 relu((y - W z)[i]) + 0.3 relu(-(y - W z)[i])) + 0.1||z||^2", "splitting"),
    "logistic": (CODE + "Σ_i softplus(-y[i] (W z)[i]) + 0.2||z||^2", "Newton"),
    "Poisson": (CODE + "Σ_i (exp((W z)[i]) - y[i] (W z)[i]) + 0.5||z||^2", "Newton"),
    "quartic": (CODE + "||y - W z||^2 + Σ_k z[k]^4", "Newton"),
    "log-cosh": (CODE + "Σ_i log(cosh((y - W z)[i])) + 0.1||z||^2", "Newton"),
    "Poisson rates": (
        "observed y : R[5], >= 0\nlatent z : R[4], >= 0\nparam W : R[5, 4], >= 0\n"
        "F(y) = min_z Σ_i ((W z)[i] - y[i] log((W z)[i] + 0.01)) + 0.1||W||^2", "Newton",
    ),
    "barrier": ("observed y : R[4]\nlatent z : R[4], > 0\nF(y) = min_z ||y - z||^2 - Σ_i log z[i]", "Newton"),
    "reciprocals": ("observed y : R[4]\nlatent z : R[4], > 0\nF(y) = min_z Σ_i (y[i]^2/z[i] + z[i])", "Newton"),
    "two smooth codes": (TWO + "F(y) = min_{z, w} Σ_i softplus((y - W z - B w)[i]) + 0.4||z||^2 + ||w||^2", "Newton"),
    "many entries": (
        CODE.replace("[4]", "[60]").replace("5, 4", "5, 60") + "Σ_i softplus((W z)[i] - y[i]) + 0.01 Σ_k cosh(z[k])",
        "Newton",
    ),
    "sparse logistic": (CODE + "Σ_i softplus(-y[i] (W z)[i]) + 0.2|z| + 0.1 Σ_k k |z[k]|", "Newton"),
    "many sparse": (
        CODE.replace("[4]", "[60]").replace("5, 4", "5, 60") + "Σ_i log cosh((W z)[i] - y[i]) + 0.1|z|", "Newton",
    ),
    "lasso, weighted": (
        "observed y : R[5], m : R[5]\nlatent z : R[4]\nparam W : R[5, 4], unit columns\n"
        "F(y, m) = min_z ||m ⊙ (y - W z)||^2 + 0.3|z|", "Newton",
    ),
    "box, weighted": (
        "observed y : R[5], m : R[5]\nlatent z : box(-0.3, 0.4)[4]\nparam W : R[5, 4], unit columns\n"
        "F(y, m) = min_z ||m ⊙ (y - W z)||^2 + 0.1|z| + 0.1||z||^2", "Newton",
    ),
    "fused lasso": (SEQUENCE + "½||y - z||^2 + 0.3 Σ_i |z[i+1] - z[i]| + 0.1|z|", "total variation"),
    "trend filter": (SEQUENCE + "½||y - z||^2 + 0.5 Σ_i |z[i+1] - 2 z[i] + z[i-1]|", "splitting"),
    "analysis": (
        CODE.replace("unit columns", "unit columns, D : R[6, 4], unit columns")
        + "||y - W z||^2 + 0.3|D z| + 0.1||z||^2", "splitting",
    ),
    "two codes": (TWO + "F(y) = min_{z, w} ||y - W z - B w||^2 + 0.4|z| + 0.5||w||^2", "proximal gradient"),
    "two ridges": (TWO + "F(y) = min_{z, w} ||y - W z - B w||^2 + 0.4||z||^2 + 0.01||w||^2", "closed form"),
    "two ridges, weighted": (
        TWO.replace("y : R[5]", "y : R[5], m : R[5], >= 0")
        + "F(y, m) = min_{z, w} Σ_i m[i] (y[i] - (W z)[i] - (B w)[i])^2 + 0.4||z||^2 + 0.1||w||^2", "closed form",
    ),
    "code and slope": (
        TWO.replace("w : R[3]", "w : R").replace("B : R[5, 3], unit columns", "B : R[5]")
        + "F(y) = min_{z, w} ||y - W z - w B||^2 + 0.4|z| + 0.01 w^2 + 0.1||B||^2", "proximal gradient",
    ),
    "codes of two kinds": (
        TWO.replace("R[4], w : R[3]", "R[4], >= 0, w : simplex[3]")
        + "F(y) = min_{z, w} ||y - W z - B w||^2 + 0.1|z|", "proximal gradient",
    ),
    "largest entry": (CODE + "||y - W z||^2 + 0.5||z||_inf", "proximal gradient"),
    "Chebyshev fit": (CODE + "max_i |(y - W z)[i]| + 0.1||z||^2", "splitting"),
    "sum of the two ends": (CODE + "||y - W z||^2 + 0.3 (max_k z[k] - min_k z[k])", "splitting"),
    "entropy on the simplex": (OF["simplex[4]"] + "||y - W z||^2 + 0.1 Σ_k z[k] log z[k]", "proximal gradient"),
    "entropy": (OF["R[4], >= 0"] + "||y - W z||^2 - 0.5 entropy(z) + 0.2 Σ_k z[k]", "proximal gradient"),
    "logistic with entropy": (
        OF["simplex[4]"] + "Σ_i softplus(-y[i] (W z)[i]) - 0.3 entropy(z)", "proximal gradient",
    ),
    "low rank": ("observed y : R[4, 3]\nlatent z : R[4, 3]\nF(y) = min_z ||y - z||^2 + ||z||_*", "proximal gradient"),
}  # fmt: skip

FINITE = {
    "two choices": (
        "observed y : R[5]\nlatent k : onehot[3], l : onehot[4]\nparam A : R[5,3], B : R[5,4]\n"
        "F(y) = min_{k,l} ||y - A k - B l||^2", "enumeration",
    ),
    "binary code": (
        "observed y : R[5]\nlatent z : binary[6]\nparam W : R[5,6]\nF(y) = min_z ||y - W z||^2 + 0.1 Σ_k z[k]",
        "enumeration",
    ),
    "Viterbi": (
        "observed y : R[6, 2]\nlatent s : onehot[6, 3]\nparam m : R[3, 2], A : R[3,3]\n"
        "F(y) = min_s Σ_{t,k} s[t,k] ||y[t] - m[k]||^2 + Σ_t s[t]' A s[t+1]", "variable elimination",
    ),
    "forward algorithm": (
        "observed y : R[6, 2]\nlatent s : onehot[6, 3]\nparam m : R[3, 2], A : R[3,3]\n"
        "F(y) = softmin_s[1] Σ_{t,k} s[t,k] ||y[t] - m[k]||^2 + Σ_t s[t]' A s[t+1]", "variable elimination",
    ),
    "hidden units": (
        "observed y : R[4]\nlatent h : binary[5]\nparam W : R[4,5], c : R[5]\n"
        "F(y) = softmin_h[1] ½||y||^2 - y' W h - c' h", "enumeration",
    ),
}  # fmt: skip


def built(text: str) -> tuple[Compiled, object, dict[str, torch.Tensor]]:
    c = compile_spec(text)
    return c, c.randomise(c.build(), seed=1), c.observed(3, seed=2)


@pytest.mark.parametrize("name", CONVEX)
def test_no_way_goes_down(name: str) -> None:
    text, rule = CONVEX[name]
    c, net, y = built(text)
    assert c.rule == rule
    found = net.infer(*y.values())  # type: ignore[attr-defined]
    assert bool(found.converged.all())
    rng = np.random.default_rng(0)
    count = 500
    for i in range(3):
        answer = {k: v[i : i + 1] for k, v in found.latents.items()}
        given = [v[i : i + 1].expand(count, *v.shape[1:]) for v in y.values()]
        for size in (1e-4, 1e-3, 1e-2, 0.1, 0.5):
            moved = []
            for s in c.model.role("latent"):
                sample = s.domain.row.sample
                assert sample is not None
                to = np.stack([sample(rng, c.shape(s), s.domain.args) for _ in range(count)])
                z = answer[c.python(s)]
                moved.append((1 - size) * z + size * torch.as_tensor(to))
            with torch.no_grad():
                energies = net.energy(*given, *moved)  # type: ignore[attr-defined]
            assert float(energies.min()) >= float(found.energy[i]) - 1e-8 * (1 + abs(float(found.energy[i])))


@pytest.mark.parametrize("name", FINITE)
def test_all_values_tried(name: str) -> None:
    from ebdsl.model import reference

    text, rule = FINITE[name]
    c, net, y = built(text)
    assert c.rule == rule
    with torch.no_grad():
        free = net.free_energy(*y.values())  # type: ignore[attr-defined]
    for i in range(3):
        wanted = reference.free_energy(c.model.bind(dict(c.sizes)), c.values(net, y, at=i))
        assert float(free[i]) == pytest.approx(wanted, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    "energy",
    ["(y - sin(3 z))^2 + 0.1 z^2", "(y - z)^2 + 2 cos(4 z)", "(y^2 - z^2)^2 + 0.3 |z|", "log(1 + (y - z)^2) + 0.2 |z|"],
)
def test_one_number_without_convexity(energy: str) -> None:
    """Against a grid; the plan says that it cannot promise the global minimum."""
    c, net, y = built(f"observed y : R\nlatent z : R\nF(y) = min_z {energy}")
    assert c.guarantee == "local"
    with torch.no_grad():
        found = net.infer(*y.values())  # type: ignore[attr-defined]
        grid = torch.linspace(-6, 6, 400_001, dtype=torch.float64)
        for i in range(3):
            best = net.energy(y["y"][i].expand(len(grid)), grid).min()  # type: ignore[attr-defined]
            assert float(found.energy[i]) <= float(best) + 1e-8


BLOCKS = {
    "rank one": (
        "observed y : R[5, 6]\nlatent u : R[5], v : R[6]\n"
        "F(y) = min_{u, v} Σ_{i,j} (y[i,j] - u[i] v[j])^2 + 0.1||u||^2 + 0.1||v||^2"
    ),
    "rank two": (
        "observed y : R[5, 6]\nlatent U : R[5, 2], V : R[6, 2]\n"
        "F(y) = min_{U, V} ||y - U V'||^2 + 0.1||U||^2 + 0.1||V||^2"
    ),
    "sparse code, free gain": (
        "observed y : R[5]\nlatent z : R[4], a : R\nparam W : R[5, 4], unit columns\n"
        "F(y) = min_{z, a} ||y - a W z||^2 + 0.1|z| + 0.1 a^2"
    ),
    "nonnegative, smooth losses": (
        "observed y : R[5, 6]\nlatent u : R[5], >= 0, v : R[6]\n"
        "F(y) = min_{u, v} Σ_{i,j} log cosh(y[i,j] - u[i] v[j]) + 0.1|u| + 0.1||v||^2"
    ),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_that_are_convex_given_the_others(name: str) -> None:
    """Stationary in all latents together, and no lower point near; where a singular value says so, the lowest."""
    c, net, y = built(BLOCKS[name])
    assert (c.rule, c.guarantee) == ("alternating minimisation", "local")
    found = net.infer(*y.values())  # type: ignore[attr-defined]
    assert bool(found.converged.all())
    generator = torch.Generator().manual_seed(0)
    for i in range(3):
        near = {k: v[i] + 1e-2 * torch.randn(500, *v.shape[1:], generator=generator, dtype=v.dtype)
                for k, v in found.latents.items()}  # fmt: skip
        near = {k: v.clamp_min(0) if k == "u" and ">= 0" in BLOCKS[name] else v for k, v in near.items()}
        with torch.no_grad():
            energies = net.energy(y["y"][i].expand(500, *y["y"].shape[1:]), *near.values())  # type: ignore[attr-defined]
        assert float(energies.min()) >= float(found.energy[i]) - 1e-9
    if name.startswith("rank"):
        values = torch.linalg.svdvals(y["y"])
        shrunk = values.clone()
        kept = 1 if name == "rank one" else 2
        shrunk[:, :kept] -= (values[:, :kept] - 0.1).clamp_min(0)
        lowest = shrunk.square().sum(1) + 0.2 * (values - shrunk).sum(1)
        assert torch.allclose(found.energy, lowest, rtol=1e-8)


def test_an_energy_that_is_no_number_at_the_centre() -> None:
    """``y/v + log v`` has its minimum at ``v = y``, and at 0 no value."""
    c = compile_spec("observed y : R[4], >= 0\nlatent v : R[4], >= 0\nF(y) = min_v Σ_i (y[i]/v[i] + log v[i])")
    assert c.guarantee == "local"
    y = c.observed(3, seed=2)["y"] + 0.1
    found = c.build().infer(y, max_steps=2000)
    assert bool(found.converged.all())
    assert torch.allclose(found.latents["v"], y, atol=1e-6)
