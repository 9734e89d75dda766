"""What is kept between runs under the user's cache directory: what Inductor and C++ compiled, and the faster target.

Everything lies under a digest of the generated text, the versions of torch and Python, and the processor, so that it is
never stale: what changes has another digest. Inductor's own keys add shapes and types. Needs no torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import version

from ebdsl.driver import TARGETS
from ebdsl.run.files import make_folder, write_atomically
from ebdsl.runtime.compiling import cache_folder as folder
from ebdsl.runtime.compiling import processor

VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
_USERS = os.environ.get(VARIABLE)  # torch sets it too, once it is asked


def key(text: str, *more: object) -> str:
    """A digest of the text and of all that compiled code depends on besides."""
    facts = [version("torch"), platform.python_version(), platform.machine(), processor(), *map(str, more)]
    return hashlib.sha256("\0".join([text, *facts]).encode()).hexdigest()[:16]


def use(text: str) -> None:
    """Let Inductor keep what it compiles for this text in a folder of its own, unless the user named one."""
    if _USERS is None:
        os.environ[VARIABLE] = str(folder() / "compiled" / key(text))


def choice(digest: str) -> str | None:
    """The target that was found to be the faster one; None where nobody measured."""
    try:
        found = json.loads((folder() / "choices" / f"{digest}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    target = found.get("target") if isinstance(found, dict) else None
    return target if target in TARGETS else None


def remember(digest: str, target: str, **facts: float) -> None:
    make_folder(folder() / "choices")
    write_atomically(folder() / "choices" / f"{digest}.json", json.dumps({"target": target, **facts}) + "\n")


def entries() -> Iterator[tuple[str, int]]:
    """Compiled programs and choices: a name, and its bytes."""
    for kind in ("compiled", "choices"):
        for path in sorted((folder() / kind).glob("*")):
            files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
            yield f"{kind}/{path.stem}", sum(f.stat().st_size for f in files)


def clear() -> int:
    """Remove all of it: how many entries there were. Other files of the folder stay."""
    count = len(list(entries()))
    for kind in ("compiled", "choices"):
        shutil.rmtree(folder() / kind, ignore_errors=True)
    return count
