"""The user's own files: arrays, tables, folders of pictures. Nothing here unpickles.

Every reader returns ``Raw`` and raises :class:`Trouble`: EB0604 for what cannot be read, EB0606 for what is no
number, EB0611
for what announces more than is safe to unpack.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import zipfile
import zlib
from pathlib import Path

import numpy as np

from ebdsl.run.data import pictures
from ebdsl.run.data.core import Arrays, Raw, Request, Trouble

MOST_BYTES = 4 << 30
KINDS = ".npy, .npz, .csv, .tsv, .parquet or a folder of pictures"


def find(name: str, folder: str | None = None) -> Path:
    """The path as given or beside the spec, checked to be an ordinary file or a folder that can be read."""
    if not name or "\0" in name or len(name) > 4096 or any(len(part) > 255 for part in Path(name).parts):
        shown = name if len(name) < 60 else name[:57] + "…"
        raise Trouble("EB0604", f"{shown!r} is not the name of a file", 'write  file("x.npy")')
    path = Path(name)
    with contextlib.suppress(RuntimeError):  # no such user
        path = path.expanduser()
    if not there(path) and folder is not None and not path.is_absolute() and there(Path(folder) / path):
        path = Path(folder) / path
    try:
        mode = path.stat().st_mode
    except OSError as why:
        raise Trouble("EB0604", _unreachable(path, why), *_alike(path)) from None
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise Trouble("EB0604", f"{name} is a device, a pipe or a socket", "give an ordinary file")
    if not os.access(path, os.R_OK):
        raise Trouble("EB0604", f"{name} may not be read", "check the permissions of the file")
    if stat.S_ISREG(mode) and path.stat().st_size == 0:
        raise Trouble("EB0607", f"{name} is empty (0 bytes)", "was the writing of it cut short?")
    return path


def there(path: Path | str) -> bool:
    """Whether there is anything of that name, a dangling link included."""
    path = Path(path)
    try:
        return path.exists() or path.is_symlink()
    except OSError:
        return False


def _unreachable(path: Path, why: OSError) -> str:
    if why.errno == errno.ELOOP:
        return f"{path} is a link that leads back to itself"
    if path.is_symlink():
        return f"{path} is a link to {path.readlink()}, which is not there"
    if why.errno in (errno.EACCES, errno.EPERM):
        return f"{path} may not be read"
    return f"there is no file {path}"


def _alike(path: Path) -> tuple[str, ...]:
    from ebdsl.run.data.options import close

    try:
        names = sorted(p.name for p in path.parent.iterdir() if p.name != path.name)[:2000]
    except OSError:
        return (f"there is no folder {path.parent} either",) if not path.parent.exists() else ()
    near = close(path.name, names)
    return (near,) if near.startswith("did") else ("a relative path starts at the current folder, or at the spec's",)


def load(request: Request) -> Raw:
    """What ``file("…")`` gives, by the kind of the file."""
    name = request["path"]
    if name is None:
        raise Trouble("EB0603", "file needs the path of a file", 'write  file("x.npy")')
    path = find(name, request.folder)
    if path.is_dir():
        return folder(path, request)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        kind = f"files of kind {path.suffix}" if path.suffix else "files without an ending such as .npy"
        raise Trouble("EB0604", f"{path.name}: {kind} are not read", f"give {KINDS}")
    try:
        return reader(path, request)
    except UnicodeError:
        raise Trouble(
            "EB0604", f"{path.name} is not text", "save it as UTF-8, or give it the ending that fits its kind"
        ) from None
    except OSError as why:
        raise Trouble("EB0604", f"cannot read {path.name}: {why.strerror or why}") from None


# --------------------------------------------------------------------------- numpy


def _header(file: object, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type that a .npy stream announces."""
    fmt = np.lib.format
    try:
        version = fmt.read_magic(file)  # type: ignore[arg-type]
        read = fmt.read_array_header_1_0 if version == (1, 0) else fmt.read_array_header_2_0
        shape, _, dtype = read(file)  # type: ignore[arg-type]
    except Exception:  # the header is parsed as Python literals, which fail in many ways
        raise Trouble(
            "EB0604",
            f"{name} is not an array of numpy, or its header is broken",
            f"save it with numpy.save, or give {KINDS}",
        ) from None
    _numeric(dtype, name)
    if any(s < 0 for s in shape):
        raise Trouble("EB0604", f"{name} announces an impossible shape, {shape}")
    return shape, dtype


