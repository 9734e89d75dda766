"""Contrast and codes of a live network: the same samples and points every time, and no trace in any generator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ebdsl.emit.names import python_name
from ebdsl.model.model import Model
from ebdsl.run.alternatives import Arrays, Probe, probe
from ebdsl.run.batches import split
from ebdsl.run.codes_in_use import Blurred, InUse, blurred, in_use, units
from ebdsl.run.contrast import Contrast, measure
from ebdsl.run.observations import Observations
from ebdsl.run.trained import Trained
from ebdsl.strategies.core import Chosen

SAMPLES = 128
"""Samples, and points of each kind, that are looked at while a model is trained."""
MORE = 4096
"""Samples that are looked at before a code is called dead."""
EVERY = 10_000
"""Samples of training between two measurements, or an epoch if that is longer: under a tenth of the time."""
AT_A_TIME = 2048


@dataclass(frozen=True)
class Reading:
    contrast: Contrast
    codes: tuple[InUse, ...]
    blurred: Blurred | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "contrast": self.contrast.to_json(),
            "codes": {c.name: {"parts": c.parts, "count": c.count, "dead": c.dead} for c in self.codes},
            "codes said": [c.sentence() for c in self.codes if c.dead]
            + ([self.blurred.sentence()] if self.blurred is not None else []),
            **({"KL per unit": self.blurred.divergence.tolist()} if self.blurred is not None else {}),
        }


@dataclass
class Gauge:
    """Measures a generated ``network`` on ``points``. ``scale``: the spread before training, once it is known."""

    network: Any
    model: Model
    points: Probe
    device: torch.device
    dtype: torch.dtype
    scale: float = 0.0
    more: Callable[[], Arrays] | None = None
    names: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.names = dict(zip((s.name for s in self.model.role("observed")), self.network.OBSERVED, strict=True))

    def read(self, *, margin: tuple[float, bool] | None = None, volume: bool = False) -> Reading:
        with quiet(self.network, self.device):
            contrast = measure(self.energy, self.points, scale=self.scale, margin=margin, volume=volume)
            codes = self.codes(self.points.on)
            if self.more is not None and any(c.died for c in codes):
                codes = self.codes(self.more())
            return Reading(contrast, codes, self.blurred(self.points.on))

    def energy(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Free energies ``(n,)`` in float64."""
        found = []
        for batch in self._batches(arrays):
            with torch.no_grad():
                found.append(self.network.free_energy(**batch).detach().double().cpu().numpy())
        return np.concatenate(found)

    def codes(self, on: Arrays) -> tuple[InUse, ...]:
        """Of the latents on samples, and of what the learned functions make of them. Of samples that are all the same,
        nothing can be said."""
        if all(units(name, "entries", x).died for name, x in on.items()):
            return ()
        every = {m.name: getattr(self.network, python_name(m.name), None) for m in self.model.modules}
        modules = {name: m for name, m in every.items() if isinstance(m, nn.Module)}
        latents: dict[str, list[np.ndarray]] = {}
        with outputs(modules) as seen:
            for batch in self._batches(on):
                with torch.no_grad():
                    found = self.network.infer(**batch)
                    first = next(iter(batch.values()))
                    noise = self.network.noise(first) if hasattr(self.network, "noise") else {}
                    self.network.energy(**batch, **found.latents, **noise)
                for symbol, python in zip(self.model.role("latent"), self.network.LATENT, strict=True):
                    latents.setdefault(symbol.name, []).append(found.latents[python].detach().double().cpu().numpy())
        n = len(next(iter(on.values())))
        symbols = tuple(self.model.role("latent"))
        found = in_use({name: np.concatenate(parts) for name, parts in latents.items()}, symbols)
        made = {k: x.detach().double().cpu().numpy() for k, x in seen.items() if len(x) == n > 1}
        return (*found, *(units(f"{k}(·)", "units", x) for k, x in made.items() if x[0].size))

    def blurred(self, on: Arrays) -> Blurred | None:
        """Of a code with noise of a known size; None where there is none."""
        if not hasattr(self.network, "code"):
            return None
        with torch.no_grad():
            found = [self.network.code(**b) for b in self._batches(on)]
        mean, spread = (torch.cat(x).flatten(1).double().cpu().numpy() for x in zip(*found, strict=True))
        return blurred(mean, spread) if np.isfinite(mean).all() and (spread > 0).all() else None

    def _batches(self, arrays: Mapping[str, np.ndarray]) -> Iterator[dict[str, Tensor]]:
        n = len(next(iter(arrays.values())))
        for i in range(0, n, AT_A_TIME):
            yield {
                python: torch.as_tensor(np.ascontiguousarray(arrays[name][i : i + AT_A_TIME])).to(
                    device=self.device, dtype=self.dtype
                )
                for name, python in self.names.items()
            }


def gauge_of(model: Trained, seen: Observations, most: int) -> Gauge:
    """For a trained model: on the samples that were held out of its training where ``seen`` has some, else on all."""
    spec = model.program.model
    arrays = seen.held_out or seen.arrays
    n = len(next(iter(arrays.values())))
    rows = np.arange(n)
    if not seen.held_out and model.options.holdout:
        held = split(n, model.options.holdout, model.options.seed)[1].numpy()
        rows = held if len(held) else rows
    points = probe(spec, arrays, rows, most, 0)
    spread = float(model.checkpoint.facts.get("spread", 0.0)) if model.checkpoint is not None else 0.0
    return Gauge(model.network, spec, points, model.where, getattr(torch, model.options.dtype), spread)


def margin_of(chosen: Chosen | None) -> tuple[float, bool] | None:
    """Size of the margin of a margin loss, and whether it is one between pairs; None for losses without."""
    if chosen is None or "margin" not in chosen.case.options:
        return None
    return chosen.case.number("margin"), "pair_hinge" in chosen.use.loss


@contextmanager
def quiet(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Evaluation mode, and every generator as it was before."""
    training = network.training
    network.eval()
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        network.train(training)


@contextmanager
def outputs(modules: Mapping[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """What each learned function gave when it was last called."""
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, given: Any, result: Any) -> None:
            if isinstance(result, Tensor) and result.ndim:
                seen[name] = result

        return hook

    handles = [m.register_forward_hook(keep(name)) for name, m in modules.items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
