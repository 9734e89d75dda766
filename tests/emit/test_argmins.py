"""Energies that hold the argmin of others: derivatives against differences, steps against a loop written by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ebdsl import driver
from ebdsl.diagnostics import Source
from ebdsl.plan import Plan
from ebdsl.run.certify import Certifier
from ebdsl.run.load import load
from ebdsl.runtime.implicit import conjugate_directions
from ebdsl.runtime.inference import largest_eigenvalue

SPEC = """
dim M = 5, N = {n}
observed y : R[M], x : R[3]
latent   z : R[{shape}]{domain}
param    D : R[M, {shape}], V : R[3, {shape}], λ : R, > 0
E(y, z) = {energy}
F(y, x) = {outer}
{more}
"""
OUTER = "||x - V argmin_z E(y, z)||^2 + 0.1||V||^2"
INNER = {
    "ridge": ("||y - D z||^2 + λ||z||^2", "", 4),
    "lasso": ("½||y - D z||^2 + λ|z| + 0.05||z||^2", "", 7),
    "lasso of less atoms": ("||y - D z||^2 + λ|z|", "", 4),
    "nonnegative": ("||y - D z||^2 + λ|z| + 0.1||z||^2", ", >= 0", 7),
    "box": ("||y - D z||^2 + λ||z||^2", ", box(-0.1, 0.3)", 6),
    "box and threshold": ("||y - D z||^2 + λ|z| + 0.1||z||^2", ", box(-0.1, 0.3)", 6),
    "simplex": ("||y - D z||^2 + λ||z||^2", ", simplex[N]", 5),
    "entropy": ("||y - D z||^2 + λ Σ_k z[k] log z[k]", ", simplex[N]", 5),
    "logistic": ("Σ_i log(1 + exp(-y[i] (D z)[i])) + λ||z||^2", "", 4),
    "logistic, L-BFGS": ("Σ_i log(1 + exp(-y[i] (D z)[i])) + λ||z||^2 + 0.05 |z|", "", 40),
    "log cosh": ("Σ_i log(cosh((y - D z)[i])) + 0.1||z||^2 + λ|z|", "", 4),
    "quartic": ("||y - D z||^4 + λ||z||^2", "", 3),
    "group": ("||y - D z||^2 + 2λ||z|| + 0.1||z||^2", "", 5),
}


def written(name: str, outer: str = OUTER, more: str = "") -> str:
    energy, domain, n = INNER[name]
    text = SPEC.format(n=n, shape="N", domain=domain, energy=energy, outer=outer, more=more)
    return text.replace("R[N], simplex[N]", "simplex[N]")


def compiled(text: str) -> torch.nn.Module:
    checked = driver.compile_source(Source("m.ebm", text), allow_flat=True)
    assert checked.value is not None, [(d.code, d.message, d.help) for d in checked.diagnostics]
    return load(checked.value).build(seed=3, dtype=torch.float64)


def plan_of(text: str) -> Plan:
    found = driver.plan_source(Source("m.ebm", text), allow_flat=True)
    assert found.value is not None, [(d.code, d.message, d.help) for d in found.diagnostics]
    return found.value


def data(n: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    return torch.as_tensor(rng.standard_normal((n, 5))), torch.as_tensor(rng.standard_normal((n, 3)))


def check_slopes(net: torch.nn.Module, names: tuple[str, ...], y: torch.Tensor, x: torch.Tensor, atol: float) -> None:
    """Autograd through ``free_energy`` against central differences of what ``infer`` says, along random directions."""
    loss = net.free_energy(y, x).sum()
    slopes = torch.autograd.grad(loss, [getattr(net, n) for n in names])
    generator = torch.Generator().manual_seed(1)
    for name, slope in zip(names, slopes, strict=True):
        w = getattr(net, name)
        way = torch.randn(w.shape, generator=generator, dtype=w.dtype)
        ends = []
        for t in (1e-6, -1e-6):
            with torch.no_grad():
                w.add_(t * way)
                ends.append(float(net.infer(y, x, tolerance=1e-13).energy.sum()))
                w.sub_(t * way)
        measured = (ends[0] - ends[1]) / 2e-6
        assert float((slope * way).sum()) == pytest.approx(measured, rel=1e-5, abs=atol), name


@pytest.mark.parametrize("name", INNER)
def test_implicit_derivatives_are_those_of_differences(name) -> None:
    net = compiled(written(name) + "train\n    tolerance 1e-12\n")
    y, x = data()
    assert bool(net.infer(y, x).converged.all())
    check_slopes(net, ("D", "V", "lam"), y, x, 1e-6)
    assert float(net.adjoint_residual) < 1e-9


def test_derivatives_reach_the_data_and_what_comes_before_the_argmin() -> None:
    net = compiled(
        "observed y : R[4], x : R[3]\nlatent z : R[6]\nparam D : R[5, 6], V : R[3, 6]\n"
        "module Enc : R[4] -> R[5] = mlp(8, tanh)\nẑ = argmin_z ½||Enc(y) - D z||^2 + 0.1|z| + 0.1||z||^2\n"
        "F(y, x) = ||x - V ẑ||^2 + 0.3|ẑ|\ntrain\n    tolerance 1e-12\n"
    )
    y, x = data()
    y = y[:, :4].clone().requires_grad_()
    (slope,) = torch.autograd.grad(net.free_energy(y, x).sum(), y)
    way = torch.randn(y.shape, generator=torch.Generator().manual_seed(0), dtype=y.dtype)
    ends = [float(net.infer(y.detach() + t * way, x).energy.sum()) for t in (1e-6, -1e-6)]
    assert float((slope * way).sum()) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5)
    loss = net.free_energy(y, x).sum()
    assert all(bool(g.abs().sum() > 0) for g in torch.autograd.grad(loss, list(net.Enc.parameters())))
    net.free_energy(y, x).sum().backward()  # what a slope is made of leaves nothing behind
    with torch.no_grad():
        assert not net.free_energy(y, x).requires_grad


def test_two_argmins_and_scales() -> None:
    """A code for each of two views; the second energy is the first in other units and under other names."""
    text = (
        "observed y : R[5], x : R[3]\nlatent z : R[7], w : R[7]\nparam D : R[5, 7], V : R[3, 7]\nconst c = {c}\n"
        "E(y, z) = c (½||y - D z||^2 + 0.2|z| + 0.1||z||^2)\n"
        "F(y, x) = ||x - V argmin_z E(y, z)||^2 + ||V argmin_w E(2y, w)||^2\ntrain\n    tolerance 1e-12\n"
    )
    slopes = []
    for c in (1.0, 1e4):
        net = compiled(text.format(c=c))
        y, x = data()
        assert set(net.infer(y, x).latents) == {"z", "w"}
        check_slopes(net, ("D", "V"), y, x, 1e-6)
        slopes.append(torch.autograd.grad(net.free_energy(y, x).sum(), net.D)[0])
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("by", ["ista(steps = 6)", "fista(steps = 6)", "cod(steps = 6)", "lista(steps = 2)"])
def test_unrolled_derivatives_are_those_of_a_loop_by_hand(by) -> None:
    net = compiled(written("lasso", more=f"infer z by {by}"))
    y, x = data()
    names = ("D", "V", "lam")
    mine = torch.autograd.grad(net.free_energy(y, x).sum(), [getattr(net, n) for n in names])
    D, V, lam = net.D, net.V, net.lam
    gram, linear = D.T @ D + 0.1 * torch.eye(7, dtype=D.dtype), y @ D
    step = 1 / float(largest_eigenvalue(gram.detach()))

    def shrunk(v: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return v.sign() * (v.abs() - t).clamp_min(0)

    z = before = torch.zeros_like(linear)
    if by.startswith("cod"):
        diagonal = gram.diagonal()
        for _ in range(6):
            best = shrunk((linear - z @ gram) / diagonal + z, lam / diagonal)
            k = (best - z).abs().argmax(1, keepdim=True)
            z = z.scatter_add(1, k, (best - z).gather(1, k))
        z = shrunk((linear - z @ gram) / diagonal + z, lam / diagonal)
    else:
        t = 1.0
        for count in range(3 if by.startswith("lista") else 7):
            at = z
            if by.startswith("fista") and count:
                ahead = (1 + (1 + 4 * t * t) ** 0.5) / 2
                at, t = z + (t - 1) / ahead * (z - before), ahead
            z, before = shrunk(at + step * (linear - at @ gram), step * lam), z
    torch.testing.assert_close(net.infer(y, x).latents["z"], z.detach(), rtol=1e-10, atol=1e-12)
    loss = ((x - z @ V.T) ** 2).sum() + 0.1 * len(y) * V.square().sum()
    for a, b in zip(mine, torch.autograd.grad(loss, [D, V, lam]), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)


def test_many_unrolled_steps_give_the_implicit_derivative() -> None:
    y, x = data()
    found = []
    for more in ("", "infer z by ista(steps = 4000)"):
        net = compiled(written("lasso", more=more) + "train\n    tolerance 1e-12\n")
        found.append(torch.autograd.grad(net.free_energy(y, x).sum(), net.D)[0])
    torch.testing.assert_close(found[0], found[1], rtol=1e-6, atol=1e-8)


def test_a_minimum_unrolled_by_request() -> None:
    """Without the line in ``train``, learning asks for the exact minimum; with it, for the energy of three steps."""
    text = (
        "dim N = 7\nobserved y : R[5]\nlatent z : R[N]\nparam D : R[5, N], unit columns\n"
        "F(y) = min_z ½||y - D z||^2 + 0.2|z|\ninfer z by ista(steps = 3)\n"
    )
    y, _ = data()
    exact, unrolled = compiled(text), compiled(text + "train\n    differentiate unrolled\n")
    few, all_ = unrolled.free_energy(y), exact.free_energy(y)
    assert bool((few >= all_ - 1e-9).all()) and float((few - all_).mean().detach()) > 1e-3
    torch.testing.assert_close(few, exact.infer(y).energy, rtol=1e-10, atol=0)
    way = torch.randn(unrolled.D.shape, generator=torch.Generator().manual_seed(0), dtype=y.dtype)
    (slope,) = torch.autograd.grad(few.sum(), unrolled.D)
    assert float((slope * way).sum()) != pytest.approx(
        float((torch.autograd.grad(all_.sum(), exact.D)[0] * way).sum()), rel=1e-2
    )


def test_conjugate_directions_stop_where_there_is_no_curvature() -> None:
    diagonal = torch.tensor([[3.0, 0.5, 0.0], [1e6, 1.0, 1e-3]], dtype=torch.float64)
    right = torch.tensor([[3.0, 1.0, 0.0], [1.0, 1.0, 1.0]], dtype=torch.float64)
    x, left = conjugate_directions(lambda v: diagonal * v, right, torch.zeros_like(right))
    torch.testing.assert_close(x, torch.tensor([[1.0, 2.0, 0.0], [1e-6, 1.0, 1e3]], dtype=torch.float64))
    assert float(left.max()) < 1e-10
    _, left = conjugate_directions(lambda v: diagonal * v, torch.ones_like(right), torch.zeros_like(right))
    assert float(left[0]) > 0.1  # what has no curvature is left, and said so


def test_what_is_said_of_an_argmin() -> None:
    from ebdsl import explain

    text = explain.text(plan_of(written("lasso")))
    assert "z = argmin_z" in text and "implicit, by one linear system for each support" in text
    assert "there is one minimum" in text and "the same entries of z stand on kinks" in text
    assert "learn D: Adam on batches, through the argmin over z" in text
    assert "learn V: least squares from summed statistics" in text
    outer = "Σ_i log(1 + exp(-x[i] (V argmin_z E(y, z))[i])) + 0.1||V||^2"
    assert "to it the answers are data" in explain.text(plan_of(written("lasso", outer)))
    text = explain.text(plan_of(written("lasso", more="infer z by lista(steps = 3)")))
    assert "unrolled, through each of 3 steps of lista" in text and "learn by its gradient" in text
    text = explain.text(
        plan_of(written("lasso", more="infer z by lista(steps = 3)\ntrain\n    differentiate implicit"))
    )
    assert "implicit, by one linear system for each support" in text and "the distance to the exact code" in text


HEAD = (
    "observed y : R[5], x : R[3]\nlatent z : R[4], v : R[4], k : onehot[4], w : R[7]\n"
    "param D : R[5, 4], V : R[3, 4], B : R[5, 7]\n"
)
WRONG = {
    "two of them": ("F(y, x) = ||x - V argmin_{z, v} (||y - D z||^2 + ||z - v||^2)||^2", "EB0315"),
    "another latent": ("F(y, x) = ||x - V argmin_z (||y - D z||^2 + ||z - v||^2)||^2", "EB0315"),
    "a minimum inside": ("F(y, x) = ||x - V argmin_z min_v (||y - D z||^2 + ||z - v||^2)||^2", "EB0315"),
    "not held": ("F(y, x) = ||x - V argmin_z ||y||^2||^2", "EB0315"),
    "no data": ("F(y, x) = ||x - V argmin_z ||z||^2||^2", "EB0315"),
    "two energies": ("F(y, x) = ||x - V argmin_z ||y - D z||^2||^2 + ||argmin_z ||y - 2 D z||^2||^2", "EB0315"),
    "outside": ("F(y, x) = ||x - V argmin_z ||y - D z||^2||^2 + ||z||^2", "EB0315"),
    "one in another": ("F(y, x) = ||x - V argmin_v ||v - argmin_z ||y - D z||^2||^2||^2 + ||y||^2", "EB0315"),
    "of a parameter": ("F(y, x) = ||x - V argmin_D ||y - D z||^2||^2", "EB0305"),
    "finite": ("F(y, x) = ||x - V argmin_k ||y - D k||^2||^2", "EB0505"),
    "many minima": ("F(y, x) = ||x||^2 + ||argmin_w ||y - B w||^2||^2", "EB0505"),
    "straight": ("F(y, x) = ||x - V argmin_z (y' D z + 0.1|z|)||^2", "EB0505"),
    "kinks of a map": ("F(y, x) = ||x - V argmin_z (||y - D z||^2 + |D z|)||^2", "EB0505"),
    "beside a minimum": ("F(y, x) = min_v (||x - V argmin_z ||y - D z||^2||^2 + ||v - D' y||^2)", "EB0505"),
    "unrolled through nothing": (
        "F(y, x) = ||x - V argmin_z ||y - D z||^2||^2\ntrain\n    differentiate unrolled", "EB0505",
    ),
    "nothing to unroll": ("F(y, x) = ||x - V D' y||^2\ntrain\n    differentiate unrolled", "EB0505"),
    "steps that do not fit": (
        "F(y, x) = ||x - V argmin_z Σ_i log(cosh((y - D z)[i]))||^2\ninfer z by fista(steps = 5)", "EB0503",
    ),
    "slopes learned again": (
        "F(y, x) = ||x - V argmin_z ||y - D z||^2||^2\ntrain\n    strategy denoising_score_matching(sigma = 0.1)",
        "EB0520",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_refused(name) -> None:
    text, code = WRONG[name]
    found = driver.plan_source(Source("m.ebm", HEAD + text + "\n"), allow_flat=True)
    errors = [d for d in found.diagnostics if d.severity == "error"]
    assert [d.code for d in errors] == [code], [(d.code, d.message) for d in found.diagnostics]
    assert errors[0].labels


def test_a_learner_lowers_its_loss_by_exact_blocks_and_through_the_argmin() -> None:
    checked = driver.compile_source(Source("m.ebm", written("nonnegative") + "train\n    lr 0.02\n"), allow_flat=True)
    assert checked.value is not None
    module = load(checked.value)
    net = module.build(seed=3, dtype=torch.float64)
    y, x = data(200)
    learner = module.Learner(net)
    begin = float(net.infer(y, x).energy.mean())
    for _ in range(60):
        report = learner.step({"y": y, "x": x})
        assert float(report["energy"]) == pytest.approx(
            sum(float(v) for k, v in report.items() if k.startswith("energy/")), rel=1e-6
        )
    assert float(net.infer(y, x).energy.mean()) < 0.9 * begin
    assert float(report["adjoint residual"]) < 1e-8


def test_answers_are_certified_by_their_own_energy() -> None:
    net, plan = compiled(written("lasso")), plan_of(written("lasso"))
    y, x = data()
    found = net.infer(y, x)
    for far in (0.0, 1e-3):
        certifier = Certifier(plan, net)
        given = {"y": y.numpy(), "x": x.numpy()}
        certifier.add(given, {"z": found.latents["z"].numpy() + far}, found.energy.detach().numpy())
        assert certifier.found.reason is None
        assert bool((certifier.found.good == (far == 0)).all())
