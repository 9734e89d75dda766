"""Arrays as symbols, so that rows over tensors can be evaluated by the interpreter."""

from __future__ import annotations

from typing import Any

import numpy as np

from ebdsl.model.build import tensor
from ebdsl.model.domains import REAL
from ebdsl.model.ir import Lit, Symbol, Tensor


def as_tensors(args: tuple[Any, ...], lead: int = 0) -> tuple[tuple[Tensor, ...], dict[Symbol, Any]]:
    """Symbols with the arguments' values, as tensors without the first ``lead`` axes; numbers as literals."""
    nodes: list[Tensor] = []
    values: dict[Symbol, Any] = {}
    for k, a in enumerate(args):
        if np.ndim(a) == 0:
            nodes.append(Tensor(Lit(float(a)), ()))
            continue
        symbol = Symbol(f"a{k}", "param", np.shape(a), REAL)
        values[symbol] = np.asarray(a)
        whole = tensor(symbol)
        nodes.append(Tensor(whole.body, whole.axes[lead:]))
    return tuple(nodes), values
