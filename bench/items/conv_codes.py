"""Convolutional sparse codes of a photograph to a relative gap: the generated inference against sporco and by hand.

``½‖y - Σ_k D_k * z_k‖² + λ|z|`` with a picture that goes on at its other end, as sporco has it. An oracle stops every
method: it does the first number of steps, in tens, whose codes lie above the energy of a much longer run in float64 by
no more than the target. By how much that may be off at most is certified by a feasible dual point. All methods are in
float32; one function computes all energies, in float64. The filters are learned from patches of the picture, which has
its slow changes of brightness taken off.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.device import Work
from bench.items.training_step import ROOT
from bench.rounds import Row, clock, interleave, library
from ebdsl import driver
from ebdsl.diagnostics import Source
from ebdsl.run.data import pictures
from ebdsl.run.load import load

TARGETS = (1e-2, 1e-4)
EACH = 10  # steps between two looks of the oracle
MOST = 2000
SOME = 30  # steps that are timed of methods that need many
ACCURACY, LONG = 1e-6, 600  # of the run in float64
SPEC = """
dim K = {k}, S = {s}
observed y : R[S, S]
latent   z : R[K, S, S]
param    D : R[K, {w}, {w}], unit filters
const    λ = 1
F(y) = min_z ½||y - Σ_k cconv(D[k], z[k])||^2 + λ Σ_k |z[k]|
"""


@dataclass(frozen=True)
class Method:
    """``begin()`` gives a function of a number of further steps from zero: maps ``(K, S, S)``, as sporco places them.

    ``most``: steps that are timed where more are needed, all of which cost the same; the seconds are scaled.
    """

    name: str
    begin: Callable[[], Callable[[int], Tensor]]
    most: int = MOST

    def solve(self, steps: int) -> Tensor:
        return self.begin()(steps)


@dataclass(frozen=True)
class Problem:
    y: Tensor
    filters: Tensor
    lam: float

    def spectra(self, dtype: torch.dtype = torch.float64) -> Tensor:
        return torch.fft.rfft2(self.filters.to(dtype), s=self.y.shape)

    def pictures(self, z: Tensor) -> Tensor:
        return torch.fft.irfft2((self.spectra() * torch.fft.rfft2(z.double())).sum(-3), s=self.y.shape)

    def correlations(self, r: Tensor) -> Tensor:
        return torch.fft.irfft2(self.spectra().conj() * torch.fft.rfft2(r.double()), s=self.y.shape)

    def energy(self, z: Tensor) -> float:
        return float(0.5 * (self.y - self.pictures(z)).square().sum() + self.lam * z.double().abs().sum())

    def bound(self, z: Tensor) -> float:
        """The dual's value at the residual of ``z``, scaled to be feasible: no energy is lower."""
        r = self.y - self.pictures(z)
        r = r * min(1.0, self.lam / float(self.correlations(r).abs().max()))
        return float(0.5 * self.y.square().sum() - 0.5 * (self.y - r).square().sum())


def run(quick: bool, threads: int) -> tuple[list[Row], dict[str, Any]]:
    problem = problem_of(quick)
    model = ours(problem)
    exact = type(model)(K=model.K, S=model.S, lam=problem.lam).double()
    exact.load_state_dict(model.state_dict())
    best = placed_as_sporco(exact.infer(problem.y[None], tolerance=ACCURACY, max_steps=LONG).latents["z"][0], problem)
    least = problem.energy(best)
    share = float((best != 0).double().mean())
    more = {
        "non-zero": round(share, 4),
        "least energy, off by at most": float(f"{1 - problem.bound(best) / least:.2g}"),
    }
    mine = Method("ours", lambda: by_ours(model, problem))
    needed = reach(mine, problem, least)
    rows = []
    for method in (*by_sporco(problem, threads), by_hand(problem)):
        theirs = reach(method, problem, least)
        for target in TARGETS:
            if target not in theirs or target not in needed:
                more[f"gap {target:g}: not reached in {MOST} steps"] = method.name if target in needed else "ours"
                continue
            a, b = needed[target], theirs[target]
            timed = min(b, method.most)
            ours_, peer = interleave(
                lambda k, n=a: mine.solve(n),  # type: ignore[misc]
                lambda k, m=method, n=timed: m.solve(n),  # type: ignore[misc]
                1 if quick else 3,
                clock(threads),
            )
            peer = tuple(b / timed * t for t in peer)
            rows.append(Row(f"gap {target:g}, {a} steps", ours_, peer, f"{method.name}, {b} steps", limit=1.0))
    return rows, more


