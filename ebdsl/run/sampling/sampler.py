"""Samples of a trained model: which chains move there, how long, and what they say of themselves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ebdsl.diagnostics import Diagnostic
from ebdsl.model.ir import Symbol
from ebdsl.model.reference import evaluate
from ebdsl.run.alternatives import shaped
from ebdsl.run.files import refuse
from ebdsl.run.sampling import kernels
from ebdsl.run.sampling.diagnostics import MIXED, effective, r_hat
from ebdsl.run.sampling.kernels import TARGETS, Chains
from ebdsl.run.trained import Trained

LENGTHS = {"hmc": 0.2, "mala": 0.3, "langevin": 0.1}
"""Steps to begin with, as shares of the data's spread."""
WATCHED = 16
"""Entries whose mixing is measured, besides the energy."""
ADAPTED = 0.6
"""How fast the step settles: corrections fall with this power of the number of steps (Robbins & Monro 1951)."""
FAR = 100.0
"""Times the data's extent at which chains count as gone."""


@dataclass(frozen=True)
class Plan:
    """``n`` samples by ``method`` (None: what fits): ``warmup`` steps of ``chains``, then ``steps`` that count.

    A ``generator`` of negative samples draws by itself, without chains; it is what fits a model that has one.
    ``step_size``: length of a step as a share of the data's spread; None is found while warming up. ``beta``: None
    is the model's own inverse temperature.
    """

    n: int = 1000
    method: str | None = None
    chains: int = 64
    warmup: int = 500
    steps: int = 500
    step_size: float | None = None
    beta: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class Sampled:
    """``values`` ``(n, *shape)`` of ``symbol``, beside them ``given`` and the free ``energy`` ``(n,)``.

    ``acceptance``: of proposals, or for Gibbs sampling the share of entries that a sweep changes. ``r_hat`` and
    ``effective`` are the worst over the energy and the entries that were watched.
    """

    symbol: Symbol
    values: np.ndarray
    given: dict[str, np.ndarray]
    energy: np.ndarray
    method: str
    beta: float
    chains: int
    acceptance: float
    step_size: float | None
    r_hat: float
    effective: float
    warnings: tuple[Diagnostic, ...]

    def to_json(self) -> dict[str, Any]:
        ok = lambda x: x if x is not None and math.isfinite(x) else None  # noqa: E731
        return {
            "variable": self.symbol.name, "samples": len(self.values), "method": self.method, "beta": self.beta,
            "chains": self.chains, "acceptance": ok(self.acceptance), "step size": ok(self.step_size),
            "R-hat": ok(self.r_hat), "effective sample size": ok(self.effective), "energy": float(self.energy.mean()),
        }  # fmt: skip


def temperature(model: Trained) -> float:
    """The inverse temperature that the model was trained at: its strategy's β, or that of its softmin; else 1."""
    chosen = model.program.plan.strategy
    if chosen is not None and isinstance(chosen.case.options.get("beta"), int | float):
        return float(chosen.case.options["beta"])  # type: ignore[arg-type]
    for e in model.program.model.eliminations:
        if e.beta is None:
            continue
        names = zip(model.program.model.role("param"), model.network.PARAMS, strict=True)
        values = {s: getattr(model.network, p).detach().double().cpu().numpy() for s, p in names if s in e.beta.symbols}
        return float(evaluate(e.beta, values, sizes={}))
    return 1.0


