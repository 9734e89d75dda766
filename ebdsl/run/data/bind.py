"""Arrays meet declarations: which array is which symbol, and in which shape."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isqrt, prod

import numpy as np

from ebdsl.diagnostics import Checked, Diagnostic, Label
from ebdsl.model.ir import Symbol, extent
from ebdsl.model.model import Model
from ebdsl.run.data import values
from ebdsl.run.data.core import Arrays, Raw, Trouble

Shape = tuple[int | None, ...]


@dataclass
class Fitted:
    """``coded`` names symbols whose samples are codes of labels, which preprocessing leaves alone."""

    arrays: Arrays = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    image_shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    coded: set[str] = field(default_factory=set)
    labels: np.ndarray | None = None
    said: list[str] = field(default_factory=list)


def bind(raw: Raw, model: Model, place: tuple[Label, ...] = (), sized: bool = False) -> Checked[Fitted]:
    """Give each observed symbol its array in its declared shape, and the free dimensions their sizes.

    ``sized`` where the source has a keyword ``size``. All misfits at once, as EB0601 (shapes), EB0605 (not finite).
    Raises :class:`Trouble` for EB0607, EB0609, EB0612.
    """
    fitted = Fitted(labels=raw.labels)
    chosen = _match(raw, model, fitted)
    lengths = {name: len(x) for name, (_, x) in chosen.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} has {n}" for name, n in lengths.items())
        raise Trouble(
            "EB0612", f"the arrays have different numbers of samples: {counts}", "sample i of each belongs together"
        )
    if not next(iter(lengths.values())):
        raise Trouble("EB0607", "there are no samples", "the first axis of an array counts the samples")
    found: list[Diagnostic] = []
    why: dict[str, str] = {}
    for symbol in model.role("observed"):
        part, x = chosen[symbol.name]
        target = tuple(model.size(d) or extent(d, fitted.sizes) for d in symbol.shape)
        if symbol.domain.kind == "onehot" and _is_codes(x) and target[-1:] != (1,):
            x = _onehot(x, target[-1])
            fitted.coded.add(symbol.name)
        arranged = arrange(x, target, part in raw.pictures)
        new = _unify(symbol, arranged) if arranged is not None else None
        if arranged is None or new is None:
            found.append(_misfit(symbol, target, x, place, why, sized))
            continue
        for dim, size in new.items():
            if model.size(dim) is None and dim not in fitted.sizes:
                fitted.sizes[dim] = size
                why[dim] = (
                    f"{dim} = {size}, because {symbol.name} is {declared(symbol)} and its data is {_times(x.shape)}"
                )
        shape = _picture(x, arranged, part in raw.pictures)
        if shape:
            fitted.image_shapes[symbol.name] = shape
        if arranged.shape != x.shape and len(symbol.shape) > 1:
            fitted.said.append(f"{symbol.name} folded from {_times(x.shape[1:])} to {_times(arranged.shape[1:])}")
        found += values.not_finite(symbol, arranged, place)
        fitted.arrays[symbol.name] = arranged
    return Checked(None if found else fitted, tuple(found))


# --------------------------------------------------------------------------- which array is which


def columns_of(name: str, columns: Sequence[str]) -> list[int]:
    """Columns of a table that belong to a symbol: ``y``, or ``y1 y2``, ``y_1``, ``y[1]`` in their order."""
    if name in columns:
        return [columns.index(name)]
    spelt = re.compile(re.escape(name) + r"(?:_?\d+|\[\s*\d+(?:\s*,\s*\d+)*\s*\])")
    found = [i for i, c in enumerate(columns) if spelt.fullmatch(c)]
    rest = len(name)
    return sorted(found, key=lambda i: [int(k) for k in re.findall(r"\d+", columns[i][rest:])])


def _match(raw: Raw, model: Model, fitted: Fitted) -> dict[str, tuple[str, np.ndarray]]:
    observed = model.role("observed")
    names, parts = [s.name for s in observed], raw.parts
    if all(name in parts for name in names):
        rest = [p for p in parts if p not in names]
        if rest:
            fitted.said.append(f"{', '.join(rest)} not used")
        return {name: (name, parts[name]) for name in names}
    if len(parts) == len(names):
        return {name: (part, x) for name, (part, x) in zip(names, parts.items(), strict=True)}
    if len(parts) == 1 and len(names) > 1:
        (part, x) = next(iter(parts.items()))
        if raw.labels is not None and len(names) == 2:
            return _with_labels(observed, part, x, raw.labels, model, fitted)
        return _cut(observed, part, x, model)
    have, want = ", ".join(parts), ", ".join(names)
    raise Trouble(
        "EB0609",
        f"the data has {have}; the spec observes {want}",
        f"name the arrays {want}, or declare  observed {next(iter(parts))}",
    )


def _with_labels(
    observed: tuple[Symbol, ...], part: str, x: np.ndarray, labels: np.ndarray, model: Model, fitted: Fitted
) -> dict[str, tuple[str, np.ndarray]]:
    """Samples and their labels; the labels are the symbol that is one-hot, or else the smaller one, or else
    the second."""
    size = {s.name: prod(d or 10**9 for d in model.shape(s)) for s in observed}
    first, second = observed
    label = next((s for s in observed if s.domain.kind == "onehot"), None)
    if label is None:
        label = first if size[first.name] < size[second.name] else second
    sample = second if label is first else first
    wanted = model.shape(label)
    codes: np.ndarray = labels.astype(np.float32)
    if len(wanted) == 1 and wanted[0] != 1:
        codes = _onehot(labels, wanted[0])
    fitted.coded.add(label.name)
    fitted.said.append(f"{label.name} is the label")
    return {sample.name: (part, x), label.name: ("label", codes)}


def _is_codes(x: np.ndarray) -> bool:
    """One whole number from 0 for each sample."""
    return x.size == len(x) and bool(
        np.isfinite(x).all() and (x >= 0).all() and (x == np.floor(x)).all() and x.max() < 1e6
    )


def _onehot(x: np.ndarray, k: int | None) -> np.ndarray:
    codes = x.reshape(-1).astype(np.int64)
    return np.eye(max(k or 0, int(codes.max()) + 1), dtype=np.float32)[codes]


def _cut(observed: tuple[Symbol, ...], part: str, x: np.ndarray, model: Model) -> dict[str, tuple[str, np.ndarray]]:
    """One table for several symbols: columns in the order of the declarations."""
    names = ", ".join(s.name for s in observed)
    shapes = [model.shape(s) for s in observed]
    widths = [None if None in s else prod(d for d in s if d is not None) for s in shapes]
    if x.ndim > 2:
        raise Trouble(
            "EB0609",
            f"the data is one array of {_times(x.shape)}; the spec observes {names}",
            "save one array for each in an .npz",
        )
    total = x.shape[1] if x.ndim == 2 else 1
    known, free = sum(w for w in widths if w is not None), widths.count(None)
    if free > 1 or (free == 0 and known != total) or (free == 1 and known >= total):
        need = " + ".join("?" if w is None else str(w) for w in widths)
        raise Trouble(
            "EB0609",
            f"the data has {total} column{'s' * (total != 1)}; {names} need {need}",
            "name the columns like the observed symbols, or give their sizes",
        )
    out, at = {}, 0
    table = x.reshape(len(x), -1)
    for symbol, width in zip(observed, widths, strict=True):
        width = total - known if width is None else width
        out[symbol.name] = (part, table[:, at : at + width])
        at += width
    return out


# --------------------------------------------------------------------------- which shape


def arrange(x: np.ndarray, target: Shape, picture: bool = False) -> np.ndarray | None:
    """``x`` with samples in the shape ``target`` (None: free), entries in the same order; None if it cannot be.

    Colour pictures ``(h, w, 3)`` go to ``(3, h, w)`` where the declaration says so; it has to say one or the other.
    """
    n, sample = len(x), x.shape[1:]
    if picture and len(sample) == len(target) == 3:
        last, first = _agrees(sample, target), _agrees((sample[2], *sample[:2]), target)
        if last and first:
            return None  # nothing says which axis is the colour
        if first:
            return np.moveaxis(x, -1, 1)
    if _agrees(sample, target):
        return x
    entries = prod(sample)
    if len(target) == 1 and target[0] in (None, entries):
        return x.reshape(n, entries)
    squeezed = tuple(s for s in sample if s != 1)
    if _agrees(squeezed, target):
        return x.reshape(n, *squeezed)
    known = prod(t for t in target if t is not None)
    free = target.count(None)
    if (free == 0 and known == entries) or (free == 1 and known and entries % known == 0 and entries):
        return x.reshape(n, *(entries // known if t is None else t for t in target))
    return None


def _agrees(sample: Shape, target: Shape) -> bool:
    return len(sample) == len(target) and all(t in (None, s) for s, t in zip(sample, target, strict=True))


def _unify(symbol: Symbol, x: np.ndarray) -> dict[str, int] | None:
    """The sizes that the symbol's named dimensions get; None where one would get two (``y : R[N, N]``)."""
    sizes: dict[str, int] = {}
    for dim, size in zip(symbol.shape, x.shape[1:], strict=True):
        if isinstance(dim, str) and sizes.setdefault(dim, size) != size:
            return None
    return sizes


