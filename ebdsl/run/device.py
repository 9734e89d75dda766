"""Where to compute."""

from __future__ import annotations

import torch

from ebdsl.run.files import refuse


def device(name: str) -> torch.device:
    """``auto`` is the first of cuda, mps and cpu that the machine has. Raises :class:`SpecError` (EB0714)."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        found = torch.device(name)
        torch.zeros(1, device=found).add_(1).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        why = str(error).splitlines()[0] if str(error) else "it does not answer"
        has = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        has += ["mps"] if torch.backends.mps.is_available() else []
        raise refuse("EB0714", f"no device {name}: {why}", f"this machine has {', '.join(has)}") from None
    if found.type == "meta":
        raise refuse("EB0714", "the device meta computes nothing", "use cpu")
    return found


def synchronise(where: torch.device) -> None:
    """Wait until the device is done."""
    if where.type == "cuda":
        torch.cuda.synchronize(where)
    elif where.type == "mps":
        torch.mps.synchronize()