def reach(method: Method, problem: Problem, least: float) -> dict[float, int]:
    """The first number of steps, in tens, at which each target is reached; those that are."""
    further, found = method.begin(), {}
    for steps in range(EACH, MOST + 1, EACH):
        gap = problem.energy(further(EACH)) / least - 1
        found |= {target: steps for target in TARGETS if gap <= target and target not in found}
        if len(found) == len(TARGETS):
            break
    return found


# --------------------------------------------------------------------------- methods


def by_ours(model: Any, problem: Problem) -> Callable[[int], Tensor]:
    """It cannot go on where it stopped: the oracle's further steps begin anew."""
    taken = 0

    def further(steps: int) -> Tensor:
        nonlocal taken
        taken += steps
        found = model.infer(problem.y.float()[None], tolerance=0.0, max_steps=taken)
        return placed_as_sporco(found.latents["z"][0], problem)

    return further


def placed_as_sporco(z: Tensor, problem: Problem) -> Tensor:
    """Maps for filters whose first entry is at the origin, from maps for filters with their centre there."""
    back = tuple(-((w - 1) // 2) for w in problem.filters.shape[1:])
    return z.roll(back, (-2, -1))


def by_hand(problem: Problem) -> Method:
    """FISTA (Beck & Teboulle 2009) by real FFTs, its step from the largest eigenvalue."""
    filters, size = problem.spectra(torch.float32), problem.y.shape
    picture = torch.fft.rfft2(problem.y.float())
    step = 1 / float(filters.abs().square().sum(0).max())

    def begin() -> Callable[[int], Tensor]:
        z = ahead = picture.new_zeros((len(filters), *size), dtype=torch.float32)
        t = 1.0

        def further(steps: int) -> Tensor:
            nonlocal z, ahead, t
            for _ in range(steps):
                left = (filters * torch.fft.rfft2(ahead)).sum(0) - picture
                new = ahead - step * torch.fft.irfft2(filters.conj() * left, s=size)
                new = new - new.clamp(-step * problem.lam, step * problem.lam)
                before, t = t, (1 + (1 + 4 * t * t) ** 0.5) / 2
                z, ahead = new, torch.lerp(z, new, 1 + (before - 1) / t)
            return z

        return further

    return Method("FISTA by hand", begin, SOME)


def by_sporco(problem: Problem, threads: int) -> list[Method]:
    fft, cbpdn, pgm = (library(f"sporco.{name}") for name in ("fft", "admm.cbpdn", "pgm.cbpdn"))
    if not fft:
        return []
    fft.pyfftw_threads = threads
    filters = problem.filters.permute(1, 2, 0).float().contiguous().numpy()
    picture = problem.y.float().numpy()
    largest = float(problem.spectra().abs().square().sum(0).max())
    never = {"Verbose": False, "DataType": np.float32, "RelStopTol": 0.0}

    def begun(kind: Any, options: dict[str, Any]) -> Callable[[int], Tensor]:
        given = kind.Options(never | options)
        solver = kind(filters, picture, problem.lam, given, dimK=0)

        def further(steps: int) -> Tensor:
            solver.opt["MaxMainIter"] = steps  # it goes on where it stopped
            return torch.from_numpy(np.ascontiguousarray(solver.solve().squeeze())).permute(2, 0, 1)

        return further

    adaptive = {"RelaxParam": 1.8, "AutoRho": {"Enabled": True}}
    return [
        Method("sporco admm.cbpdn", lambda: begun(cbpdn.ConvBPDN, adaptive)),
        Method("sporco pgm.cbpdn", lambda: begun(pgm.ConvBPDN, {"L": largest}), SOME),
    ]


# --------------------------------------------------------------------------- the problem


def ours(problem: Problem) -> Any:
    k, w, s = len(problem.filters), problem.filters.shape[-1], problem.y.shape[-1]
    found = driver.plan_source(Source("conv_codes.ebm", "model conv_codes" + SPEC.format(k=k, w=w, s=s))).value
    assert found is not None
    model = load(driver.emit(found)).build(lam=problem.lam, seed=0)
    with torch.no_grad():
        model.D.copy_(problem.filters)
    return model


def problem_of(quick: bool) -> Problem:
    """A picture without its slow changes, filters for its patches, and the λ that is a twentieth of the greatest."""
    s, k, w = (32, 4, 5) if quick else (256, 32, 11)
    photos = {} if quick else pictures.photos()
    generator = torch.Generator().manual_seed(0)
    whole = torch.randn(s, s, generator=generator, dtype=torch.float64)
    for photo in list(photos.values())[:1]:
        top, left = ((n - s) // 2 for n in photo.shape[:2])
        whole = torch.from_numpy(np.array(photo[top : top + s, left : left + s], dtype=np.float64))
    f = torch.fft.fftfreq(s, dtype=torch.float64)
    slow = torch.exp(-(f[:, None].square() + f[: s // 2 + 1].square()) / 0.03**2)
    y = torch.fft.irfft2(torch.fft.rfft2(whole) * (1 - slow), s=(s, s))
    y = y / y.std()
    filters = filters_of(y, k, w)
    raw = Problem(y, filters, 1.0)
    return Problem(y, filters, 0.05 * float(raw.correlations(y).abs().max()))


def filters_of(y: Tensor, k: int, w: int) -> Tensor:
    """Unit filters learned as the dictionary of the picture's patches."""
    text = (ROOT / "specs" / "sparse_coding.ebm").read_text(encoding="utf-8")
    text = text.replace("144", str(w * w)).replace("256", str(k))
    found = driver.plan_source(Source("sparse_coding.ebm", text)).value
    assert found is not None
    file = load(driver.emit(found))
    patches = y.float().unfold(0, w, 1).unfold(1, w, 1).reshape(-1, w * w)
    patches = patches[torch.randperm(len(patches), generator=torch.Generator().manual_seed(1))[: 200 * k]]
    patches = patches - patches.mean(1, keepdim=True)
    patches = patches / patches.std()
    learner = file.Learner(file.build(lam=0.5, seed=0))
    for _ in range(4):
        for batch in patches.split(256):
            learner.step({"y": batch})
    return learner.model.W.detach().T.reshape(k, w, w).double().contiguous()


def on_device(quick: bool, device: str) -> dict[str, tuple[Any, Any, Work]]:
    """Both to a gap of 1e-2; the work is that of two transforms of the maps in each step."""
    problem = problem_of(quick)
    problem = Problem(problem.y.to(device), problem.filters.to(device), problem.lam)
    model, k, s = ours(problem).to(device), len(problem.filters), len(problem.y)
    least = problem.energy(by_ours(model, problem)(LONG))
    target = TARGETS[0]
    steps = [
        reach(m, problem, least)[target] for m in (Method("ours", lambda: by_ours(model, problem)), by_hand(problem))
    ]
    each = Work(10 * k * s * s * math.log2(s), 16 * k * s * s)
    return {
        f"gap {target:g}, {steps[0]} steps, by hand {steps[1]}": (
            lambda _: model.infer(problem.y.float()[None], tolerance=0.0, max_steps=steps[0]),
            lambda _: by_hand(problem).solve(steps[1]),
            Work(steps[0] * each.operations, steps[0] * each.bytes),
        )
    }