def _numeric(dtype: np.dtype, name: str) -> None:
    if dtype.hasobject:
        raise Trouble(
            "EB0606",
            f"{name} holds Python objects, not numbers",
            "they could be read only by running code from the file, which is never done; save an array of numbers, "
            "x.astype(float)",
        )
    if dtype.kind not in "biuf":
        kinds = {
            "c": "complex numbers",
            "U": "text",
            "S": "bytes",
            "M": "dates",
            "m": "durations",
            "V": "records with fields",
        }
        raise Trouble(
            "EB0606",
            f"{name} holds {kinds.get(dtype.kind, str(dtype))}, not real numbers",
            "save an array of real numbers",
        )


def npy(path: Path, request: Request) -> Raw:
    with path.open("rb") as file:
        shape, dtype = _header(file, path.name)
        start = file.tell()
    size, need = path.stat().st_size - start, int(np.prod(shape, dtype=object)) * dtype.itemsize
    if size < need:
        raise Trouble(
            "EB0604",
            f"{path.name} is cut short: {' x '.join(map(str, shape))} numbers need {need} bytes, it has {size}",
            "write it again",
        )
    if not shape:
        raise Trouble("EB0607", f"{path.name} holds a single number", "the first axis of an array counts the samples")
    if not need:
        raise Trouble(
            "EB0607",
            f"{path.name} is {' x '.join(map(str, shape))}: there are no samples",
            "the first axis counts the samples",
        )
    x = np.load(path, mmap_mode="r", allow_pickle=False)
    return _raw({"y": x}, f"{path.name}, {' x '.join(map(str, shape))} {dtype.name}, memory-mapped", request)


def npz(path: Path, request: Request) -> Raw:
    parts: Arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if m.filename.endswith(".npy")]
            if len({m.filename for m in members}) < len(members):
                raise Trouble("EB0604", f"{path.name} has two arrays of one name", "write it again with numpy.savez")
            total = 0
            for member in members:
                key = member.filename.removesuffix(".npy")
                if member.flag_bits & 1:
                    raise Trouble("EB0604", f"{path.name} is encrypted", "write it again with numpy.savez")
                with archive.open(member) as file:
                    shape, dtype = _header(file, f"{key} in {path.name}")
                    total += int(np.prod(shape, dtype=object)) * dtype.itemsize
            if total > MOST_BYTES:
                raise Trouble(
                    "EB0611",
                    f"{path.name} ({path.stat().st_size >> 10} KiB) would unpack to {total >> 20} MiB",
                    "save each array as .npy: those are memory-mapped and may be of any size",
                )
            for member in members:
                with archive.open(member) as file:
                    parts[member.filename.removesuffix(".npy")] = np.lib.format.read_array(file, allow_pickle=False)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError):
        raise Trouble(
            "EB0604", f"{path.name} is cut short or is not an .npz", "write it again with numpy.savez"
        ) from None
    labels = None
    for key in ("labels", "label"):
        if key in parts and key not in request.wanted and len(parts) > 1:
            labels = parts.pop(key)
            break
    if not parts:
        raise Trouble("EB0607", f"{path.name} holds no arrays", "write it with  numpy.savez(path, y=y)")
    single = [k for k, x in parts.items() if x.ndim == 0]
    if single and all(k in request.wanted or not set(request.wanted) <= set(parts) for k in single):
        raise Trouble(
            "EB0607",
            f"{single[0]} in {path.name} holds a single number",
            "the first axis of an array counts the samples",
        )
    what = ", ".join(f"{k} {' x '.join(map(str, x.shape))}" for k, x in parts.items())
    return _raw(parts, f"{path.name} ({what})", request, _whole(labels))


