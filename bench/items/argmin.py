"""The gradient of a loss of sparse codes in their dictionary: ours against an adjoint and unrolled steps by hand.

The loss is the squared distance of a linear readout of the codes from a target, the atoms are patches. By hand, codes
come of accelerated gradient with one Gram matrix, and then either a linear system is factored for the support of each
sample (Mairal, Bach & Ponce 2012), or autograd goes through the steps. Each method runs at the first of its settings
whose gradient is within ``TARGET`` of that in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize, softshrink

from bench.items.sparse_codes import TOLERANCES
from bench.peers import sparse_coding
from bench.rounds import Row, clock, interleave
from ebdsl import driver
from ebdsl.diagnostics import Source
from ebdsl.run.data import load as load_data
from ebdsl.run.load import load

SPEC = """
dim M = 144, N = {atoms}
observed y : R[M], x : R[10]
latent   z : R[N]
param    D : R[M, N], unit columns, V : R[10, N]
F(y, x) = ||x - V argmin_z (||y - D z||^2 + 0.5|z|)||^2
train
    tolerance {tolerance:g}
"""
LAMBDA, TARGET = 0.5, 1e-2
STEPS = (25, 50, 100, 200, 400)


def run(quick: bool, threads: int) -> tuple[list[Row], dict[str, Any]]:
    rows: list[Row] = []
    more: dict[str, Any] = {}
    for kind in ("whitened", "contrast-normalised"):
        rows += compare(kind, quick, threads, more)
    return rows, more


def compare(kind: str, quick: bool, threads: int, more: dict[str, Any]) -> list[Row]:
    count, atoms = (64, 48) if quick else (256, 256)
    y, D = problem(kind, count, atoms)
    generator = torch.Generator().manual_seed(0)
    x, V = torch.randn(count, 10, generator=generator), torch.randn(10, atoms, generator=generator) / 4
    exact = built(1e-10, D.double(), V.double())
    wanted = gradient(exact, y.double(), x.double())
    used = (exact.answer(y.double()) != 0).sum(1).double().mean()
    more[f"{kind}: entries of a code"] = round(float(used), 1)
    models = {t: built(t, D, V) for t in TOLERANCES}

    def reach(settings: Iterable[Any], work: Callable[[Any], Tensor]) -> Any:
        """The first setting whose gradient is near enough; None where there is none."""
        off = ((s, float((work(s).double() - wanted).norm() / wanted.norm())) for s in settings)
        return next((s for s, error in off if error <= TARGET), None)

    mine = reach(TOLERANCES, lambda t: gradient(models[t], y, x))
    assert mine is not None, f"{kind}: our gradient is off"
    peers: dict[str, tuple[Iterable[Any], Callable[[Any], Tensor]]] = {
        "a factor for each support, by hand": (TOLERANCES, lambda t: adjoint(D, V, y, x, t)),
        "unrolled steps, by hand": (STEPS, lambda k: unrolled(D, V, y, x, k)),
    }
    rows = []
    for name, (settings, work) in peers.items():
        found = reach(settings, work)
        if found is None:
            more[f"{kind}, {name}"] = "not reached"
            continue
        ours = partial(gradient, models[mine], y, x)
        times = interleave(each_round(ours), each_round(partial(work, found)), 1 if quick else 5, clock(threads))
        rows.append(Row(f"{kind}, {count} samples", *times, f"{name} at {found:g}", limit=1.0))
    return rows


def each_round(work: Callable[[], Tensor]) -> Callable[[int], Tensor]:
    return lambda _: work()


def problem(kind: str, count: int, atoms: int) -> tuple[Tensor, Tensor]:
    """Patches, and others as atoms."""
    words = f"patches(natural, size = 12, count = {count + atoms}{'' if kind == 'whitened' else ', whiten = false'})"
    spec = driver.plan_source(Source("y.ebm", "observed y : R[144]\nparam m : R[144]\nF(y) = ||y - m||^2\n")).value
    assert spec is not None
    found = load_data(words, spec.model, 0).value
    assert found is not None
    rows = torch.from_numpy(found.arrays["y"])
    if kind != "whitened":
        rows = rows - rows.mean(1, keepdim=True)
        rows = 6 * rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-3)
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(1))]
    return rows[:count].contiguous(), normalize(rows[count:], dim=1).T.contiguous()


def built(tolerance: float, D: Tensor, V: Tensor) -> Any:
    text = SPEC.format(tolerance=tolerance, atoms=D.shape[1])
    found = driver.compile_source(Source("argmin.ebm", text))
    assert found.value is not None, found.diagnostics
    model = load(found.value).build(dtype=D.dtype)
    with torch.no_grad():
        model.D.copy_(D)
        model.V.copy_(V)
    return model


def gradient(model: Any, y: Tensor, x: Tensor) -> Tensor:
    """Ours."""
    (found,) = torch.autograd.grad(model.free_energy(y, x).sum(), model.D)
    return found


def adjoint(D: Tensor, V: Tensor, y: Tensor, x: Tensor, tolerance: float) -> Tensor:
    """``(H u)_S = v_S`` on the support S of each sample; the gradient is that of ``-u'∇E`` in D."""
    z = sparse_coding.codes(D, y, LAMBDA, tolerance, 20_000)[0]
    v, H = 2 * (z @ V.T - x) @ V, 2 * D.T @ D
    u = torch.zeros_like(z)
    for k, row in enumerate(z):
        at = row.nonzero()[:, 0]
        if len(at):
            factor = torch.linalg.cholesky_ex(H[at][:, at])[0]
            u[k, at] = torch.cholesky_solve(v[k, at][:, None], factor)[:, 0]
    return 2 * ((y - z @ D.T).T @ u - (u @ D.T).T @ z)


def unrolled(D: Tensor, V: Tensor, y: Tensor, x: Tensor, steps: int) -> Tensor:
    """Autograd through accelerated gradient (Beck & Teboulle 2009)."""
    D = D.clone().requires_grad_()
    H, b = 2 * D.T @ D, 2 * y @ D
    step = 1 / float(torch.linalg.eigvalsh(H.detach())[-1])
    matrix, shift = torch.eye(len(H)) - step * H, step * b
    z = before = softshrink(shift, step * LAMBDA)
    t = 1.0
    for _ in range(steps):
        ahead = (1 + (1 + 4 * t * t) ** 0.5) / 2
        point = torch.lerp(before, z, 1 + (t - 1) / ahead)
        z, before, t = softshrink(torch.addmm(shift, point, matrix), step * LAMBDA), z, ahead
    (found,) = torch.autograd.grad((x - z @ V.T).square().sum(), D)
    return found
