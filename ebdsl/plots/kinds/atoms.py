"""Parameters that are pictures: atoms, prototypes, filters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from ebdsl.model.ir import Dim, Node, Position, Shift
from ebdsl.plots.core import Kind, NotApplicable, register
from ebdsl.plots.gabor import oriented_share
from ebdsl.plots.mosaic import columns, mosaic, poster, shades

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ebdsl.plots.view import View

MOST = 1024
ROWS = 512
"""Samples whose codes say how much an atom is used."""


@dataclass(frozen=True)
class Atoms:
    """``pictures`` ``(n, h, w[, 3])``; ``use`` ``(n,)`` where a latent variable has an entry for each.

    ``signed`` where they stand for samples of both signs, as patches without their mean are. Maps and groups, with
    two axes of their own or places that the energy tells apart, stay in their places, ``across`` in a row.
    """

    name: str
    pictures: np.ndarray
    use: np.ndarray | None = None
    filters: bool = False
    signed: bool = False
    across: int | None = None


def find(view: View) -> Iterator[Atoms]:
    """Every parameter, and every matrix inside a module, with one axis (or two) of a picture's pixels."""
    use = dict(_use(view))
    for symbol in view.spec.role("observed"):
        image = view.image_shapes.get(symbol.name)
        if image is None:
            continue
        sizes = view.sizes(symbol)
        signed = bool(view.some(200)[symbol.name].min() < 0)
        for param in view.spec.role("param"):
            at = _where(param.shape, symbol.shape)
            x = view.params[param.name]
            if at is None:
                continue
            rest = tuple(d for i, d in enumerate(param.shape) if not at <= i < at + len(sizes))
            pictures = as_pictures(np.moveaxis(x, range(at, at + len(sizes)), range(-len(sizes), 0)), sizes, image)
            own = x.shape[:at] + x.shape[at + len(sizes) :]
            places = columns(own[0]) if len(own) == 1 and _placed(view, rest[0]) else _across(own)
            yield Atoms(param.name, pictures, use.get(rest), signed=signed, across=places)
        for module, x in view.layers():
            outputs, inputs = (side == prod(sizes) for side in x.shape)
            if outputs != inputs:
                name = f"{'last' if outputs else 'first'} layer of {module}"
                yield Atoms(name, as_pictures(x.T if outputs else x, sizes, image), signed=signed)
    for param in view.spec.role("param"):
        x = view.params[param.name]
        if (
            x.ndim >= 3
            and all(3 <= s <= 64 for s in x.shape[-2:])
            and all(isinstance(d, int) for d in param.shape[-2:])
        ):
            yield Atoms(param.name, x.reshape(-1, *x.shape[-2:]), filters=True)


def as_pictures(x: np.ndarray, sizes: tuple[int, ...], image: tuple[int, ...]) -> np.ndarray:
    """``(..., *sizes)`` as ``(n, h, w[, 3])``."""
    x = x.reshape(-1, *sizes)
    if len(image) == 3 and sizes == (image[2], *image[:2]):
        return np.moveaxis(x, 1, -1)
    return x.reshape(-1, *image)


def _where(shape: tuple[object, ...], wanted: tuple[object, ...]) -> int | None:
    """Where ``wanted`` stands in ``shape``, if it does exactly once and something is left."""
    found = [i for i in range(len(shape) - len(wanted) + 1) if shape[i : i + len(wanted)] == wanted]
    return found[0] if len(found) == 1 and len(shape) > len(wanted) else None


def _across(own: tuple[int, ...]) -> int | None:
    """How many stand in a row of a map with axes ``own``: whole rows of it, about as many as there are below them."""
    if len(own) != 2:
        return None
    rows, beside = own
    side_by_side = max((k for k in range(1, rows + 1) if rows % k == 0 and (k * beside) ** 2 <= 1.5 * rows * beside),
                       default=1)  # fmt: skip
    return side_by_side * beside


def _placed(view: View, dim: Dim) -> bool:
    """Whether the energy tells places on this axis apart: by an index as a number, or by neighbours."""
    nodes: list[Node] = [t.node for t in view.spec.terms]
    while nodes:
        n = nodes.pop()
        axis = n.axis if isinstance(n, Position) else n.left if isinstance(n, Shift) else None
        if axis is not None and axis.dim == dim:
            return True
        nodes.extend(n.children)
    return False


def _use(view: View) -> Iterator[tuple[tuple[object, ...], np.ndarray]]:
    """By a latent's dimensions: the mean size of each of its entries."""
    if view.latent:
        codes = view.infer(view.some(ROWS))
        for symbol in view.spec.role("latent"):
            yield symbol.shape, np.abs(codes[symbol.name]).mean(axis=0).ravel()


def draw(view: View) -> Iterator[tuple[str, Figure]]:
    found = list(find(view))
    if not found:
        raise NotApplicable("no parameter has the pixels of a picture, or the samples are not pictures")
    many = len(found) > 1
    for atoms in found:
        yield f"atoms-{_file(atoms.name)}" if many else "atoms", figure(view.spec.name, atoms)


def figure(model: str, atoms: Atoms) -> Figure:
    """A mosaic; the most used first where the use is known."""
    x, use = atoms.pictures, atoms.use
    notes = []
    if atoms.across is not None:
        notes.append(f"in their places, {atoms.across} in a row")
    elif use is not None and len(use) == len(x):
        x = x[np.argsort(-use, kind="stable")]
        unused = int((use <= 1e-6 * use.max(initial=0)).sum())
        notes.append("the most used first" + (f", {unused} of {len(x)} never used" if unused else ""))
    cells, meaning = shades(x)
    notes.insert(0, meaning)
    if len(x) > MOST:
        notes.append(f"the first {MOST} of {len(x)}")
    share = oriented(x) if atoms.signed else None
    if share is not None:
        notes.append(f"{share:.0%} have one oriented, localised peak")
    size = f"{x.shape[1]} × {x.shape[2]}" + (" colour" if x.ndim == 4 else "")
    what = "filters" if atoms.filters else "pictures"
    return poster(
        mosaic(cells[:MOST], atoms.across), f"{atoms.name} of {model}: {len(x)} {what} of {size}", "; ".join(notes)
    )


def oriented(x: np.ndarray) -> float | None:
    """The share of oriented, localised atoms, where the question makes sense: many square ones, neither tiny
    nor large."""
    if x.ndim != 3 or x.shape[1] != x.shape[2] or not 8 <= x.shape[1] <= 32 or len(x) < 16:
        return None
    return oriented_share(x.reshape(len(x), -1), x.shape[1])[0]


def _file(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name)


register(Kind("atoms", "learned atoms, prototypes and filters, as pictures", draw, 10))