def _whole(labels: np.ndarray | None) -> np.ndarray | None:
    """Labels as whole numbers from 0; texts and others in the order of sorting."""
    if labels is None or labels.ndim != 1:
        return None
    if labels.dtype.kind in "biuf" and labels.size and labels.min() >= 0 and (labels == np.floor(labels)).all():
        return labels.astype(np.int64)
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _raw(parts: Arrays, what: str, request: Request, labels: np.ndarray | None = None) -> Raw:
    """Whatever was read, with pictures recognised by their shape, or because ``size`` says so."""
    side, shown = request["size"], set()
    for name, x in list(parts.items()):
        if side and x.ndim == 2 and x.shape[1] in (side * side, 3 * side * side):
            parts[name] = x.reshape(len(x), side, side, *((3,) if x.shape[1] == 3 * side * side else ()))
            shown.add(name)
        elif side and x.shape[1:3] == (side, side):
            shown.add(name)
        elif side:
            raise Trouble(
                "EB0603",
                f"size = {side} asks for pictures of {side} x {side}, and a sample has "
                f"{' x '.join(map(str, x.shape[1:]))} numbers",
                "leave out  size",
            )
        elif (x.ndim == 4 and x.shape[-1] == 3) or (x.ndim == 3 and min(x.shape[1:]) >= 4):
            shown.add(name)
    return Raw(parts, what, pictures=frozenset(shown), labels=labels)


# --------------------------------------------------------------------------- tables and pictures


def csv(path: Path, request: Request) -> Raw:
    from ebdsl.run.data import tables

    return tables.csv(path, request)


def parquet(path: Path, request: Request) -> Raw:
    from ebdsl.run.data import tables

    return tables.parquet(path, request)


READERS = {".npy": npy, ".npz": npz, ".csv": csv, ".tsv": csv, ".parquet": parquet, ".pq": parquet}


def folder(path: Path, request: Request) -> Raw:
    """A folder of pictures, one level of sub-folders being classes."""
    found = list(pictures.listed(path))
    if not found:
        raise Trouble(
            "EB0607", f"the folder {path} holds no pictures", f"known are {' '.join(sorted(pictures.SUFFIXES))}"
        )
    shapes = list(request.wanted.values())
    shape = shapes[0] if shapes else ()
    colour = request["colour"]
    if colour is None:
        colour = len(shape) == 3 and 3 in (shape[0], shape[2])
    first = pictures.read(found[0][0], colour)
    height, width = _picture_size(request, shape, first)
    if len(found) * height * width * 4 * (3 if colour else 1) > MOST_BYTES:
        raise Trouble(
            "EB0611", f"{len(found)} pictures of {height} x {width} are more than 4 GiB", "make them smaller: size = …"
        )
    x = np.empty((len(found), height, width, *((3,) if colour else ())), np.float32)
    changed = 0
    for i, (file, _) in enumerate(found):
        image = first if i == 0 else pictures.read(file, colour)
        if image.shape[:2] != (height, width):
            image, changed = pictures.resized(image, height, width), changed + 1
        x[i] = image
    classes = sorted({c for _, c in found})
    labels = np.array([classes.index(c) for _, c in found]) if len(classes) > 1 else None
    what = f"{len(x)} pictures of {path.name}, {height} x {width}, {'colour' if colour else 'grey'}, values 0 to 1"
    said = (f"{changed} of them cut to the middle and brought to that size",) if changed else ()
    return Raw({"y": x}, what, said, frozenset({"y"}), labels)


def _picture_size(request: Request, shape: tuple[int | None, ...], first: np.ndarray) -> tuple[int, int]:
    """What ``size`` says, else the declaration, else the first picture."""
    if request["size"]:
        return request["size"], request["size"]
    if len(shape) == 3:
        shape = shape[1:] if shape[2] != 3 else shape[:2]
    if len(shape) == 2 and None not in shape:
        return int(shape[0] or 0), int(shape[1] or 0)
    if len(shape) == 1 and shape[0]:
        side = round(shape[0] ** 0.5)
        if side * side == shape[0]:
            return side, side
    return first.shape[0], first.shape[1]
