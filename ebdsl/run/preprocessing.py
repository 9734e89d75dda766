"""How the training data was prepared, kept in the run folder: numbers in safetensors, nothing that runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ebdsl.run.data.preprocess import STEPS, Stage, Transform
from ebdsl.run.files import refuse, write_atomically


def write(path: Path, transforms: Mapping[str, Transform]) -> None:
    """One file for all variables; none where nothing was done."""
    from safetensors.numpy import save

    stages = {name: [[s.kind, s.said] for s in t.stages] for name, t in transforms.items() if t.stages}
    if not stages:
        return
    numbers = {
        f"{name}/{k}/{key}": np.ascontiguousarray(value)
        for name, t in transforms.items()
        for k, s in enumerate(t.stages)
        for key, value in s.numbers.items()
    }
    write_atomically(path, save(numbers, {"stages": json.dumps(stages)}))


def read(path: Path) -> dict[str, Transform]:
    """By variable; empty where the data was taken as it was. Raises :class:`SpecError` (EB0705) for a broken file."""
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return {}
    try:
        with safe_open(path, framework="numpy") as file:
            stages = json.loads(file.metadata()["stages"])
            numbers = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  not a mapping
        return {
            name: Transform(tuple(_stage(kind, said, f"{name}/{k}/", numbers) for k, (kind, said) in enumerate(rows)))
            for name, rows in stages.items()
        }
    except (OSError, SafetensorError, ValueError, TypeError, KeyError, AttributeError) as e:
        raise refuse("EB0705", f"{path} cannot be read, so new data cannot be prepared as the training data was") from e


def _stage(kind: str, said: str, start: str, numbers: Mapping[str, np.ndarray]) -> Stage:
    if kind not in STEPS:
        raise KeyError(kind)
    return Stage(kind, said, {key.removeprefix(start): x for key, x in numbers.items() if key.startswith(start)})
