"""``read``: a file's text, or what is wrong with the file."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from ebdsl.diagnostics import Checked, Diagnostic, Source
from ebdsl.syntax.parser import MAX_BYTES


def read(path: str | os.PathLike[str]) -> Checked[Source]:
    """The source in a file, or on standard input for ``-``.

    Files are UTF-8 (a byte order mark is passed over). Never raises for what a user can do wrong:
    no file, a folder, no permission, not text, too large.
    """
    name = os.fspath(path)
    shown = "standard input" if name == "-" else name
    data = _standard_input() if name == "-" else _bytes(name)
    if isinstance(data, Diagnostic):
        return Checked(None, (data,))
    if len(data) > MAX_BYTES:
        from ebdsl.syntax.complaints import too_large

        return Checked(None, (too_large(MAX_BYTES),))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Checked(None, (_not_text(f"{shown} is not UTF-8 text: byte {error.start} is no part of any character"),))
    if "\0" in text:
        return Checked(None, (_not_text(f"{shown} is not text: it holds zero bytes"),))
    return Checked(Source(shown, text))


def _standard_input() -> bytes | Diagnostic:
    if sys.stdin is None:
        return Diagnostic("EB0125", "there is no standard input")
    return sys.stdin.buffer.read(MAX_BYTES + 1)


def _bytes(name: str) -> bytes | Diagnostic:
    try:
        if not name or "\0" in name:
            raise FileNotFoundError(name)
        if stat.S_ISDIR(Path(name).stat().st_mode):
            inside = sorted(Path(name).glob("*.ebm"))[:3]
            help_ = ("did you mean " + " or ".join(f"`{file}`" for file in inside) + "?",) if inside else ()
            return Diagnostic("EB0122", f"{name} is a folder", (), help_)
        with Path(name).open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return Diagnostic("EB0121", f"there is no file {name}", (), _near(name))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the name is not one"
        return Diagnostic("EB0125", f"{name} cannot be read: {reason.lower()}")


def _near(name: str) -> tuple[str, ...]:
    """Specs beside the missing one with nearly its name."""
    import difflib

    path = Path(name)
    try:
        there = [file.name for file in path.parent.iterdir() if file.suffix == ".ebm"]
    except (OSError, ValueError):
        return ()
    near = difflib.get_close_matches(path.name, there, 1) or difflib.get_close_matches(path.name + ".ebm", there, 1)
    return (f"did you mean `{path.parent / near[0]}`?",) if near else ()


def _not_text(message: str) -> Diagnostic:
    return Diagnostic("EB0123", message, (), ("a spec is plain text; save it as UTF-8",))
