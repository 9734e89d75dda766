"""Domains: where a latent or a parameter may lie. One row each, found by :data:`DOMAINS`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class DomainKind:
    """What is true of every domain of a kind.

    ``project`` names the runtime function that maps a tensor of shape ``(..., *shape)`` to its
    nearest point (None: there is none, or it is the identity for ``real``). ``whole`` says over how
    many trailing axes a constraint ties entries together: 0 for a box (each entry alone), 1 for
    a simplex (each row), 2 for a positive definite matrix. ``axis`` -2 is for columns.
    ``contains(x, args, tol)`` checks a numpy array in float64; ``sample(rng, shape, args)`` draws a point.
    """

    name: str
    spellings: tuple[str, ...]
    doc: str
    latex: str
    convex: bool
    finite: bool = False
    nargs: int = 0
    min_ndim: int = 0
    whole: int = 0
    axis: int = -1
    bounded: bool = False
    project: str | None = None
    contains: Callable[[np.ndarray, tuple[float, ...], float], bool] | None = None
    sample: Callable[[np.random.Generator, tuple[int, ...], tuple[float, ...]], np.ndarray] | None = None


@dataclass(frozen=True)
class Domain:
    """A kind with its numbers: ``box(0, 1)`` is ``Domain("box", (0.0, 1.0))``."""

    kind: str
    args: tuple[float, ...] = field(default=())

    @property
    def row(self) -> DomainKind:
        return DOMAINS[self.kind]

    def __str__(self) -> str:
        return self.kind + (f"({', '.join(f'{a:g}' for a in self.args)})" if self.args else "")


DOMAINS: dict[str, DomainKind] = {}


def register(kind: DomainKind) -> DomainKind:
    """Add one row. Raises ``ValueError`` for a name that is taken."""
    if kind.name in DOMAINS:
        raise ValueError(f"domain {kind.name} is registered twice")
    DOMAINS[kind.name] = kind
    return kind


REAL = Domain("real")


def _load() -> None:
    from ebdsl.model import domain_kinds

    for module in pkgutil.iter_modules(domain_kinds.__path__):
        importlib.import_module(f"{domain_kinds.__name__}.{module.name}")


_load()
