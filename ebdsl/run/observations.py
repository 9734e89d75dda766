"""The samples a model is trained on or asked about, and the sizes they give its dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ebdsl.diagnostics import Diagnostic, SpecError
from ebdsl.model.model import Model
from ebdsl.run.data.preprocess import Transform
from ebdsl.run.files import refuse


@dataclass(frozen=True)
class Observations:
    """``arrays`` (n, *shape) by the spec's names; ``sizes`` of the dimensions they tell; ``about`` for a person.

    ``held_out`` is like ``arrays``, or empty. ``image_shapes`` (height, width[, 3]) of what are pictures.
    ``transforms`` is how they were prepared; ``own``: their source or the user said how.
    """

    arrays: Mapping[str, np.ndarray]
    sizes: Mapping[str, int]
    about: str
    warnings: tuple[Diagnostic, ...] = ()
    held_out: Mapping[str, np.ndarray] = field(default_factory=dict)
    image_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    transforms: Mapping[str, Transform] = field(default_factory=dict)
    own: bool = False


def observations(model: Model, word: Any, seed: int) -> Observations:
    """Load what ``word`` (``--data``), or else the spec's ``train`` block, names.

    Raises :class:`SpecError` (EB0701, and EB06xx for data that is wrong or does not fit).
    """
    from ebdsl.run.data import load

    if word is None:
        setting = model.setting("data")
        if setting is None:
            raise refuse(
                "EB0701",
                "no data: the spec has no train block that names some",
                "say --data FILE, or write data FILE under train",
                source=model.source,
            )
        word = setting.value
    loaded = load(word, model, seed)
    if loaded.value is None or loaded.errors:
        raise SpecError(loaded.diagnostics, model.source)
    data = loaded.value
    return Observations(
        data.arrays,
        data.sizes,
        data.describe,
        loaded.diagnostics,
        data.held_out,
        data.image_shapes,
        data.transforms,
        data.own,
    )


def prepared(seen: Observations, transforms: Mapping[str, Transform]) -> Observations:
    """New samples brought to what a model was trained on, by the numbers of its training data."""
    known = {name: t for name, t in transforms.items() if t.stages and name in seen.arrays}
    if seen.own or not known:
        return seen

    def through(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {
            name: np.ascontiguousarray(known[name](np.asarray(x, np.float32)), np.float32) if name in known else x
            for name, x in arrays.items()
        }

    said = "; ".join(dict.fromkeys(", ".join(t.said) for t in known.values()))
    about = f"{seen.about}; prepared as the training data: {said}"
    return replace(seen, arrays=through(seen.arrays), held_out=through(seen.held_out), about=about)


def sizes(model: Model, arrays: Mapping[str, np.ndarray], *, trained: bool = False) -> dict[str, int]:
    """The extent of every dimension of an observed variable. Raises :class:`SpecError` (EB0719) where they differ.

    ``trained``: the parameters have their sizes already, so the spec cannot be fitted to the data any more.
    """
    bound: dict[str, int] = {}
    for symbol in model.role("observed"):
        if symbol.name not in arrays:
            raise refuse("EB0719", f"the data has nothing for {symbol.name}", source=model.source, span=symbol.span)
        shape = tuple(arrays[symbol.name].shape[1:])
        wanted = f"{symbol.name} : R[{', '.join(map(str, symbol.shape))}]"
        if len(shape) != len(symbol.shape):
            message = f"a sample of the data has shape {list(shape)}, and the spec says {wanted}"
            raise refuse("EB0719", message, source=model.source, span=symbol.span)
        for dim, size in zip(symbol.shape, shape, strict=True):
            known = bound.get(dim, model.size(dim)) if isinstance(dim, str) else dim
            if known is not None and known != size:
                here = f" and {dim} = {known}" if isinstance(dim, str) else ""
                message = f"a sample of the data has shape {list(shape)}, and the spec says {wanted}{here}"
                help = () if trained or isinstance(dim, int) else (f"--set {dim}={size} makes the spec fit",)
                message = message.replace("the spec says", "the model was trained on") if trained else message
                raise refuse("EB0719", message, *help, source=model.source, span=symbol.span)
            if isinstance(dim, str):
                bound[dim] = int(size)
    lengths = {name: len(arrays[name]) for name in (s.name for s in model.role("observed"))}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} has {n}" for name, n in lengths.items())
        raise refuse("EB0719", f"the variables do not have the same number of samples: {listed}", source=model.source)
    return bound