def sample(model: Trained, arrays: Mapping[str, np.ndarray], given: Mapping[str, np.ndarray], plan: Plan) -> Sampled:
    """Chains from samples of the data ``arrays``, at values ``given`` ``(1 or more, *shape)`` of the other variables.

    Where nothing is given, the others are those of the data. Raises :class:`SpecError` (EB0760, EB0761, EB0762).
    """
    over = shaped(model.program.model)
    beta = temperature(model) if plan.beta is None else plan.beta
    generates = hasattr(model.network, "generate")
    if plan.method == "generator" and not generates:
        raise refuse("EB0760", "the model has no generator", "negatives G(u)  under the strategy", "--method hmc")
    method = "generator" if generates and plan.method in (None, "generator") else _method(over, plan.method)
    count = plan.n if method == "generator" else min(plan.chains, plan.n)
    generator = torch.Generator(model.where).manual_seed(plan.seed)
    rng = np.random.default_rng(plan.seed)
    rows = rng.choice(len(arrays[over.name]), count, replace=len(arrays[over.name]) < count)
    dtype = getattr(torch, model.options.dtype)
    there = {name: given[name][np.arange(count) % len(given[name])] if name in given else x[rows]
             for name, x in arrays.items() if name != over.name}  # fmt: skip
    fixed = {name: torch.as_tensor(np.ascontiguousarray(x)).to(model.where, dtype) for name, x in there.items()}
    start = torch.as_tensor(np.ascontiguousarray(arrays[over.name][rows])).to(model.where, dtype)
    some = np.asarray(arrays[over.name][:: max(1, len(arrays[over.name]) // 4096)], np.float64)
    spread = torch.as_tensor(np.maximum(some.std(0), 1e-3 * max(float(some.std()), 1e-12))).to(model.where, dtype)
    low, high = over.domain.row.bounds(over.domain.args)
    if method == "generator":
        return _generated(model, over, start, fixed, generator, plan.n, beta)
    with still(model.network):
        if method != "gibbs":  # from farther out than the data: chains that come back agree with reason
            start = start + spread * torch.randn(start.shape, generator=generator, dtype=dtype, device=model.where)
            start = start.clamp(low, high)
        potential = _potential(model, over, fixed, beta, low, high)
        found, kept, watched, at = _run(Chains(
            potential, start, spread, generator, plan.step_size or LENGTHS.get(method, 1.0),
        ), method, over, plan, count)  # fmt: skip
        energy = torch.cat([potential(y) for y in kept]) / beta
    values = torch.cat(kept)[: plan.n].double().cpu().numpy()
    beside = {name: np.concatenate([x] * len(kept))[: plan.n] for name, x in there.items()}
    traces = torch.stack(watched).double().cpu().numpy()
    alone = _comparable(there)
    hats = [r_hat(traces[:, :, k]) for k in range(traces.shape[2])] if alone and len(traces) >= 4 else []
    worth = [effective(traces[:, :, k]) for k in range(traces.shape[2])] if alone and len(traces) >= 4 else []
    worst = max((h for h in hats if not math.isnan(h)), default=float("nan"))
    least = min((w for w in worth if not math.isnan(w)), default=float("nan"))
    extent = max(float(np.ptp(some)), 1e-12)
    warnings = _warnings(
        over, method, found.rate(), worst, hats, at, np.abs(values - some.mean(0)).max() > FAR * extent
    )
    step = None if method == "gibbs" else found.step
    return Sampled(
        over, values, beside, energy.double().cpu().numpy()[: plan.n], method, beta, count, found.rate(), step, worst,
        least, warnings,
    )  # fmt: skip


def _generated(
    model: Trained, over: Symbol, rows: Tensor, fixed: Mapping[str, Tensor], generator: torch.Generator, n: int,
    beta: float,
) -> Sampled:  # fmt: skip
    """``n`` samples of the model's own generator, each drawn for itself."""
    names = model.program.observed
    given = {names[k]: x for k, x in fixed.items()}
    with still(model.network), torch.no_grad():
        values = model.network.generate(**given, **{names[over.name]: rows}, generator=generator)
        energy = model.network.free_energy(**given, **{names[over.name]: values})
    beside = {name: x.double().cpu().numpy() for name, x in fixed.items()}
    nan, made, low = float("nan"), values.double().cpu().numpy(), energy.double().cpu().numpy()
    return Sampled(over, made, beside, low, "generator", beta, n, nan, None, nan, float(n), ())


def _method(over: Symbol, wanted: str | None) -> str:
    kind = over.domain.kind
    if kind in ("binary", "onehot"):
        if wanted not in (None, "gibbs"):
            raise refuse(
                "EB0760", f"{over.name} is {over.domain}: {wanted} follows slopes, and there are none", "--method gibbs"
            )
        return "gibbs"
    low, high = over.domain.row.bounds(over.domain.args)
    whole = kind == "real" or (kind in ("box", "positive", "nonnegative"))
    if not whole:
        raise refuse(
            "EB0760", f"no chain moves in {over.domain}, where {over.name} is", "sample a variable in R or a box"
        )
    if wanted == "gibbs":
        raise refuse("EB0760", f"{over.name} takes infinitely many values: gibbs draws among few", "--method hmc")
    if wanted == "langevin" and (math.isfinite(low) or math.isfinite(high)):
        raise refuse(
            "EB0760", f"{over.name} is {over.domain}: langevin refuses no step, and would leave it", "--method mala"
        )
    return wanted or "hmc"


def _potential(model: Trained, over: Symbol, fixed: dict[str, Tensor], beta: float, low: float, high: float) -> Any:
    names = model.program.observed
    given = {names[k]: x for k, x in fixed.items()}
    own, network = names[over.name], model.network
    bounded = math.isfinite(low) or math.isfinite(high)

    def potential(y: Tensor) -> Tensor:
        value = beta * network.free_energy(**given, **{own: y})
        if not bounded:
            return value
        outside = ((y < low) | (y > high)).flatten(1).any(1)
        return torch.where(outside, math.inf, value)

    return potential


def _run(
    c: Chains, method: str, over: Symbol, plan: Plan, count: int
) -> tuple[Chains, list[Tensor], list[Tensor], list[int]]:
    """Warm up, then move: the chains, the states that are kept, the numbers that are watched, and whose they are."""
    good = torch.isfinite(c.value)
    if not bool(good.all()):
        bad = int((~good).sum())
        raise refuse(
            "EB0761", f"the energy is not finite where {bad} of {count} chains start", "`ebdsl eval` says more"
        )
    moves: dict[str, Callable[[Chains], Tensor | None]] = {
        "hmc": kernels.hmc,
        "mala": kernels.mala,
        "langevin": kernels.langevin,
    }
    move = moves.get(method) or (kernels.gibbs_binary if over.domain.kind == "binary" else kernels.gibbs_choice)
    target = TARGETS.get(method) if plan.step_size is None else None
    for k in range(plan.warmup):
        chance = move(c)
        if target is not None and chance is not None:
            share = float(torch.nan_to_num(chance).mean())
            c.step = min(max(c.step * math.exp((share - target) * 2 * (k + 1) ** -ADAPTED), 1e-6), 10.0)
            if k == plan.warmup // 2 and count >= 16:  # lengths as they are where the chains are, not where they began
                wide = c.y.std(0)
                c.scale = torch.maximum(wide, 1e-3 * wide.max().clamp_min(1e-12))
    c.forget()
    draws = math.ceil(plan.n / count)
    steps = max(plan.steps, draws)
    size = c.y[0].numel()
    at = sorted({round(i) for i in np.linspace(0, size - 1, min(size, WATCHED))})
    places = torch.as_tensor(at, device=c.y.device)
    keep = {round((i + 1) * steps / draws) - 1 for i in range(draws)}
    kept, watched = [], []
    for k in range(steps):
        move(c)
        watched.append(torch.cat([c.value[:, None], c.y.reshape(count, -1)[:, places]], 1))
        if k in keep:
            kept.append(c.y.clone())
    if not bool(torch.isfinite(c.value).all()):
        help = ("a smaller step: --step-size 0.01", "a method that refuses bad steps: --method hmc")
        raise refuse("EB0762", "the chains ran off to where the energy is not finite", *help)
    return c, kept, watched, at


def _comparable(there: Mapping[str, np.ndarray]) -> bool:
    """Whether all chains are at the same given values: only then do they sample the same."""
    return all(len(x) < 2 or bool((x == x[:1]).all()) for x in there.values())


def _warnings(
    over: Symbol, method: str, rate: float, worst: float, hats: list[float], at: list[int], gone: bool
) -> tuple[Diagnostic, ...]:
    found = []
    if gone:
        what = f"chains went {FAR:g} times as far as the data: the energy does not hold them"
        found.append(
            Diagnostic("EB0764", what, (), ("a strategy that pushes up everywhere, or a penalty on far values",))
        )
    if worst > MIXED:
        k = int(np.nanargmax(hats))
        what = "the energy" if k == 0 else f"entry {at[k - 1]} of {over.name}"
        help = ("longer chains: --warmup 5000 --steps 5000", "`ebdsl explain EB0763` tells what R-hat says")
        found.append(Diagnostic("EB0763", f"the chains have not mixed: R-hat is {worst:.2f} for {what}", (), help))
    if method in TARGETS and rate < 0.05:
        found.append(
            Diagnostic("EB0765", f"only {100 * rate:.2g} % of the proposals were accepted", (), ("--step-size 0.01",))
        )
    return tuple(found)


@contextmanager
def still(network: Any) -> Iterator[None]:
    """Evaluation mode, and no graph is kept for the parameters."""
    wanted = [p for p in network.parameters() if p.requires_grad]
    training = network.training
    network.eval()
    for p in wanted:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in wanted:
            p.requires_grad_(True)
        network.train(training)
