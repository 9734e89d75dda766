"""Generated files on disk: signed, so that a file which was edited by hand is never overwritten."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ebdsl.emit.file import MARK
from ebdsl.run.files import read_bytes, write_atomically

SEAL = "# End of the generated text, sha256 "


def signed(text: str) -> str:
    """``text`` with a last line that holds its digest."""
    return f"{text}{SEAL}{hashlib.sha256(text.encode()).hexdigest()[:32]}\n"


def is_ours(path: Path) -> bool:
    """Whether ebdsl wrote the file, and nobody changed it since. Raises :class:`SpecError` where it cannot be read."""
    data = read_bytes(path)
    if not data.startswith(MARK.encode()):
        return False
    text, seal, _ = data.replace(b"\r\n", b"\n").decode(errors="replace").rpartition(SEAL)
    return bool(seal) and signed(text).encode() == data.replace(b"\r\n", b"\n")


def write(path: Path, text: str) -> None:
    """Raises :class:`SpecError` (EB0807, EB0808)."""
    write_atomically(path, signed(text))
