"""What a data source is, what it hands on, and the registry of sources."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ebdsl.run.data.preprocess import Transform

Arrays = dict[str, np.ndarray]


class Trouble(Exception):
    """Why data cannot be had; :func:`ebdsl.run.data.load` makes a diagnostic of it."""

    def __init__(self, code: str, message: str, *help: str) -> None:
        super().__init__(message)
        self.code, self.message, self.help = code, message, help


@dataclass(frozen=True)
class Keyword:
    """One argument of a source. ``kind``: ``count number flag word text`` or ``option``.

    ``count`` is a whole number from ``low``; ``number`` lies in ``[low, high]``; ``word`` is one of
    ``choices``; ``flag`` is true or false; ``text`` is free. An ``option`` is a flag, a number of the same range or
    one of ``choices``.
    A default of None is worked out by the source, as ``doc`` says.
    """

    name: str
    kind: str
    default: Any
    doc: str
    choices: tuple[str, ...] = ()
    low: float = -np.inf
    high: float = np.inf


@dataclass(frozen=True)
class Request:
    """What a source is asked: its keywords, a generator seeded for it, and the shapes the spec wants.

    ``wanted`` has the observed symbols' names with their shapes, None where the data decides; ``domains`` the
    kind of domain of each. ``folder`` is where the spec lies, for relative paths.
    """

    options: Mapping[str, Any]
    rng: np.random.Generator
    wanted: Mapping[str, tuple[int | None, ...]] = field(default_factory=dict)
    domains: Mapping[str, str] = field(default_factory=dict)
    folder: str | None = None

    def __getitem__(self, name: str) -> Any:
        return self.options[name]

    def width(self, default: int) -> int:
        """The number of entries the spec's one observed symbol has, ``default`` where that is open."""
        sizes = [s for shape in self.wanted.values() for s in shape]
        if len(self.wanted) != 1 or not sizes or None in sizes:
            return default
        return int(np.prod([s for s in sizes if s is not None]))


@dataclass(frozen=True)
class Raw:
    """A source's answer: ``parts`` has ``(n, *shape)`` arrays in order, named as the source names them.

    ``what`` says what was loaded, ``said`` what else should be known (fallbacks first). Parts of shape
    ``(n, height, width)`` or ``(n, height, width, 3)`` named in ``pictures`` are images. ``labels``
    is ``(n,)`` of whole numbers. ``truth`` holds what generated data was made from (atoms, codes, a mixing matrix).
    ``defaults`` replaces the source's own defaults of the uniform keywords.
    """

    parts: Arrays
    what: str
    said: tuple[str, ...] = ()
    pictures: frozenset[str] = frozenset()
    labels: np.ndarray | None = None
    truth: Arrays = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """A row of the registry. ``positional`` names the keywords that may be given by position.

    ``load`` raises :class:`Trouble` where there is nothing to give. ``defaults`` are those of the
    uniform keywords (``centre``, ``scale``, ...) that are not the general ones. ``limits`` says what to know
    before using it: licence, size, what it is not good for.
    """

    name: str
    doc: str
    load: Callable[[Request], Raw]
    keywords: tuple[Keyword, ...] = ()
    positional: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    limits: str = "generated: no licence, no limit but your patience"


@dataclass(frozen=True)
class Data:
    """Samples bound to a spec.

    ``arrays`` has each observed symbol's name with ``(n, *shape)`` numbers, float32 unless it is a
    memory-mapped file used as it is. ``held_out`` is alike, empty without a hold-out. ``describe`` says in
    words what was loaded and what was done to it. ``sizes`` are the free dimensions the data
    tells. ``image_shapes`` has the symbols that are pictures with ``(height, width)`` or ``(height, width, 3)``.
    ``truth`` is what generated data was made from. ``transforms`` has what was done to the entries, by symbol;
    ``own``: the source or the user's words said what to do.
    """

    arrays: Arrays
    describe: str
    sizes: dict[str, int]
    image_shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    labels: np.ndarray | None = None
    held_out: Arrays = field(default_factory=dict)
    held_out_labels: np.ndarray | None = None
    truth: Arrays = field(default_factory=dict)
    transforms: Mapping[str, Transform] = field(default_factory=dict)
    own: bool = False

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    @property
    def image_shape(self) -> tuple[int, ...] | None:
        """Of the first symbol that is a picture, if one is."""
        return next(iter(self.image_shapes.values()), None)


SOURCES: dict[str, Source] = {}


def register(source: Source) -> Source:
    """Add one row. Raises ``ValueError`` for a name that is taken."""
    if source.name in SOURCES:
        raise ValueError(f"data source {source.name} is registered twice")
    SOURCES[source.name] = source
    return source


def load_sources() -> dict[str, Source]:
    """The registry, with every file of ``sources`` read."""
    from ebdsl.run.data import sources

    for module in pkgutil.iter_modules(sources.__path__):
        importlib.import_module(f"{sources.__name__}.{module.name}")
    return SOURCES
