"""How fast codes get near the exact one, against steps and against cost: algorithms by name, and learned encoders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from ebdsl.model.algorithms import ALGORITHMS, Algorithm, Chosen
from ebdsl.plots import style
from ebdsl.plots.core import Kind, NotApplicable, register

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

    from ebdsl.plots.view import Arrays, View

STEPS = (0, 1, 2, 3, 5, 7, 10, 14, 20, 28, 40, 56, 80)
"""Steps after the first pass; of a coordinate a step, four times as many."""
MEASURED, TAUGHT, LESSONS, BATCH, RATE = 1000, 50_000, 1500, 256, 0.03


@dataclass(frozen=True)
class Line:
    """An algorithm: for each number of ``steps`` the products of two numbers that a sample ``cost``s, the mean squared
    distance to the exact ``code``, and the mean ``energy`` above the minimum.
    """

    name: str
    steps: np.ndarray
    cost: np.ndarray
    code: np.ndarray
    energy: np.ndarray


def draw(view: View) -> Iterator[tuple[str, Figure]]:
    latents = view.spec.role("latent")
    if len(latents) != 1:
        raise NotApplicable("it has no latent variable" if not latents else "it has several latent variables")
    z = latents[0]
    data, fresh = view.unseen(MEASURED)
    lines = [x for row in ALGORITHMS.values() if not row.learned and (x := _line(view, z.name, row, data)) is not None]
    if not lines:
        raise NotApplicable(f"no algorithm of inference by name fits {z.name}")
    chosen = view.spec.algorithms.get(z.name)
    encoder = _encoders(view, z.name, chosen, data) if chosen is not None and chosen.algorithm.learned else None
    where = f"{len(next(iter(data.values())))} samples " + ("that training has not seen" if fresh else "of the data")
    yield "convergence", panels(view.spec.name, z.name, lines, encoder, where)


# --------------------------------------------------------------------------- measuring


def _network(view: View, z: str, chosen: Chosen) -> Any:
    """The run's energy with its parameters, answering by ``chosen``; an encoder in it is untrained. None: no fit."""
    from ebdsl.diagnostics import SpecError
    from ebdsl.run.program import program

    try:
        built = program(replace(view.spec, algorithms={z: chosen}, amortised={}), {}, allow_flat=True)
    except SpecError:
        return None
    like = next(view.network.parameters())
    network = built.namespace.build(dtype=like.dtype).to(like.device)
    encoders = tuple(f"{n}." for n, m in view.network.named_children() if type(m).__name__ == "UnrolledEncoder")
    state = {k: v for k, v in view.network.state_dict().items() if not k.startswith(encoders)}
    network.load_state_dict(state, strict=False)
    return network.eval()


def _exact(network: Any, batch: list[Tensor], z: str) -> Tensor:
    options = {"exact": True} if "exact" in signature(network.infer).parameters else {}
    found: Tensor = network.infer(*batch, tolerance=1e-6, max_steps=20_000, **options).latents[z]
    return found


def _line(view: View, z: str, row: Algorithm, data: Arrays) -> Line | None:
    each = 4 if row.kind == "coordinate" else 1
    steps = [each * k for k in STEPS if k > 0]
    networks = [_network(view, z, Chosen(row, k)) for k in steps[:1]]
    if networks[0] is None:
        return None
    networks += [_network(view, z, Chosen(row, k)) for k in steps[1:]]
    return _measured(view, row.name, networks, steps, data)


def _measured(view: View, name: str, networks: list[Any], steps: list[int], data: Arrays) -> Line:
    python = view.latent[view.spec.role("latent")[0].name]
    batch = [view.tensor(data[k]) for k in view.observed]
    best = _exact(view.network, batch, python)
    least = view.network.energy(*batch, best).detach()
    code, energy = [], []
    for network in networks:
        found = network.infer(*batch)
        code.append(float((found.latents[python] - best).square().sum(1).mean()))
        energy.append(float((found.energy - least).double().mean()))
    n, inputs = best.shape[1], sum(x[0].numel() for x in batch)
    each = n if ALGORITHMS[name].kind == "coordinate" else n * n
    cost = np.array([n * inputs + k * each for k in steps], float)
    return Line(name, np.array(steps, float), cost, np.array(code), np.array(energy))


@dataclass(frozen=True)
class Encoders:
    """``line`` holds encoders of several depths, trained for the picture; ``own`` is that of the run."""

    chosen: Chosen
    line: Line
    own: Line


