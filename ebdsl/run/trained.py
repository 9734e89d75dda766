"""A trained model out of its run folder: the spec is compiled again, and only numbers are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ebdsl.diagnostics import Diagnostic, Source
from ebdsl.model.model import Model
from ebdsl.run import checkpoint as checkpoints
from ebdsl.run import preprocessing
from ebdsl.run.batches import Batches, batches
from ebdsl.run.checkpoint import Checkpoint, restore
from ebdsl.run.device import device
from ebdsl.run.files import refuse
from ebdsl.run.folder import Folder
from ebdsl.run.observations import Observations, observations, prepared, sizes
from ebdsl.run.options import Options, merged
from ebdsl.run.program import Program, checked_model, program, renamed
from ebdsl.run.target import settled
from ebdsl.run.use import using


@dataclass(frozen=True)
class Trained:
    """``network`` is the generated ``nn.Module`` with the parameters of ``checkpoint``, on ``where``.

    ``spec`` is the checked spec, before any data gave its dimensions a size.
    """

    spec: Model
    program: Program
    network: Any
    options: Options
    where: torch.device
    folder: Folder | None = None
    checkpoint: Checkpoint | None = None
    data: Any = None
    warnings: tuple[Diagnostic, ...] = ()

    @cached_property
    def loose(self) -> Model:
        """The model with the dimensions that no parameter has left open: an image may be of any size."""
        fixed = {d for s in self.spec.role("param") for d in s.shape}
        fixed |= {d for m in self.spec.modules for shape in (*m.inputs, m.output) for d in shape}
        bound = self.program.model.dims
        return self.spec.bind({d: n for d, n in bound.items() if n is not None and d in fixed})

    def fit(self, arrays: Mapping[str, Any]) -> Trained:
        """The same parameters, for samples of the shapes of ``arrays``. Raises :class:`SpecError` (EB0719)."""
        found = sizes(self.loose, arrays, trained=True)
        if all(self.program.model.dims[d] == n for d, n in found.items()):
            return self
        return self._with(program(self.loose, found, allow_flat=True, target=self.program.target), self.options)

    def by(self, target: str, arrays: Mapping[str, Any]) -> Trained:
        """The same model run by another target; ``auto`` measures both on ``arrays``."""
        options = replace(self.options, target=target, device=str(self.where))
        built, options, found = settled(self.program, options, arrays, self.network.state_dict())
        return replace(self._with(built, options), warnings=(*self.warnings, *found))

    def _with(self, built: Program, options: Options) -> Trained:
        network = network_of(built, options, self.where)
        network.load_state_dict(self.network.state_dict())
        network.eval()
        return replace(self, program=built, network=network, options=options)

    def batches(self, arrays: Mapping[str, np.ndarray]) -> Batches:
        """Samples (n, *shape) by the spec's names, in their order. Raises :class:`SpecError` (EB0719)."""
        sizes(self.program.model, arrays, trained=True)
        ready = renamed(self.program, arrays)
        rows = torch.arange(len(next(iter(ready.values()))))
        return batches(ready, rows, self.where, getattr(torch, self.options.dtype))

    def samples(self, word: str | None, seed: int | None = None) -> Observations:
        """Data for this model: ``word``, prepared as its training data was, or that. Raises :class:`SpecError`.

        By another ``seed`` than the run's, training data that is drawn at random is other data of its kind.
        """
        same = seed is None or seed == self.options.seed
        seen = observations(
            self.loose, word if word is not None else self.data, self.options.seed if seed is None else seed
        )
        if self.folder is None or (word is None and same):
            return seen
        return prepared(seen, preprocessing.read(self.folder.preprocessing))


def trained(path: Path, *, on: str | None = None, allow_python: bool = False) -> Trained:
    """Open a run. Raises :class:`SpecError` (EB0705, EB0711, EB0812, and what compiling its spec says)."""
    folder = Folder(path)
    about = folder.facts()
    saved, found = checkpoints.newest(folder.checkpoints)
    if saved is None:
        raise refuse(
            "EB0711",
            f"{path} has no checkpoint yet: its training stopped before the first one",
            f"ebdsl train {path} --resume",
        )
    source = Source(str(about.get("spec", folder.spec)), str(saved.facts.get("spec", "")))
    edited = _edited(folder, source)
    model, _ = checked_model(source, allow_python=allow_python)
    options = merged(saved.facts.get("options"), saved.path)
    built = program(model, sizes_of(saved, model.dims), allow_flat=True, target=options.target)
    where = device(on or "auto")
    network = network_of(built, options, where)
    state = saved.part("model")
    restore(state, network.state_dict(), saved.path, "model")
    network.load_state_dict(state)
    network.eval()
    return Trained(model, built, network, options, where, folder, saved, about.get("data"), (*found, *edited))


def network_of(built: Program, options: Options, where: torch.device) -> Any:
    """The generated module, built. Raises :class:`SpecError` for what PyTorch says to its sizes."""
    with using(built.model, "while the model was built"):
        return built.namespace.build(seed=options.seed, dtype=getattr(torch, options.dtype)).to(where)


def sizes_of(saved: Checkpoint, dims: Mapping[str, int | None]) -> dict[str, int]:
    """Sizes of the spec's dimensions, as the checkpoint remembers them. Raises :class:`SpecError` (EB0705)."""
    kept = saved.facts.get("sizes")
    good = isinstance(kept, dict) and all(isinstance(v, int) and 0 < v < 2**40 for v in kept.values())
    if not good or not dims.keys() <= kept.keys():  # type: ignore[union-attr]
        raise refuse("EB0705", f"the checkpoint {saved.path} does not belong to this spec: sizes are missing")
    return {name: kept[name] for name in dims}  # type: ignore[index]


def _edited(folder: Folder, source: Source) -> tuple[Diagnostic, ...]:
    try:
        same = folder.spec.read_bytes().decode() == source.text
    except (OSError, ValueError):
        return ()
    help = ("to use the new text, train it",)
    return (
        () if same else (Diagnostic("EB0725", f"{folder.spec} was edited since: the run's own spec is used", (), help),)
    )
