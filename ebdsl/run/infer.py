"""Codes of many samples, a batch at a time, straight into a file that may be larger than memory."""

from __future__ import annotations

import csv
import itertools
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ebdsl.run.batched import inferences
from ebdsl.run.batches import Batches
from ebdsl.run.certify import Certifier
from ebdsl.run.files import make_folder, refuse, write_atomically
from ebdsl.run.program import Program

SIZE = 1024
"""Samples at a time."""

FORMATS = (".npz", ".npy", ".csv")


@dataclass
class Tally:
    """What inference came to: samples, how many of them converged or have no finite energy, and the sum of energies."""

    samples: int = 0
    converged: int = 0
    lost: int = 0
    energy: float = 0.0
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)


Rows = Iterator[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]


def rows(
    program: Program, network: Any, data: Batches, tally: Tally, certifier: Certifier | None = None, **options: Any
) -> Rows:
    """``(latents by the spec's names, energy and the like)`` of each batch."""
    for batch, found in inferences(network, data, SIZE, **options):
        latents = {name: found.latents[python].cpu().numpy() for name, python in program.latent.items()}
        about = {k: getattr(found, k).cpu().numpy() for k in ("energy", "residual", "iterations", "converged")}
        about["status"] = statuses(about)
        if certifier is not None:
            observed = {name: batch[python].cpu().numpy() for name, python in program.observed.items()}
            before = len(certifier.found.parts)
            posterior = {k: v.cpu().numpy() for k, v in (getattr(found, "posterior", None) or {}).items()}
            certifier.add(observed, latents, about["energy"], posterior)
            if len(certifier.found.parts) > before:
                about["checked_residual"] = certifier.found.parts[-1]
        tally.samples += len(about["energy"])
        tally.converged += int(about["converged"].sum())
        tally.lost += int((~np.isfinite(about["energy"])).sum())
        tally.energy += float(about["energy"].sum(dtype=np.float64))
        tally.shapes = {name: values.shape[1:] for name, values in latents.items()}
        yield latents, about


def statuses(about: dict[str, np.ndarray]) -> np.ndarray:
    """A word for each sample: ``converged``, ``step limit``, ``not finite``, ``amortised`` (not measured)."""
    found = np.where(about["converged"], "converged", "step limit").astype("<U10")
    found[np.isnan(about["residual"])] = "amortised"
    found[~np.isfinite(about["energy"])] = "not finite"
    return found


def require_latents(program: Program) -> None:
    """Raises :class:`SpecError` (EB0717) for an energy without latent variables."""
    if not program.latent:
        raise refuse(
            "EB0717",
            f"{program.model.name} has no latent variable: there is no code to infer",
            "`ebdsl eval` gives the energy of each sample",
            source=program.source,
        )


def infer(
    program: Program, network: Any, data: Batches, output: Path, certifier: Certifier | None = None, **options: Any
) -> Tally:
    """Write the codes of ``data`` to ``output``, whole or not at all.

    ``.npy`` holds the one latent, (n, *shape); ``.npz`` all latents by name with ``energy``, ``residual``,
    ``iterations``, ``converged`` and ``status``, (n,) each; ``.csv`` the same as columns, ``z[0]``, ``z[1]``, ....
    ``certifier`` is shown every batch, and adds ``checked_residual``.
    Raises :class:`SpecError` (EB0717, EB0807, EB0808, EB0809).
    """
    require_latents(program)
    kind = output.suffix.lower()
    if kind not in FORMATS:
        raise refuse(
            "EB0809", f"{output} names no format that codes are written in", f"the formats are {', '.join(FORMATS)}"
        )
    if kind == ".npy" and len(program.latent) > 1:
        names = ", ".join(program.latent)
        raise refuse("EB0809", f"a .npy file holds one array, and the latents are {names}", "write to a .npz file")
    make_folder(output.parent)
    tally = Tally()
    stream = rows(program, network, data, tally, certifier, **options)
    write = {".npy": _npy, ".npz": _npz, ".csv": _csv}[kind]
    write_atomically(output, lambda part: write(part, stream, len(data)))
    return tally


def _npy(part: Path, stream: Rows, n: int) -> None:
    _fill({"z": part}, ((list(latents.values())[:1],) for latents, _ in stream), n)


def _npz(part: Path, stream: Rows, n: int) -> None:
    """Each array grows in a file of its own beside the archive, which is then put together."""
    import zipfile

    scratch = Path(tempfile.mkdtemp(prefix=part.name, dir=part.parent))
    try:
        first = next(stream, None)
        names = [*first[0], *first[1]] if first else []
        again = itertools.chain([first] if first else [], stream)
        files = {name: scratch / f"{k}.npy" for k, name in enumerate(names)}
        _fill(files, (([*latents.values(), *about.values()],) for latents, about in again), n)
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for name, file in files.items():
                archive.write(file, f"{name}.npy")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _fill(files: dict[str, Path], stream: Iterator[tuple[list[np.ndarray]]], n: int) -> None:
    """Write batches of arrays, one file each, into memory-mapped ``.npy`` files of ``n`` rows."""
    mapped: list[np.ndarray] = []
    at = 0
    for (arrays,) in stream:
        if not mapped:
            mapped = [
                np.lib.format.open_memmap(file, "w+", dtype=a.dtype, shape=(n, *a.shape[1:]))
                for file, a in zip(files.values(), arrays, strict=True)
            ]
        for whole, part in zip(mapped, arrays, strict=True):
            whole[at : at + len(part)] = part
        at += len(arrays[0])
    for whole in mapped:
        whole.flush()  # type: ignore[attr-defined]


def _csv(part: Path, stream: Rows, n: int) -> None:
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        head = True
        for latents, about in stream:
            columns = {**latents, **about}
            if head:
                writer.writerow([label for name, values in columns.items() for label in labels(name, values.shape[1:])])
                head = False
            flat = [values.reshape(len(values), -1).tolist() for values in columns.values()]
            writer.writerows(list(itertools.chain.from_iterable(row)) for row in zip(*flat, strict=True))


def labels(name: str, shape: tuple[int, ...]) -> list[str]:
    """``z[0]``, ``z[1]``, ...; ``z`` for a number."""
    return [f"{name}[{','.join(map(str, index))}]" for index in np.ndindex(*shape)] if shape else [name]
