"""From what a spec or a command line names to samples bound to the spec's symbols."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ebdsl.diagnostics import Checked, Diagnostic, Label
from ebdsl.model.model import Model, Word
from ebdsl.run.data import bind, files, preprocess, values
from ebdsl.run.data.core import Arrays, Data, Raw, Request, Source, Trouble, load_sources
from ebdsl.run.data.options import close, options
from ebdsl.run.data.words import as_word

IN_MEMORY = 1 << 30
"""Bytes up to which a memory-mapped file is read whole where samples are to be picked at random."""


def load(source: Word | str | Path, model: Model, seed: int = 0, holdout: float = 0.0) -> Checked[Data]:
    """Samples for every observed symbol of ``model``.

    ``source`` is a word of the spec, the same as text, or a path. ``holdout`` in ``[0, 1)`` is the share of samples
    kept apart. The same arguments give the same samples. Diagnostics are EB06xx; no value with an error.
    """
    place = _place(source, model)
    try:
        return _load(source, model, seed, holdout, place)
    except Trouble as why:
        return Checked(None, (Diagnostic(why.code, why.message, place, why.help),))
    except MemoryError:
        return Checked(
            None,
            (Diagnostic("EB0611", "the data does not fit into memory", place, ("ask for fewer samples: count = …",)),),
        )


def _place(source: Word | str | Path, model: Model) -> tuple[Label, ...]:
    setting = model.setting("data")
    return (Label(setting.span),) if setting is not None and setting.value == source else ()


def _load(
    source: Word | str | Path, model: Model, seed: int, holdout: float, place: tuple[Label, ...]
) -> Checked[Data]:
    if not 0 <= holdout < 1:
        raise Trouble(
            "EB0607",
            f"a hold-out of {holdout:g} of the samples is not possible",
            "take a share from 0 to 1, such as 0.1",
        )
    if not model.role("observed"):
        raise Trouble("EB0609", "the spec observes nothing", "declare  observed y : R[D]")
    word = as_word(source)
    sources = load_sources()
    if word.head not in sources:
        if word.args or word.keywords or not files.there(word.head):
            raise Trouble(
                "EB0602",
                f"there is no data source {word.head}",
                close(word.head, sources),
                'a file is written  "x.npy"',
            )
        word = Word("file", (word.head,))
    row = sources[word.head]
    own, given = options(word, row)
    raw = row.load(_request(own, model, np.random.default_rng([seed % 2**63, zlib.crc32(row.name.encode())])))
    settings = preprocess.settings(given, {**row.defaults, **raw.defaults})

    bound = bind.bind(raw, model, place, any(k.name == "size" for k in row.keywords))
    if bound.value is None:
        return Checked(None, bound.diagnostics)
    fitted = bound.value
    train, held, kept, apart, split = _split(fitted.arrays, settings, holdout, np.random.default_rng([seed % 2**63, 1]))
    train, held, done, transforms = _preprocess(train, held, settings, fitted, row)
    found = values.outside(train, model, place) or values.outside(held, model, place)
    if not preprocess.touches(settings):
        found += tuple(_bytes(name, place) for name, x in fitted.arrays.items() if _is_bytes(x))
    labels = fitted.labels
    data = Data(
        arrays=train,
        describe=_sentence(raw, tuple(fitted.said), split, done),
        sizes=fitted.sizes,
        image_shapes=fitted.image_shapes,
        labels=labels[kept] if labels is not None else None,
        held_out=held,
        held_out_labels=labels[apart] if labels is not None and held else None,
        truth=raw.truth,
        transforms=transforms,
        own=bool(transforms) or any(name in preprocess.ESTIMATED for name in given),
    )
    checked = Checked(data, found)
    return replace(checked, value=None) if checked.errors else checked


def _is_bytes(x: np.ndarray) -> bool:
    """Whether these are bytes beyond 0 and 1, from a first look."""
    return x.dtype == np.uint8 and int(x[:4096].max()) > 1


def _bytes(name: str, place: tuple[Label, ...]) -> Diagnostic:
    message = f"{name} holds bytes, from 0 to 255, and they are used as they are"
    return Diagnostic("EB0613", message, place, ("scale = unit  brings them into [0, 1]",))


def _request(own: Mapping[str, Any], model: Model, rng: np.random.Generator) -> Request:
    observed = model.role("observed")
    spec = Path(model.source.name)
    return Request(
        own,
        rng,
        {s.name: model.shape(s) for s in observed},
        {s.name: s.domain.kind for s in observed},
        str(spec.parent) if spec.suffix else None,
    )


Rows = slice | np.ndarray


def _split(
    arrays: Arrays, settings: Mapping[str, Any], holdout: float, rng: np.random.Generator
) -> tuple[Arrays, Arrays, Rows, Rows, str]:
    """Training and held-out samples, which rows they are, and words for it."""
    n = len(next(iter(arrays.values())))
    count = settings["count"] or n
    if count > n:
        raise Trouble("EB0607", f"count = {count}, and there are {n} samples", "take a smaller  count")
    apart = round(count * holdout)
    if holdout:
        apart = min(max(apart, 1), count - 1)
        if apart == 0:
            raise Trouble(
                "EB0607",
                f"of {count} sample{'s' * (count != 1)} none can be held out",
                "take more samples, or no hold-out",
            )
    said = [f"{count} of {n} samples"] if count < n else []
    if count == n and not apart:
        return arrays, {}, slice(None), slice(0, 0), ""
    mapped = any(isinstance(a, np.memmap) for a in arrays.values())
    rows: tuple[Rows, Rows]
    if mapped and sum(a.nbytes for a in arrays.values()) > IN_MEMORY:
        rows = slice(0, count - apart), slice(count - apart, count)
        said += [f"the last {apart} of them held out, as they lie in the file"] if apart else ["the first of the file"]
    else:
        order = rng.permutation(n)[:count]
        rows = np.sort(order[apart:]), np.sort(order[:apart])
        said += [f"{apart} held out at random"] if apart else []
    train, held = ({k: a[r] for k, a in arrays.items()} for r in rows)
    return train, held if apart else {}, *rows, ", ".join(said)


def _preprocess(
    train: Arrays, held: Arrays, settings: Mapping[str, Any], fitted: bind.Fitted, row: Source
) -> tuple[Arrays, Arrays, str, dict[str, preprocess.Transform]]:
    """Arrays after preprocessing, as float32; memory-mapped ones stay where nothing is to be done."""
    said: list[str] = []
    transforms: dict[str, preprocess.Transform] = {}
    train, held = dict(train), dict(held)
    for name, x in train.items():
        if name in fitted.coded or not preprocess.touches(settings):
            train[name], held_x = _plain(x), held.get(name)
            if held_x is not None:
                held[name] = _plain(held_x)
            continue
        if isinstance(x, np.memmap) and x.nbytes > 4 * IN_MEMORY:
            raise Trouble(
                "EB0611",
                f"preprocessing needs {name} in memory, and the file has {x.nbytes >> 20} MiB",
                "preprocess the file beforehand",
            )
        transform, done = preprocess.fit(np.asarray(x, np.float32), settings)
        transforms[name] = transform
        train[name] = np.ascontiguousarray(done, np.float32)
        if name in held:
            held[name] = np.ascontiguousarray(transform(np.asarray(held[name], np.float32)), np.float32)
        said.append((f"{name}: " if len(train) > 1 else "") + ", ".join(transform.said))
    return train, held, "; ".join(dict.fromkeys(said)), transforms


def _plain(x: np.ndarray) -> np.ndarray:
    return x if isinstance(x, np.memmap) else np.ascontiguousarray(x, np.float32)


def _sentence(raw: Raw, *more: str | tuple[str, ...]) -> str:
    parts = [raw.what, *raw.said]
    for m in more:
        parts += [m] if isinstance(m, str) else m
    return "; ".join(p for p in parts if p)
