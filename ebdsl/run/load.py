"""From generated text to a Python module in memory.

The text is always the compiler's own, made from a spec just now. A file found in a run folder is
never executed, so a stranger's run can be looked into without running their code.
"""

from __future__ import annotations

import hashlib
import linecache
import sys
from types import ModuleType


def load(text: str) -> ModuleType:
    """The module that ``text`` (made by the emitter) defines.

    It is entered in ``sys.modules`` under a name made of its digest, because type hints of a
    ``NamedTuple`` are looked up there, and in ``linecache``, so that a failure can be traced to a
    line. The same text gives the same module.
    """
    name = f"ebdsl_generated_{digest(text)}"
    if name in sys.modules:
        return sys.modules[name]
    file = f"<{name}>"
    code = compile(text, file, "exec", dont_inherit=True)
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    module = ModuleType(name)
    module.__file__ = file
    sys.modules[name] = module
    try:
        exec(code, module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def digest(text: str) -> str:
    """A short name for a text: 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
