"""Checkpoints: everything that a run needs to go on to the bit, in one safetensors file.

Tensors are named ``model.*``, ``learner.*`` and ``rng.*``; the header holds, as JSON, the spec's
text, the position and a checksum of every tensor. Nothing in it is ever executed or unpickled.
"""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ebdsl.diagnostics import Diagnostic, SpecError
from ebdsl.run.files import make_folder, refuse, unwritable, write_atomically

FORMAT = "ebdsl checkpoint 1"
KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """``facts`` is what :func:`write` was given; tensors are on the CPU."""

    path: Path
    facts: dict[str, Any]
    tensors: dict[str, Tensor]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors of ``model``, ``learner`` or ``rng``, by their own names."""
        start = prefix + "."
        return {name.removeprefix(start): t for name, t in self.tensors.items() if name.startswith(start)}


def write(folder: Path, step: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> Path:
    """Write ``folder/step-0000042.safetensors`` whole or not at all, then drop all but the last two.

    ``facts`` is anything JSON holds. Raises :class:`SpecError` (EB0807, EB0808).
    """
    make_folder(folder)
    on_host = {name: t.detach().to("cpu", copy=True).contiguous() for name, t in tensors.items()}
    header = {
        "format": FORMAT,
        "facts": json.dumps(facts, ensure_ascii=False),
        "checksums": json.dumps({name: checksum(t) for name, t in on_host.items()}),
    }
    path = folder / f"step-{step:07d}.safetensors"

    def fill(part: Path) -> None:
        try:
            save_file(on_host, part, metadata=header)
        except SafetensorError as error:  # the library hides the errno in a text
            raise unwritable(error, path) from None

    write_atomically(path, fill, durable=True)
    for old in found(folder)[KEPT:]:
        with contextlib.suppress(OSError):
            old.unlink()
    return path


def checksum(tensor: Tensor) -> int:
    return zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())


def found(folder: Path) -> list[Path]:
    """Checkpoints in ``folder``, newest first."""
    names = {int(p.stem[5:]): p for p in folder.glob("step-*.safetensors") if p.stem[5:].isdecimal()}
    return [names[step] for step in sorted(names, reverse=True)]


def read(path: Path) -> Checkpoint:
    """Raises ``ValueError``, with what is wrong, for a file that is not a whole checkpoint of ours."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        text = str(error)
        raise ValueError("it is truncated or damaged" if "header" in text.lower() else text) from None
    if header.get("format") != FORMAT:
        raise ValueError("ebdsl did not write it")
    try:
        facts, checksums = json.loads(header["facts"]), json.loads(header["checksums"])
    except (KeyError, ValueError, RecursionError):
        raise ValueError("its header is damaged") from None
    if not isinstance(facts, dict) or not isinstance(checksums, dict) or checksums.keys() != tensors.keys():
        raise ValueError("its header is damaged")
    for name, tensor in tensors.items():
        if checksums[name] != checksum(tensor):
            raise ValueError(f"its content is damaged: the checksum of {name} does not match")
    return Checkpoint(path, facts, tensors)


def newest(folder: Path) -> tuple[Checkpoint | None, tuple[Diagnostic, ...]]:
    """The newest whole checkpoint, and a warning for each damaged one that is newer; None if there is no file.

    Raises :class:`SpecError` (EB0705) where there are checkpoints and none is whole.
    """
    paths = found(folder)
    damaged: list[str] = []
    for path in paths:
        try:
            return read(path), tuple(Diagnostic("EB0706", text, (), ()) for text in damaged)
        except ValueError as error:
            damaged.append(f"the checkpoint {path} is passed over: {error}")
    if not paths:
        return None, ()
    message = "; ".join(f"{path}: {text.split(': ', 1)[1]}" for path, text in zip(paths, damaged, strict=True))
    raise SpecError([Diagnostic("EB0705", f"no checkpoint is whole: {message}", (), ("begin the run again",))])


def restore(state: Mapping[str, Tensor], target: Mapping[str, Tensor], path: Path, what: str) -> None:
    """Check names, shapes and types of a saved state against what it replaces. Raises :class:`SpecError` (EB0705)."""
    missing, extra = sorted(target.keys() - state.keys()), sorted(state.keys() - target.keys())
    if missing or extra:
        named = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(extra)} besides"
        raise refuse("EB0705", f"the checkpoint {path} does not belong to this spec: its {what} {named}")
    for name, tensor in target.items():
        if state[name].shape != tensor.shape:
            have, want = tuple(state[name].shape), tuple(tensor.shape)
            raise refuse("EB0705", f"the checkpoint {path} does not belong to this spec: {name} is {have}, not {want}")
        if state[name].dtype != tensor.dtype:
            kinds = f"{state[name].dtype}, not {tensor.dtype}"
            raise refuse("EB0705", f"the checkpoint {path} does not belong to this run: {name} is {kinds}")