def _picture(x: np.ndarray, arranged: np.ndarray, picture: bool) -> tuple[int, ...] | None:
    if picture:
        return x.shape[1:]
    shape = arranged.shape[1:]
    return shape if len(shape) == 2 and min(shape) >= 4 else None


def declared(symbol: Symbol) -> str:
    """``R[M]``, ``{0,1}[28, 28]``: the declaration's type as a spec writes it."""
    spelt = {"real": "R", "nonnegative": "R", "positive": "R", "box": "R", "sphere": "R", "ball": "R"}
    kind = spelt.get(symbol.domain.kind) or symbol.domain.row.spellings[0]
    return kind + (f"[{', '.join(map(str, symbol.shape))}]" if symbol.shape else "")


def _times(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "a number"


def _misfit(
    symbol: Symbol, target: Shape, x: np.ndarray, place: tuple[Label, ...], why: dict[str, str], sized: bool
) -> Diagnostic:
    """EB0601, with the declared sizes, the data's, and the nearest way out."""
    named = {d: t for d, t in zip(symbol.shape, target, strict=True) if isinstance(d, str) and t is not None}
    where = " with " + ", ".join(f"{d} = {t}" for d, t in named.items()) if named else ""
    message = f"{symbol.name} is {declared(symbol)}{where}, data is {_times(x.shape)}"
    entries, wanted = prod(x.shape[1:]), prod(t for t in target if t is not None)
    help_: list[str] = [f"{why[d]}" for d in named if d in why]
    fixed = [d for d in named if d not in why]
    if len(target) == 3 and x.ndim == 4 and None in target:
        help_.append(f"say which axis is the colour: {symbol.name} : R[3, …, …] or R[…, …, 3]")
    elif len(target) == 1:
        if fixed:
            help_.append(f"leave out the size of {fixed[0]} and the data tells it, or set {fixed[0]} = {entries}")
        elif isinstance(symbol.shape[0], int):
            help_.append(f"declare  {symbol.name} : R[{entries}]")
    elif not target:
        help_.append(f"a sample of the data has {entries} numbers: declare  {symbol.name} : R[{entries}]")
    elif target.count(None) > 1 and x.ndim == 2:
        side = isqrt(entries)
        example = f"{side}, {side}" if side * side == entries else "height, width"
        help_.append(f"the data is flat and does not tell how to fold it: declare  {symbol.name} : R[{example}]")
    else:
        help_.append(f"a sample of the data has {_times(x.shape[1:])} numbers")
    shape = x.shape[1:]
    if len(shape) == 2 and shape[0] == shape[1] and isqrt(wanted) ** 2 == wanted and None not in target and sized:
        help_.append(f"pictures of  size = {isqrt(wanted)}  would fit")
    labels = (
        *((Label(symbol.span, f"{declared(symbol)}{where}"),) if symbol.span else ()),
        *(Label(p.span, f"{_times(x.shape)}") for p in place),
    )
    return Diagnostic("EB0601", message, labels, tuple(help_))
