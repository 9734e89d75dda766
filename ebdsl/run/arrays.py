"""Arrays of the Python interface: numpy or torch, one or several by name, checked and brought to one form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from ebdsl.diagnostics import SpecError
from ebdsl.run.batches import native
from ebdsl.run.files import refuse


def named(order: Mapping[str, str], values: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
    """Positional and named values by the spec's names, every one of ``order`` (name -> Python name) exactly once."""
    names = list(order)
    if len(values) > len(names):
        raise unfit(f"{len(values)} values for {len(names)} variables: {', '.join(names)}")
    given = dict(zip(names, values, strict=False))
    by_python = {python: name for name, python in order.items()}
    for name, value in named.items():
        symbol = name if name in order else by_python.get(name)
        if symbol is None or symbol in given:
            what = "is given twice" if symbol else "is no variable of this energy"
            raise unfit(f"{name} {what}: they are {', '.join(names)}")
        given[symbol] = value
    missing = [name for name in names if name not in given]
    if missing:
        raise unfit(f"{', '.join(missing)} is missing: the variables are {', '.join(names)}")
    return {name: given[name] for name in names}


def array(name: str, value: Any) -> np.ndarray:
    """numpy's view of numbers."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    try:
        numbers = np.asarray(value)
    except (TypeError, ValueError):
        numbers = np.empty(0, dtype=object)
    if numbers.dtype.kind not in "fiub":
        raise unfit(f"{name} has to be an array of numbers, and is {kind(value)}")
    return numbers


def as_tensor(name: str, value: Any) -> torch.Tensor:
    """torch's view of numbers, with an axis of samples. Raises :class:`SpecError` (EB0724)."""
    tensor = value if isinstance(value, torch.Tensor) else torch.from_numpy(native(array(name, value)))
    if not tensor.ndim:
        raise unfit(f"{name} is a number: samples are rows")
    return tensor


def back(like: Any) -> Callable[[list[Any]], Any]:
    """A function that joins tensors of batches into what ``like`` is: torch on its device, else numpy."""
    first = next(iter(like.values())) if isinstance(like, Mapping) else like

    def join(parts: list[Any]) -> Any:
        whole = torch.cat([p.detach() for p in parts]) if parts else torch.zeros(0)
        return whole.to(first.device) if isinstance(first, torch.Tensor) else whole.cpu().numpy()

    return join


def shown(value: Any) -> str:
    """A shape, or an array's, as ``[2, 3]``."""
    return f"[{', '.join(map(str, getattr(value, 'shape', value)))}]"


def kind(value: Any) -> str:
    return f"an array of {value.dtype}" if hasattr(value, "dtype") else f"a {type(value).__name__}"


def unfit(message: str) -> SpecError:
    return refuse("EB0724", message)