def _encoders(view: View, z: str, chosen: Chosen, data: Arrays) -> Encoders:
    own = chosen.steps or 0
    depths = sorted({1, own, 2 * own + 1})
    seen = view.some(TAUGHT, seed=1)
    batch = [view.tensor(seen[k]) for k in view.observed]
    networks = []
    codes = _exact(view.network, batch, view.latent[z])
    for depth in depths:
        network = _network(view, z, replace(chosen, steps=depth))
        teach(network, batch, codes, view.latent[z], chosen.on, RATE / (1 + depth) ** 0.5)
        networks.append(network)
    name = chosen.algorithm.name
    return Encoders(
        chosen, _measured(view, name, networks, depths, data), _measured(view, name, [view.network], [own], data)
    )


def teach(network: Any, batch: list[Tensor], codes: Tensor, z: str, on: str, rate: float) -> None:
    """Train the encoder as the run does, with a step size that falls to zero: the energy's parameters stay."""
    import torch

    (encoder,) = (m for m in network.children() if type(m).__name__ == "UnrolledEncoder")
    adam = torch.optim.Adam(encoder.parameters(), lr=rate)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(adam, LESSONS)
    drawn = torch.Generator().manual_seed(0)
    for _ in range(LESSONS):
        rows = torch.randint(len(codes), (BATCH,), generator=drawn).to(codes.device)
        given = [x[rows] for x in batch]
        code = network.encode(*given)[z]
        loss = (code - codes[rows]).square().sum(1).mean() if on == "code" else network.energy(*given, code).mean()
        for weight, slope in zip(encoder.parameters(), torch.autograd.grad(loss, [*encoder.parameters()]), strict=True):
            weight.grad = slope
        adam.step()
        falling.step()


def worth(error: float, line: Line, over: np.ndarray) -> float | None:
    """Where on ``over`` the errors of ``line`` come down to ``error``; None where they do not, or never were above."""
    below = np.flatnonzero(line.code <= error)
    if not len(below) or below[0] == 0:
        return None
    k = int(below[0])
    share = np.log(line.code[k - 1] / error) / np.log(line.code[k - 1] / max(line.code[k], 1e-30))
    return float(over[k - 1] + share * (over[k] - over[k - 1]))


# --------------------------------------------------------------------------- drawing


def panels(name: str, z: str, lines: list[Line], encoders: Encoders | None, where: str) -> Figure:
    """Distance and energy, one above the other, against steps and against cost, all on logarithmic scales."""
    fig = style.figure(10.4, 7.2)
    axes = fig.subplots(2, 2, sharex="col", sharey="row")
    shown = [*lines, *([encoders.line] if encoders else [])]
    for row, what in zip(axes, ("code", "energy"), strict=True):
        highest = max(float(getattr(x, what).max()) for x in shown)
        for ax, over in zip(row, ("steps", "cost"), strict=True):
            for line, colour in zip(lines, style.COLOURS, strict=False):
                ax.plot(getattr(line, over), getattr(line, what), color=colour, linewidth=1.8, label=line.name)
            if encoders:
                dots = encoders.line
                ax.plot(
                    getattr(dots, over), getattr(dots, what), "o-", color=style.BLACK, label=f"{dots.name}, trained",
                    linewidth=1, markersize=5,
                )  # fmt: skip
                own = encoders.own
                ax.plot(
                    getattr(own, over), getattr(own, what), "*", color=style.BLACK, markersize=12, label="the run's"
                )
            ax.set_xscale("log")
            ax.set_yscale("log")
            ax.set_ylim(bottom=max(1e-4 * highest, min(float(getattr(x, what).min()) for x in shown) / 2))
    axes[0, 0].set_ylabel(f"‖{z} - exact {z}‖², mean")
    axes[1, 0].set_ylabel("E - min E, mean")
    axes[1, 0].set_xlabel("steps after the first pass")
    axes[1, 1].set_xlabel("products of two numbers for a sample")
    for ax in axes.ravel():
        style.log_ticks(ax.xaxis)
        style.log_ticks(ax.yaxis)
    axes[0, 0].legend(loc="lower left")
    note = f"mean over {where}; the products of the parameters that all samples share are not counted"
    said = _said(encoders, lines) if encoders else ""
    style.title(fig, f"codes of {name} on their way to the exact ones", f"{said}{note}")
    return fig


def _said(encoders: Encoders, lines: list[Line]) -> str:
    """What steps of the encoder are worth in steps of the algorithm, in distance to the exact code."""
    peer = "fista" if encoders.chosen.algorithm.kind == "proximal" else "cod"
    line = next((x for x in lines if x.name == peer), None)
    if line is None:
        return ""
    found = []
    for depth, error in zip(encoders.line.steps, encoders.line.code, strict=True):
        k = worth(error, line, line.steps)
        if k is not None:
            found.append(f"{depth:.0f} {encoders.line.name} step{'s' if depth > 1 else ''} = {k:.0f} {peer} steps")
    return "; ".join(found) + ". " if found else ""


register(
    Kind(
        "convergence", "how fast algorithms and encoders get to the exact code; trains encoders of other depths",
        draw, 46, on_demand=True,
    )
)  # fmt: skip
