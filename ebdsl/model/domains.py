"""Domains: where a latent or a parameter may lie. One row each, found by :data:`DOMAINS`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from ebdsl.model.ir import Dim


def _unbounded(args: tuple[float, ...]) -> tuple[float, float]:
    return (float("-inf"), float("inf"))


@dataclass(frozen=True)
class DomainKind:
    """What is true of every domain of a kind.

    ``project`` names the runtime function that maps a tensor of shape ``(..., *shape)`` to its
    nearest point (None: there is none, or it is the identity for ``real``). ``whole`` says over how
    many trailing axes a constraint ties entries together: 0 for a box (each entry alone), 1 for
    a simplex (each row), 2 for a positive definite matrix, -1 for all axes but the first. ``axis`` -2 is for
    columns. ``contains(x, args, tol)`` checks a numpy array in float64; ``sample(rng, shape, args)`` draws a point.

    ``nargs`` numbers may stand in parentheses, ``defaults`` are those that need not. ``complaint(args, shape)`` says
    in a user's words what is wrong with the numbers or the (partly symbolic) shape, None where nothing is.
    ``bounds(args)`` is the closed interval of every entry; ``strict``: its ends are excluded.
    ``definite``: symmetric positive definite over the last two axes.
    ``level``: every ``whole`` has the same norm, so that what is nearest to a point also reaches furthest its way.
    ``gram``: the axis over which products sum to 1 or 0, -2 where columns are orthonormal, -1 where rows are; 0 where
    the size decides. A square matrix has both.

    Texts of torch: ``torch`` is the projection over ``{x}``, the numbers ``{0} {1}`` and ``{ndim}``, the number of axes
    of the symbol; None where ``project`` is. ``centre`` (where a latent starts) and ``draw`` (how a parameter is
    drawn) are over ``{shape}``, a tuple, the numbers, ``{n}``, the entries of one ``whole``, and ``{options}``:
    ``dtype=…, device=…``, for ``draw`` also ``generator=…``; their functions are in ``runtime/starts.py``.

    A finite kind lists the values of one ``whole`` in ``points(shape of the whole)``, an array ``(count, *shape of
    the whole)``, and in ``points_torch`` over ``{n}`` and ``{options}``.

    ``within``: the kinds, with their defaults, that every such domain lies in; ``joins``: the two whose intersection
    it is, with the numbers of the second. ``latex`` is a format string over ``{dims}``
    and the numbers.
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
    defaults: tuple[float, ...] = ()
    complaint: Callable[[tuple[float, ...], tuple[Dim, ...]], str | None] | None = None
    bounds: Callable[[tuple[float, ...]], tuple[float, float]] = _unbounded
    strict: bool = False
    definite: bool = False
    level: bool = False
    gram: int = 0
    torch: str | None = None
    centre: str = "torch.zeros({shape}, {options})"
    draw: str = "draw_normal({shape}, {options})"
    points: Callable[[tuple[int, ...]], np.ndarray] | None = None
    points_torch: str | None = None
    within: tuple[str, ...] = ()
    joins: tuple[str, str] | None = None


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


def meet(a: Domain, b: Domain) -> Domain | None:
    """The domain of what lies in both, None where there is none whose projection is known."""
    if a == b:
        return a
    for one, other in ((a, b), (b, a)):
        if other.kind in one.row.within and other.args == other.row.defaults:
            return one
    for row in DOMAINS.values():
        if row.joins is not None and set(row.joins) == {a.kind, b.kind}:
            return Domain(row.name, (a if a.kind == row.joins[1] else b).args)
    if a.kind == b.kind == "ball":
        return min(a, b, key=lambda d: d.args)
    return _interval(a, b)


def _interval(a: Domain, b: Domain) -> Domain | None:
    """The common interval of two that bind each entry alone."""
    if any(d.row.whole or d.row.finite or not d.row.convex for d in (a, b)):
        return None
    (low_a, high_a), (low_b, high_b) = (d.row.bounds(d.args) for d in (a, b))
    low, high = max(low_a, low_b), min(high_a, high_b)
    if any(d.row.strict and d.row.bounds(d.args)[0] == low for d in (a, b)):
        return None  # an open end
    return Domain("box", (low, high))


def _load() -> None:
    from ebdsl.model import domain_kinds

    for module in pkgutil.iter_modules(domain_kinds.__path__):
        importlib.import_module(f"{domain_kinds.__name__}.{module.name}")


_load()
