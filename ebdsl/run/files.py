"""Files in and out: specs are found, outputs are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ebdsl.diagnostics import Diagnostic, Source, Span, SpecError
from ebdsl.diagnostics.core import Label


def refuse(code: str, message: str, *help: str, span: Span | None = None, source: Source | None = None) -> SpecError:
    """One diagnostic as an exception, for the layers that do things rather than compute."""
    labels = (Label(span),) if span is not None else ()
    return SpecError([Diagnostic(code, message, labels, tuple(help))], source)


def read_source(path: str) -> Source:
    """The spec at ``path``; ``-`` is standard input, and the name of a shipped spec does where there is no such file.

    Raises :class:`SpecError` (EB0121 to EB0125, EB0802).
    """
    from ebdsl.syntax import read

    file, name = path, path
    if path != "-" and not exists(path):
        shipped = shipped_spec(path)
        if shipped is not None:
            file, name = str(shipped), f"specs/{shipped.name}"
    elif (Path(path) / "run.json").is_file():
        raise refuse("EB0802", f"{path} is a run and not a spec", f"its spec is {Path(path) / 'spec.ebm'}")
    found = read(file)
    if found.value is None:
        raise SpecError([replace(d, help=d.help or near(path)) for d in found.diagnostics])
    return Source(name, found.value.text) if file != path else found.value


def exists(path: str) -> bool:
    """Whether there is anything of this name; False for what cannot be a name."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def near(path: str) -> tuple[str, ...]:
    """A shipped spec of nearly this name."""
    from difflib import get_close_matches

    close = get_close_matches(Path(path).stem, shipped_specs(), 1, 0.6)
    return (f"did you mean the shipped spec `{close[0]}`?",) if close else ()


def read_bytes(file: Path, limit: int = -1) -> bytes:
    """Raises :class:`SpecError` (EB0804)."""
    try:
        with file.open("rb") as stream:
            return stream.read(limit)
    except (OSError, ValueError) as error:
        raise refuse("EB0804", f"{file} cannot be read: {reason(error)}") from None


def reason(error: Exception) -> str:
    """What the system says, in lower case and without the errno."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()


def shipped_specs() -> list[str]:
    """Names of the specs that come with ebdsl."""
    from ebdsl.resources import folder

    try:
        return sorted(p.stem for p in folder("specs").glob("*.ebm"))
    except FileNotFoundError:
        return []


def shipped_spec(name: str) -> Path | None:
    """The file of a shipped spec, by ``name`` or ``specs/name.ebm``; None if there is none."""
    from ebdsl.resources import folder

    stem = name.removeprefix("specs/").removesuffix(".ebm")
    return folder("specs") / f"{stem}.ebm" if stem in shipped_specs() else None


def shipped_folder(name: str) -> Path | None:
    """A folder of shipped specs that belong together, by its ``name``; None if there is none."""
    from ebdsl.resources import folder

    try:
        specs = folder("specs")
    except FileNotFoundError:
        return None
    known = {p.name: p for p in specs.iterdir() if p.is_dir() and any(p.glob("*.ebm"))}
    return known.get(name.removeprefix("specs/").rstrip("/"))


def write_atomically(path: Path, write: Callable[[Path], None] | bytes | str, *, durable: bool = False) -> None:
    """Write beside ``path`` and rename: readers see the old file or the new one, whole.

    ``write`` gets the temporary path, or is the content. ``durable`` waits until the disk has it.
    Raises :class:`SpecError` (EB0807, EB0808).
    """
    part = path.with_name(f".{path.name[:80]}.{os.getpid()}{secrets.token_hex(3)}.part")
    try:
        if callable(write):
            write(part)
        else:
            part.write_bytes(write.encode() if isinstance(write, str) else write)
        if durable:
            sync(part)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        part.replace(path)
        if durable and os.name != "nt":  # where a folder is no file
            sync(path.parent)
    except (OSError, ValueError) as error:
        raise unwritable(error, path) from None
    finally:
        with contextlib.suppress(OSError, ValueError):
            part.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until the disk has ``path`` (a file or a folder)."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):  # some file systems cannot sync folders
            raise
    finally:
        os.close(handle)


def unwritable(error: Exception, path: Path | str) -> SpecError:
    """EB0808 for a full disk, EB0807 for all else. ``error`` may be safetensors', which has only a text."""
    text = str(error)
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or "No space left" in text
    if full:
        return refuse("EB0808", f"the disk is full: {path} was not written", "what was there before is unchanged")
    return refuse("EB0807", f"{path} cannot be written: {reason(error)}")


def make_folder(path: Path) -> None:
    """``mkdir -p``. Raises :class:`SpecError` (EB0807, EB0808)."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise unwritable(error, path) from None
