"""The user's own layers: ``python("package.module:Class")``."""

from __future__ import annotations

import keyword
import re
from typing import Any

from ebdsl.atoms.core import LayerAtom, ShapeError, register
from ebdsl.atoms.layer_arguments import Keywords, Shape, Texts

_PATH = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)", re.ASCII)


def _path(args: tuple[Any, ...]) -> tuple[str, str]:
    """Package and class of ``"package.module:Class"``."""
    found = _PATH.fullmatch(args[0]) if args and isinstance(args[0], str) else None
    if found is None or any(keyword.iskeyword(part) for part in re.split("[.:]", args[0])):
        raise ShapeError('python takes a text like "package.module:Class"')
    return found[1], found[2]


def _python_shape(inputs: Shape, output: Shape | None, args: tuple[Any, ...], keywords: Keywords) -> Shape:
    _path(args)
    if any(not key.isidentifier() or keyword.iskeyword(key) for key, _ in pairs(keywords)):
        raise ShapeError("the settings of python are names of the class's arguments")
    if output is None:
        raise ShapeError("what python gives is only known at the end of a module; give it a module of its own")
    return output


def pairs(keywords: Keywords) -> tuple[tuple[str, Any], ...]:
    return tuple(dict(keywords).items())


def _python_torch(inputs: Texts, output: Texts, args: tuple[Any, ...], keywords: Keywords) -> str:
    given = [repr(a) for a in args[1:]] + [f"{key}={value!r}" for key, value in pairs(keywords)]
    return f"{_path(args)[1]}({', '.join(given)})"


register(
    LayerAtom(
        name="python",
        spellings=("python",),
        doc='your own class of layers, python("package.module:Class", 3, depth = 2): run only when you allow it',
        sets_shape=True,
        shape=_python_shape,
        torch=_python_torch,
        keywords=("*",),
        imports=lambda args: (f"from {_path(args)[0]} import {_path(args)[1]}",),
        foreign=True,
        examples=(((5,), (5,), ("torch.nn:Tanh",), {}),),
    )
)
