"""Files in and out: specs are read, outputs are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

from ebdsl.diagnostics import Diagnostic, Source, Span, SpecError
from ebdsl.diagnostics.core import Label

LARGEST_SPEC = 16 * 2**20


def refuse(code: str, message: str, *help: str, span: Span | None = None, source: Source | None = None) -> SpecError:
    """One diagnostic as an exception, for the layers that do things rather than compute."""
    labels = (Label(span),) if span is not None else ()
    return SpecError([Diagnostic(code, message, labels, tuple(help))], source)


def read_source(path: str) -> Source:
    """The spec at ``path``; ``-`` is standard input, and a shipped spec's name does.

    Newlines are brought to ``\\n`` and a byte order mark is dropped. Raises :class:`SpecError`
    (EB0801 to EB0805).
    """
    if path == "-":
        return Source("standard input", decode(sys.stdin.buffer.read(LARGEST_SPEC + 1), "standard input"))
    file = Path(path)
    try:
        missing = not file.exists()
    except (OSError, ValueError) as error:  # a name with NUL in it, or one that is too long
        raise unreadable(error, path) from None
    if missing:
        shipped = shipped_spec(path)
        if shipped is None:
            raise not_found(path)
        file = shipped
        path = f"specs/{file.name}"
    return Source(path, decode(read_bytes(file, path, LARGEST_SPEC + 1), path))


def read_bytes(file: Path, name: str, limit: int = -1) -> bytes:
    """Raises :class:`SpecError` (EB0801, EB0802, EB0804)."""
    try:
        with file.open("rb") as stream:
            return stream.read(limit)
    except IsADirectoryError:
        is_run = (file / "run.json").exists()
        help = f"`{name}` is a run: `ebdsl train {name} --resume` goes on with it" if is_run else "name a file in it"
        raise refuse("EB0802", f"{name} is a folder", help) from None
    except FileNotFoundError:
        raise not_found(name) from None
    except (OSError, ValueError) as error:
        raise unreadable(error, name) from None


def decode(data: bytes, name: str) -> str:
    """UTF-8 text of a spec. Raises :class:`SpecError` (EB0803, EB0805)."""
    if len(data) > LARGEST_SPEC:
        raise refuse(
            "EB0805", f"{name} is larger than {LARGEST_SPEC >> 20} MiB: this is no spec", "data goes to --data"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        kind = "a binary file" if b"\0" in data[:4096] else "not UTF-8 text"
        raise refuse(
            "EB0803",
            f"{name} is {kind}: byte 0x{data[error.start]:02x} at offset {error.start} (line {line})",
            "a spec is UTF-8 text; `iconv -f LATIN1 -t UTF-8` turns another encoding into it",
        ) from None
    if "\0" in text:
        raise refuse("EB0803", f"{name} is a binary file: it holds NUL bytes", "a spec is UTF-8 text")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def not_found(path: str) -> SpecError:
    from difflib import get_close_matches

    folder = Path(path).parent
    with contextlib.suppress(OSError):
        near = [p.name for p in folder.iterdir() if p.suffix == ".ebm"]
        close = [str(folder / name) for name in get_close_matches(Path(path).name, near, 1, 0.6)]
        close += get_close_matches(path, shipped_specs(), 1, 0.6)
        if close:
            return refuse("EB0801", f"there is no file {path}", f"did you mean {close[0]} ?")
    return refuse("EB0801", f"there is no file {path}", "`ebdsl specs` lists the specs that come with ebdsl")


def unreadable(error: Exception, name: str) -> SpecError:
    return refuse("EB0804", f"{ascii(name)[1:-1]} cannot be read: {reason(error)}")


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
        if durable:
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
