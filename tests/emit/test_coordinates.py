"""Energies with functions of sizes: all supports, other units, other names and orders, both number types."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from tests.emit.compiled import Compiled, compile_spec, planned

HEAD = "{consts}observed y : R[6]\nlatent z : R[8]{domain}\nparam W : R[6, 8], unit columns\nF(y) = min_z "
TERMS = {
    "count": "λ ||z||_0",
    "root": "λ Σ_k √|z[k]|",
    "power": "λ Σ_k |z[k]|^0.7",
    "logarithm": "λ Σ_k log(1 + |z[k]|/0.1)",
    "arctangent": "λ Σ_k atan(|z[k]|/0.1)",
    "capped": "λ Σ_k min(|z[k]|, 0.5)",
    "MCP": "λ |z| - ½ Σ_k huber(z[k], 2*λ)",
    "truncated square": "λ Σ_k min(z[k]^2, 0.3)",
    "count and sizes": "λ ||z||_0 + ½λ |z|",
    "weights of their own": "λ Σ_k (1 + ½k) √|z[k]|",
    "powers above 1": "λ Σ_k (1 + ½k) |z[k]|^1.5 + ½λ |z|",
}


def spec(term: str, domain: str = "", const: str = "const λ = 0.3\n") -> str:
    return HEAD.format(consts=const, domain=domain) + "||y - W z||^2 + " + term


def built(text: str, dtype: torch.dtype = torch.float64) -> tuple[Compiled, object, torch.Tensor]:
    c = compile_spec(text)
    return c, c.randomise(c.build(), seed=1).to(dtype), 2 * c.observed(5, seed=2)["y"].to(dtype)


def supports(net: object, y: torch.Tensor, nonnegative: bool) -> np.ndarray:
    """The lowest of ``||y - W z||² + 0.3 ||z||_0``, one support after the other."""
    from scipy.optimize import nnls

    w, best = net.W.detach().double().numpy(), (y.double().numpy() ** 2).sum(1)  # type: ignore[attr-defined]
    for count in range(1, 7):
        for at in map(list, itertools.combinations(range(8), count)):
            for k, row in enumerate(y.double().numpy()):
                if nonnegative:
                    square = nnls(w[:, at], row)[1] ** 2
                else:
                    square = ((row - w[:, at] @ np.linalg.lstsq(w[:, at], row, rcond=None)[0]) ** 2).sum()
                best[k] = min(best[k], square + 0.3 * count)
    return best


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("domain", ["", ", >= 0"])
def test_few_entries_are_counted_exactly(domain: str, dtype: torch.dtype) -> None:
    c, net, y = built(spec(TERMS["count"], domain), dtype)
    assert (c.rule, c.guarantee) == ("coordinate descent", "global")
    found = net.infer(y)  # type: ignore[attr-defined]
    assert bool(found.converged.all())
    close = 1e-4 if dtype == torch.float32 else 1e-9
    np.testing.assert_allclose(found.energy.detach().numpy(), supports(net, y, bool(domain)), rtol=close)


@pytest.mark.parametrize("domain", ["", ", >= 0", ", box(-0.4, 1.2)"])
@pytest.mark.parametrize("name", TERMS)
def test_no_entry_alone_and_no_start_is_lower(name: str, domain: str) -> None:
    c, net, y = built(spec(TERMS[name], domain))
    assert c.rule == "coordinate descent"
    found = net.infer(y)  # type: ignore[attr-defined]
    assert bool(found.converged.all())
    z = found.latents["z"]
    low, high = {"": (-4.0, 4.0), ", >= 0": (0.0, 4.0)}.get(domain, (-0.4, 1.2))
    grid = torch.linspace(low, high, 401, dtype=y.dtype)
    with torch.no_grad():
        for k in range(8):
            moved = z[:, None].repeat(1, len(grid), 1)
            moved[..., k] = grid
            tried = net.energy(y.repeat_interleave(len(grid), 0), moved.reshape(-1, 8))  # type: ignore[attr-defined]
            assert bool((tried.reshape(len(y), -1).amin(1) >= found.energy - 1e-9).all())
        single = net.to(torch.float32).infer(y.float())  # type: ignore[attr-defined]
    assert bool(single.converged.all()) and torch.allclose(single.energy.double(), found.energy, rtol=1e-4)


@pytest.mark.parametrize("name", ["count", "logarithm", "capped"])
def test_names_orders_and_units_change_nothing(name: str) -> None:
    c, net, y = built(spec(TERMS[name]))
    wanted = net.infer(y)  # type: ignore[attr-defined]
    other = planned(
        "const c = 0.3\nlatent α : R[8]\nparam D : R[6, 8], unit columns\nobserved x : R[6]\n"
        f"F(x) = min_α {TERMS[name].replace('λ', 'c').replace('z', 'α')} + Σ_i (x[i] - Σ_j D[i,j] α[j])^2"
    )
    assert other.inference[0].rule == "coordinate descent" and other.inference[0].guarantee == c.guarantee
    scale = 7.0
    term = TERMS[name].replace("0.1", "0.7").replace("0.5", "3.5")
    weight = 0.3 * scale**2 if name != "capped" else 0.3 * scale
    for energy in (1e3, 1e-3):
        text = spec(term, const=f"const λ = {energy * weight / scale**2!r}\n")
        again = compile_spec(text.replace("||y - W z||^2", f"{energy / scale**2!r} ||y - W z||^2"))
        fresh = again.build()
        fresh.load_state_dict(net.state_dict())  # type: ignore[attr-defined]
        found = fresh.infer(scale * y)
        assert torch.allclose(found.energy / energy, wanted.energy, rtol=1e-9)
        if name != "capped":  # where that is flat in more than six entries, many points are lowest
            assert torch.allclose(found.latents["z"] / scale, wanted.latents["z"], atol=1e-6)


LOSSES = {
    "logistic": "Σ_i softplus(-y[i] (W z)[i]) + 0.05||z||^2",
    "quartic": "Σ_i (y[i] - (W z)[i])^4 + ||y - W z||^2",
}


@pytest.mark.parametrize("term", ["λ ||z||_0", "λ Σ_k √|z[k]|", "λ Σ_k min(|z[k]|, 0.5)"])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_that_are_no_quadratic(loss: str, term: str) -> None:
    """Proximal gradient comes to rest, and near the answer nothing is lower."""
    c, net, y = built(spec(term, const="const λ = 0.1\n").replace("||y - W z||^2", LOSSES[loss]))
    assert (c.rule, c.guarantee) == ("coordinate descent", "local")
    found = net.infer(y)  # type: ignore[attr-defined]
    assert bool(found.converged.all())
    generator = torch.Generator().manual_seed(0)
    for size in (1e-5, 1e-3):
        near = size * torch.randn(5, 300, 8, generator=generator, dtype=y.dtype)
        moved = torch.where(torch.rand(near.shape, generator=generator) < 0.5, near, 0) + found.latents["z"][:, None]
        with torch.no_grad():
            tried = net.energy(y.repeat_interleave(300, 0), moved.reshape(-1, 8))  # type: ignore[attr-defined]
        assert bool((tried.reshape(5, 300).amin(1) >= found.energy - 1e-9).all())


def test_nothing_coupled_is_one_proximal_step() -> None:
    c = compile_spec("observed y : R[6]\nlatent z : R[6]\nF(y) = min_z ½||y - z||^2 + 0.5||z||_0")
    assert c.guarantee == "global" and "coordinate_minimum" not in c.text
    y = torch.tensor([[0.9, -0.9, 1.1, -1.1, 0.0, 5.0]], dtype=torch.float64)
    assert torch.equal(c.build().infer(y).latents["z"], torch.where(y.abs() > 1, y, 0.0))


def test_several_latents_and_axes_are_one_vector() -> None:
    """A matrix of codes with a count, its columns shared, and a level that hardly anything penalises."""
    c = compile_spec(
        "observed y : R[6]\nlatent Z : R[2, 4], b : R\nparam W : R[6, 2, 4]\n"
        "F(y) = min_{Z, b} Σ_i (y[i] - b - Σ_{g,p} W[i,g,p] Z[g,p])^2 + 0.3||Z||_0 + 1e-6 b^2 + 0.1||W||^2"
    )
    assert (c.rule, c.guarantee) == ("coordinate descent", "global")
    net, y = c.randomise(c.build(), seed=1), c.observed(4, seed=2)["y"]
    found = net.infer(y)
    assert bool(found.converged.all())
    w = net.W.detach().reshape(6, 8)
    ones = torch.ones(6, 1, dtype=torch.float64)
    for k in range(4):
        best = np.inf
        for count in range(7):
            for at in map(list, itertools.combinations(range(8), count)):
                a = torch.cat((ones, w[:, at]), 1)
                left = y[k] - a @ torch.linalg.lstsq(a, y[k][:, None]).solution[:, 0]
                best = min(best, float(left @ left) + 0.3 * count)
        assert float(found.energy[k] - 0.1 * w.square().sum()) == pytest.approx(best, rel=1e-4)


ALONE = "observed y : R, w : R, > 0\nlatent z : R{domain}\nF(y, w) = min_z ½ w (y - z)^2 + "
CLOSED = {  # in the order of the degree of the equation
    "count": "0.3 step(|z|) + 0.2 |z|",
    "capped": "0.3 min(|z|, 0.5)",
    "truncated square": "0.7 min(z^2, 0.3)",
    "caps at two levels": "0.3 min(|z|, 0.1) + min(|z|, 3)",
    "MCP": "0.75 |z| - ½ huber(z, 1.5)",
    "SCAD": "min(|z|, 0.6) + relu(min(|z|, 1.8) - 0.6) - relu(min(|z|, 1.8) - 0.6)^2/2.4",
    "a jump": "0.4 step(|z| - 0.5)",
    "logarithm": "0.7 log(0.1 + |z|) + 0.3 z^2 + 0.2 |z|",
    "3/2": "0.3 |z|^1.5 + 0.2 |z| + 0.1 z^2",
    "cube": "0.3 |z|^3",
    "root": "0.3 √|z| + 0.1 |z| + 0.2 z^2",
    "ratio": "0.7 |z|/(0.1 + |z|)",
    "4/3": "0.3 |z|^(4/3)",
    "5/3": "0.3 |z|^(5/3)",
    "2/3": "0.3 |z|^(2/3) + 0.1 |z|",
}
NUMERICAL = {"1.7": "0.3 |z|^1.7 + 0.1 |z|", "5/2": "0.3 |z|^2.5", "exp": "1 - exp(-|z|) + 0.1 |z|"}
BOUNDED = [(n, d) for n in ("count", "MCP", "logarithm", "root", "1.7") for d in (", >= 0", ", box(-1, 1)")]


@pytest.mark.parametrize(("name", "domain"), [*((n, "") for n in (*CLOSED, *NUMERICAL)), *BOUNDED])
def test_a_proximal_operator_is_the_least_of_a_grid_and_of_golden_sections(name: str, domain: str) -> None:
    c = compile_spec(ALONE.format(domain=domain) + (CLOSED | NUMERICAL)[name])
    assert (c.rule, c.guarantee) == ("coordinate descent", "global")
    assert ("least_size" in c.text) == (name in NUMERICAL)
    net = c.build()
    low, high = {"": (-60.0, 60.0), ", >= 0": (0.0, 60.0)}.get(domain, (-1.0, 1.0))
    steps = torch.tensor([0.02, 0.33, 1.0, 3.1, 200.0]).double()
    data = torch.cat((torch.linspace(-4, 4, 33).double(), torch.tensor([1e-9, 1e-4, 50.0, -50.0]).double()))
    y, w = data.repeat_interleave(5), steps.repeat(len(data))
    line = torch.linspace(0, 1, 241).double() ** 3 * 60
    line = torch.cat((line, torch.tensor([0.1, 0.3**0.5, 0.5, 0.6, 1.5, 1.8]).double()))
    grid = torch.cat((line, -line)).clamp(low, high)
    with torch.no_grad():
        heights = net.energy(y.repeat_interleave(len(grid)), w.repeat_interleave(len(grid)), grid.repeat(len(y)))
        least, at = heights.reshape(len(y), -1).min(1)
        a, b = (grid[at] + side * (0.01 + 0.2 * grid[at].abs()) for side in (-1, 1))
        a, b = a.clamp(low, high), b.clamp(low, high)
        for _ in range(60):
            left, right = b - 0.618033988749895 * (b - a), a + 0.618033988749895 * (b - a)
            lower = net.energy(y, w, left) < net.energy(y, w, right)
            a, b = torch.where(lower, a, left), torch.where(lower, right, b)
        least = torch.minimum(least, net.energy(y, w, (a + b) / 2))
        for dtype, slack in ((torch.float64, 1e-13), (torch.float32, 1e-6)):
            z = net.infer(y.to(dtype), w.to(dtype)).latents["z"].double()
            assert bool(((z >= low) & (z <= high)).all())
            assert bool((net.energy(y, w, z) - least <= slack * (1 + least.abs() + w * y.square())).all())


@pytest.mark.parametrize("term", ["step({})", "√{}", "{}^1.5", "min({}, 0.5)", "({} - 1/1.2 huber({}, 1.2))", "{}^1.7"])
def test_a_group_keeps_its_direction_and_its_norm_goes_as_a_size(term: str) -> None:
    whole, size = ("0.6 " + term.replace("{}", x) for x in ("||z[g,:]||", "|z|"))
    grouped = compile_spec(f"observed y : R[4, 3]\nlatent z : R[4, 3]\nF(y) = min_z ½||y - z||^2 + Σ_g {whole}")
    alone = compile_spec(f"observed y : R\nlatent z : R\nF(y) = min_z ½ (y - z)^2 + {size}")
    assert (grouped.rule, grouped.guarantee) == ("coordinate descent", "global")
    y = 2 * torch.randn(5, 4, 3, generator=torch.Generator().manual_seed(0)).double()
    norm = torch.linalg.vector_norm(y, dim=2)
    length = alone.build().infer(norm.reshape(-1)).latents["z"].reshape(norm.shape)
    wanted = y * (length / norm)[..., None]
    assert torch.allclose(grouped.build().infer(y).latents["z"], wanted, atol=1e-12)
    below = torch.zeros_like(y[:1])
    assert torch.equal(grouped.build().infer(below).latents["z"], below)
