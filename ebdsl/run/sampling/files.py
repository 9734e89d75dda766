"""Samples to files, and values that are given from the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ebdsl.run.files import make_folder, refuse, write_atomically
from ebdsl.run.sampling.sampler import Sampled
from ebdsl.run.trained import Trained

FORMATS = (".npz", ".npy", ".csv")


def fixed(model: Trained, given: Mapping[str, str]) -> dict[str, np.ndarray]:
    """``x=0.3,1.2`` or ``x=FILE.npy`` as ``(1 or more, *shape)``. Raises :class:`SpecError` (EB0766)."""
    from ebdsl.run.alternatives import shaped

    spec = model.program.model
    over = shaped(spec)
    names = [s.name for s in spec.role("observed")]
    found = {}
    for name, text in given.items():
        if name not in names or name == over.name:
            others = ", ".join(n for n in names if n != over.name)
            why = f"{name} is what is sampled" if name == over.name else f"there is no observed variable {name}"
            raise refuse("EB0766", f"--given {name}: {why}", f"what can be given: {others}" if others else "")
        shape = tuple(n or 1 for n in spec.shape(spec.symbol(name)))
        try:
            if text.endswith(".npy"):
                x = np.load(text, allow_pickle=False)
            else:
                x = np.array([float(v) for v in text.split(",")])
        except (OSError, ValueError) as why:
            raise refuse("EB0766", f"--given {name}: {text} gives no numbers ({why})", "--given x=0.3,1.2") from None
        rows = x.reshape(-1, *shape) if x.size and x.size % max(int(np.prod(shape)), 1) == 0 else None
        if rows is None or not np.isfinite(x).all():
            raise refuse(
                "EB0766", f"--given {name}: {x.size} numbers, and {name} has {int(np.prod(shape))} in each sample",
                f"numbers of {list(shape)}, all finite",
            )  # fmt: skip
        found[name] = rows.astype(np.float64)
    return found


def write(path: Path, found: Sampled) -> None:
    """``.npy``: the samples, ``(n, *shape)``; ``.npz`` and ``.csv`` also their energy and what was given."""
    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise refuse(
            "EB0809", f"{path} names no format that samples are written in", f"the formats are {', '.join(FORMATS)}"
        )
    arrays = {found.symbol.name: found.values.astype(np.float32), **found.given, "energy": found.energy}

    def save(part: Path) -> None:
        with part.open("wb") as file:
            if kind == ".npy":
                np.save(file, arrays[found.symbol.name], allow_pickle=False)
            elif kind == ".npz":
                np.savez(file, **arrays)  # type: ignore[arg-type]
            else:
                flat = {k: x.reshape(len(x), -1) for k, x in arrays.items()}
                heads = [k if x.shape[1] == 1 else f"{k}[{i}]" for k, x in flat.items() for i in range(x.shape[1])]
                rows = np.concatenate(list(flat.values()), 1)
                file.write((",".join(heads) + "\n").encode())
                np.savetxt(file, rows, delimiter=",", fmt="%.9g")

    make_folder(path.parent)
    write_atomically(path, save)
